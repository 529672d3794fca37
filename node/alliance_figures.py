"""Figures of the alliance for an operator's monitoring: who nears its limit, what is to be decided, how old
the open window is. And a line in the node's log when somebody's debt passes 50, 75 or 90 % of its limit.

The labels are organisations, which everybody in the alliance knows; never members.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
import structlog
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from contracts.mechanics.governance_records import AGENDA, Agenda
from contracts.mechanics.settlement_records import OPEN_WINDOW, OpenWindow
from ledger.outcome import Outcome
from node.api.core import Core
from node.exposures import list_exposures

_ALERT: Final = b'"EXPOSURE_'
_PREFIX: Final = "EXPOSURE_"
_OUTCOME: Final = msgspec.json.Decoder(Outcome)

log = structlog.get_logger("commonpoint.alliance")


class AllianceCollector(Collector):
    """What the newest block left, read when asked for."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def describe(self) -> Iterable[Metric]:
        """Nothing is read when it is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Exposures by participant, open proposals, the open window's number and age."""
        core = self._core
        exposures = GaugeMetricFamily(
            "commonpoint_exposure_percent",
            "What a participant owes and has not settled, in percent of its limit; absent without one.",
            labels=["participant"],
        )
        for owing in list_exposures(core, time=core.now):
            if owing.percent is not None:
                exposures.add_metric([owing.participant], owing.percent)
        yield exposures
        agenda: Agenda | None = core.get_record(AGENDA, AGENDA)
        yield GaugeMetricFamily(
            "commonpoint_open_proposals", "Waiting for votes.", value=agenda.open if agenda else 0
        )
        window: OpenWindow | None = core.get_record(OPEN_WINDOW, OPEN_WINDOW)
        opened_at = window.opened_at if window else core.origin.settings.time
        yield GaugeMetricFamily(
            "commonpoint_window_number", "The open settlement window.", value=window.number if window else 1
        )
        yield GaugeMetricFamily(
            "commonpoint_window_age_seconds",
            "Since the open settlement window began, in the ledger's time.",
            value=(core.now - opened_at) / 1000,
        )


def tell_alerts(outcomes: Iterable[bytes]) -> None:
    """Every exposure that passed a mark is in the node's log. Called by the engine, once a block."""
    for outcome in outcomes:
        if _ALERT in outcome:
            for event in _OUTCOME.decode(outcome).events or ():
                if event.name.startswith(_PREFIX):
                    percent = int(event.name.removeprefix(_PREFIX))
                    log.warning("exposure nears its limit", participant=event.about, percent=percent)
