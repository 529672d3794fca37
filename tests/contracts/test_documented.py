"""One list, three views: the pages of docs/spec, the code, and the tables of these tests say the same."""

from __future__ import annotations

import ast
import importlib
from collections import Counter
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from contracts.mechanics.parameters import PARAMETERS
from contracts.messages import Message, SystemMessage
from contracts.messages.actions import Action
from contracts.messages.consent_text import ChoiceText, Consent, ConsentText, PossessionText
from contracts.messages.reject_codes import OK, REJECT_CODES
from contracts.rulebook import CURRENT
from ledger.outcome import Outcome
from ledger.transaction import Header
from tests.contracts.ladder import Ladder
from tests.contracts.messages_page import (
    EVENTS,
    part,
    read_actions,
    read_consent_codes,
    read_guard_codes,
    read_outcome_fields,
    read_page,
    read_parameters,
    read_reference_codes,
    read_refused_codes,
    read_sections,
)

ROOT = Path(__file__).parents[2]
RULEBOOK = CURRENT
SECTIONS = read_sections()
ACTIONS = read_actions()
ACTION_TYPES = {kind.__struct_config__.tag: kind for kind in get_args(Action)}
SYSTEM = {kind.__struct_config__.tag: kind for kind in get_args(SystemMessage)}
TYPES = {kind.__struct_config__.tag: kind for kind in get_args(Message)} | SYSTEM
EXECUTORS_OWN = "ATOMIC_ABORTED"
#   What only an entry of a block's own is turned down for.
SYSTEMS_OWN = {"BELOW_THRESHOLD"}
#   Codes of a shared list that a message cannot meet, and which time it stands in its list: consent to an
#   exchange or a gift is always there, and only spending may be agreed to with anybody; to receive, neither a
#   waiting key nor another issuer's points stand in the way.
CANNOT_MEET = {
    "adjust": {("CONSENT_ABOVE_OPEN_LIMIT", 1)},
    "gift": {("CONSENT_MISSING", 1), ("CONSENT_ABOVE_OPEN_LIMIT", 1)},
    "exchange": {
        ("CONSENT_MISSING", 1),
        ("CONSENT_ABOVE_OPEN_LIMIT", 1),
        ("CONSENT_ABOVE_OPEN_LIMIT", 2),
        ("CONSENT_KEY_WAITING", 2),
        ("CUSTODY_GRANT_MISSING", 2),
        ("CUSTODY_GRANT_EXHAUSTED", 2),
    },
}


def every_ladder() -> list[Ladder]:
    """The tables of all rule tests beside this one."""
    found = []
    for path in sorted((ROOT / "tests/contracts/rules").glob("test_*.py")):
        module = importlib.import_module(f"tests.contracts.rules.{path.stem}")
        for value in vars(module).values():
            found += [value] if isinstance(value, Ladder) else []
            found += [row for row in value if isinstance(row, Ladder)] if isinstance(value, list) else []
    return found


LADDERS = {ladder.name: ladder for ladder in every_ladder()}


def codes_in(function_name: str, *folders: str) -> set[str]:
    """Every code that is given to a call of this name, directly, through a default, or by keyword."""
    found: set[str] = set()
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == function_name:
                    found |= constants(node.args[0]) if node.args else set()
    return found


def constants(node: ast.expr) -> set[str]:
    """Strings that an expression may be."""
    return {
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    }


def handed_over(*folders: str) -> set[str]:
    """Codes passed as `code=` or standing as its default."""
    found: set[str] = set()
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.keyword) and node.arg == "code":
                    found |= constants(node.value)
                if isinstance(node, ast.arguments):
                    defaults = zip(node.kwonlyargs, node.kw_defaults, strict=True)
                    found |= {
                        code
                        for arg, value in defaults
                        if arg.arg == "code" and value
                        for code in constants(value)
                    }
    return found


def test_documented_listed_and_raised_codes_are_the_same():
    documented = {code for section in SECTIONS.values() for code in section.codes}
    documented |= {code for action in ACTIONS.values() for code in action.codes}
    documented |= {*read_reference_codes(), *read_consent_codes(), *read_guard_codes(), EXECUTORS_OWN}
    assert f"`{EXECUTORS_OWN}`" in part("A reference is unique", "## Who may ask")
    raised = codes_in("Rejected", "contracts", "ledger") | handed_over("contracts")
    assert documented == set(REJECT_CODES)
    assert raised | {EXECUTORS_OWN} == set(REJECT_CODES)
    assert OK not in REJECT_CODES


def test_every_code_says_something_to_a_person():
    for code, told in REJECT_CODES.items():
        assert told.endswith("."), code
        assert len(told) < 100, code


def test_refused_codes_are_those_that_are_raised():
    raised: set[str] = set()
    for name in ("codec", "transaction", "admission", "executor"):
        path = ROOT / "ledger" / f"{name}.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Refused":
                raised |= constants(node.args[0])
    assert raised == set(read_refused_codes())


def test_every_code_stands_in_a_table():
    told = {code for ladder in LADDERS.values() for code in ladder.codes}
    assert told | {EXECUTORS_OWN, *SYSTEMS_OWN} == set(REJECT_CODES)
    assert not told & {EXECUTORS_OWN, *SYSTEMS_OWN}


@pytest.mark.parametrize("name", sorted(set(SECTIONS) - set(SYSTEM)))
def test_the_rows_stand_in_the_documented_order(name):
    counted: Counter[str] = Counter()
    wanted = []
    for code in SECTIONS[name].codes:
        counted[code] += 1
        wanted += [code] if (code, counted[code]) not in CANNOT_MEET.get(name, set()) else []
    assert LADDERS[name].codes == wanted


@pytest.mark.parametrize("name", sorted(ACTION_TYPES))
def test_an_actions_rows_stand_in_the_documented_order(name):
    assert LADDERS[f"action {name}"].codes == list(ACTIONS[name].codes)


def test_what_rests_is_asked_in_the_documented_order():
    assert LADDERS["what rests"].codes == read_guard_codes()


def test_every_action_is_documented_with_exactly_its_fields():
    assert set(ACTIONS) == set(ACTION_TYPES)
    for name, kind in ACTION_TYPES.items():
        fields = msgspec.structs.fields(kind)
        said = {field.encode_name + ("" if field.required else "?") for field in fields}
        assert ACTIONS[name].fields == said, name


def test_events_are_no_codes():
    assert not EVENTS & set(REJECT_CODES)


def test_every_message_is_documented():
    assert set(SECTIONS) == set(TYPES)


@pytest.mark.parametrize("name", sorted(TYPES))
def test_a_message_is_documented_with_exactly_its_fields(name):
    fields = msgspec.structs.fields(TYPES[name])
    said = tuple(field.encode_name + ("" if field.required else "?") for field in fields)
    assert SECTIONS[name].fields == said


@pytest.mark.parametrize("name", sorted(set(TYPES) - set(SYSTEM)))
def test_a_message_is_documented_with_who_may_sign_it(name):
    assert SECTIONS[name].purposes == RULEBOOK.rules[TYPES[name]].purposes


def test_parameters_are_documented_with_default_and_bounds():
    assert read_parameters() == {name: tuple(bounds) for name, bounds in PARAMETERS.items()}
    assert list(PARAMETERS) == sorted(PARAMETERS)


def test_outcomes_are_documented_with_exactly_their_fields():
    fields = msgspec.structs.fields(Outcome)
    told = [field.name + ("" if field.required else "?") for field in fields]
    assert read_outcome_fields() == told == sorted(told)


#   struct, the phrase of the page that lists its fields
CONSENT_TEXT = (
    '{"@type": "consent", "counterparty", "expires", "key", "least"?, "member", "nonce", "points", '
    '"program", "purpose", "target"?}'
)
SHAPES = [
    (Header, '{"header": {"atomic"?: true, "chain", "count", "digest", "id", "key", "not_after", "sender"}'),
    (Consent, '{"counterparty", "expires", "key", "nonce", "points",\n"signature"}'),
    (ConsentText, CONSENT_TEXT),
    (ChoiceText, '{"@type":"choice","choice","expires","member","nonce"}'),
    (PossessionText, '{"@type":"possession","member","public"}'),
]


@pytest.mark.parametrize(("shape", "phrase"), SHAPES)
def test_what_is_signed_is_documented_field_by_field(shape, phrase):
    assert phrase in read_page()
    said = phrase.replace('"header": ', "").split('"')[1::2]
    said = said[2:] if said[0] == "@type" else said
    assert said == list(shape.__struct_encode_fields__)
