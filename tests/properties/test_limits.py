"""Limits that a random history does not reach in a lifetime: accounts that begin right below them."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.outcome import Lot
from ledger.posting import Account
from tests.properties.history import History
from tests.properties.machine import Machine
from tests.properties.model_values import BALANCE_MAX, LOTS_MAX, NEVER


class Pair:
    """A founded alliance in the ledger and in the model, and an account that both are told of."""

    def __init__(self) -> None:
        self.history = History(21)
        self.machine = Machine(self.history.genesis)
        while self.history.founding:
            self.execute(*self.history.draw_block())
        self.model = self.history.model
        self.member = self.history.draws.collector[2]

    def execute(self, time: int, transactions: list[dict[str, Any]]) -> list[str]:
        block = self.machine.execute(time, transactions)
        answers, leaves = self.history.model.execute(time, transactions)
        assert leaves == block.leaves
        return [outcome["code"] for answer in answers for outcome in answer.outcomes]

    def hold(self, program: str, lots: list[tuple[int, int, str, int]]) -> None:
        """The member holds these lots (expires, opened, series, points), as if issued at home."""
        total = sum(points for _, _, _, points in lots)
        self.model.state.tally(program, "issued.home", total)
        self.model.state.accounts[self.member, program] = tuple(
            ((expires, opened, series, 0), points) for expires, opened, series, points in lots
        )
        rows = tuple(Lot(expires, opened, points, series, 0) for expires, opened, series, points in lots)
        state = self.machine.state
        state.begin()
        state.put("account", f"{self.member}|{program}", Account(held=0, lots=rows, points=total))
        state.put("tally", f"{program}|issued.home", total)
        state.put("supply", program, total)
        state.commit()

    def earn(self, program: str, points: int) -> str:
        state = self.model.state
        message = {
            "@type": "earn",
            "amount": points * state.programs[program].spend_per_point,
            "member": self.member,
            "occurred_at": self.model.time,
            "program": program,
            "reference": self.history.alliance.next_id("r"),
        }
        issuer = state.programs[program].issuer
        (code,) = self.execute(self.model.time, [self.history.send(issuer, "transact", [message])])
        return code

    def exchange(self, program: str, target: str, points: int) -> str:
        message = {
            "@type": "exchange",
            "least": 1,
            "member": self.member,
            "occurred_at": self.model.time,
            "points": points,
            "program": program,
            "rate_height": 2,
            "recipient": self.member,
            "reference": self.history.alliance.next_id("r"),
            "series": "s0",
            "target": target,
        }
        known = self.model.state.members[self.member]
        pairs = self.history.alliance.member_pairs.get(self.member)
        pairs = pairs or self.history.alliance.owned[known.custodian, "custody"]
        message["consent"] = self.history.alliance.sign_consent(
            pairs[0],
            message,
            "exchange",
            counterparty=self.member,
            expires=self.model.time,
            nonce=self.history.alliance.new_nonce(),
            points=points,
        )
        sent = self.history.send("op", "transact", [message])
        (code,) = self.execute(self.model.time, [sent])
        return code


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_an_account_is_full_at_its_last_point(pair):
    pair.hold("dust", [(NEVER, 2, "s0", BALANCE_MAX - 5)])
    assert [pair.earn("dust", points) for points in (6, 5, 1)] == ["BALANCE_LIMIT", "OK", "BALANCE_LIMIT"]


def test_an_exchange_does_not_overfill_an_account(pair):
    pair.hold("fresh", [(NEVER, 2, "s0", 1_000)])
    pair.hold("fresh.club", [(NEVER, 2, "s0", BALANCE_MAX - 5)])
    assert pair.exchange("fresh", "fresh.club", 30) == "BALANCE_LIMIT"
    assert pair.exchange("fresh", "fresh.club", 6) == "OK"


@pytest.mark.parametrize("kept", [LOTS_MAX - 1, LOTS_MAX])
def test_an_account_takes_sixty_four_lots_and_no_more(pair, kept):
    pair.hold("dust", [(30_000 + number, 2, "s0", 1) for number in range(kept)])
    expected = "OK" if kept < LOTS_MAX else "LOT_LIMIT"
    assert pair.earn("dust", 1) == expected


@pytest.mark.parametrize("kept", [LOTS_MAX - 1, LOTS_MAX])
def test_an_exchange_counts_lots_as_earning_does(pair, kept):
    pair.hold("fresh", [(NEVER, 2, "s0", 1_000)])
    pair.hold("fresh.club", [(30_000 + number, 2, "s0", 1) for number in range(kept)])
    assert pair.exchange("fresh", "fresh.club", 300) == ("OK" if kept < LOTS_MAX else "LOT_LIMIT")


def test_a_full_account_still_takes_more_of_what_it_has(pair):
    pair.hold("dust", [*((30_000 + number, 2, "s0", 1) for number in range(63)), (NEVER, 2, "s0", 1)])
    assert pair.earn("dust", 7) == "OK"
