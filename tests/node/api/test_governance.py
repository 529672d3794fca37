"""Who decides and what is proposed, as everybody who votes may see it."""

from __future__ import annotations

import pytest

from contracts.messages.actions import ChangeParameter, Pause, Trial
from contracts.messages.governance import Vote
from contracts.rulebook import CURRENT_VERSION
from tests.contracts.cast import ANNA, CINEMA, FRESH, OPERATOR, PETROL
from tests.node.api.desk import code_of

READERS = (f"participant:{CINEMA}", "auditor", "operator")
OTHERS = (f"member:{ANNA}", "follower")
PATHS = ("/v1/government", "/v1/proposals", "/v1/proposals/fees-1")


async def test_without_a_constitution_the_operator_is_shown_to_decide_alone(governed):
    async with governed.client() as client:
        found = (await client.get("/v1/government", headers=governed.asks(f"participant:{PETROL}"))).json()
    assert found["voters"] == [{"participant": OPERATOR, "weight": 1}]
    assert (found["configuration"], found["minimum_voters"], found["trustee"]) == (0, 1, OPERATOR)
    assert found["rulebook"] == CURRENT_VERSION
    assert {(rule["approve_basis_points"], rule["notice_heights"]) for rule in found["rules"]} == {
        (10_000, 0)
    }
    kinds = [rule["kind"] for rule in found["rules"]]
    assert kinds == sorted(kinds)
    assert found["trials"] == []
    assert found["halt"] == {"messages": [], "programs": [], "removed": [], "suspended": []}


async def test_a_proposal_is_shown_with_its_actions_and_what_became_of_it(governed):
    async with governed.client() as client:
        asks = governed.asks(f"participant:{FRESH}")
        done = (await client.get("/v1/proposals/fees-1", headers=asks)).json()
        entry = (await client.get(f"/v1/entries/{done['index']}", headers=asks)).json()["entry"]
    assert (done["state"], done["yes"], done["no"], done["weight_for"], done["weight_all"]) == (
        "enacted",
        [OPERATOR],
        [],
        1,
        1,
    )
    assert done["enacts_at"] >= done["effective_height"]
    assert done["actions"] == entry["message"]["actions"]
    assert done["proposal"] == entry["message"]["proposal"] == "fees-1"


async def test_proposals_come_newest_first_by_state_and_by_pages(governed):
    async with governed.client() as client:
        asks = governed.asks("auditor")
        every = (await client.get("/v1/proposals", headers=asks)).json()
        first = (await client.get("/v1/proposals?limit=1", headers=asks)).json()
        second = (await client.get(f"/v1/proposals?limit=1&before={first['next']}", headers=asks)).json()
        still = (await client.get("/v1/proposals?state=open", headers=asks)).json()["proposals"]
        wrong = await client.get("/v1/proposals?state=lost", headers=asks)
    assert [each["proposal"] for each in every["proposals"]] == ["fees-2", "fees-1"]
    assert first["proposals"] + second["proposals"] == every["proposals"]
    assert "next" not in every
    assert "next" not in second
    assert [(each["proposal"], "enacts_at" in each) for each in still] == [("fees-2", False)]
    assert code_of(wrong) == "BAD_REQUEST"


@pytest.mark.parametrize("path", PATHS)
async def test_what_is_decided_is_for_who_decides_and_for_nobody_else(governed, path):
    async with governed.client() as client:
        for role in READERS:
            assert (await client.get(path, headers=governed.asks(role))).status_code == 200, role
        for role in OTHERS:
            assert code_of(await client.get(path, headers=governed.asks(role))) == "NOT_FOUND", role


async def test_every_participant_hears_of_what_is_proposed_and_decided_and_members_do_not(governed):
    async with governed.client() as client:
        asks = governed.asks(f"participant:{CINEMA}")
        rows = (await client.get("/v1/events", headers=asks)).json()["rows"]
        own = (await client.get("/v1/events", headers=governed.asks(f"member:{ANNA}"))).json()["rows"]
        kinds = [row["entry"]["message"]["@type"] for row in rows]
        receipts = [
            (await client.get(f"/v1/receipts/{row['index']}", headers=asks)).status_code for row in rows
        ]
    assert [kind for kind in kinds if kind != "admit"] == [
        "propose",
        "vote",
        "enact",
        "propose",
        "cut_window",
        "cut",
    ]
    assert set(receipts) == {200}
    assert not {row["entry"]["message"]["@type"] for row in own} & {"propose", "vote", "enact", "cut"}


async def test_what_rests_and_what_is_tried_is_shown(desk):
    desk.trade()
    actions = [
        Pause(program="leaf"),
        Pause(message="gift"),
        ChangeParameter(parameter="commission_basis_points", trial=Trial(merchants=[PETROL]), value=50),
        ChangeParameter(parameter="refund_grace_days", trial=Trial(members_basis_points=500), value=60),
    ]
    desk.propose("careful", *actions)
    desk.must(OPERATOR, Vote("yes", 0, "careful"))
    desk.must(PETROL, desk.town.earn(91, points=1, member=3, program="mile", sender=PETROL))
    async with desk.client() as client:
        found = (await client.get("/v1/government", headers=desk.asks("operator"))).json()
    assert found["halt"] == {"messages": ["gift"], "programs": ["leaf"], "removed": [], "suspended": []}
    share, merchants = found["trials"][::-1]
    assert (share["parameter"], share["members_basis_points"], share["value"]) == (
        "refund_grace_days",
        500,
        60,
    )
    assert "merchants" not in share
    assert (merchants["merchants"], merchants["value"]) == ([PETROL], 50)
    assert len(share["seed"]) == 43
