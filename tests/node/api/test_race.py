"""Fifty at once over real connections: one order is one order, and nobody spends what is not there.

The node is a process of its own over a data directory, as it would run; what it wrote is audited afterwards.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from merchant_sdk import InsufficientPoints, Merchant
from node.auditing import audit_data_dir
from tests.contracts.cast import (
    ANNA,
    FRESH,
    PETROL,
)
from tests.node.api.race import Alliance, get_time, run_at_once

AT_ONCE = 50


@pytest.fixture(scope="module")
def alliance(repository, tmp_path_factory):
    """A running alliance whose data directory is audited when all tests are done with it."""
    alliance = Alliance(repository, tmp_path_factory.mktemp("race") / "ledger")
    try:
        alliance.begin()
        yield alliance
    finally:
        status, said = alliance.node.stop()
    assert (status, said.splitlines()[-1]) == (0, "stopped")
    report = audit_data_dir(alliance.directory, policy=None, chain=alliance.chain, progress=lambda *_: None)
    assert (report.is_good, report.first_bad, report.unsigned_leaves) == (True, None, 0)
    assert report.operations > AT_ONCE


#   so many lines send the same transaction, so many one of their own under the same business reference
MIXES = [(AT_ONCE, 0), (0, AT_ONCE), (AT_ONCE // 2, AT_ONCE // 2)]


@pytest.mark.parametrize(("same", "different"), MIXES)
def test_fifty_identical_redemptions_at_once_are_one(alliance, same, different):
    alliance.earn(10_000)
    before, reference = alliance.get_balance(), f"twice-{same}"
    message = alliance.redeem_at_home(70, reference)
    one = alliance.sign(FRESH, "transact", f"same-{same}", message)
    others = [alliance.sign(FRESH, "till", f"own-{same}-{number}", message) for number in range(different)]
    # Mixed, so that neither kind has gone off before the other.
    load = [one] * same + others
    Random(same).shuffle(load)
    answers = alliance.send_at_once(load)
    assert {answer.status for answer in answers} == {200}
    by_index = {answer.body["index"]: answer.outcome for answer in answers}
    assert len(by_index) == different + (same > 0), "the same transaction stands in the log once"
    applied = [index for index, outcome in by_index.items() if outcome["code"] == "OK"]
    assert len(applied) == 1
    repeats = [outcome for outcome in by_index.values() if outcome["code"] != "OK"]
    assert {(outcome["code"], outcome["first"]) for outcome in repeats} <= {("ALREADY_DONE", applied[0] + 1)}
    assert alliance.get_balance() == before - 70
    rows = alliance.read(f"/v1/orders/{reference}?sender={FRESH}")["rows"]
    assert Counter(row["entry"]["outcome"]["code"] for row in rows) == {
        "OK": 1,
        **({"ALREADY_DONE": len(repeats)} if repeats else {}),
    }
    # And the same again, much later: whatever was heard first is heard again.
    again = alliance.send_at_once(load)
    assert [(each.body["index"], each.outcome) for each in again] == [
        (each.body["index"], each.outcome) for each in answers
    ]
    alliance.check_conserved()


def test_fifty_that_differ_under_one_reference_are_one_and_forty_nine_conflicts(alliance):
    alliance.earn(10_000)
    before, now = alliance.get_balance(), get_time()
    load = [
        alliance.sign(
            FRESH,
            "transact",
            f"conflict-{points}",
            alliance.redeem_at_home(points, "conflict", occurred_at=now),
        )
        for points in range(1, AT_ONCE + 1)
    ]
    answers = alliance.send_at_once(load)
    codes = Counter(answer.outcome["code"] for answer in answers)
    assert codes == {"OK": 1, "REFERENCE_CONFLICT": AT_ONCE - 1}
    (taken,) = [place for place, answer in enumerate(answers, 1) if answer.outcome["code"] == "OK"]
    assert alliance.get_balance() == before - taken
    alliance.check_conserved()


def test_another_transaction_under_the_same_id_is_refused_at_once_too(alliance):
    alliance.earn(10_000)
    before = alliance.get_balance()
    load = [
        alliance.sign(FRESH, "transact", "one-id", alliance.redeem_at_home(points, f"one-id-{points}"))
        for points in range(1, AT_ONCE + 1)
    ]
    answers = alliance.send_at_once(load)
    assert Counter(answer.status for answer in answers) == {200: 1, 409: AT_ONCE - 1}
    assert {answer.body["code"] for answer in answers if answer.status == 409} == {"ID_CONFLICT"}
    (taken,) = [place for place, answer in enumerate(answers, 1) if answer.status == 200]
    assert alliance.get_balance() == before - taken
    alliance.check_conserved()


@pytest.mark.parametrize("where", ["home", "elsewhere", "both"])
@pytest.mark.parametrize("points", [70, 333])
def test_fifty_that_would_overdraw_succeed_as_far_as_the_balance_goes(alliance, where, points):
    alliance.earn(1_000)
    before = alliance.get_balance()
    enough = before // points
    if enough >= AT_ONCE:
        # What earlier tests left is spent first, so that it is the balance that decides here.
        alliance.must(FRESH, "transact", alliance.redeem_at_home(before - 1_000, f"rest-{where}-{points}"))
        before, enough = 1_000, 1_000 // points
    load = []
    for number in range(AT_ONCE):
        reference = f"over-{where}-{points}-{number}"
        is_home = where == "home" or (where == "both" and number % 2 == 0)
        message = (alliance.redeem_at_home if is_home else alliance.redeem_elsewhere)(points, reference)
        load.append(alliance.sign(FRESH if is_home else PETROL, "transact", reference, message))
    answers = alliance.send_at_once(load)
    codes = Counter(answer.outcome["code"] for answer in answers)
    assert codes == {"OK": enough, "INSUFFICIENT_POINTS": AT_ONCE - enough}
    left = sorted(answer.outcome["balance"] for answer in answers if answer.outcome["code"] == "OK")
    assert left == [before - points * (number + 1) for number in range(enough)][::-1]
    assert alliance.get_balance() == before - enough * points >= 0
    alliance.check_conserved()


def test_fifty_calls_of_the_sdk_under_one_reference_are_one_order(alliance):
    alliance.earn(10_000)
    before, now = alliance.get_balance(), get_time()
    shops = [alliance.merchant() for _ in range(10)]
    try:
        calls = [
            lambda shop=shop: shop.redeem(ANNA, 30, reference="sdk-once", without_code=True, occurred_at=now)
            for shop in shops
            for _ in range(AT_ONCE // len(shops))
        ]
        done = run_at_once(calls)
    finally:
        for shop in shops:
            shop.close()
    # A shop whose calls came together sent them as one; so there are as many first answers as it asked for.
    assert {each.code for each in done} <= {"OK", "ALREADY_DONE"}
    first = {each.index if each.code == "OK" else each.first for each in done}
    assert len(first) == 1
    assert alliance.get_balance() == before - 30
    alliance.check_conserved()


def test_fifty_calls_of_the_sdk_spend_what_is_there_and_no_more(alliance):
    alliance.earn(1_000)
    before = alliance.get_balance()
    points = before // 20
    shops = [alliance.merchant() for _ in range(10)]

    def spend(shop: Merchant, number: int) -> str:
        try:
            return shop.redeem(ANNA, points, reference=f"sdk-over-{number}", without_code=True).code
        except InsufficientPoints as error:
            return error.code

    try:
        calls = [
            lambda shop=shops[number % 10], number=number: spend(shop, number) for number in range(AT_ONCE)
        ]
        codes = Counter(run_at_once(calls))
    finally:
        for shop in shops:
            shop.close()
    enough = before // points
    assert codes == {"OK": enough, "INSUFFICIENT_POINTS": AT_ONCE - enough}
    assert alliance.get_balance() == before - enough * points
    alliance.check_conserved()
