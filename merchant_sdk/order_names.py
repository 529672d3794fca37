"""By what an order is known while nobody knows what came of it: which verb, whose points, and its number.

What completes a hold has no number of its own, so it goes by the hold's; an enrolment goes by its member. The
moment is no part of it: whoever asks for an order again need not know when it was first asked for. What is
governed (limits, programs) has no number and no name: to say it twice does no harm.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from msgspec import UNSET, MsgspecError, structs

from contracts.messages import MESSAGE_DECODER
from ledger.codec import encode

_FIELDS: Final = {"capture": "hold", "release": "hold", "enrol": "member", "add_member_key": "member"}
"""Message → the field with its number, where that is not `reference`."""
_CONSENTS: Final = ("consent", "recipient_consent")


class OrderName(NamedTuple):
    """An order, whatever else its message says."""

    kind: str
    """The message's `@type`."""
    number: str
    program: str | None = None
    """None: whichever; it is not known yet, or the order has none."""

    @property
    def needle(self) -> bytes:
        """What stands in the canonical bytes of every message of this name, and hardly in any other."""
        field = _FIELDS.get(self.kind, "reference")
        needle: bytes = encode(field) + b":" + encode(self.number)
        return needle

    def is_of(self, message: Any) -> bool:
        """Whether the message is this order."""
        found = get_name(message)
        if found is None or found[:2] != self[:2]:
            return False
        return None in (self.program, found.program) or self.program == found.program


def get_name(message: Any) -> OrderName | None:
    """The name of the order that a message is; None where it is none."""
    kind = message.__struct_config__.tag
    number = getattr(message, _FIELDS.get(kind, "reference"), None)
    return None if number is None else OrderName(kind, number, getattr(message, "program", None))


def get_number(order: object) -> str | None:
    """The number by which a verb's ``order`` is known: itself, a result's, or a history line's."""
    if isinstance(order, str):
        return order
    message: Any = getattr(order, "message", None)
    fields = message if isinstance(message, dict) else structs.asdict(message) if message else {}
    number = fields.get("hold", fields.get("reference"))
    return number if isinstance(number, str) else None


def decode_order(data: bytes) -> Any:
    """The message in these canonical bytes; None where this SDK cannot read it."""
    try:
        return MESSAGE_DECODER.decode(data)
    except (MsgspecError, UnicodeError, RecursionError):
        return None


def is_same_content(one: Any, other: Any) -> bool:
    """Whether the ledger takes both for the same order: it looks past the members' consents alone."""
    return type(one) is type(other) and bool(_strip(one) == _strip(other))


def _strip(message: Any) -> Any:
    bare = {name: UNSET for name in _CONSENTS if hasattr(message, name)}
    return structs.replace(message, **bare)
