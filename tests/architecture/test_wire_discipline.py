"""Wire discipline: every struct that crosses the wire has one canonical form, and every field of it a bound.

Walks all msgspec structs of `ledger` and `contracts`. Each is taken to be on the wire, unless it stands in a
module of records or its docstring says "state record" or "never on the wire"; then it may have no tag,
and nothing on the wire may use it. A struct that holds its parts "still as bytes" (its docstring says so) may
have raw fields: whoever decodes them holds them to their own structs.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec import inspect as wire

EXEMPT = re.compile(r"\bstate records?\b|\bnever on the wire\b", re.IGNORECASE)
STILL_BYTES = re.compile(r"\bstill as bytes\b")
BAD_TYPES = {
    wire.AnyType: "anything",
    wire.BytesType: "bytes: base64 has more than one spelling, use base64url text",
    wire.CollectionType: "an unordered or open collection",
    wire.CustomType: "a type that is not msgspec's",
    wire.DataclassType: "a dataclass",
    wire.DecimalType: "a decimal: use whole micro-units",
    wire.DateTimeType: "a datetime: time is whole milliseconds",
    wire.DictType: "a dict: its keys have no order of ours",
    wire.FloatType: "a float",
    wire.FrozenSetType: "a set",
    wire.NoneType: "null: absent is UNSET",
    wire.SetType: "a set",
    wire.TypedDictType: "a dict: its keys have no order of ours",
}


def every_struct() -> list[type[Struct]]:
    """All structs defined in the two packages, each once, in the order of its full name."""
    found = {}
    for package_name in ("ledger", "contracts"):
        package = importlib.import_module(package_name)
        names = [m.name for m in pkgutil.walk_packages(package.__path__, prefix=f"{package_name}.")]
        for name in (package_name, *names):
            for value in vars(importlib.import_module(name)).values():
                if inspect.isclass(value) and issubclass(value, Struct) and value.__module__ == name:
                    found[f"{name}.{value.__qualname__}"] = value
    return [found[name] for name in sorted(found)]


def doc(struct: type[Struct]) -> str:
    """The docstring as one line: a phrase may be broken across two."""
    return " ".join((vars(struct).get("__doc__") or "").split())


def is_exempt(struct: type[Struct]) -> bool:
    return struct.__module__.endswith("records") or EXEMPT.search(doc(struct)) is not None


def breaches_of_shape(struct: type[Struct]) -> list[str]:
    config, told = struct.__struct_config__, []
    if not config.frozen:
        told.append("is not frozen")
    if not config.forbid_unknown_fields:
        told.append("takes unknown fields: forbid_unknown_fields=True")
    if config.omit_defaults:
        told.append("omits defaults, so one value has two forms")
    if config.tag is not None and config.tag_field != "@type":
        told.append(f"has its tag in {config.tag_field!r}, not in '@type'")
    parents = [base for base in struct.__mro__[1:] if issubclass(base, Struct) and base.__struct_fields__]
    if parents:
        told.append(f"inherits fields from {parents[0].__name__}, which breaks their order")
    names = list(struct.__struct_encode_fields__)
    tag = [] if config.tag is None else [config.tag_field]
    if not config.array_like and tag + names != sorted(tag + names):
        told.append(f"has its fields in the order {', '.join(names)}, not in that of the alphabet")
    return told


def breaches_of_type(kind: wire.Type, *, still_bytes: bool) -> list[str]:
    """What is wrong with the type of one field, or of what it holds."""
    if type(kind) in BAD_TYPES:
        return [f"is {BAD_TYPES[type(kind)]}"]
    if isinstance(kind, wire.Metadata):
        return breaches_of_type(kind.type, still_bytes=still_bytes)
    if isinstance(kind, wire.RawType) and not still_bytes:
        return ["is raw bytes"]
    if isinstance(kind, wire.IntType):
        low = kind.ge if kind.ge is not None else kind.gt
        high = kind.le if kind.le is not None else kind.lt
        if low is None or high is None:
            return ["is an integer without both bounds: Meta(ge=…, le=…)"]
        if not -(2**53) < low <= high < 2**53 + (kind.lt is not None):
            return ["is an integer that not every JSON reader agrees on"]
    if isinstance(kind, wire.StrType):
        return list(breaches_of_text(kind))
    if isinstance(kind, wire.ListType | wire.VarTupleType):
        told = [] if kind.max_length is not None else ["is a list without max_length"]
        return told + breaches_of_type(kind.item_type, still_bytes=still_bytes)
    if isinstance(kind, wire.TupleType):
        return [
            found for part in kind.item_types for found in breaches_of_type(part, still_bytes=still_bytes)
        ]
    if isinstance(kind, wire.UnionType):
        return [found for part in kind.types for found in breaches_of_type(part, still_bytes=still_bytes)]
    if isinstance(kind, wire.StructType) and is_exempt(kind.cls):
        return [f"uses {kind.cls.__name__}, which says that it is not on the wire"]
    return []


def breaches_of_text(kind: wire.StrType):
    if kind.pattern is None and kind.max_length is None:
        yield "is text without a bound: Meta(pattern=…) or Meta(max_length=…)"
    if kind.pattern is not None:
        if not (kind.pattern.startswith(r"\A") and kind.pattern.endswith(r"\Z")):
            yield r"has a pattern that is not \A…\Z, so it also takes what surrounds a match"
        if (
            kind.max_length is None
            and re._parser.parse(kind.pattern).getwidth()[1] >= re._constants.MAXREPEAT
        ):
            yield "has a pattern that fits text of any length"


def breaches_of(struct: type[Struct]) -> list[str]:
    name = f"{struct.__module__}.{struct.__qualname__}"
    if is_exempt(struct):
        tagged = struct.__struct_config__.tag is not None
        return [f"{name} has a tag and says that it is not on the wire"] if tagged else []
    told = [f"{name} {found}" for found in breaches_of_shape(struct)]
    still_bytes = STILL_BYTES.search(doc(struct)) is not None
    for field in wire.type_info(struct).fields:
        if field.default is not msgspec.NODEFAULT and field.default is not UNSET:
            told.append(f"{name}.{field.encode_name} has the default {field.default!r}, so it has two forms")
        if field.default_factory is not msgspec.NODEFAULT:
            told.append(f"{name}.{field.encode_name} has a default, so it has two forms")
        found = breaches_of_type(field.type, still_bytes=still_bytes)
        told += [f"{name}.{field.encode_name} {what}" for what in found]
    return told


def test_every_struct_on_the_wire_has_one_form_and_bounds():
    structs = every_struct()
    assert [struct for struct in structs if not is_exempt(struct)]
    breaches = [found for struct in structs for found in breaches_of(struct)]
    told = 'What never crosses the wire says so in its docstring: "a state record" or "never on the wire".'
    assert not breaches, "\n".join([*breaches, told])


def test_no_two_structs_share_a_tag_where_either_could_stand():
    """An action stands in a proposal alone, so it may be called as the message that does the same."""
    tagged = [struct for struct in every_struct() if struct.__struct_config__.tag is not None]
    actions = [struct for struct in tagged if struct.__module__ == "contracts.messages.actions"]
    for together in (actions, [struct for struct in tagged if struct not in actions]):
        tags = [struct.__struct_config__.tag for struct in together]
        assert len(tags) > 10
        assert sorted(tags) == sorted(set(tags))


Whole = Annotated[int, Meta(ge=0, le=9)]
Word = Annotated[str, Meta(max_length=9)]
STRICT: dict[str, Any] = {"frozen": True, "forbid_unknown_fields": True, "kw_only": True}


class Record(Struct, **STRICT):
    """A state record."""

    anything: object


class Parent(Struct, **STRICT):
    """A struct in order, to be inherited from."""

    a: Whole


def make(*fields: Any, doc: str = "", **config: Any) -> type[Struct]:
    struct = msgspec.defstruct("Bad", list(fields), **{**STRICT, **config})
    struct.__doc__ = doc
    return struct


#   what is wrong, the word that must be said of it, a struct with that fault only
BAD = [
    ("thawed", "not frozen", make(("a", Whole), frozen=False)),
    ("lenient", "unknown fields", make(("a", Whole), forbid_unknown_fields=False)),
    ("omitting", "omits defaults", make(("a", Whole), omit_defaults=True)),
    ("tag elsewhere", "'@type'", make(("z", Whole), tag="bad", tag_field="kind")),
    ("tag out of order", "alphabet", make(("a", Whole), rename={"a": "$"}, tag="bad", tag_field="@type")),
    ("out of order", "alphabet", make(("b", Whole), ("a", Whole))),
    ("renamed out of order", "alphabet", make(("a", Whole), ("b", Whole), rename={"a": "z"})),
    ("inherited", "inherits", make(("b", Whole), bases=(Parent,))),
    ("defaulted", "two forms", make(("a", Whole, 1))),
    ("made by default", "two forms", make(("a", Annotated[list[Whole], Meta(max_length=9)], list))),
    ("null", "null", make(("a", Whole | None))),
    ("dict", "a dict", make(("a", dict[str, Whole]))),
    ("float", "a float", make(("a", float))),
    ("set", "a set", make(("a", set[Whole]))),
    ("bytes", "base64", make(("a", bytes))),
    ("anything", "anything", make(("a", Any))),
    ("raw", "raw", make(("a", msgspec.Raw))),
    ("unbounded below", "both bounds", make(("a", Annotated[int, Meta(le=9)]))),
    ("unbounded above", "both bounds", make(("a", Annotated[int, Meta(ge=0)]))),
    ("beyond 2^53", "JSON reader", make(("a", Annotated[int, Meta(ge=0, le=2**53)]))),
    ("free text", "without a bound", make(("a", str))),
    ("loose pattern", r"not \A", make(("a", Annotated[str, Meta(pattern="^[a-z]{1,9}$")]))),
    ("endless pattern", "any length", make(("a", Annotated[str, Meta(pattern=r"\A[a-z]+\Z")]))),
    ("endless list", "without max_length", make(("a", list[Whole]))),
    ("endless tuple", "without max_length", make(("a", tuple[Whole, ...]))),
    ("within a list", "without a bound", make(("a", Annotated[list[str], Meta(max_length=9)]))),
    ("within a tuple", "both bounds", make(("a", tuple[Whole, int]))),
    ("within an option", "both bounds", make(("a", int | UnsetType, UNSET))),
    ("state on the wire", "not on the wire", make(("a", Record))),
    ("tagged state", "has a tag", make(("a", Whole), doc="A state record.", tag="bad", tag_field="@type")),
]


@pytest.mark.parametrize(("word", "struct"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_each_fault_is_found_and_told(word, struct):
    (found,) = breaches_of(struct)
    assert word in found


def test_what_is_allowed_is_allowed():
    leg = make(("from_", Whole), ("to", Word), rename={"from_": "from"})
    lot = make(("z", Whole), ("a", Annotated[str, Meta(pattern=r"\A[a-z]{1,9}\Z")]), array_like=True)
    whole = make(
        ("a", Literal["x", "y"]),
        ("b", Annotated[list[leg], Meta(max_length=9)] | UnsetType, UNSET),
        ("c", tuple[lot, Whole]),
        ("d", bool),
        tag="good",
        tag_field="@type",
    )
    shape = make(("a", msgspec.Raw), doc="A leaf with its message still as\n    bytes.")
    assert [found for struct in (leg, lot, whole, shape, Record) for found in breaches_of(struct)] == []
