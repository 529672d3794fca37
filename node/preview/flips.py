"""Outcomes that come out otherwise: which message of whom, what its code was, and what it would have been.

Messages are compared one by one, as they stand in the log. What blocks did by themselves is compared as a
whole, since the same work may be done a little earlier or later: only what one history did and the other
never did is told, as ``ABSENT`` there.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from contracts.messages import Enact
from ledger.codec import encode
from ledger.executor import ExecutedBlock
from node.audit.replay import ReplayedBlock

ABSENT: Final = "ABSENT"
EXAMPLES_MAX: Final = 20
_REFERENCES: Final = ("reference", "hold", "proposal", "parameter", "program", "participant", "member")
"""By which of its fields a message is named to people: the first that it has."""


class Example(Struct, frozen=True, kw_only=True):
    """One outcome that flips."""

    index: int | UnsetType = UNSET
    """Of its entry in the log; none for what the log does not hold."""
    reference: str | UnsetType = UNSET
    sender: str | UnsetType = UNSET
    """None for what a block did by itself."""


class FlipGroup(Struct, frozen=True):
    """All flips of one kind of message from one code to another."""

    after: str
    before: str
    count: int
    examples: list[Example]
    """The first of them, in the log's order."""
    type: str


class _Code(Struct):
    code: str


class _System(Struct):
    outcome: _Code


_CODE: Final = msgspec.json.Decoder(_Code)
_SYSTEM: Final = msgspec.json.Decoder(_System)


class Flips:
    """What was compared so far, and what came out otherwise."""

    def __init__(self, proposal: str) -> None:
        self._proposal = proposal
        self.compared = 0
        self.altered: Counter[str] = Counter()
        """By type: the same code, with other points, legs or balances."""
        self.enactment: str | None = None
        """The code with which the fork enacted the proposal."""
        self._groups: dict[tuple[str, str, str], tuple[list[Example], list[int]]] = {}
        self._system: dict[bytes, list[tuple[int | None, bytes, Any]]] = {}
        """What one history's blocks did by themselves and the other's have not done yet: where (None: only in
        the fork), the leaf, the message.
        """

    def take(self, base: ReplayedBlock, fork: ExecutedBlock) -> None:
        """Compare one block with what became of it."""
        recorded, executed = base.recorded, base.executed
        answers = zip(recorded.transactions, recorded.places, executed.answers, fork.answers, strict=True)
        for transaction, place, before, after in answers:
            count = len(before.outcomes)
            self.compared += count
            if before.outcomes == after.outcomes:
                continue
            refusal = after.refusal.code if after.refusal is not None else None
            for number in range(count):
                old = before.outcomes[number]
                new = None if refusal is not None else after.outcomes[number]
                if old != new:
                    message = transaction.messages[number]
                    index = place + 1 + number
                    code = refusal if new is None else _CODE.decode(new).code
                    self._note(
                        message,
                        before=_CODE.decode(old).code,
                        after=code or ABSENT,
                        index=index,
                        sender=transaction.header.sender,
                    )
        self._take_system(base, fork)

    def _take_system(self, base: ReplayedBlock, fork: ExecutedBlock) -> None:
        executed = base.executed
        self.compared += len(executed.system)
        for number, message in enumerate(executed.system):
            self._match(message, executed.leaves[number], executed.first + number)
        for number, message in enumerate(fork.system):
            leaf = fork.leaves[number]
            if isinstance(message, Enact) and message.proposal == self._proposal:
                self.enactment = _read_code(leaf)
            else:
                self._match(message, leaf, None)

    def _match(self, message: Any, leaf: bytes, index: int | None) -> None:
        """The other history has done the same, or this waits for it to do so."""
        waiting = self._system.setdefault(encode(message), [])
        for place, (where, known, _) in enumerate(waiting):
            if (where is None) != (index is None):
                del waiting[place]
                if known != leaf:
                    before, after = (known, leaf) if index is None else (leaf, known)
                    self._note(
                        message,
                        before=_read_code(before),
                        after=_read_code(after),
                        index=where if index is None else index,
                        sender=None,
                    )
                break
        else:
            waiting.append((index, leaf, message))
        if not waiting:
            del self._system[encode(message)]

    def finish(self) -> None:
        """Nothing comes any more: what only one history's blocks did by themselves, the other never did."""
        left = [each for waiting in self._system.values() for each in waiting]
        self._system.clear()
        for index, leaf, message in left:
            code = _read_code(leaf)
            before, after = (ABSENT, code) if index is None else (code, ABSENT)
            self._note(message, before=before, after=after, index=index, sender=None)

    def _note(self, message: Any, *, before: str, after: str, index: int | None, sender: str | None) -> None:
        kind: str = message.__struct_config__.tag
        if before == after:
            self.altered[kind] += 1
            return
        examples, count = self._groups.setdefault((kind, before, after), ([], [0]))
        count[0] += 1
        if len(examples) < EXAMPLES_MAX:
            reference = next(
                (getattr(message, name) for name in _REFERENCES if hasattr(message, name)), UNSET
            )
            examples.append(
                Example(
                    index=UNSET if index is None else index,
                    reference=reference,
                    sender=UNSET if sender is None else sender,
                )
            )

    @property
    def groups(self) -> list[FlipGroup]:
        """Every kind of flip, the most frequent first."""
        groups = [
            FlipGroup(after, before, count[0], examples, kind)
            for (kind, before, after), (examples, count) in self._groups.items()
        ]
        return sorted(groups, key=lambda group: (-group.count, group.type, group.before, group.after))


def _read_code(leaf: bytes) -> str:
    """The code in a system entry's outcome."""
    return _SYSTEM.decode(leaf).outcome.code
