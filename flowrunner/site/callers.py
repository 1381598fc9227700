"""Identify the caller as the site's ``identity=`` says, and which flows they are offered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

from flowrunner.errors import FlowRunnerError, SettingsInvalid, is_interrupt, reason_of
from flowrunner.flows.model import Flow
from flowrunner.identity import VISITOR, Identity
from flowrunner.plugins import PluginManager, plugin_at_fault
from flowrunner.settings.setting import Settings
from flowrunner.settings.values import words

#: The maximum length of an owner's id in bytes of UTF-8, since databases cannot index longer ones beside a name.
LONGEST_ID: Final = 255

Identify = Callable[[Any], Identity | None]
#: Decides whether the site offers a flow to an identity.
Offer = Callable[[Identity, Flow], Any]


def choose_identify(
    given: Callable[[Any], Any] | None, manager: PluginManager, settings: Settings, offer: Offer | None = None
) -> Identify | None:
    """Return the function that identifies the sender of a request: the ``identity`` callable, then the plugins' hook.

    :param offer: decides which flows the site offers to whom; None for all flows in the folders.
    :returns: None if there is neither, so that only API keys decide.
    :raises SettingsInvalid: if the site identifies users, but the settings make everybody the local user.
    """
    hook = manager.pm.hook.identify if manager.pm.hook.identify.get_hookimpls() else None
    if given is None and hook is None:
        return None
    if given is not None and settings.auth == "none":
        raise SettingsInvalid(
            f"{settings.prefix}AUTH=none makes everybody the same user, which contradicts identity=: remove one of"
            " them."
        )

    def identify(request: Any) -> Identity | None:
        found = as_identity(given(request)) if given is not None else None
        if found is None and hook is not None:
            found = _ask_plugins(manager, request)
        return None if found is None else replace(found, offers=partial(_is_offered, found, offer))

    return identify


def read_offer(flows: Any) -> Offer | None:
    """Read the argument ``flows=`` of the extension: names, or a callable that takes an identity and a flow.

    :raises SettingsInvalid: if it is neither.
    """
    if flows is None:
        return None
    if callable(flows):
        offer: Offer = flows
        return offer
    try:
        names = frozenset(words(flows))
    except ValueError as error:
        raise SettingsInvalid(
            f"FlowRunner(flows={flows!r}): pass the names of the flows to offer, or a function of an identity and a"
            " flow that returns whether to offer it."
        ) from error
    return lambda identity, flow: flow.id in names or flow.endpoint_name in names


def _is_offered(identity: Identity, offer: Offer | None, flow: Flow) -> bool:
    """Return whether a user identified by the site may run a flow.

    Authors may run their own flows. A user who is no longer an author may run flows that they created before only if
    the site offers them.
    """
    if flow.owner is not None and identity.author:
        return True
    return flow.owner is None if offer is None else bool(offer(identity, flow))


def _ask_plugins(manager: PluginManager, request: Any) -> Identity | None:
    """Call the hook of one plugin after the other, so that failures can be attributed.

    :raises FlowRunnerError: if a plugin fails or returns an invalid value, naming it.
    """
    try:
        answer = manager.pm.hook.identify(request=request)
    except FlowRunnerError:
        raise
    except BaseException as error:
        if is_interrupt(error) or hasattr(error, "get_response"):
            raise
        plugin = plugin_at_fault(manager.pm, "identify", error)
        raise FlowRunnerError(f"Plugin {plugin} failed in identify: {reason_of(error)}.") from error
    names = [implementation.plugin_name for implementation in manager.pm.hook.identify.get_hookimpls()]
    return as_identity(answer, f"The hook identify of plugin {' or '.join(names)}")


def as_identity(answer: Any, who: str = "The identity callable") -> Identity | None:
    """Convert the result of an identity callable: an identity, the id of a user, or None, False or "" for nobody.

    :raises FlowRunnerError: for anything else, and for an id that cannot be stored.
    """
    if answer is None or answer is False or answer == "":
        return None
    if isinstance(answer, (str, int)) and not isinstance(answer, bool):
        answer = Identity(str(answer))
    if not isinstance(answer, Identity):
        raise FlowRunnerError(
            f"{who} returned {type(answer).__name__}; it must return an Identity, the id of a user, or None."
        )
    if not isinstance(answer.id, str) or not _can_be_kept(answer.id):
        raise FlowRunnerError(f"{who} returned an id that is not a string of 1 to {LONGEST_ID} bytes in UTF-8.")
    if answer.nameless and not answer.id.startswith(VISITOR):
        raise FlowRunnerError(f"The id of an anonymous visitor must begin with {VISITOR}, for limits to count them.")
    return answer


def _can_be_kept(user: str) -> bool:
    try:
        return 1 <= len(user.encode()) <= LONGEST_ID and "\0" not in user
    except UnicodeEncodeError:
        return False
