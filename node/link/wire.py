"""What the frames between a core and its workers hold: MessagePack of the structs below.

Both ends are of one version, since a node starts its own workers; so nothing here is kept compatible.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

import msgspec
from msgspec import Struct

from ledger.codec import INTEGER_MAX
from ledger.errors import CommonpointError, InvariantBroken, Refused, Rejected
from ledger.executor import Head


class FromWorker(IntEnum):
    """Kinds of frames that a worker sends."""

    SUBMISSIONS = 1
    CALL = 2
    FIGURES = 3
    READY = 4


class FromCore(IntEnum):
    """Kinds of frames that the core sends."""

    SETUP = 1
    BLOCK = 2
    ANSWERS = 3
    RETURN = 4
    STOP = 5
    NOTE = 6


class Submitted(Struct, array_like=True, gc=False):
    """A transaction that the worker has vetted (`ledger.transaction.Vetting`)."""

    number: int
    """By which the answer is told; the worker's own."""
    data: bytes
    lengths: list[int]
    hashes: bytes
    verified_by: str


class Told(Struct, array_like=True, gc=False):
    """A transaction that is in the log now, or was before."""

    number: int
    height: int
    index: int
    time: int
    outcomes: tuple[bytes, ...]


class Fault(Struct, array_like=True, gc=False):
    """Why something was turned down, or failed."""

    kind: str
    code: str
    facts: dict[str, Any]


class Declined(Struct, array_like=True, gc=False):
    """A transaction that was not taken."""

    number: int
    fault: Fault


class Answers(Struct, array_like=True, gc=False):
    """What came of transactions, in no particular order."""

    told: list[Told]
    declined: list[Declined]


class Block(Struct, array_like=True, gc=False):
    """The chain has moved on to this head."""

    head: Head
    checkpoint: str
    leaf_hashes: bytes
    """Of all its leaves, one after the other."""


class Call(Struct, array_like=True, gc=False):
    """Something is asked, by its name in `node.link.calls`."""

    number: int
    name: str
    arguments: list[Any]


class Returned(Struct, array_like=True, gc=False):
    """What a call came to: an encoded value, or a fault."""

    number: int
    value: bytes
    fault: Fault | None


class Setup(Struct):
    """What a worker is told before anything else."""

    genesis: list[bytes]
    database: str
    vkey: str
    policy: str
    token_secret: bytes
    origins: list[str]
    limited: list[str]
    """The limits of requests that are set at all."""
    has_webhooks: bool
    has_desk: bool
    """Whether checkpoints are cosigned here when somebody asks (`node.follower.witnessing`)."""
    head: Head
    checkpoint: str


class Sample(Struct, array_like=True, gc=False):
    """One figure of a worker's: its name and labels, and how much was counted."""

    name: str
    labels: list[tuple[str, str]]
    value: float


encode: Final = msgspec.msgpack.Encoder().encode
SUBMISSIONS: Final = msgspec.msgpack.Decoder(list[Submitted])
CALL: Final = msgspec.msgpack.Decoder(Call)
FIGURES: Final = msgspec.msgpack.Decoder(list[Sample])
SETUP: Final = msgspec.msgpack.Decoder(Setup)
BLOCK: Final = msgspec.msgpack.Decoder(Block)
ANSWERS: Final = msgspec.msgpack.Decoder(Answers)
NOTE: Final = msgspec.msgpack.Decoder(str)
RETURNED: Final = msgspec.msgpack.Decoder(Returned)
_KINDS: Final = {each.__name__: each for each in (Refused, Rejected, InvariantBroken)}


class CoreFault(Exception):
    """Something failed in the core that nobody foresaw; its log says what."""


def make_fault(error: BaseException) -> Fault:
    """The error in a form that can be sent."""
    if isinstance(error, CommonpointError):
        return Fault(
            type(error).__name__,
            error.code,
            {name: _make_fact(value) for name, value in error.facts.items()},
        )
    return Fault("", repr(error)[:200], {})


def read_fault(fault: Fault) -> Exception:
    """The error that was sent."""
    kind = _KINDS.get(fault.kind)
    return CoreFault(fault.code) if kind is None else kind(fault.code, **fault.facts)


def _make_fact(value: object) -> object:
    """As `node.api.problems` shows it: what it would spell out it is given spelled out."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > INTEGER_MAX:
        return "an integer beyond 2^53"
    return value if isinstance(value, str | int) else repr(value)
