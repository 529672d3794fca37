"""Which trust policies a log has enacted, and where, read from its leaves in their order.

A proposal stands in one entry, its enactment in a system entry of a later block, and the block leaf closes
over it. The policy judges the trees larger than the one that this leaf completes.

Nothing is judged here. That the votes were enough is known to whoever executes the log; that the log is the
right one, to whoever has a checkpoint over it that is believed (`ledger.policy_chain`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

import msgspec
from msgspec import Raw, Struct, field

from ledger.errors import Unverified
from ledger.leaves import BLOCK_LEAF_DECODER, BLOCK_START, ENTRY_DECODER, SYSTEM_DECODER
from ledger.outcome import OK

# Leaves are canonical, so each kind begins with the same bytes.
_PROPOSE_START: Final = b'{"@type":"entry","message":{"@type":"propose"'
_ENACT_START: Final = b'{"@type":"system","message":{"@type":"enact"'
_WATCHED: Final = (_PROPOSE_START, _ENACT_START)
_SET_POLICY_WORDS: Final = b'"@type":"set_trust_policy"'


class Enacted(NamedTuple):
    """A policy that was enacted, and the leaves that say so."""

    text: str
    """The C2SP tlog-policy."""
    action: int
    """Which of the proposal's actions sets it."""
    propose: int
    """Index of the entry that proposed it."""
    enact: int
    """Index of the entry that enacted it."""
    block: int
    """Index of the block leaf that closes over the enactment."""
    time: int
    """Of that block."""

    @property
    def above(self) -> int:
        """The size of the tree in which it was enacted: it judges larger ones."""
        return self.block + 1


class _Proposal(Struct, frozen=True):
    """As much of a proposal as matters here, read out of a leaf. Never on the wire."""

    kind: Literal["propose"] = field(name="@type")
    actions: list[Raw]
    proposal: str


class _Enactment(Struct, frozen=True):
    """As much of an enactment. Never on the wire."""

    kind: Literal["enact"] = field(name="@type")
    proposal: str


class _Action(Struct, frozen=True):
    """As much of an action. Never on the wire."""

    kind: str = field(name="@type")
    policy: str | None = None


class _Outcome(Struct, frozen=True):
    """As much of an outcome. Never on the wire."""

    code: str


_PROPOSAL: Final = msgspec.json.Decoder(_Proposal)
_ENACTMENT: Final = msgspec.json.Decoder(_Enactment)
_ACTION: Final = msgspec.json.Decoder(_Action)
_OUTCOME: Final = msgspec.json.Decoder(_Outcome)
_MALFORMED: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)


def read_proposal(leaf: bytes | str) -> tuple[str, dict[int, str]]:
    """The proposal that an entry leaf records, and the policies that its actions set, by their number.

    Raises `Unverified` ``POLICY_NOT_ENACTED`` where the leaf records none, or none that the ledger took.
    """
    try:
        entry = ENTRY_DECODER.decode(leaf)
        proposal, outcome = _PROPOSAL.decode(entry.message), _OUTCOME.decode(entry.outcome)
        actions = [_ACTION.decode(action) for action in proposal.actions]
    except _MALFORMED as error:
        raise Unverified("POLICY_NOT_ENACTED", reason=str(error)[:200]) from None
    if outcome.code != OK:
        raise Unverified("POLICY_NOT_ENACTED", proposal=proposal.proposal, outcome=outcome.code)
    return proposal.proposal, {
        number: action.policy
        for number, action in enumerate(actions)
        if action.kind == "set_trust_policy" and action.policy is not None
    }


def read_enactment(leaf: bytes | str) -> str:
    """The proposal that a system leaf enacts. Raises `Unverified` ``POLICY_NOT_ENACTED``."""
    try:
        entry = SYSTEM_DECODER.decode(leaf)
        enactment, outcome = _ENACTMENT.decode(entry.message), _OUTCOME.decode(entry.outcome)
    except _MALFORMED as error:
        raise Unverified("POLICY_NOT_ENACTED", reason=str(error)[:200]) from None
    if outcome.code != OK:
        raise Unverified("POLICY_NOT_ENACTED", proposal=enactment.proposal, outcome=outcome.code)
    return enactment.proposal


def may_enact(leaves: Sequence[bytes]) -> bool:
    """Whether these leaves of one block may enact something: that stands before all else."""
    return bool(leaves) and leaves[0].startswith(_ENACT_START)


class Enactments:
    """What the leaves taken so far enact. Leaves that say nothing here may be left out."""

    def __init__(self) -> None:
        self._proposed: dict[str, tuple[int, dict[int, str]]] = {}
        self._open: list[tuple[int, str]] = []
        """Enactments of a block that is not closed yet: index and proposal."""
        self.found: list[Enacted] = []
        """In their order: epoch 1 first."""

    def take_all(self, first: int, leaves: Iterable[bytes]) -> None:
        """The leaves from this index on are taken in. Raises as `take`."""
        for index, leaf in enumerate(leaves, first):
            # Nearly every leaf says nothing here, and logs are long.
            if self._open or leaf.startswith(_WATCHED):
                self.take(index, leaf)

    def take(self, index: int, leaf: bytes) -> None:
        """The leaf at this index is taken in. Raises `Unverified` for one that is no such leaf inside."""
        if leaf.startswith(_WATCHED):
            self._watch(index, leaf)
        elif self._open and leaf.startswith(BLOCK_START):
            time = BLOCK_LEAF_DECODER.decode(leaf).time
            for enact, proposal in self._open:
                propose, texts = self._proposed[proposal]
                self.found += [
                    Enacted(text, number, propose, enact, index, time) for number, text in texts.items()
                ]
            self._open = []

    def _watch(self, index: int, leaf: bytes) -> None:
        try:
            if leaf.startswith(_ENACT_START):
                proposal = read_enactment(leaf)
                # One that sets no policy was not remembered.
                if proposal in self._proposed:
                    self._open.append((index, proposal))
            elif _SET_POLICY_WORDS in leaf:
                proposal, texts = read_proposal(leaf)
                self._proposed[proposal] = (index, texts)
        except Unverified as error:
            # What the ledger turned down has no effect; what cannot be read stands in no log that executes.
            if "outcome" not in error.facts:
                raise
