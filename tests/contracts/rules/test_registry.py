"""Who takes part, with which keys: each organisation answers for its own, the operator admits and sets
where nobody else has a vote.
"""

from __future__ import annotations

import pytest

from contracts.mechanics.parameters import PARAMETERS, get_parameter
from contracts.messages import AddKey, Admit, Earn, Enrol, RevokeKey, SetParameter
from contracts.messages.registry import ParticipantKey
from ledger.codec import to_base64url
from ledger.errors import Refused
from ledger.keys import SMALL_ORDER_ENCODINGS
from tests.contracts.alliance import Alliance
from tests.contracts.cast import (
    ANNA,
    FRESH,
    OPERATOR,
    PETROL,
    START,
    STRANGER,
    make_signer,
    member_id,
    public_of,
)
from tests.contracts.council import seat
from tests.contracts.ladder import Attempt, Ladder, every_row, fall_from

SMALL = to_base64url(sorted(SMALL_ORDER_ENCODINGS)[3])
NEW = public_of(make_signer("new"))
TAKEN = public_of(make_signer(PETROL, "till"))


def set_keys(it: Attempt, *keys: tuple[str, str]) -> None:
    it.set(keys=[ParticipantKey(public, purpose) for public, purpose in keys])  # type: ignore[arg-type]


def start(message: type, sender: str, **fields) -> Attempt:
    return Attempt(message, sender=sender, **fields)


def raise_limit(it: Attempt) -> None:
    """What was in bounds is out of them."""
    it.set(value=1_001)


def revoke_before(it: Attempt) -> None:
    it.alliance.must(PETROL, RevokeKey(make_signer(PETROL, "till").key_id))
    it.set(key=make_signer(PETROL, "till").key_id)


def announce_many(it: Attempt) -> None:
    """As many changes of the parameter as may lie ahead."""
    begin = it.alliance.height + 50
    changes = [SetParameter(begin + number, "accrual_fee_basis_points", number) for number in range(32)]
    it.alliance.must(OPERATOR, *changes)
    it.set(effective_height=begin + 100)


#   Each row breaks one more thing than the row below it.
LADDERS = [
    Ladder(
        "admit",
        lambda: start(
            Admit, OPERATOR, keys=[ParticipantKey(NEW, "govern")], name="Bakery", participant="bakery"
        ),
        [
            ("VOTE_REQUIRED", lambda it: seat(it.alliance)),
            ("NOT_OPERATOR", lambda it: setattr(it, "sender", FRESH)),
            ("PARTICIPANT_EXISTS", lambda it: it.set(participant=PETROL)),
            ("KEY_REFUSED", lambda it: set_keys(it, (TAKEN, "till"), (SMALL, "transact"))),
            ("KEY_EXISTS", lambda it: set_keys(it, (TAKEN, "till"))),
            ("GOVERN_KEY_MISSING", lambda it: set_keys(it, (NEW, "till"))),
        ],
    ),
    Ladder(
        "set_parameter",
        lambda: start(
            SetParameter, OPERATOR, effective_height=100, parameter="accrual_fee_basis_points", value=1_000
        ),
        [
            ("VOTE_REQUIRED", lambda it: seat(it.alliance)),
            ("NOT_OPERATOR", lambda it: setattr(it, "sender", FRESH)),
            ("PARAMETER_UNKNOWN", lambda it: it.set(parameter="generosity")),
            ("PARAMETER_OUT_OF_BOUNDS", raise_limit),
            ("HEIGHT_NOT_AHEAD", lambda it: it.set(effective_height=it.alliance.height)),
            ("TOO_MANY_ANNOUNCED", announce_many),
        ],
    ),
    Ladder(
        "add_key",
        lambda: start(AddKey, PETROL, public=NEW, purpose="till"),
        [
            ("KEY_REFUSED", lambda it: it.set(public=SMALL)),
            ("KEY_EXISTS", lambda it: it.set(public=public_of(make_signer(FRESH, "govern")))),
        ],
    ),
    Ladder(
        "revoke_key",
        lambda: start(RevokeKey, PETROL, key=make_signer(PETROL, "transact").key_id),
        [
            ("KEY_UNKNOWN", lambda it: it.set(key=make_signer(FRESH, "transact").key_id)),
            ("KEY_ALREADY_REVOKED", revoke_before),
            ("LAST_GOVERN_KEY", lambda it: it.set(key=make_signer(PETROL, "govern").key_id)),
        ],
    ),
]


@every_row(*LADDERS)
def test_the_registry_says_no_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


def parameter(alliance, name):
    context = alliance.executor.context(time=alliance.time)
    return get_parameter(alliance.state, context, name)


def admit(alliance, participant, *keys):
    told = [ParticipantKey(public_of(key), purpose) for key, purpose in keys]
    return alliance.ask(OPERATOR, Admit(told, "Bakery", participant)).code


def test_who_is_admitted_acts_from_the_next_height(alliance):
    key, till = make_signer("bakery"), make_signer("bakery till")
    assert admit(alliance, "bakery", (key, "govern"), (till, "custody")) == "OK"
    alliance.signers["bakery", "govern"], alliance.signers["bakery", "custody"] = key, till
    assert alliance.ask("bakery", Enrol(member=STRANGER)).code == "OK"


def test_a_key_admitted_in_a_block_signs_nothing_in_it(alliance):
    key = make_signer("bakery")
    alliance.signers["bakery", "govern"] = key
    enter = alliance.sign(OPERATOR, Admit([ParticipantKey(public_of(key), "govern")], "B", "bakery"))
    act = alliance.sign("bakery", AddKey(NEW, "till"))
    block = alliance.cut(enter, act)
    assert block.answers[1].refusal.code == "KEY_NOT_VALID"


#   a key twice in one admission, a key of a member of the alliance, a name that is taken
def test_nobody_is_admitted_with_anothers_key_or_name(alliance):
    key = make_signer("bakery")
    assert admit(alliance, "bakery", (key, "govern"), (key, "till")) == "KEY_EXISTS"
    assert admit(alliance, "bakery", (make_signer(FRESH, "govern"), "govern")) == "KEY_EXISTS"
    assert admit(alliance, FRESH, (key, "govern")) == "PARTICIPANT_EXISTS"
    assert admit(alliance, OPERATOR, (key, "govern")) == "PARTICIPANT_EXISTS"
    # An open points code is made out to "any": nobody may be called that.
    assert admit(alliance, "any", (key, "govern")) == "PARTICIPANT_EXISTS"
    assert admit(alliance, "bakery", (key, "govern")) == "OK"


def test_a_participants_own_key_works_from_the_next_height(alliance):
    new = make_signer("new")
    alliance.signers[PETROL, "till"] = new
    add = alliance.sign(PETROL, AddKey(public_of(new), "till"))
    earn = alliance.sign(PETROL, Earn(10**6, ANNA, START, "mile", "o"), purpose="till")
    block = alliance.cut(add, earn)
    assert block.answers[1].refusal.code == "KEY_NOT_VALID"
    assert alliance.cut(earn).answers[0].refusal is None


def test_a_revoked_key_signs_nothing_from_the_next_height_whenever_it_was_signed(alliance):
    first, second, third = (
        alliance.sign(PETROL, Earn(10**6, ANNA, START, "mile", f"o-{number}")) for number in range(3)
    )
    revoke = alliance.sign(PETROL, RevokeKey(make_signer(PETROL, "transact").key_id))
    block = alliance.cut(first, revoke, second)
    assert [answer.refusal for answer in block.answers] == [None, None, None]
    assert alliance.cut(third).answers[0].refusal.code == "KEY_NOT_VALID"
    assert alliance.points(ANNA, "mile") == 2


def test_a_revoked_key_never_comes_back(alliance):
    key = make_signer(PETROL, "transact")
    alliance.must(PETROL, RevokeKey(key.key_id))
    assert alliance.ask(PETROL, AddKey(public_of(key), "transact")).code == "KEY_EXISTS"
    assert alliance.ask(FRESH, AddKey(public_of(key), "transact")).code == "KEY_EXISTS"
    assert alliance.ask(PETROL, RevokeKey(key.key_id)).code == "KEY_ALREADY_REVOKED"


def test_a_govern_key_is_rotated_without_asking_anyone(alliance):
    old, new = make_signer(PETROL, "govern"), make_signer("new govern")
    assert alliance.ask(PETROL, RevokeKey(old.key_id)).code == "LAST_GOVERN_KEY"
    outcomes = alliance.submit(PETROL, AddKey(public_of(new), "govern"), RevokeKey(old.key_id))
    assert [outcome.code for outcome in outcomes] == ["OK", "OK"]
    with pytest.raises(Refused, match="KEY_NOT_VALID"):
        alliance.ask(PETROL, AddKey(NEW, "till"))
    alliance.signers[PETROL, "govern"] = new
    assert alliance.ask(PETROL, RevokeKey(new.key_id)).code == "LAST_GOVERN_KEY"


def test_a_new_key_revoked_in_the_same_breath_never_counts(alliance):
    new = make_signer("new govern")
    messages = AddKey(public_of(new), "govern"), RevokeKey(new.key_id)
    assert [outcome.code for outcome in alliance.submit(PETROL, *messages)] == ["OK", "OK"]
    alliance.signers[PETROL, "till"] = new
    with pytest.raises(Refused, match="KEY_NOT_VALID"):
        alliance.ask(PETROL, AddKey(NEW, "till"), purpose="till")


def test_what_a_key_may_not_sign_is_refused(alliance):
    for purpose in ("transact", "custody", "till"):
        with pytest.raises(Refused, match="WRONG_PURPOSE"):
            alliance.ask(OPERATOR, SetParameter(99, "due_entries_max", 1), purpose=purpose)


def test_every_parameter_takes_its_bounds_and_nothing_beyond(alliance):
    for name, bounds in PARAMETERS.items():
        for value, code in [
            (bounds.least, "OK"),
            (bounds.greatest, "OK"),
            (bounds.greatest + 1, "PARAMETER_OUT_OF_BOUNDS"),
        ]:
            assert alliance.ask(OPERATOR, SetParameter(10**6, name, value)).code == code, (name, value)
        if bounds.least:
            outcome = alliance.ask(OPERATOR, SetParameter(10**6, name, bounds.least - 1))
            assert outcome.code == "PARAMETER_OUT_OF_BOUNDS", name


def test_a_parameter_changes_at_its_height_and_not_before(alliance):
    height = alliance.height
    alliance.must(
        OPERATOR,
        SetParameter(height + 3, "due_entries_max", 3),
        SetParameter(height + 2, "due_entries_max", 2),
        SetParameter(height + 4, "due_entries_max", 4),
        SetParameter(height + 3, "due_entries_max", 33),
    )
    seen = []
    for _ in range(4):
        seen.append(parameter(alliance, "due_entries_max"))
        alliance.reach(alliance.height + 1)
    assert seen == [256, 2, 33, 4]


def test_genesis_may_begin_with_other_values():
    alliance = Alliance(parameters={"due_entries_max": 7, "par_floor_micros": 1})
    assert parameter(alliance, "due_entries_max") == 7
    assert parameter(alliance, "commission_basis_points") == 100


def test_nothing_in_the_registry_moves_a_point(alliance):
    alliance.earn(ANNA, 10)
    tables = ("account", "tally", "supply", "position", "owed")
    before = {key: record for key, record in alliance.records().items() if key[0] in tables}
    admit(alliance, "bakery", (make_signer("bakery"), "govern"))
    alliance.must(PETROL, AddKey(NEW, "till"))
    alliance.must(OPERATOR, SetParameter(99, "commission_basis_points", 0))
    alliance.must(FRESH, Enrol(member=member_id(77)))
    assert {key: record for key, record in alliance.records().items() if key[0] in tables} == before
