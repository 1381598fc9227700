"""Identify the caller: by the host's login, an API key, or as the local user."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from flask import Request, request

from flowrunner.addresses import network_of
from flowrunner.errors import FlowRunnerError, NotAllowed, TooMany
from flowrunner.identity import LOCAL_CALLER, LOCAL_IDENTITY, Identity, is_local
from flowrunner.runs.limits import counts_addresses
from flowrunner.web.csrf import refuse_forged
from flowrunner.web.loopback import refuse_from_elsewhere

if TYPE_CHECKING:
    from flowrunner.runner import Runner
    from flowrunner.store.bound import BoundStores

KEY_HEADER: Final = "x-api-key"
#: The key of the identity in the environ; not ``flask.g``, which requests share if an app context stays pushed.
IDENTITY: Final = "flowrunner.identity"
#: The key of the runner in the environ.
RUNNER: Final = "flowrunner.runner"
#: The header ``X-Flowrunner-Owner``, as WSGI names it.
OWNER_HEADER: Final = "HTTP_X_FLOWRUNNER_OWNER"


#: The token that clients get from an open server at login; it is equivalent to no token.
LOCAL_TOKEN: Final = "local"  # noqa: S105


class InvalidToken(FlowRunnerError):
    """A bearer token that is neither a key nor a login."""

    status = 401
    code = "invalid_token"


def authenticate(runner: Runner, request: Request) -> Identity:
    """Identify the caller of the current request.

    The host's login is checked first (hook ``identify`` or the ``identity`` callable), then the API key.

    :raises NotAllowed: if there is neither a login nor a valid key.
    :raises InvalidToken: for a bearer token that is not a key, except in run requests.
    :raises TooMany: if too many wrong keys were sent from the address.
    """
    identity = runner.identify(request) if runner.identify is not None else None
    if identity is None:
        identity = _by_key(runner, request)
    else:
        refuse_forged(runner.settings.max_body)
    if not identity.address and counts_addresses(runner.settings):
        is_here = is_local(identity)
        identity = LOCAL_CALLER if is_here else replace(identity, address=network_of(request.remote_addr))
    named = _named_owner(request)
    if named is not None:
        identity = _acting_for(identity, named)
    return identity


def this_request() -> Request:
    """Return the current request itself, since each access through Flask's proxy costs three more calls."""
    found: Request = request._get_current_object()  # type: ignore[attr-defined]
    return found


def caller() -> Identity:
    """Return the caller of the current request, identified before the view was called."""
    found: Identity = this_request().environ[IDENTITY]
    return found


def this_runner() -> Runner:
    """Return the runner that answers the current request; an app may have several."""
    found: Runner = this_request().environ[RUNNER]
    return found


def stores() -> BoundStores:
    """Return the app's own data, bound to the current caller."""
    return this_runner().stores_of(caller())


def _named_owner(request: Request) -> str | None:
    """Return the owner to act as, named in the header or query of a request, or None."""
    environ = request.environ
    named: str | None = environ.get(OWNER_HEADER)
    if named is None and "owner=" in environ.get("QUERY_STRING", ""):
        named = request.args.get("owner")
    return named or None


def _acting_for(identity: Identity, owner: str) -> Identity:
    """Return the identity of an admin who acts as another owner, limited to that owner's data.

    :raises NotAllowed: if the caller is not an admin, whether the owner exists or not.
    """
    if owner == identity.id:
        # A copy of the identity would not be recognized as the local user.
        return replace(identity, admin=False) if identity.admin else identity
    if not identity.admin or identity.flows is not None:
        raise NotAllowed("Only an admin key may name another owner.")
    return replace(identity, id=owner, admin=False, acting=True)


def _by_key(runner: Runner, request: Request) -> Identity:
    key, bearer = presented_key(request, in_query=runner.settings.key_in_query)
    if runner.settings.auth == "none" and (key is None or (bearer and key == LOCAL_TOKEN)):
        refuse_from_elsewhere(request)
        return LOCAL_IDENTITY
    if not key:
        raise NotAllowed(_no_key() if runner.identify is None else "You are not logged in.")
    found = _identity_of(runner, request, key)
    if found is None:
        if bearer and _is_run() and runner.settings.auth == "none":
            # OpenAI's clients require a key, so users set any text.
            refuse_from_elsewhere(request)
            return LOCAL_IDENTITY
        runner.wrong_keys.note(network_of(request.remote_addr))
        if bearer and not _is_run():
            raise InvalidToken("Invalid token")
        raise NotAllowed("Invalid or missing API key" if _is_run() else "Invalid API key")
    return found


def _identity_of(runner: Runner, request: Request, key: str) -> Identity | None:
    """Return the identity of a key, or None for a wrong key.

    Several clients may share an address, so a valid key is accepted however many wrong ones were sent from there.

    :raises TooMany: for a wrong key from an address that has sent too many.
    """
    # Usually there were no wrong keys, and the address need not be read.
    asked = runner.wrong_keys and runner.settings.auth != "none"
    wait = runner.wrong_keys.wait(network_of(request.remote_addr)) if asked else 0
    if wait and not runner.stores.keys.is_listed(key):
        raise TooMany(
            f"Too many requests with a wrong API key from your address (FLOWRUNNER_MAX_WRONG_KEYS). Try again in {wait}"
            f" second{'s' * (wait != 1)} with a valid key.",
            retry_after=wait,
        )
    return runner.stores.keys.identify(key)


def presented_key(request: Request, *, in_query: bool) -> tuple[str | None, bool]:
    """Return the key in a request (or None), and whether it is a bearer token.

    Keys in the query end up in logs, so they are refused unless a setting allows them.

    :raises NotAllowed: for a key in the query, if that is not allowed.
    """
    key = request.environ.get("HTTP_X_API_KEY")
    if key is not None:
        return key, False
    authorization = request.headers.get("Authorization", "")
    if authorization[:7].lower() == "bearer ":
        return authorization[7:].strip(), True
    if KEY_HEADER in request.args:
        if in_query:
            return request.args[KEY_HEADER], False
        raise NotAllowed("API keys are not accepted in the URL; send the key in the x-api-key header.")
    return None, False


def _is_run() -> bool:
    return any(part in request.path for part in ("/api/v1/run/", "/api/v1/responses", "/api/v1/webhook/"))


def _no_key() -> str:
    if "/api/v1/webhook/" in request.path:
        return "API key required when webhook authentication is enabled"
    if _is_run():
        return "An API key must be passed as query or header"
    return "No authentication credentials provided"
