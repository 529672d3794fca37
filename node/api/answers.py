"""Answers as the API page describes them, field by field. docs/spec/api.md is the authority.

These models describe; they do not make the bytes, which come from records and from the log as they stand
there. The tests hold every real answer against its model, so neither can drift.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Height = Annotated[int, Field(ge=0, description="The ledger height this is an answer for.", examples=[12])]
Micros = Annotated[
    str, Field(pattern="^-?[0-9]+$", description="10^-6 of the currency, in decimal.", examples=["-1200000"])
]
Hashes = Annotated[list[str], Field(description="Hashes, base64url without padding.")]
Note = Annotated[str, Field(description="The newest checkpoint: a C2SP signed note.")]
Entry = Annotated[
    dict[str, Any], Field(description="A leaf of the log, the canonical bytes as they stand there.")
]
Time = Annotated[int, Field(description="Milliseconds since 1970 UTC.", examples=[1700000000000])]
LotRow = Annotated[
    list[int | str], Field(description="`[expires, opened, points, series, spendable_from]`", min_length=5)
]


class Answer(BaseModel):
    """What all answers share: nothing that is not described."""

    model_config = ConfigDict(extra="forbid")


class Taken(Answer):
    """What came of a transaction, with the proof that it is in the log."""

    checkpoint: Note
    consistency: Annotated[Hashes | None, Field(description="From `trusted_size`; absent without it.")] = None
    height: Annotated[int, Field(description="Height of the block that took it.", examples=[12])]
    index: Annotated[
        int, Field(description="Index of the transaction leaf; its entries follow.", examples=[345])
    ]
    outcomes: Annotated[list[dict[str, Any]], Field(description="One a message, in order.")]
    proof: Annotated[
        Hashes, Field(description="Range proof of [index, index + 1 + count) under the checkpoint.")
    ]
    time: Time


class Token(Answer):
    """A bearer token."""

    expires: Time
    token: str


class Cut(Answer):
    """The block that was cut."""

    height: Height
    size: int
    transactions: Annotated[int, Field(description="Transactions taken in it.")]


class PendingKey(Answer):
    """A key that will replace the present one."""

    at: Time
    key: str


class Member(Answer):
    """A member's keys and choices."""

    custodian: str
    custodian_consent: bool
    height: Height
    key: str | None = None
    key_trusted_at: Time | None = None
    member: str
    pending: PendingKey | None = None
    till_consent: bool


class BalanceRow(Answer):
    """A member's points of one program."""

    available: Annotated[int, Field(description="Neither held, nor past their day, nor cooling.")]
    debt: Annotated[int, Field(description="Points owed after a return; the next earnings repay them.")]
    held: Annotated[int, Field(description="Set aside for open holds; not among `lots`.")]
    lots: list[LotRow]
    points: int
    program: str


class Balances(Answer):
    """A member's points."""

    balances: list[BalanceRow]
    height: Height


class EntryRow(Answer):
    """An entry and where it stands."""

    entry: Entry
    height: Annotated[int, Field(description="Height of its block.")]
    index: int
    time: Time


class History(Answer):
    """A member's entries, newest first."""

    height: Height
    next: Annotated[int | None, Field(description="Pass as `before` for the page after this one.")] = None
    rows: list[EntryRow]


class Order(Answer):
    """Every entry that names a reference, oldest first."""

    height: Height
    rows: list[EntryRow]


class EntryAnswer(EntryRow):
    """An entry with its transaction leaf. An entry never changes, so `height` is that of its block."""

    transaction: Annotated[
        dict[str, Any] | None, Field(description="Absent for work a block did by itself.")
    ] = None


class ReceiptAnswer(Answer):
    """A receipt, to keep: it verifies offline."""

    type: Annotated[Literal["receipt"], Field(alias="@type")]
    entry: Annotated[str, Field(description="The entry's leaf, byte for byte.")]
    epoch: Annotated[int, Field(description="Which policy judges the checkpoint.")]
    proof: Annotated[str, Field(description="A C2SP tlog-proof.")]
    transaction: Annotated[
        str | None, Field(description="The transaction's leaf; absent for work a block did by itself.")
    ] = None


class Promise(Answer):
    """The log's key promises that a block will hold it (`promise` in ledger.md)."""

    type: Annotated[Literal["promise"], Field(alias="@type")]
    by: Time
    chain: str
    digest: str
    id: str
    key: str
    sender: str
    signature: str


class Absence(Answer):
    """The log's key states that there is no such transaction (`absence` in ledger.md)."""

    type: Annotated[Literal["absence"], Field(alias="@type")]
    chain: str
    height: int
    id: str
    key: str
    sender: str
    signature: str
    size: int
    time: Time


class ProvenLeafRow(Answer):
    """A leaf with its path to the root of the step's tree."""

    index: int
    leaf: str
    proof: Hashes


class PolicyStepRow(Answer):
    """What shows that a policy was enacted (`policy_step` in ledger.md)."""

    type: Annotated[Literal["policy_step"], Field(alias="@type")]
    action: Annotated[int, Field(ge=0, description="Which of the proposal's actions.")]
    block: ProvenLeafRow
    checkpoint: Annotated[str, Field(description="It satisfies the policy before.")]
    enact: ProvenLeafRow
    epoch: int
    propose: ProvenLeafRow


class PolicyRow(Answer):
    """One trust policy."""

    above: Annotated[
        int | None, Field(description="It judges larger trees than this; absent until it was handed over to.")
    ] = None
    epoch: int
    height: Annotated[int | None, Field(description="Where it was enacted; absent for epoch 0.")] = None
    policy: Annotated[str, Field(description="A C2SP tlog-policy.")]
    step: PolicyStepRow | None = None


class Policies(Answer):
    """Every trust policy, epoch 0 first."""

    height: Height
    policies: list[PolicyRow]


class PositionRow(Answer):
    """What a participant owes and is owed, over all others."""

    net_micros: Micros
    participant: Annotated[
        str, Field(description="A participant, or `rounding:` and the participant that owns it.")
    ]


class Positions(Answer):
    """Net positions."""

    height: Height
    rows: list[PositionRow]
    size: int


class OwedRow(Answer):
    """What one owes another for one reason, in all."""

    micros: Micros
    reason: str
    source: Annotated[str, Field(alias="from")]
    to: str


class Bilateral(Answer):
    """The bilateral matrix, gross."""

    height: Height
    rows: list[OwedRow]
    size: int


class TallyRow(Answer):
    """Points of a program that went through one system account."""

    account: str
    points: Annotated[str, Field(pattern="^[0-9]+$", description="Points, in decimal.")]
    program: str


class Tallies(Answer):
    """Where each program's points came from and went."""

    height: Height
    rows: list[TallyRow]
    size: int


class Consistency(Answer):
    """That the newer tree begins with the older."""

    height: Height
    proof: Hashes


class ProblemAnswer(BaseModel):
    """RFC 9457. Further members say what was found."""

    model_config = ConfigDict(extra="allow")

    code: Annotated[
        str, Field(description="Stable; `GET /problems/{code}` tells more.", examples=["NOT_FOUND"])
    ]
    detail: str
    status: int
    title: str
    type: str


class CodeAnswer(Answer):
    """What a problem's code means."""

    advice: Annotated[str, Field(description="May it be sent again?")]
    code: str
    status: int
    title: str
