"""A pseudonym, its custodian, its keys and choices: nobody registers a key they do not hold."""

from __future__ import annotations

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from contracts.mechanics.consent import format_nonce_key
from contracts.messages import AddMemberKey, Enrol, ReplaceMemberKey, SetMemberChoice
from ledger.codec import to_base64url
from ledger.errors import Refused
from ledger.keys import SMALL_ORDER_ENCODINGS
from ledger.outcome import Event
from tests.contracts.alliance import Alliance
from tests.contracts.cast import (
    ANNA,
    BORIS,
    CINEMA,
    CLARA,
    FRESH,
    PETROL,
    PHARMACY,
    START,
    STRANGER,
    make_signer,
    public_of,
)
from tests.contracts.ladder import Attempt, Ladder, every_row, fall_from
from tests.contracts.letters import make_nonce, prove_possession, sign_choice

NEW, OTHER = make_signer("new key"), make_signer("another new key")
SMALL = to_base64url(sorted(SMALL_ORDER_ENCODINGS)[3])
DELAY = 259_200_000


def with_key(message: type, member: str) -> Attempt:
    """The custodian brings a new key for its member."""
    alliance = Alliance().open()
    key = prove_possession(alliance.chain, member, NEW)
    return Attempt(message, sender=FRESH, alliance=alliance, key=key, member=member)


def swap_key(it: Attempt, **fields: str) -> None:
    it.set(key=replace(it.fields["key"], **fields))


def forge(it: Attempt) -> None:
    """Signed by somebody who does not hold the key."""
    chain, member = it.alliance.chain, it.fields["member"]
    it.set(key=prove_possession(chain, member, NEW, holder=make_signer("thief")))


KEY_ROWS = [
    ("KEY_REFUSED", lambda it: swap_key(it, public=SMALL)),
    ("POSSESSION_INVALID", forge),
]
#   Each row breaks one more thing than the row below it.
LADDERS = [
    Ladder(
        "enrol",
        lambda: with_key(Enrol, STRANGER),
        [("MEMBER_EXISTS", lambda it: it.set(member=ANNA)), *KEY_ROWS],
    ),
    Ladder(
        "add_member_key",
        lambda: with_key(AddMemberKey, BORIS),
        [
            ("MEMBER_UNKNOWN", lambda it: it.set(member=STRANGER)),
            ("NOT_CUSTODIAN", lambda it: setattr(it, "sender", PETROL)),
            ("MEMBER_KEY_EXISTS", lambda it: it.set(member=ANNA)),
            *KEY_ROWS,
        ],
    ),
    Ladder(
        "replace_member_key",
        lambda: with_key(ReplaceMemberKey, ANNA),
        [
            ("MEMBER_UNKNOWN", lambda it: it.set(member=STRANGER)),
            ("NOT_CUSTODIAN", lambda it: setattr(it, "sender", PETROL)),
            ("MEMBER_KEY_MISSING", lambda it: it.set(member=BORIS)),
            *KEY_ROWS,
        ],
    ),
]


def a_choice() -> Attempt:
    """Anna stops a replacement that her custodian has begun; the cinema carries her letter."""
    alliance = Alliance().open()
    begin_replacement(alliance)
    letter = sign_choice(alliance.chain, make_signer(ANNA), ANNA, "stop_replacement", expires=START)
    fields = {name: getattr(letter, name) for name in letter.__struct_fields__}
    return Attempt(SetMemberChoice, sender=CINEMA, alliance=alliance, **fields)


def begin_replacement(alliance: Alliance) -> None:
    alliance.must(FRESH, ReplaceMemberKey(prove_possession(alliance.chain, ANNA, NEW), ANNA))


def stop_it_before(it: Attempt) -> None:
    letter = sign_choice(
        it.alliance.chain,
        make_signer(ANNA),
        ANNA,
        "stop_replacement",
        expires=START,
        nonce=make_nonce("before"),
    )
    it.alliance.must(PETROL, letter)


def spend_the_nonce(it: Attempt) -> None:
    context = it.alliance.executor.context(time=it.alliance.time)
    key, told = make_signer(ANNA).key_id, it.fields
    nonce = format_nonce_key(context, expires=told["expires"], key=key, nonce=told["nonce"])
    it.alliance.put("nonce", nonce, told["expires"])


LADDERS.append(
    Ladder(
        "set_member_choice",
        a_choice,
        [
            ("MEMBER_UNKNOWN", lambda it: it.set(member=STRANGER)),
            ("MEMBER_KEY_MISSING", lambda it: it.set(member=BORIS)),
            ("CONSENT_EXPIRED", lambda it: it.set(expires=START - 1)),
            ("CONSENT_TOO_LONG", lambda it: it.set(expires=START + 86_400_001)),
            ("CONSENT_SIGNATURE_INVALID", lambda it: it.set(signature="A" * 86)),
            ("CONSENT_USED", spend_the_nonce),
            ("NO_REPLACEMENT_PENDING", stop_it_before),
        ],
    )
)


@every_row(*LADDERS)
def test_enrolment_says_no_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


def choose(alliance, choice, speaker=None, *, nonce=None, sender=CINEMA):
    letter = sign_choice(
        alliance.chain,
        speaker or make_signer(ANNA),
        ANNA,
        choice,
        expires=alliance.time,
        nonce=nonce or make_nonce(choice, alliance.height),
    )
    return alliance.ask(sender, letter)


def member(alliance, name=ANNA):
    return alliance.get("member", name)


def test_who_enrols_a_member_is_their_custodian(alliance):
    assert alliance.ask(PHARMACY, alliance.enrol(STRANGER)).code == "OK"
    record = member(alliance, STRANGER)
    assert (record.custodian, record.key, record.till_speaks, record.custodian_speaks) == (
        PHARMACY,
        "",
        True,
        False,
    )
    assert alliance.ask(FRESH, alliance.enrol(STRANGER)).code == "MEMBER_EXISTS"
    assert member(alliance, STRANGER).custodian == PHARMACY


#   what a false proof of possession was made for
FALSE_PROOFS = [
    ("another member", lambda chain: prove_possession(chain, CLARA, NEW)),
    ("another chain", lambda chain: prove_possession(chain[:-1] + "x", STRANGER, NEW)),
    (
        "another key",
        lambda chain: replace(
            prove_possession(chain, STRANGER, NEW), public=to_base64url(make_signer("b").public)
        ),
    ),
]


@pytest.mark.parametrize(("told", "prove"), FALSE_PROOFS)
def test_possession_is_proved_for_this_member_chain_and_key(alliance, told, prove):
    outcome = alliance.ask(FRESH, Enrol(key=prove(alliance.chain), member=STRANGER))
    assert outcome.code == "POSSESSION_INVALID", told


def test_a_first_key_is_announced_with_the_time_from_which_it_is_trusted(alliance):
    outcome = alliance.ask(FRESH, AddMemberKey(prove_possession(alliance.chain, BORIS, NEW), BORIS))
    assert outcome.events == [Event(about=BORIS, at=START + DELAY, name="MEMBER_KEY_ADDED")]
    assert member(alliance, BORIS).key_trusted_at == START + DELAY


def test_a_replacement_is_announced_with_the_time_at_which_it_takes_effect(alliance):
    outcome = alliance.ask(FRESH, ReplaceMemberKey(prove_possession(alliance.chain, ANNA, NEW), ANNA))
    assert outcome.events == [Event(about=ANNA, at=START + DELAY, name="MEMBER_KEY_REPLACEMENT")]
    record = member(alliance)
    assert (record.key, record.pending_at) == (public_of(make_signer(ANNA)), START + DELAY)


def test_the_holder_of_the_old_key_can_stop_a_replacement_until_it_takes_effect(alliance):
    begin_replacement(alliance)
    alliance.time += DELAY - 1
    assert choose(alliance, "stop_replacement").code == "OK"
    alliance.time += DELAY
    assert choose(alliance, "till_off", NEW).code == "CONSENT_SIGNATURE_INVALID"
    assert choose(alliance, "till_off").code == "OK"


def test_a_replacement_that_has_taken_effect_cannot_be_stopped(alliance):
    begin_replacement(alliance)
    alliance.time += DELAY
    assert choose(alliance, "stop_replacement").code == "CONSENT_SIGNATURE_INVALID"
    assert choose(alliance, "stop_replacement", NEW).code == "NO_REPLACEMENT_PENDING"
    assert choose(alliance, "till_off", NEW).code == "OK"
    assert (member(alliance).key, member(alliance).pending) == (public_of(NEW), "")


def test_a_later_replacement_takes_the_place_of_an_earlier_and_waits_anew(alliance):
    begin_replacement(alliance)
    alliance.time += DELAY - 1
    alliance.must(FRESH, ReplaceMemberKey(prove_possession(alliance.chain, ANNA, OTHER), ANNA))
    alliance.time += 1
    assert choose(alliance, "till_off", NEW).code == "CONSENT_SIGNATURE_INVALID"
    assert choose(alliance, "till_off").code == "OK"
    alliance.time += DELAY
    assert choose(alliance, "till_on", OTHER).code == "OK"


def test_a_replacement_of_a_replaced_key_keeps_the_one_in_force(alliance):
    begin_replacement(alliance)
    alliance.time += DELAY
    alliance.must(FRESH, ReplaceMemberKey(prove_possession(alliance.chain, ANNA, OTHER), ANNA))
    assert member(alliance).key == public_of(NEW)
    assert choose(alliance, "till_off", NEW).code == "OK"
    assert choose(alliance, "stop_replacement", NEW).code == "OK"
    alliance.time += DELAY
    assert choose(alliance, "till_on", NEW).code == "OK"


def test_a_letter_counts_once_and_only_by_success(alliance):
    nonce = make_nonce("letter")
    assert choose(alliance, "stop_replacement", nonce=nonce).code == "NO_REPLACEMENT_PENDING"
    begin_replacement(alliance)
    assert choose(alliance, "stop_replacement", nonce=nonce).code == "OK"
    begin_replacement(alliance)
    assert choose(alliance, "stop_replacement", nonce=nonce).code == "CONSENT_USED"


def test_a_custodian_cannot_undo_a_members_choice_by_replaying_an_older_one(alliance):
    on = sign_choice(alliance.chain, make_signer(ANNA), ANNA, "custodian_on", expires=START + 9_000)
    off = sign_choice(alliance.chain, make_signer(ANNA), ANNA, "custodian_off", expires=START + 9_000)
    assert [outcome.code for outcome in alliance.submit(CINEMA, on, off)] == ["OK", "OK"]
    assert alliance.ask(FRESH, on).code == "CONSENT_USED"
    assert member(alliance).custodian_speaks is False


#   what is changed in a signed letter
CHANGED = [{"choice": "till_on"}, {"expires": START + 1}, {"member": CLARA}, {"nonce": make_nonce("other")}]


@pytest.mark.parametrize("fields", CHANGED, ids=lambda fields: next(iter(fields)))
def test_the_signature_covers_every_word_of_a_letter(alliance, fields):
    letter = sign_choice(alliance.chain, make_signer(ANNA), ANNA, "till_off", expires=START)
    assert alliance.ask(CINEMA, replace(letter, **fields)).code == "CONSENT_SIGNATURE_INVALID"
    assert alliance.ask(CINEMA, letter).code == "OK"


def test_each_message_has_its_purposes(alliance):
    key = prove_possession(alliance.chain, STRANGER, NEW)
    letter = sign_choice(alliance.chain, make_signer(ANNA), ANNA, "till_off", expires=START)
    for message in (Enrol(key=key, member=STRANGER), AddMemberKey(key, BORIS), ReplaceMemberKey(key, ANNA)):
        for purpose in ("govern", "transact", "till"):
            with pytest.raises(Refused, match="WRONG_PURPOSE"):
                alliance.ask(FRESH, message, purpose=purpose)
    for purpose in ("govern", "till"):
        with pytest.raises(Refused, match="WRONG_PURPOSE"):
            alliance.ask(FRESH, letter, purpose=purpose)
    for number, purpose in enumerate(("transact", "custody")):
        letter = sign_choice(
            alliance.chain,
            make_signer(ANNA),
            ANNA,
            "till_off",
            expires=START + number,
            nonce=make_nonce(number),
        )
        assert alliance.ask(PETROL, letter, purpose=purpose).code == "OK"


def test_a_member_may_be_enrolled_without_a_key(alliance):
    assert Enrol(member=STRANGER).key is UNSET
    assert alliance.ask(FRESH, Enrol(member=STRANGER)).code == "OK"
