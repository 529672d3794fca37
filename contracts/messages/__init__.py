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
)
"""What a participant may submit."""

SystemMessage = Expire | Lapse
"""What a block does by itself, as due work."""

MESSAGE_DECODER: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)

__all__ = [
    "MESSAGE_DECODER",
    "AddKey",
    "AddMemberKey",
    "Adjust",
    "Admit",
    "AnnouncePar",
    "Award",
    "Capture",
    "Earn",
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
    "Redeem",
    "Refund",
    "Release",
    "ReplaceMemberKey",
    "ReturnOrder",
    "RevokeGrant",
    "RevokeKey",
    "SetDebitCap",
    "SetMemberChoice",
    "SetParameter",
    "SetPolicy",
    "SetTillLimits",
    "SystemMessage",
]
