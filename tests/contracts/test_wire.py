"""A message has one form: every field there, of its kind and in its bounds, and nothing besides.

For each message type the one that its ladder begins with is bent in every field, in every way the type itself
says is wrong; and a value just in its bounds is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec import inspect as wire

from contracts.messages import Message, SystemMessage
from ledger.codec import encode
from ledger.errors import Refused
from tests.contracts.alliance import RULEBOOK
from tests.contracts.test_documented import LADDERS, SYSTEM, TYPES

NAMES = sorted(set(TYPES) - set(SYSTEM))


def bare(kind: wire.Type) -> wire.Type:
    """The type of a field without its absence and its metadata."""
    if isinstance(kind, wire.Metadata):
        return bare(kind.type)
    if isinstance(kind, wire.UnionType):
        (kind,) = [bare(part) for part in kind.types if not isinstance(part, wire.UnsetType)]
    return kind


def wrong_values(kind: wire.Type) -> Iterator[Any]:
    """What a field of this type may not be."""
    yield None
    yield {"no": "such"}
    if isinstance(kind, wire.IntType):
        yield from (kind.ge - 1, kind.le + 1, True, 1.5, "1")
    elif isinstance(kind, wire.StrType):
        yield from (7, "", "x" * (kind.max_length + 1), "a\n", "a\u0000b")
    elif isinstance(kind, wire.LiteralType):
        yield from (7, "", f"{kind.values[0]} ", kind.values[0].upper())
    elif isinstance(kind, wire.ListType):
        yield from ([None], ["x"])
        if kind.min_length:
            yield []
    else:
        assert isinstance(kind, wire.StructType), kind
        yield from ({}, [], "x")


def right_values(kind: wire.Type) -> Iterator[Any]:
    """The ends of what a field of this type may be."""
    if isinstance(kind, wire.IntType):
        yield from (kind.ge, kind.le)
    elif isinstance(kind, wire.LiteralType):
        yield from kind.values


class Shape:
    """A transaction of one message, to be bent."""

    def __init__(self, name: str) -> None:
        attempt = LADDERS[name].start()
        self.alliance = attempt.alliance
        message = attempt.make_message()
        signed = self.alliance.sign(attempt.sender, message).encode()
        self.envelope: dict[str, Any] = msgspec.json.decode(signed)
        self.message: dict[str, Any] = self.envelope["messages"][0]
        info = wire.type_info(TYPES[name])
        assert isinstance(info, wire.StructType)
        self.fields = info.fields

    def read(self, **changes: Any) -> None:
        """What a node does first with the bytes that arrive: raises `Refused`."""
        told = {**self.message, **changes}
        message = {key: value for key, value in sorted(told.items()) if value is not ...}
        self.alliance.decoder.decode(encode({**self.envelope, "messages": [message]}))


@pytest.mark.parametrize("name", NAMES)
def test_a_message_is_taken_in_its_one_form_only(name):
    shape = Shape(name)
    shape.read()
    for field in shape.fields:
        kind = bare(field.type)
        for wrong in wrong_values(kind):
            with pytest.raises(Refused, match="MALFORMED"):
                shape.read(**{field.encode_name: wrong})
        for right in right_values(kind):
            shape.read(**{field.encode_name: right})
        if field.required:
            with pytest.raises(Refused, match="MALFORMED"):
                shape.read(**{field.encode_name: ...})
        elif field.encode_name in shape.message:
            shape.read(**{field.encode_name: ...})
    with pytest.raises(Refused, match="MALFORMED"):
        shape.read(more=1)


@pytest.mark.parametrize("name", [*sorted(SYSTEM), "", "Earn", "EARN", "earn ", "block"])
def test_what_is_no_message_of_a_participant_is_malformed(name):
    shape = Shape("earn")
    with pytest.raises(Refused, match="MALFORMED"):
        shape.read(**{"@type": name})


def test_every_message_has_a_rule_and_nothing_else_has():
    assert set(RULEBOOK.rules) == set(Message.__args__)
    assert not set(RULEBOOK.rules) & set(SystemMessage.__args__)
    tags = [kind.__struct_config__.tag for kind in (*Message.__args__, *SystemMessage.__args__)]
    assert len(tags) == len(set(tags))
