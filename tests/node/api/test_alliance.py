"""The alliance as everybody in it may see it: participants, parameters, grants."""

from __future__ import annotations

from contracts.mechanics.parameters import PARAMETERS
from contracts.messages import Grant, SetParameter
from tests.contracts.cast import FRESH, OPERATOR, PETROL, START, make_signer


async def test_participants_are_shown_with_their_keys_and_programs(traded):
    desk, _ = traded
    async with desk.client() as client:
        rows = (await client.get("/v1/participants", headers=desk.asks("follower"))).json()["participants"]
    fresh = next(row for row in rows if row["participant"] == FRESH)
    assert fresh["programs"] == ["leaf"]
    assert {key["key"] for key in fresh["keys"]} == {
        make_signer(FRESH, purpose).key_id for purpose in ("govern", "custody", "transact", "till")
    }
    assert all("valid_to" not in key for key in fresh["keys"])


async def test_parameters_are_shown_as_they_are_and_as_they_will_be(desk):
    height = desk.core.head.height + 9
    desk.must(OPERATOR, SetParameter(effective_height=height, parameter="commission_basis_points", value=250))
    async with desk.client() as client:
        rows = (await client.get("/v1/parameters")).json()["parameters"]
    assert [row["name"] for row in rows] == sorted(PARAMETERS)
    commission = next(row for row in rows if row["name"] == "commission_basis_points")
    assert commission["changes"] == [{"height": height, "value": 250}]
    assert commission["value"] == PARAMETERS["commission_basis_points"].default
    assert all(row["changes"] == [] for row in rows if row["name"] != "commission_basis_points")


async def test_a_revoked_grant_is_no_longer_shown(desk):
    desk.trade()
    async with desk.client() as client:
        before = (await client.get("/v1/programs/mile", headers=desk.asks("auditor"))).json()["grants"]
        generous = Grant(
            budget_day=5, budget_total=5, expires=START + 9, kind="redeem", program="mile", to=FRESH
        )
        desk.must(PETROL, generous)
        after = (await client.get("/v1/programs/mile", headers=desk.asks("auditor"))).json()["grants"]
    assert [grant["kind"] for grant in before] == ["exchange_in"]
    assert {
        name: next(grant for grant in after if grant["kind"] == "redeem")[name]
        for name in ("kind", "to", "budget_day", "budget_total")
    } == {"kind": "redeem", "to": FRESH, "budget_day": 5, "budget_total": 5}
