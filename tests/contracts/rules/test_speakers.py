"""Who may speak for a member: their own key, or their custodian as far as the member and issuers allow."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from contracts.messages import AddKey, AddMemberKey, ReplaceMemberKey, RevokeGrant, RevokeKey
from tests.contracts.cast import (
    ANNA,
    BORIS,
    CINEMA,
    CLARA,
    FRESH,
    PETROL,
    PHARMACY,
    grant,
    make_signer,
    public_of,
)
from tests.contracts.letters import prove_possession, sign_choice
from tests.contracts.purchases import spend

CUSTODY = make_signer(FRESH, "custody")
ANNAS = make_signer(ANNA)
DELAY = 259_200


def no_code(alliance, sender, member, program="leaf", **fields):
    """Somebody spends without any consent in the message."""
    return spend(alliance, sender, member, program=program, consent=UNSET, **fields).code


#   sender, member, program: the sender's own word counts only for its own member and its own program
OWN_WORD = [
    (FRESH, ANNA, "leaf", "OK"),
    (FRESH, BORIS, "leaf", "OK"),
    (FRESH, CLARA, "leaf", "CONSENT_MISSING"),  # enrolled by the petrol chain
    (PETROL, CLARA, "leaf", "CONSENT_MISSING"),  # another issuer's points
    (PETROL, ANNA, "leaf", "CONSENT_MISSING"),
    (PETROL, CLARA, "mile", "OK"),
    (PETROL, ANNA, "mile", "CONSENT_MISSING"),
]


@pytest.mark.parametrize(("sender", "member", "program", "code"), OWN_WORD)
def test_a_till_speaks_for_its_own_members_and_its_own_program_only(alliance, sender, member, program, code):
    alliance.earn(member, 100, program)
    assert no_code(alliance, sender, member, program) == code


def test_the_members_no_ends_the_tills_word_until_they_say_yes(alliance):
    alliance.earn(ANNA, 300)
    until = alliance.time + 1_000
    alliance.must(PHARMACY, sign_choice(alliance.chain, ANNAS, ANNA, "till_off", expires=until))
    assert no_code(alliance, FRESH, ANNA) == "CONSENT_MISSING"
    assert spend(alliance, reference="with-a-code").code == "OK"
    alliance.must(PHARMACY, sign_choice(alliance.chain, ANNAS, ANNA, "till_on", expires=until))
    assert no_code(alliance, FRESH, ANNA) == "OK"


#   whose key speaks for Boris, who has none of his own, at the petrol chain
SPEAKERS = [
    (make_signer(FRESH, "custody"), "OK"),
    (make_signer(FRESH, "transact"), "CONSENT_KEY_UNKNOWN"),
    (make_signer(FRESH, "govern"), "CONSENT_KEY_UNKNOWN"),
    (make_signer(FRESH, "till"), "CONSENT_KEY_UNKNOWN"),
    (make_signer(PETROL, "custody"), "CONSENT_KEY_UNKNOWN"),
    (make_signer(ANNA), "CONSENT_KEY_UNKNOWN"),
    (make_signer("log"), "CONSENT_KEY_UNKNOWN"),
]


@pytest.mark.parametrize(("speaker", "code"), SPEAKERS)
def test_only_the_custodians_custody_key_speaks_for_who_has_none(alliance, speaker, code):
    alliance.earn(BORIS, 100)
    assert spend(alliance, PETROL, BORIS, speaker).code == code


def test_a_revoked_custody_key_speaks_for_nobody_from_the_next_height(alliance):
    alliance.earn(BORIS, 300)
    spare = make_signer("a second custody key")
    alliance.must(FRESH, AddKey(public_of(spare), "custody"))
    assert spend(alliance, PETROL, BORIS, spare, reference="a").code == "OK"
    alliance.must(FRESH, RevokeKey(spare.key_id))
    assert spend(alliance, PETROL, BORIS, spare, reference="b").code == "CONSENT_KEY_UNKNOWN"
    assert spend(alliance, PETROL, BORIS, CUSTODY, reference="b").code == "OK"


def test_who_has_a_key_speaks_alone_unless_they_allow_their_custodian(alliance):
    alliance.earn(ANNA, 500)
    until = alliance.time + 1_000
    assert spend(alliance, PETROL, ANNA, CUSTODY, reference="a").code == "CONSENT_NOT_CUSTODIAN"
    alliance.must(CINEMA, sign_choice(alliance.chain, ANNAS, ANNA, "custodian_on", expires=until))
    assert spend(alliance, PETROL, ANNA, CUSTODY, reference="a").code == "OK"
    assert spend(alliance, PETROL, ANNA, reference="b").code == "OK"
    alliance.must(CINEMA, sign_choice(alliance.chain, ANNAS, ANNA, "custodian_off", expires=until))
    assert spend(alliance, PETROL, ANNA, CUSTODY, reference="c").code == "CONSENT_NOT_CUSTODIAN"


def test_the_custodian_speaks_for_another_issuers_points_under_its_grant_only(alliance):
    for program in ("drop", "mile"):
        alliance.earn(BORIS, 100, program)
    assert spend(alliance, PETROL, BORIS, CUSTODY, program="mile").code == "CUSTODY_GRANT_MISSING"
    assert spend(alliance, PETROL, BORIS, CUSTODY, program="drop").code == "OK"
    alliance.must(PHARMACY, RevokeGrant("custody", "drop", FRESH))
    code = spend(alliance, PETROL, BORIS, CUSTODY, program="drop", points=1, reference="b").code
    assert code == "CUSTODY_GRANT_MISSING"
    # A grant that has lapsed is none.
    alliance.must(PHARMACY, grant("custody", "drop", FRESH, expires=alliance.time))
    alliance.wait(seconds=1)
    code = spend(alliance, PETROL, BORIS, CUSTODY, program="drop", points=1, reference="b").code
    assert code == "CUSTODY_GRANT_MISSING"


def test_what_a_custodian_may_release_a_day_is_capped(alliance):
    alliance.earn(BORIS, 1_000, "drop")
    alliance.must(PHARMACY, grant("custody", "drop", FRESH, budget_day=150, budget_total=250))

    def take(points, reference):
        return spend(
            alliance, PETROL, BORIS, CUSTODY, program="drop", points=points, reference=reference
        ).code

    assert take(100, "a") == "OK"
    assert take(51, "b") == "CUSTODY_GRANT_EXHAUSTED"
    assert take(50, "c") == "OK"
    alliance.wait(days=1)
    assert take(101, "d") == "CUSTODY_GRANT_EXHAUSTED"
    assert take(100, "e") == "OK"
    alliance.wait(days=1)
    assert take(1, "f") == "CUSTODY_GRANT_EXHAUSTED"


def test_a_first_key_waits_before_it_spends_other_issuers_points(alliance):
    new = make_signer("first")
    alliance.earn(BORIS, 300)
    alliance.earn(BORIS, 300, "drop")
    alliance.must(FRESH, AddMemberKey(prove_possession(alliance.chain, BORIS, new), BORIS))
    # From now on the custodian's word is not enough, and the new key's is for the custodian's own points.
    assert spend(alliance, PETROL, BORIS, CUSTODY, reference="a").code == "CONSENT_NOT_CUSTODIAN"
    assert spend(alliance, PETROL, BORIS, new, reference="a").code == "OK"
    alliance.wait(seconds=DELAY)
    alliance.time -= 1
    assert spend(alliance, PETROL, BORIS, new, program="drop", reference="b").code == "CONSENT_KEY_WAITING"
    alliance.time += 1
    assert spend(alliance, PETROL, BORIS, new, program="drop", reference="b").code == "OK"


def test_a_key_given_at_enrolment_spends_at_once(alliance):
    alliance.earn(ANNA, 100, "drop")
    assert spend(alliance, PETROL, ANNA, program="drop").code == "OK"


def test_the_old_key_speaks_until_the_replacements_delay_has_run_out(alliance):
    new = make_signer("replacement")
    alliance.earn(ANNA, 500)
    alliance.must(FRESH, ReplaceMemberKey(prove_possession(alliance.chain, ANNA, new), ANNA))
    alliance.wait(seconds=DELAY)
    alliance.time -= 1
    assert spend(alliance, PETROL, ANNA, new, reference="a").code == "CONSENT_KEY_UNKNOWN"
    assert spend(alliance, PETROL, ANNA, ANNAS, reference="b").code == "OK"
    alliance.time += 1
    assert spend(alliance, PETROL, ANNA, ANNAS, reference="c").code == "CONSENT_KEY_UNKNOWN"
    assert spend(alliance, PETROL, ANNA, new, reference="d").code == "OK"
