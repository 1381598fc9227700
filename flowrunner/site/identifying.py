"""The site's word on who sends a request, whichever way it gives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flowrunner.errors import FlowRunnerError, SettingsInvalid
from flowrunner.identity import Identity
from flowrunner.plugins import PluginManager
from flowrunner.settings import Settings

#: Characters of an owner's id; a database keeps no more.
LONGEST_ID: Final = 255

Identify = Callable[[Any], Identity | None]


def choose_identify(
    given: Callable[[Any], Any] | None, manager: PluginManager, settings: Settings
) -> Identify | None:  # fmt: skip
    """Return what says who sends a request: the ``identity`` callable, then the plugins' hook.

    :returns: None where nobody does, and API keys alone decide.
    :raises SettingsInvalid: if the site says who is who, and yet everybody is to be the local user.
    """
    hook = manager.pm.hook.identify if manager.pm.hook.identify.get_hookimpls() else None
    if given is None and hook is None:
        return None
    if given is not None and settings.auth == "none":
        raise SettingsInvalid(
            f"{settings.prefix}AUTH=none makes everybody the same user, and identity= says who is who: leave one of"
            " them out."
        )

    def identify(request: Any) -> Identity | None:
        found = as_identity(given(request)) if given is not None else None
        if found is None and hook is not None:
            found = as_identity(hook(request=request))
        return found

    return identify


def as_identity(answer: Any) -> Identity | None:
    """Return what an identity callable meant: an identity, the id of a user, or nobody (None, False, or no text).

    :raises FlowRunnerError: for anything else, and for an id that cannot be kept.
    """
    if answer is None or answer is False or answer == "":
        return None
    if isinstance(answer, (str, int)) and not isinstance(answer, bool):
        answer = Identity(str(answer))
    if not isinstance(answer, Identity):
        raise FlowRunnerError(
            f"The identity callable returned {type(answer).__name__}; it returns an Identity, the id of a user, or"
            " None for nobody."
        )
    if not isinstance(answer.id, str) or not answer.id or len(answer.id) > LONGEST_ID or "\0" in answer.id:
        raise FlowRunnerError(f"The identity callable returned an id that is not 1 to {LONGEST_ID} characters of text.")
    return answer
