"""Nobody gets richer by exchanging, however long, wherever, and whatever changes of price are announced.

A market has some programs at random legal pars, and announcements (of pars and of new series) that the ledger
accepted or refused. Then a member exchanges on, at random or to what looks best, while heights pass and the
announced prices come into force. What they hold is worth the most that an acceptor would ever be paid for it
at the prices known: that number never grows.
"""

from __future__ import annotations

import json
import os
from random import Random
from typing import Any

import pytest

from tests.properties.alliance import PARTICIPANTS, START, Alliance
from tests.properties.machine import Machine
from tests.properties.model_values import floor_of

MARKETS = 4_000 if os.environ.get("COMMONPOINT_FULL") == "1" else 400
STEPS = 14
FOR_EVER = START + 40_000 * 86_400_000
Pars = list[tuple[int, int, int]]


class Market:
    """Programs with prices, and one member who trades."""

    def __init__(self, seed: int) -> None:
        self.alliance = Alliance(seed)
        self.rng = self.alliance.rng
        parameters = {"rate_notice_heights": self.rng.randrange(1, 4), "par_floor_micros": 1}
        genesis = self.alliance.make_genesis(
            utc_offset_minutes=0, parameters={**parameters, "par_band_basis_points": 9_000}
        )
        self.machine = Machine(genesis)
        self.alliance.chain = self.machine.origin.chain
        self.programs = self.rng.sample(PARTICIPANTS, self.rng.randrange(2, 6))
        self.scale = self.rng.choice((4, 30, 20_000))
        self.known: dict[tuple[str, str], Pars] = {}
        self.member = self.alliance.new_member()
        self.pair = self.alliance.new_pair()
        self.held: dict[tuple[str, str], int] = {}

    @property
    def height(self) -> int:
        """The height of the block that is being made."""
        return self.machine.executor.head.height + 1

    def ask(self, sender: str, purpose: str, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        pair = self.alliance.owned[sender, purpose][0]
        transaction = self.alliance.sign_transaction(
            pair, sender, messages, id=self.alliance.next_id("t"), not_after=START + 1_000
        )
        block = self.machine.execute(START, [transaction])
        return [json.loads(outcome) for outcome in block.answers[0].outcomes]

    def draw_pars(self) -> tuple[int, int]:
        redeem = self.rng.randrange(1, self.scale)
        return redeem + self.rng.choice((0, 0, self.rng.randrange(self.scale))), redeem

    def found(self) -> None:
        for program in self.programs:
            accrue, redeem = self.draw_pars()
            opened = self.height + 1
            messages: list[dict[str, Any]] = [
                {"@type": "open_program", "name": program, "program": program, "spend_per_point": 10**6},
                {
                    "@type": "open_series",
                    "effective_height": opened,
                    "expiry_months": 0,
                    "par_accrue": accrue,
                    "par_redeem": redeem,
                    "program": program,
                    "series": "s0",
                },
            ]
            messages += [
                {
                    "@type": "grant",
                    "budget_day": 10**15,
                    "budget_total": 10**15,
                    "expires": FOR_EVER,
                    "kind": kind,
                    "program": program,
                    "to": to,
                }
                for kind in ("exchange_in", "exchange_out")
                for to in PARTICIPANTS
                if to != program
            ]
            assert {outcome["code"] for outcome in self.ask(program, "govern", messages)} == {"OK"}
            self.known[program, "s0"] = [(opened, accrue, redeem)]
        key = self.alliance.prove_possession(self.pair, self.member)
        home = self.programs[0]
        self.ask(home, "custody", [{"@type": "enrol", "key": key, "member": self.member}])
        self.pass_height(10**6 * self.rng.randrange(1, 5_000))
        assert self.held

    def announce(self) -> None:
        """One change that an issuer wants; the ledger says whether it may."""
        program = self.rng.choice(self.programs)
        accrue, redeem = self.draw_pars()
        series = self.rng.choice([name for owner, name in self.known if owner == program])
        message = {
            "@type": "announce_par",
            "effective_height": self.height + self.rng.randrange(1, 9),
            "par_accrue": accrue,
            "par_redeem": redeem,
            "program": program,
            "series": series,
        }
        if self.rng.random() < 0.3:
            message |= {"@type": "open_series", "expiry_months": 0, "series": self.alliance.next_id("s")}
        (outcome,) = self.ask(program, "govern", [message])
        if outcome["code"] == "OK":
            pars = self.known.setdefault((program, message["series"]), [])
            pars.append((message["effective_height"], accrue, redeem))

    def pass_height(self, amount: int) -> None:
        """Something happens, so that a block is made: the member earns a little at home."""
        earned = {
            "@type": "earn",
            "amount": amount,
            "member": self.member,
            "occurred_at": START,
            "program": self.programs[0],
            "reference": self.alliance.next_id("r"),
        }
        (outcome,) = self.ask(self.programs[0], "transact", [earned])
        for _, _, _, points, series, _ in outcome.get("lots", []):
            self.held[self.programs[0], series] = self.held.get((self.programs[0], series), 0) + points

    def par_at(self, slot: tuple[str, str], height: int) -> tuple[int, int, int]:
        return [par for par in self.known[slot] if par[0] <= height][-1]

    def open_slot(self, program: str) -> tuple[str, str]:
        opened = {slot: pars[0][0] for slot, pars in self.known.items() if slot[0] == program}
        return max((slot for slot in opened if opened[slot] <= self.height), key=lambda slot: opened[slot])

    def worth(self, held: dict[tuple[str, str], int]) -> int:
        """The most that is ever paid for this, as far as anything is announced."""
        ahead = {
            slot: [self.par_at(slot, self.height)] + [par for par in pars if par[0] > self.height]
            for slot, pars in self.known.items()
            if slot in held
        }
        return sum(points * max(par[2] for par in ahead[slot]) for slot, points in held.items())

    def look_ahead(self, slot: tuple[str, str], target: str) -> int:
        """What exchanging all of this would leave the member with, fractions of a point forgiven."""
        into = self.open_slot(target)
        received = floor_of(
            self.held[slot] * self.par_at(slot, self.height)[2], self.par_at(into, self.height)[1]
        )
        rest = {other: points for other, points in self.held.items() if other != slot}
        return self.worth({**rest, into: rest.get(into, 0) + received})

    def exchange(self) -> bool:
        """One exchange; whether any points moved."""
        choices = [(slot, target) for slot in self.held for target in self.programs if target != slot[0]]
        slot, target = self.rng.choice(choices)
        if self.rng.random() < 0.5:
            slot, target = max(choices, key=lambda choice: self.look_ahead(*choice))
        out, into = self.par_at(slot, self.height), self.par_at(self.open_slot(target), self.height)
        message = {
            "@type": "exchange",
            "least": 1,
            "member": self.member,
            "occurred_at": START,
            "points": self.rng.choice((self.held[slot], self.rng.randrange(1, self.held[slot] + 1))),
            "program": slot[0],
            "rate_height": max(out[0], into[0]),
            "recipient": self.member,
            "reference": self.alliance.next_id("r"),
            "series": slot[1],
            "target": target,
        }
        message["consent"] = self.alliance.sign_consent(
            self.pair,
            message,
            "exchange",
            counterparty=self.member,
            expires=START + 1_000,
            nonce=self.alliance.new_nonce(),
            points=message["points"],
        )
        (outcome,) = self.ask(self.rng.choice(PARTICIPANTS), "transact", [message])
        if outcome["code"] == "EXCHANGE_TOO_SMALL":
            return False
        assert outcome["code"] == "OK", (outcome, message)
        for where, rows, sign in ((slot[0], outcome["lots"], -1), (target, outcome["received"], 1)):
            for _, _, _, points, series, _ in rows:
                left = self.held.pop((where, series), 0) + sign * points
                if left:
                    self.held[where, series] = left
        return True


@pytest.mark.parametrize("start", range(4))
def test_no_chain_of_exchanges_gains(start):
    moved = changes = 0
    for seed in range(start * MARKETS // 4, (start + 1) * MARKETS // 4):
        market = Market(seed)
        market.found()
        for _ in range(market.rng.randrange(12)):
            market.announce()
        first_height, richest = market.height, market.worth(market.held)
        for _ in range(STEPS):
            moved += market.exchange()
            assert market.worth(market.held) <= richest, f"market {seed}"
            richest = market.worth(market.held)
            if market.rng.random() < 0.3:
                market.pass_height(amount=0)
        changes += sum(
            first_height < par[0] <= market.height for pars in market.known.values() for par in pars
        )
    assert moved > 4 * MARKETS // 4
    assert changes > MARKETS // 4


def test_a_market_with_an_illegal_price_would_gain():
    """The measure itself can see a gain: with par_accrue below par_redeem somebody would be richer."""
    market = Market(5)
    market.found()
    home, other = market.programs[:2]
    market.held = {(home, "s0"): 1_000}
    market.known = {(home, "s0"): [(1, 10, 10)], (other, "s0"): [(1, 5, 10)]}
    assert market.look_ahead((home, "s0"), other) == 2 * market.worth(market.held)
    assert isinstance(market.rng, Random)
