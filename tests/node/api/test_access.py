"""Whom an entry concerns, and how roles are spelled."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from contracts.messages import Expire, Grant, SetParameter
from ledger.errors import Refused
from ledger.outcome import Leg, Outcome
from node.access import Role, get_concerned, parse_role
from tests.contracts.cast import ANNA

ISSUERS = {"leaf": "fresh-market", "mile": "petrol-west"}


def concerned(message, *, sender=None, legs=UNSET):
    return get_concerned(
        sender=sender,
        message=message,
        outcome=Outcome(code="OK", legs=legs),
        get_issuer=ISSUERS.get,
        get_custodian={ANNA: "fresh-market"}.get,
    )


@pytest.mark.parametrize(
    "text",
    ["auditor", "follower", "operator", "participant:fresh-market", f"member:{ANNA}"],
)
def test_a_role_is_spelled_in_one_way(text):
    assert str(parse_role(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "root",
        "Auditor",
        "auditor ",
        "auditor\n",
        "auditor:x",
        "participant",
        "participant:",
        "participant:F",
        "participant:a",
        f"participant:{'a' * 64}",
        "member:anna",
        f"member:{ANNA}\n",
        f"member:{ANNA[:-1]}",
        "\ud800",
    ],
)
def test_what_is_no_role_is_refused(text):
    with pytest.raises(Refused, match="BAD_REQUEST"):
        parse_role(text)


def test_an_entry_of_the_block_itself_concerns_issuer_member_and_custodian():
    found = concerned(Expire(day=1, member=ANNA, program="mile"))
    assert found.participants == {"petrol-west", "fresh-market"}
    assert found.members == {ANNA}


def test_a_grant_concerns_who_gets_it():
    message = Grant(budget_day=1, budget_total=1, expires=1, kind="earn", program="leaf", to="cinema-nova")
    assert concerned(message, sender="fresh-market").participants == {"fresh-market", "cinema-nova"}


def test_a_rounding_account_is_its_participants_own():
    legs = [Leg("petrol-west", 1, "rounding", "rounding:petrol-west")]
    found = concerned(
        SetParameter(effective_height=1, parameter="abc", value=1), sender="clearing", legs=legs
    )
    assert found.participants == {"clearing", "petrol-west"}


def test_an_operators_token_is_not_the_operating_participants():
    assert parse_role("operator") == Role("operator")
    assert Role("operator") != Role("participant", "operator")
