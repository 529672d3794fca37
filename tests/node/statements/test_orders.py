"""Behind a participant's lines stand orders, and they add up to them."""

from __future__ import annotations

from collections import Counter

import pytest

from node.keystore import Unusable
from tests.contracts.cast import ANNA, CINEMA, FRESH, OPERATOR, PETROL, PHARMACY
from tests.node.statements.conftest import take


@pytest.mark.parametrize("window", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("participant", [CINEMA, FRESH, OPERATOR, PETROL, PHARMACY])
def test_orders_add_up_to_the_lines(mirror, window, participant):
    sheet = take(mirror, window, participant=participant, with_orders=True).sheet
    sums = Counter()
    for order in sheet.orders:
        sums[order.source, order.destination, order.reason] += order.micros
    assert sums == {(line.source, line.destination, line.reason): line.micros for line in sheet.lines}


def test_an_order_says_whose_when_and_where_it_stands(mirror, alliance):
    sheet = take(mirror, 1, participant=CINEMA, with_orders=True).sheet
    (order,) = sheet.orders
    assert (order.kind, order.member, order.program, order.points) == ("redeem", ANNA, "leaf", 50)
    assert (order.reference, order.source, order.destination) == ("b-1", FRESH, CINEMA)
    leaf = alliance.leaves[order.entry]
    assert b'"reference":"b-1"' in leaf
    assert order.time >= order.occurred_at > 0


def test_a_correction_by_vote_is_told_by_its_proposal(mirror):
    sheet = take(mirror, 7, participant=PHARMACY, with_orders=True).sheet
    (order,) = [each for each in sheet.orders if each.reason == "correction"]
    assert (order.kind, order.reference, order.member, order.points) == ("enact", "at-a-cut", None, None)


def test_a_side_shows_nobody_elses_business(mirror):
    sheet = take(mirror, 1, participant=CINEMA, with_orders=True).sheet
    assert {CINEMA} == {each.participant for each in sheet.positions}
    assert all(CINEMA in (each.source, each.destination) for each in sheet.lines)
    assert all(CINEMA in (each.payer, each.payee) for each in sheet.transfers)
    # Places are those of the whole statement, by which it is disputed and attested.
    whole = take(mirror, 1).sheet
    for line in sheet.lines:
        assert whole.lines[line.place] == line


def test_somebody_who_is_not_on_the_ledger_has_no_side(mirror):
    with pytest.raises(Unusable) as caught:
        take(mirror, 1, participant="nobody")
    assert caught.value.code == "PARTICIPANT_UNKNOWN"
