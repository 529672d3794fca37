"""What the log itself says of the year's windows, votes and debts, read once when no node runs any more.

Every leaf is found in the signed tree, and every window's statement is worked out again from the legs before
it by the code behind `commonpoint settlement statement`: where its hash is not the one in the entry that cut
it, nothing is told. Of the other entries those are read that decide, sign, pay or turn down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from contracts.messages.actions import Action, DeclareDefault
from contracts.messages.reject_codes import OK
from ledger.leaves import BLOCK_LEAF_DECODER, ENTRY_START, SYSTEM_START, TRANSACTION_LEAF_DECODER
from node.statements.log import SignedLeaves
from node.statements.sources import open_directory
from node.statements.windows import ClosedWindow, Moved, Windows
from scripts.year.recounted import Cap, Default, Motion, Paid, Week, Year
from scripts.year.weighing import Debts

_ENTRY: Final = ord("e")
_TRANSACTION: Final = ord("t")
_BLOCK: Final = ord("b")
_SYSTEM: Final = ord("s")
_KIND_PLACE: Final = len(b'{"@type":"')
_EVENTS: Final = b'"events":[{'
_CAPPED: Final = b'"code":"ISSUER_CAP"'
_LEGS: Final = b'"legs":[{'
_REDEEM: Final = ENTRY_START + b'"message":{"@type":"redeem"'


def _begin(start: bytes, *kinds: str) -> tuple[bytes, ...]:
    return tuple(start + b'"message":{"@type":"%b"' % kind.encode() for kind in kinds)


_TOLD: Final = _begin(ENTRY_START, "propose", "vote", "countersign", "attest_payment", "attest_cover")
_TOLD_BY_BLOCKS: Final = _begin(SYSTEM_START, "enact", "confirm", "abort")


def read_chronicle(directory: Path) -> Year:
    """The year as the log has it. Raises `Unverified` or `InvalidBlock` where the log does not hold."""
    with open_directory(directory, chain=None) as log:
        leaves = SignedLeaves(log)
        reader = _Reader()
        windows = Windows(leaves.origin, first=leaves.first, watch=reader.watch)
        for closed in windows.read(reader.listen(leaves)):
            reader.close(closed)
        return reader.finish()


class _Reader:
    """Listens to every leaf before the windows are worked out from it."""

    def __init__(self) -> None:
        self._weeks: dict[int, Week] = {}
        self._motions: dict[str, Motion] = {}
        self._paid: list[Paid] = []
        self._sides: dict[tuple[int, int], set[str]] = {}
        self._default: Default | None = None
        self._corrections: list[tuple[str, str, int]] = []
        self._debts = Debts()
        self._alerts: Counter[tuple[str, str]] = Counter()
        self._caps: dict[str, Cap] = {}
        self._covers: list[tuple[int, str, int]] = []
        self._capped: set[str] = set()
        """Programs of issuers that were at their limit, until another cover was attested."""
        self._signed = 0
        self._transaction = b""
        self._time = 0

    def listen(self, leaves: Iterable[bytes]) -> Iterator[bytes]:
        """The same leaves; what they tell is noted."""
        for leaf in leaves:
            kind = leaf[_KIND_PLACE]
            if kind == _ENTRY:
                if _EVENTS in leaf or leaf.startswith(_TOLD):
                    self._take_entry(msgspec.json.decode(leaf))
                if _CAPPED in leaf:
                    self._take_refusal(msgspec.json.decode(leaf)["message"])
                elif self._capped and leaf.startswith(_REDEEM) and _LEGS not in leaf:
                    program = msgspec.json.decode(leaf)["message"]["program"]
                    if program in self._capped:
                        self._caps[program].home += 1
            elif kind == _TRANSACTION:
                self._transaction = leaf
            elif kind == _BLOCK:
                self._time = BLOCK_LEAF_DECODER.decode(leaf).time
            elif kind == _SYSTEM and leaf.startswith(_TOLD_BY_BLOCKS):
                self._take_system(msgspec.json.decode(leaf))
            yield leaf

    def watch(self, moved: Moved) -> None:
        """An entry by which somebody owes."""
        for leg in moved.legs:
            self._debts.add(leg.source, leg.micros)

    def close(self, closed: ClosedWindow) -> None:
        """A window was cut, and its statement worked out again: its hash is the log's."""
        self._weeks[closed.statement.window] = Week(closed.statement, closed.digest)
        self._debts.close(closed.statement)

    def finish(self) -> Year:
        """All of it."""
        return Year(
            weeks=list(self._weeks.values()),
            motions=list(self._motions.values()),
            signed=self._signed,
            paid=self._paid,
            default=self._default,
            corrections=self._corrections,
            marks=self._debts.marks,
            alerts=self._alerts,
            caps=self._caps,
            covers=self._covers,
        )

    def _take_entry(self, leaf: dict[str, Any]) -> None:
        message, outcome = leaf["message"], leaf["outcome"]
        self._take_events(outcome)
        if outcome["code"] != OK:
            return
        header = TRANSACTION_LEAF_DECODER.decode(self._transaction)
        sender = header.header.sender
        match message["@type"]:
            case "propose":
                name = message["proposal"]
                actions = [msgspec.convert(each, Action) for each in message["actions"]]
                self._motions[name] = Motion(name, sender, actions, header.time)
            case "vote":
                self._motions[message["proposal"]].ballots[sender] = message["choice"]
            case "countersign":
                self._signed += 1
                if message["verdict"] == "dispute":
                    self._weeks[message["window"]].disputes[sender] = message["lines"]
            case "attest_payment":
                self._attest(sender, message["window"], message["transfer"])
            case "attest_cover":
                self._capped.discard(message["participant"])
                self._covers.append((header.time, message["participant"], message["cover"]))

    def _attest(self, sender: str, window: int, place: int) -> None:
        sides = self._sides.setdefault((window, place), set())
        sides.add(sender)
        transfer = self._weeks[window].statement.transfers[place]
        if sides == {transfer.source, transfer.destination}:
            micros = transfer.units * self._weeks[window].statement.payment_unit_micros
            self._paid.append(Paid(window, place, transfer.source, transfer.destination, micros))

    def _take_system(self, leaf: dict[str, Any]) -> None:
        message, outcome = leaf["message"], leaf["outcome"]
        if message["@type"] == "enact":
            motion = self._motions[message["proposal"]]
            motion.enacted = outcome["code"]
            for leg in outcome.get("legs", ()):
                self._corrections.append((leg["from"], leg["to"], leg["micros"]))
            for action in motion.actions:
                if isinstance(action, DeclareDefault) and outcome["code"] == OK:
                    draws = [(each["source"], each["micros"]) for each in outcome["draws"]]
                    self._default = Default(action.participant, action.window, draws)
        self._take_events(outcome)

    def _take_events(self, outcome: dict[str, Any]) -> None:
        for event in outcome.get("events", ()):
            name, about = event["name"], event["about"]
            if name.startswith("EXPOSURE_"):
                self._alerts[about, name] += 1
            elif name in ("WINDOW_CONFIRMED", "WINDOW_SETTLED", "WINDOW_ABORTED"):
                week = self._weeks[int(about)]
                week.state = name.removeprefix("WINDOW_").lower()
                if week.state != "confirmed":
                    self._debts.relieve(week.statement)
            elif name == "PROPOSAL_PASSED":
                self._motions[about].enacts_at = event["at"]

    def _take_refusal(self, message: dict[str, Any]) -> None:
        """An issuer may owe no more."""
        program = message["program"]
        cap = self._caps.setdefault(program, Cap())
        cap.refused += 1
        self._capped.add(program)
        time = TRANSACTION_LEAF_DECODER.decode(self._transaction).time
        cap.first = cap.first or time
        cap.last = time
