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

#: Bytes of an owner's id in UTF-8; a database has no index of longer ones beside a name.
LONGEST_ID: Final = 255

Identify = Callable[[Any], Identity | None]
#: Says whether the site offers a flow to somebody.
Offer = Callable[[Identity, Flow], Any]


def choose_identify(
    given: Callable[[Any], Any] | None, manager: PluginManager, settings: Settings, offer: Offer | None = None
) -> Identify | None:
    """Return what says who sends a request: the ``identity`` callable, then the plugins' hook.

    :param offer: says which flows the site offers to whom; None for all flows of the folders.
    :returns: None where nobody does, and API keys alone decide.
    :raises SettingsInvalid: if the site says who is who, and yet everybody is to be the local user.
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
    """Return what ``flows=`` of the extension means: names, or a callable that takes identity and flow.

    :raises SettingsInvalid: if it means nothing.
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
    """Return whether a flow may be run by somebody whom the site has named.

    What authors made is theirs to run. Somebody who is none may have made flows, too, while they
    were one: those count only where the site offers them.
    """
    if flow.owner is not None and identity.author:
        return True
    return flow.owner is None if offer is None else bool(offer(identity, flow))


def _ask_plugins(manager: PluginManager, request: Any) -> Identity | None:
    """Ask one plugin after the other, so that what goes wrong has a name.

    :raises FlowRunnerError: naming the plugin that failed, or answered what is none.
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
    """Return what an identity callable meant: an identity, the id of a user, or nobody (None, False, or no text).

    :raises FlowRunnerError: for anything else, and for an id that cannot be kept.
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
