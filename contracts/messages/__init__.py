"""All that can be asked of an alliance's ledger: one file an area, as docs/spec/messages.md lists them.

`Message` is the closed union of what a participant may submit, `SystemMessage` of what a block does by
itself. A message says what is wanted and holds no behaviour; what it leads to is decided by the rule of the
same name in `contracts.rules`.
"""

from __future__ import annotations

import msgspec

from contracts.messages.earning import Earn
from contracts.messages.enrolment import AddMemberKey, Enrol, ReplaceMemberKey, SetMemberChoice
from contracts.messages.exchange import Exchange
from contracts.messages.expiry import Expire
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

Message = (
    Earn
    | Redeem
    | Exchange
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

SystemMessage = Expire
"""What a block does by itself, as due work."""

MESSAGE_DECODER: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)

__all__ = [
    "MESSAGE_DECODER",
    "AddKey",
    "AddMemberKey",
    "Admit",
    "AnnouncePar",
    "Earn",
    "Enrol",
    "Exchange",
    "Expire",
    "Grant",
    "Message",
    "OpenProgram",
    "OpenSeries",
    "Redeem",
    "ReplaceMemberKey",
    "RevokeGrant",
    "RevokeKey",
    "SetMemberChoice",
    "SetParameter",
    "SystemMessage",
]
