"""A plugin that keeps texts encrypted at rest, over any memory backend.

It wraps the memory hooks: what goes to the backend is encrypted, what comes from it is decrypted, and
everybody else sees plain text.
"""

import json

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from flowrunner import BadRequest, MemoryFailed, Setting, SettingsInvalid, hookimpl

#: Marks what is encrypted, so that messages from before the plugin was there can still be read.
MARK = "encrypted:"


class EncryptTexts:
    """Encrypts text and content blocks of messages. The registered object is made for each app."""

    def __init__(self):
        self._fernet = None

    @hookimpl
    def register_settings(self, register):
        register(Setting("ENCRYPT_KEYS", "", "keys, separated by commas; the first one encrypts", secret=True))

    @hookimpl
    def use_settings(self, settings):
        keys = [key.strip() for key in settings.encrypt_keys.split(",") if key.strip()]
        if not keys:
            raise SettingsInvalid(
                f"{settings.prefix}ENCRYPT_KEYS is not set; make a key with: python -m flowrunner_encrypt"
            )
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:
            raise SettingsInvalid(f"{settings.prefix}ENCRYPT_KEYS contains an invalid key.") from error

    @hookimpl(wrapper=True, tryfirst=True)
    def append_messages(self, messages):
        # The backend is handed this very list, so it is changed in place; its messages stay as they are.
        messages[:] = [self._lock(message) for message in messages]
        return self._unlock_all((yield))

    @hookimpl(wrapper=True, tryfirst=True)
    def fetch_messages(self, query):
        asked = query.replace()
        if query.words():
            # No backend can search what it cannot read: it gives all that the rest of the query means.
            query.become(text=None, limit=None, offset=0)
        found = self._unlock_all((yield))
        return asked.window([message for message in found if asked.matches(message)]) if asked.words() else found

    @hookimpl(wrapper=True, tryfirst=True)
    def update_messages(self, query, changes):
        self._refuse_search(query)
        if changes.text is not None:
            changes.become(text=self._lock_text(changes.text))
        if changes.content_blocks is not None:
            changes.become(content_blocks=self._lock_blocks(changes.content_blocks))
        return self._unlock_all((yield))

    @hookimpl(wrapper=True, tryfirst=True)
    def delete_messages(self, query):
        self._refuse_search(query)
        return (yield)

    def _lock(self, message):
        return message.replace(
            text=self._lock_text(message.text), content_blocks=self._lock_blocks(message.content_blocks)
        )

    def _lock_text(self, text):
        return MARK + self._fernet.encrypt(text.encode("utf-8", "surrogatepass")).decode()

    def _lock_blocks(self, blocks):
        return ({"encrypted": self._lock_text(json.dumps(blocks))},) if blocks else ()

    def _unlock_all(self, messages):
        return [self._unlock(message) for message in messages]

    def _unlock(self, message):
        blocks = message.content_blocks
        if len(blocks) == 1 and set(blocks[0]) == {"encrypted"}:
            blocks = tuple(json.loads(self._unlock_text(blocks[0]["encrypted"])))
        return message.replace(text=self._unlock_text(message.text), content_blocks=blocks)

    def _unlock_text(self, text):
        if not text.startswith(MARK):
            return text
        try:
            return self._fernet.decrypt(text.removeprefix(MARK)).decode("utf-8", "surrogatepass")
        except InvalidToken as error:
            raise MemoryFailed("A message cannot be decrypted: none of the keys fits, or it was changed.") from error

    def _refuse_search(self, query):
        if query.words():
            raise BadRequest("Texts are encrypted, so messages cannot be updated or deleted by a text search.")
