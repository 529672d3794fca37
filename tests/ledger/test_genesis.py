"""Whoever pins a chain's name has agreed to every byte of its genesis."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from contracts.rulebook import make_genesis_records
from ledger.codec import to_base64url
from ledger.errors import InvalidBlock
from ledger.genesis import (
    Genesis,
    GenesisKey,
    GenesisParameter,
    encode_genesis,
    read_genesis,
)
from ledger.keys import SMALL_ORDER_ENCODINGS
from ledger.log.merkle import compute_root, leaf_hash
from ledger.values import FOREVER
from tests.contracts.alliance import Alliance
from tests.contracts.cast import FRESH, OPERATOR, PETROL, START, make_participant, make_signer, public_of

SETTINGS = Genesis(
    clock="simulated",
    currency="CNY",
    engine="solo",
    log_key=public_of(make_signer("log")),
    name="small",
    operator=OPERATOR,
    parameters=[],
    rulebook=1,
    time=START,
    utc_offset_minutes=480,
)
PARTICIPANTS = [make_participant(name) for name in (OPERATOR, FRESH, PETROL)]


def leaves(**changes) -> list[bytes]:
    return encode_genesis(replace(SETTINGS, **changes), PARTICIPANTS)


def test_the_leaves_are_settings_then_participants_in_order():
    written = encode_genesis(SETTINGS, list(reversed(PARTICIPANTS)))
    assert written == leaves()
    log_key = public_of(make_signer("log")).encode()
    assert written[0] == (
        b'{"@type":"genesis","clock":"simulated","currency":"CNY","engine":"solo","log_key":"%b",'
        b'"name":"small","operator":"clearing","parameters":[],"rulebook":1,"time":1700000000000,'
        b'"utc_offset_minutes":480}' % log_key
    )
    starts = [leaf[:61] for leaf in written[1:]]
    assert all(start.startswith(b'{"@type":"genesis_participant","keys":[{"public":"') for start in starts)
    assert [participant.participant for participant in read_genesis(written).participants] == [
        OPERATOR,
        FRESH,
        PETROL,
    ]


def test_the_chain_is_the_name_and_the_start_of_the_root():
    origin = read_genesis(leaves())
    root = compute_root([leaf_hash(leaf) for leaf in leaves()])
    assert origin.chain == f"small/{root.hex()[:32]}"
    assert origin.previous == to_base64url(root)
    assert origin.leaves == tuple(leaves())
    assert origin.settings == SETTINGS


#   one thing that two ledgers do not share
OTHERWISE = [
    {"clock": "system"},
    {"currency": "EUR"},
    {"log_key": public_of(make_signer("another log"))},
    {"operator": FRESH},
    {"parameters": [GenesisParameter(name="due_entries_max", value=255)]},
    {"rulebook": 2},
    {"time": START + 1},
    {"utc_offset_minutes": 479},
]


@pytest.mark.parametrize("changes", OTHERWISE, ids=lambda changes: next(iter(changes)))
def test_two_ledgers_of_one_name_are_two_chains(changes):
    assert read_genesis(leaves(**changes)).chain != read_genesis(leaves()).chain
    fewer = encode_genesis(SETTINGS, PARTICIPANTS[:2])
    assert read_genesis(fewer).chain != read_genesis(leaves()).chain


#   what is no genesis, and which check says so
BAD = [
    ([], "GENESIS_MALFORMED"),
    ([b""], "GENESIS_MALFORMED"),
    ([b"{}"], "GENESIS_MALFORMED"),
    (leaves()[1:], "GENESIS_MALFORMED"),
    ([leaves()[0] + b" ", *leaves()[1:]], "GENESIS_MALFORMED"),
    ([*leaves(), b"[" * 200_000], "GENESIS_MALFORMED"),
    ([*leaves(), leaves()[0]], "GENESIS_MALFORMED"),
    (leaves()[:1], "GENESIS_PARTICIPANTS"),
    ([leaves()[0], *leaves()[2:]], "GENESIS_PARTICIPANTS"),  # without the operator
    ([leaves()[0], *reversed(leaves()[1:])], "GENESIS_PARTICIPANTS"),
    ([leaves()[0], leaves()[1], *leaves()[1:]], "GENESIS_PARTICIPANTS"),  # one of them twice
    (leaves(utc_offset_minutes=841), "GENESIS_MALFORMED"),
    (leaves(currency="cny"), "GENESIS_MALFORMED"),
]


@pytest.mark.parametrize(("found", "check"), BAD)
def test_what_is_no_genesis_is_no_beginning(found, check):
    with pytest.raises(InvalidBlock, match=check):
        read_genesis(found)


def begin_with(*parameters: GenesisParameter, participants=None) -> None:
    """Make the records of a ledger that begins so."""
    settings = replace(SETTINGS, parameters=list(parameters))
    origin = read_genesis(encode_genesis(settings, participants or PARTICIPANTS))
    assert list(make_genesis_records(origin))


def with_keys(*keys: tuple[str, str]) -> list:
    told = [GenesisKey(public=public, purpose=purpose) for public, purpose in keys]
    return [PARTICIPANTS[0], replace(PARTICIPANTS[1], keys=told), PARTICIPANTS[2]]


NEW, OTHER = public_of(make_signer("new")), public_of(make_signer("other"))
SMALL = to_base64url(sorted(SMALL_ORDER_ENCODINGS)[3])
#   keys of a participant that the registry would not take
BAD_KEYS = [
    [(SMALL, "govern")],
    [("A" * 42 + "B", "govern")],  # a second spelling
    [(NEW, "transact")],  # none to govern with
    [(OTHER, "govern"), (NEW, "govern"), (NEW, "transact")],  # one key twice: which purpose has it?
    [(NEW, "govern"), (public_of(make_signer(PETROL, "govern")), "transact")],  # another participant's key
    [(NEW, "govern"), (OTHER, "juggling")],  # a purpose that no rule knows
]


@pytest.mark.parametrize("keys", BAD_KEYS)
def test_first_keys_are_checked_as_at_any_other_registration(keys):
    with pytest.raises(InvalidBlock, match=r"GENESIS_(KEY|MALFORMED)"):
        begin_with(participants=with_keys(*keys))


#   parameters that are unknown, out of bounds, out of order or there twice
BAD_PARAMETERS = [
    [("generosity", 1)],
    [("due_entries_max", 0)],
    [("due_entries_max", 8_193)],
    [("par_floor_micros", 1), ("due_entries_max", 1)],
    [("due_entries_max", 1), ("due_entries_max", 2)],
]


@pytest.mark.parametrize("parameters", BAD_PARAMETERS)
def test_first_parameters_are_known_in_bounds_in_order_and_there_once(parameters):
    with pytest.raises(InvalidBlock, match="GENESIS_PARAMETER"):
        begin_with(*[GenesisParameter(name=name, value=value) for name, value in parameters])


def test_nobody_begins_under_the_name_that_open_codes_are_made_out_to():
    anyone = replace(PARTICIPANTS[1], participant="any")
    with pytest.raises(InvalidBlock):
        begin_with(participants=[PARTICIPANTS[0], anyone])


def test_no_block_is_earlier_than_the_genesis():
    alliance = Alliance()
    with pytest.raises(InvalidBlock, match="TIME_BACKWARDS"):
        alliance.executor.execute_block([], time=START - 1)
    assert alliance.executor.execute_block([], time=START).is_empty


def test_a_ledger_begins_with_its_participants_keys_and_settings():
    alliance = Alliance(parameters={"due_entries_max": 7})
    head = alliance.executor.head
    assert (head.height, head.time, head.size, head.previous) == (0, START, 6, alliance.origin.previous)
    assert (head.accepted, head.entries, head.transactions) == (0, 0, 0)
    record = alliance.get("participant", FRESH)
    assert (record.name, record.govern_keys) == ("Fresh Market", 1)
    keys = [key for _, key in alliance.state.list_records("key") if key.participant == FRESH]
    assert {key.purpose for key in keys} == {"govern", "custody", "transact", "till"}
    assert {(key.valid_from, key.valid_to) for key in keys} == {(0, FOREVER)}
