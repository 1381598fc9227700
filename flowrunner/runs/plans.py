"""Cache the plans of flows, one per content."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from dataclasses import replace
from typing import Final

from flowrunner.engine.plan import make_plan
from flowrunner.engine.planned import Plan
from flowrunner.flows.model import Flow
from flowrunner.memory.forks import after_fork
from flowrunner.registry import Registry
from flowrunner.text.printable import printable

logger = logging.getLogger("flowrunner")

_MOST_PLANS: Final = 500


class Plans:
    """The most recently used plans of a runner.

    :param refuse_unknown: as in :func:`~flowrunner.engine.plan.make_plan`.
    """

    def __init__(self, registry: Registry, *, refuse_unknown: bool) -> None:
        self._registry = registry
        self._refuse_unknown = refuse_unknown
        self._plans: OrderedDict[str, Plan] = OrderedDict()
        self._start_in_child()
        after_fork(self._start_in_child)

    def _start_in_child(self) -> None:
        self._planning = threading.Lock()

    def of(self, flow: Flow) -> Plan:
        """Return the plan of a flow.

        :raises FlowInvalid: if the flow cannot run.
        """
        plan = self._plans.get(flow.content_hash)
        if plan is None:
            plan = make_plan(flow, self._registry, refuse_unknown=self._refuse_unknown)
            for warning in plan.warnings:
                logger.warning("The flow %s (%s): %s", printable(flow.name), flow.id, printable(warning))
            with self._planning:
                self._plans[flow.content_hash] = plan
                while len(self._plans) > _MOST_PLANS:
                    self._plans.popitem(last=False)
        return plan if plan.flow is flow else replace(plan, flow=flow)
