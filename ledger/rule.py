"""What a rule looks like to the core: it reads, it decides, it never writes.

A rule gets a read-only state, who asks and when, and the message. It returns a `Decision` or raises
`Rejected`. The executor alone writes what was decided. Which rules there are, and how members and programs
are kept, the core does not know.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from msgspec import Struct

from ledger.calendar import MILLIS_PER_DAY, get_day
from ledger.keys import SignatureCheck, SignatureJudge, SignedText
from ledger.outcome import Outcome
from ledger.posting import Posting
from ledger.state import Key, StateView
from ledger.transaction import RegisteredKey

_JUDGE: Final = SignatureCheck()


class BlockContext:
    """The block a message is executed in: its place, its time, and what rules work out once a block."""

    __slots__ = (
        "_offset_millis",
        "chain",
        "currency",
        "day",
        "founded_at",
        "height",
        "judge",
        "lasting",
        "memo",
        "operator",
        "owed",
        "previous",
        "rulebook",
        "time",
        "utc_offset_minutes",
    )

    def __init__(
        self,
        *,
        chain: str,
        height: int,
        time: int,
        operator: str,
        utc_offset_minutes: int,
        judge: SignatureJudge = _JUDGE,
        previous: str = "",
        currency: str = "",
        founded_at: int = 0,
        rulebook: int = 1,
    ) -> None:
        self.chain = chain
        self.currency = currency
        """What money is counted in, ISO 4217. Empty where no block is being executed."""
        self.founded_at = founded_at
        """The time of the genesis."""
        self.height = height
        self.time = time
        self.operator = operator
        self.judge = judge
        """Who says whether a signature holds."""
        self.previous = previous
        """Leaf hash of the block leaf before: nobody who voted on a draw could know it. Empty where no block
        is being executed.
        """
        self.rulebook = rulebook
        """The version of the rules that the block is executed under."""
        self.utc_offset_minutes = utc_offset_minutes
        self._offset_millis = utc_offset_minutes * 60_000
        self.day: int = get_day(time, utc_offset_minutes=utc_offset_minutes)
        self.memo: defaultdict[str, dict[Any, Any]] = defaultdict(dict)
        """By topic, what cannot change within one block (terms, parameters), worked out on first use."""
        self.lasting: defaultdict[str, dict[Any, Any]] = defaultdict(dict)
        """By topic, what holds whatever of the block is undone: what was read of records that never change,
        and how often something was tried.
        """
        self.owed: dict[tuple[str, str, str], int] = {}
        """Micros by (debtor, creditor, reason) that came to be owed in this block so far: the sums by pair
        have them when it ends.
        """

    def day_of(self, time: int) -> int:
        """The day of another instant, in the chain's offset."""
        return (time + self._offset_millis) // MILLIS_PER_DAY


class Asked(Struct, frozen=True, gc=False):
    """Who asks, with which key, in which block, and where in the log the answer will stand.

    Never on the wire.
    """

    block: BlockContext
    sender: str
    key: RegisteredKey
    key_id: str
    index: int
    content_hash: bytes
    """SHA-256 of the message's canonical bytes."""
    reads: Sequence[Key] = ()
    """What the message's rule said it would read."""


class Decision(Struct, frozen=True, gc=False):
    """What a rule decided. Never on the wire.

    The outcome to record (with its legs), the points to move, the records to write.
    """

    outcome: Outcome
    postings: Sequence[Posting] = ()
    changes: Sequence[tuple[str, str, Any]] = ()
    """(table, key, record); None removes."""


class Rule(NamedTuple):
    """One message type: who may sign it, what deciding it reads, and the decision."""

    message: type
    purposes: frozenset[str]
    decide: Callable[[StateView, Asked, Any], Decision]
    """Raises `Rejected`."""
    reads: Callable[[BlockContext, str, Any], Sequence[Key]]
    """The records it will read, as far as sender and message tell: loaded together for a whole block."""
    announce: Callable[[StateView, BlockContext, Any], Sequence[SignedText]] | None = None
    """The signatures it may ask about, as the state stands before the block: only ever a matter of speed."""


Guard = Callable[[Any], None]
"""Lets a message pass, or raises `Rejected`."""


class DueWork(NamedTuple):
    """A system message and its decision."""

    message: Any
    decision: Decision


class Rulebook(NamedTuple):
    """All rules in force together, under one version that every block leaf names."""

    version: int
    rules: Mapping[type, Rule]
    message_type: Any
    """The closed union of what may be submitted."""
    system_message_type: Any
    tables: Mapping[str, Any]
    """Table name → record type, beyond the core's own."""
    resident: frozenset[str]
    """Those of them that are small, read all the time and kept whole in memory."""
    fleeting: frozenset[str]
    """Those whose records are written once and hardly read again."""
    retention: Mapping[str, int]
    """Of those whose keys begin with a day in seven digits: for how many days after it a record matters.

    From then on the rules never look at it, so a node may forget it, at any time or never.
    """
    due: Callable[[StateView, BlockContext], Iterable[DueWork]]
    """The work this block does by itself, in order, bounded."""
    not_after_seconds_max: Callable[[StateView, BlockContext], int]
    find_guard: Callable[[StateView, BlockContext, str], Guard | None]
    """What stands in the way of a sender's messages in this block, whatever they ask; None for nothing."""
    genesis: Callable[[Any], Iterable[tuple[str, str, Any]]]
    """The records with which a ledger of this genesis begins."""


NO_READS: Final[tuple[Key, ...]] = ()
