"""What a hostile or a clumsy merchant does around a spending: each story with its exact result."""

from __future__ import annotations

import pytest

from tests.properties.draws import DAY
from tests.properties.telling import Telling, micros

PAR = 20_000
"""What `fresh` pays for a point; a hundredth of it is the operator's."""
GRACE = 30
MINUTE = 60_000


@pytest.fixture
def told() -> Telling:
    return Telling()


def test_a_refund_gives_back_the_very_lots_and_all_that_was_paid(told):
    told.bring("fresh", 60, days=10)
    told.bring("fresh", 60, days=20)
    spent = told.spend("redeem", "books", "fresh", 101)
    back = told.undo("books", spent, 101)
    assert back["lots"] == spent["lots"][::-1]
    assert back["balance"] == 120
    assert micros(spent, "commission") == micros(back, "commission_return") == 101 * PAR // 100
    assert micros(spent, "redeem") == micros(back, "redeem_return") == 101 * PAR - 101 * PAR // 100


def test_the_same_refund_again_is_answered_and_another_one_is_too_much(told):
    told.bring("fresh", 100, days=9)
    spent = told.spend("redeem", "books", "fresh", 100)
    first = {"reference": "back", "occurred_at": told.time}
    assert told.undo("books", spent, 100, **first)["code"] == "OK"
    again = told.undo("books", spent, 100, **first)
    assert (again["code"], "balance" in again) == ("ALREADY_DONE", False)
    assert told.undo("books", spent, 99, **first)["code"] == "REFERENCE_CONFLICT"
    assert told.undo("books", spent, 1)["code"] == "REFUND_ABOVE_ORIGINAL"
    told.wait(days=3)
    assert told.undo("books", spent, 100, **first)["code"] == "ALREADY_DONE"
    assert told.undo("books", spent, 100, reference="back")["code"] == "REFERENCE_CONFLICT"


def test_sixty_and_sixty_percent_are_too_much_and_sixty_and_forty_are_exact(told):
    told.bring("fresh", 101, days=9)
    spent = told.spend("redeem", "books", "fresh", 101)
    parts = [told.undo("books", spent, 60)]
    assert told.undo("books", spent, 60)["code"] == "REFUND_ABOVE_ORIGINAL"
    parts.append(told.undo("books", spent, 41))
    assert [micros(part, "commission_return") for part in parts] == [12_000, 8_200]
    assert sum(micros(part, "redeem_return") for part in parts) == micros(spent, "redeem")


def test_a_refund_comes_in_sixteen_parts_at_most(told):
    told.bring("fresh", 20, days=9)
    spent = told.spend("redeem", "books", "fresh", 20)
    codes = [told.undo("books", spent, 1)["code"] for _ in range(17)]
    assert codes == ["OK"] * 16 + ["TOO_MANY_REFUNDS"]


@pytest.mark.parametrize(("days", "comes_back"), [(0, True), (1, True), (GRACE, True), (GRACE + 1, False)])
def test_what_is_refunded_past_its_day_has_its_grace_and_no_more(told, days, comes_back):
    told.bring("fresh", 10, days=0)
    last = told.today
    spent = told.spend("redeem", "books", "fresh", 10)
    told.wait(days=days)
    back = told.undo("books", spent, 10)
    if not days:
        assert back["lots"] == [[last, 2, 0, 10, "s0", 0]]
    elif comes_back:
        assert back["lots"] == [[last + GRACE, 2, last, 10, "s0", 0]]
    else:
        assert "lots" not in back
        assert back["expired"] == [[last, 2, 0, 10, "s0", 0]]
    assert back["balance"] == 10 * comes_back
    assert micros(back, "redeem_return") == micros(spent, "redeem")


def test_nobody_lives_three_times(told):
    told.bring("fresh", 10, days=0)
    last = told.today
    spent = told.spend("redeem", "books", "fresh", 10)
    told.wait(days=GRACE)
    assert told.undo("books", spent, 10)["lots"] == [[last + GRACE, 2, last, 10, "s0", 0]]
    again = told.spend("redeem", "books", "fresh", 10)
    assert told.undo("books", again, 4)["lots"] == [[last + GRACE, 2, last, 4, "s0", 0]]
    told.wait(days=1)
    over = told.undo("books", again, 6)
    assert (over["balance"], over["expired"]) == (0, [[last + GRACE, 2, last, 6, "s0", 0]])


def test_a_second_life_is_given_and_exchanged_as_one(told):
    told.bring("fresh", 10, days=0)
    last, other = told.today, told.enrol("books")
    spent = told.spend("redeem", "fresh", "fresh", 10)
    told.wait(days=2)
    told.undo("fresh", spent, 10)
    gift = told.agreed(told.order("gift", "fresh", points=4, recipient=other), other)
    assert told.send("op", gift)["lots"] == [[last + GRACE, 2, last, 4, "s0", 0]]
    told.time = told.model.time
    fields = {"least": 1, "rate_height": 2, "recipient": told.member, "series": "s0", "target": "books"}
    exchange = told.agreed(told.order("exchange", "fresh", points=6, **fields), told.member)
    (row,) = told.send("op", exchange)["received"]
    assert (row[0], row[2]) == (last + GRACE, last)
    told.member = other
    assert told.spend("redeem", "fresh", "fresh", 4)["balance"] == 0


def test_a_refund_goes_to_who_spent_and_comes_from_who_took(told):
    told.bring("fresh", 10, days=9)
    spent = told.spend("redeem", "books", "fresh", 10)
    other = told.enrol("books")
    assert told.undo("books", spent, 10, member=other)["code"] == "ORIGINAL_UNKNOWN"
    assert told.undo("cinema", spent, 10)["code"] == "ORIGINAL_UNKNOWN"
    assert told.undo("books", spent, 10, original_type="hold")["code"] == "ORIGINAL_UNKNOWN"
    assert told.undo("books", spent, 10, original_day=told.today - 1)["code"] == "ORIGINAL_UNKNOWN"


def test_originals_are_refunded_for_a_while_known_for_longer_and_then_forgotten(told):
    told.bring("fresh", 10, days=9)
    spent = told.spend("redeem", "books", "fresh", 10)
    told.wait(days=180)
    assert told.undo("books", spent, 4)["code"] == "OK"
    told.wait(days=1)
    assert told.undo("books", spent, 4)["code"] == "REFUND_TOO_LATE"
    told.wait(days=819)
    assert told.undo("books", spent, 4)["code"] == "REFUND_TOO_LATE"
    told.wait(days=1)
    assert told.undo("books", spent, 4)["code"] == "ORIGINAL_UNKNOWN"


def test_a_hold_at_the_cap_reserves_its_room_and_is_captured_whatever_becomes_of_the_cap(told):
    told.bring("fresh", 1_000, days=9)
    told.set_cap("fresh", 100 * PAR)
    held = told.hold_for("books", "fresh", 60, millis=DAY)
    assert told.hold_for("books", "fresh", 41, millis=DAY)["code"] == "ISSUER_CAP"
    rest = told.hold_for("books", "fresh", 40, millis=DAY)
    assert told.spend("redeem", "books", "fresh", 1)["code"] == "ISSUER_CAP"
    assert told.spend("redeem", "fresh", "fresh", 1)["code"] == "OK"
    told.set_cap("fresh", 0)
    told.set_policy("fresh", points_order=0, order_share_basis_points=0)
    revoked = {"@type": "revoke_grant", "kind": "redeem", "program": "fresh", "to": "books"}
    assert told.send("fresh", revoked, "govern")["code"] == "OK"
    captured = told.finish("capture", "books", held, points=60)
    assert (captured["code"], micros(captured, "redeem")) == ("OK", 60 * PAR * 99 // 100)
    assert told.finish("release", "books", rest)["balance"] == 1_000 - 61


def test_what_a_release_gives_back_is_room_under_the_cap_again(told):
    told.bring("fresh", 1_000, days=9)
    told.set_cap("fresh", 100 * PAR)
    held = told.hold_for("books", "fresh", 100, millis=DAY)
    assert told.spend("redeem", "books", "fresh", 1)["code"] == "ISSUER_CAP"
    told.finish("capture", "books", held, points=30)
    assert told.spend("redeem", "books", "fresh", 71)["code"] == "ISSUER_CAP"
    assert told.spend("redeem", "books", "fresh", 70)["code"] == "OK"


def test_a_refund_does_not_lower_what_was_owed_against_the_cap(told):
    told.bring("fresh", 1_000, days=9)
    told.set_cap("fresh", 100 * PAR)
    spent = told.spend("redeem", "books", "fresh", 100)
    assert told.undo("books", spent, 100)["code"] == "OK"
    assert told.spend("redeem", "books", "fresh", 1)["code"] == "ISSUER_CAP"


def test_held_points_do_not_lapse_at_midnight_and_are_over_when_released_after_it(told):
    told.bring("fresh", 10, days=0)
    last = told.today
    held = told.hold_for("books", "fresh", 7, millis=3 * DAY)
    told.wait(days=1)
    assert [b'"expire"' in leaf for leaf in told.leaves] == [True, False]
    assert told.model.state.balance(told.member, "fresh") == 7
    released = told.finish("release", "books", held)
    row = [last, 2, 0, 7, "s0", 0]
    assert (released["balance"], released["released"], released["expired"]) == (0, [row], [row])
    assert told.undo("books", held, 7)["code"] == "ORIGINAL_UNKNOWN"


def test_a_capture_after_the_day_takes_its_part_and_the_rest_is_over(told):
    told.bring("fresh", 10, days=0)
    last = told.today
    held = told.hold_for("books", "fresh", 10, millis=3 * DAY)
    told.wait(days=2)
    captured = told.finish("capture", "books", held, points=6)
    assert captured["lots"] == [[last, 2, 0, 6, "s0", 0]]
    assert captured["released"] == captured["expired"] == [[last, 2, 0, 4, "s0", 0]]
    back = told.undo("books", held, 6)
    assert back["lots"] == [[last + GRACE, 2, last, 6, "s0", 0]]
    assert micros(back, "redeem_return") == micros(captured, "redeem")


def test_a_hold_is_captured_once_and_before_its_time_has_come(told):
    told.bring("fresh", 30, days=9)
    held, other = (told.hold_for("books", "fresh", 10, millis=MINUTE + 1) for _ in range(2))
    told.wait(millis=MINUTE)
    first = {"points": 10, "occurred_at": told.time}
    assert told.finish("capture", "books", held, **first)["code"] == "OK"
    assert told.finish("capture", "books", held, **first)["code"] == "ALREADY_DONE"
    assert told.finish("capture", "books", held, points=9)["code"] == "HOLD_FINAL"
    assert told.finish("release", "books", held)["code"] == "HOLD_FINAL"
    told.wait(millis=1)
    assert told.finish("capture", "books", other, points=10)["code"] == "HOLD_FINAL"
    assert told.finish("capture", "books", other, points=11)["code"] == "HOLD_FINAL"
    told.wait(millis=-told.time % MINUTE)
    assert b'"lapse"' in told.leaves[0]
    assert told.model.state.free(told.member, "fresh", told.today)[0][1] == 20


def test_a_hold_whose_time_has_come_is_released_until_it_lapses(told):
    told.bring("fresh", 30, days=9)
    told.wait(millis=-told.time % MINUTE)
    first, second = (told.hold_for("books", "fresh", 10, millis=MINUTE + 1) for _ in range(2))
    told.wait(millis=MINUTE + 1)
    assert told.finish("capture", "books", first, points=10)["code"] == "HOLD_FINAL"
    asked = {"occurred_at": told.time}
    assert told.finish("release", "books", first, **asked)["points"] == 10
    assert told.finish("release", "books", first, **asked)["code"] == "ALREADY_DONE"
    told.wait(millis=MINUTE - 1)
    assert [leaf.count(b'"lapse"') for leaf in told.leaves] == [1, 0]
    assert told.finish("release", "books", second)["code"] == "HOLD_FINAL"
    assert told.model.state.free(told.member, "fresh", told.today)[0][1] == 30


def test_who_cannot_capture_a_hold(told):
    told.bring("fresh", 30, days=9)
    held = told.hold_for("books", "fresh", 10, millis=DAY)
    assert told.finish("capture", "books", held, points=11)["code"] == "CAPTURE_ABOVE_HOLD"
    assert told.finish("capture", "cinema", held, points=10)["code"] == "HOLD_UNKNOWN"
    assert (
        told.finish("capture", "books", held, points=10, member=told.enrol("books"))["code"] == "HOLD_UNKNOWN"
    )
    assert told.finish("capture", "books", held, points=10, hold_day=1)["code"] == "HOLD_UNKNOWN"
