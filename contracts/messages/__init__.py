"""All that can be asked of an alliance's ledger: one file an area, as docs/spec/messages.md lists them.

`Message` is the closed union of what a participant may submit, `SystemMessage` of what a block does by
itself. A message says what is wanted and holds no behaviour; what it leads to is decided by the rule of the
same name in `contracts.rules`.
"""

from __future__ import annotations

import msgspec

from contracts.messages.earning import Award, Earn
from contracts.messages.enrolment import AddMemberKey, Enrol, ReplaceMemberKey, SetMemberChoice
from contracts.messages.exchange import Exchange
from contracts.messages.expiry import Expire
from contracts.messages.gift import Gift
from contracts.messages.governance import CancelProposal, CloseProposal, Enact, Propose, Vote
from contracts.messages.holds import Capture, Hold, Lapse, Release
from contracts.messages.issuing import Adjust, ImportBalance
from contracts.messages.limits import SetDebitCap, SetPolicy, SetTillLimits
from contracts.messages.redemption import Redeem
from contracts.messages.registry import (
    AddKey,
    Admit,
    AnnouncePar,
    Grant,
    OpenProgram,
    OpenSeries,
    RevokeGrant,
    RevokeKey,
    SetParameter,
)
from contracts.messages.returns import Refund, ReturnOrder
from contracts.messages.settlement import (
    Abort,
    AttestCover,
    AttestFund,
    AttestPayment,
    Confirm,
    Countersign,
    Cut,
    CutWindow,
    SetBrandShares,
)

Message = (
    Earn
    | Award
    | ReturnOrder
    | ImportBalance
    | Adjust
    | Redeem
    | Hold
    | Capture
    | Release
    | Refund
    | Gift
    | Exchange
    | SetPolicy
    | SetTillLimits
    | SetDebitCap
    | Enrol
    | AddMemberKey
    | ReplaceMemberKey
    | SetMemberChoice
    | Admit
    | SetParameter
    | AddKey
    | RevokeKey
    | OpenProgram
    | OpenSeries
    | AnnouncePar
    | Grant
    | RevokeGrant
    | Propose
    | Vote
    | CancelProposal
    | CutWindow
    | Countersign
    | AttestPayment
    | AttestCover
    | AttestFund
    | SetBrandShares
)
"""What a participant may submit."""

SystemMessage = Expire | Lapse | Enact | CloseProposal | Cut | Confirm | Abort
"""What a block does by itself, as due work."""

MESSAGE_DECODER: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)

__all__ = [
    "MESSAGE_DECODER",
    "Abort",
    "AddKey",
    "AddMemberKey",
    "Adjust",
    "Admit",
    "AnnouncePar",
    "AttestCover",
    "AttestFund",
    "AttestPayment",
    "Award",
    "CancelProposal",
    "Capture",
    "CloseProposal",
    "Confirm",
    "Countersign",
    "Cut",
    "CutWindow",
    "Earn",
    "Enact",
    "Enrol",
    "Exchange",
    "Expire",
    "Gift",
    "Grant",
    "Hold",
    "ImportBalance",
    "Lapse",
    "Message",
    "OpenProgram",
    "OpenSeries",
    "Propose",
    "Redeem",
    "Refund",
    "Release",
    "ReplaceMemberKey",
    "ReturnOrder",
    "RevokeGrant",
    "RevokeKey",
    "SetBrandShares",
    "SetDebitCap",
    "SetMemberChoice",
    "SetParameter",
    "SetPolicy",
    "SetTillLimits",
    "SystemMessage",
    "Vote",
]
