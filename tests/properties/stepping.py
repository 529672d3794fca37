"""What every step of a story driven by Hypothesis needs: to send a message, and to sign for people."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from tests.properties.draws import DAY
from tests.properties.history import History
from tests.properties.machine import Machine
from tests.properties.promises import check_agreement, check_sums
from tests.properties.witness import Witness


class Steps(RuleBasedStateMachine):
    """A founded alliance, some of its members, and whatever may happen next."""

    @initialize(seed=st.integers(0, 3))
    def begin(self, seed: int) -> None:
        self.history = History(seed)
        self.model = self.history.model
        self.machine = Machine(self.history.genesis)
        self.witness = Witness(self.history.genesis, self.model.chain)
        self.time = self.model.time
        self.sent: list[dict[str, Any]] = []
        self.told: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        while self.history.founding:
            time, transactions = self.history.draw_block()
            self.execute(time, transactions)
        known = self.model.state.members
        self.members = sorted(known, key=lambda name: (known[name].public is None, name))[:2]
        for number, member in enumerate(self.members):  # all can be spent, given and exchanged from the start
            for program in ("fresh", "books", "stamps"):
                message = self.order("earn", number, program, f"first-{member[-4:]}", 0)
                issuer = self.model.state.programs[program].issuer
                self.send(issuer, "transact", {**message, "amount": 600 * 10**6})

    def execute(self, time: int, transactions: list[dict[str, Any]]) -> None:
        block = self.machine.execute(time, transactions)
        answers, leaves = self.model.execute(time, transactions)
        assert leaves == block.leaves
        if leaves:
            self.witness.read(leaves, time)
        for transaction, answer in zip(transactions, answers, strict=True):
            asked = zip(transaction["messages"], answer.outcomes, strict=False)
            self.told += [(transaction["header"]["sender"], *row) for row in asked]

    def send(self, sender: str, purpose: str, *messages: dict[str, Any]) -> None:
        transaction = self.history.send(sender, purpose, list(messages), not_after=self.time + 10_000)
        self.sent.append(transaction)
        self.execute(self.time, [transaction])

    def order(self, kind: str, member: int, program: str, order: str, ago: int) -> dict[str, Any]:
        return {
            "@type": kind,
            "member": self.members[member],
            "occurred_at": self.time - ago * DAY,
            "program": program,
            "reference": order,
        }

    def agree(
        self, message: dict[str, Any], party: str, *, least: int, nonce: str, by_custodian: bool
    ) -> None:
        name = message["member"]
        known = self.model.state.members[name].at(self.time)
        own = [
            pair for pair in self.history.alliance.member_pairs.get(name, []) if pair.public == known.public
        ]
        custody = self.history.alliance.owned[known.custodian, "custody"][-1]
        message["consent"] = self.history.alliance.sign_consent(
            own[-1] if own and not by_custodian else custody,
            message,
            message["@type"],
            counterparty=party,
            expires=self.time + 60_000,
            nonce=nonce.ljust(21, "x") + "A",
            points=max(1, message["points"] + least),
        )

    def welcome(self, message: dict[str, Any], nonce: str) -> None:
        """The recipient of an exchange agrees, by their key or by their custodian's."""
        name, alliance = message["recipient"], self.history.alliance
        custodian = self.model.state.members[name].custodian
        own = alliance.member_pairs.get(name)
        asked = {"@type": "receive", "member": name, "program": message["target"]}
        message["recipient_consent"] = alliance.sign_consent(
            own[-1] if own else alliance.owned[custodian, "custody"][-1],
            asked,
            "receive",
            counterparty=message["member"],
            expires=self.time + 60_000,
            nonce=nonce.ljust(21, "y") + "A",
            points=message["points"],
        )

    def find_original(self, number: int, *kinds: str) -> tuple[str, dict[str, Any]] | None:
        """Something of these kinds that was asked for, and by whom: mostly what succeeded."""
        asked = [
            (sender, message, outcome["code"] == "OK")
            for sender, message, outcome in self.told
            if message["@type"] in kinds
        ]
        succeeded = [row for row in asked if row[2]]
        rows = succeeded if succeeded and number % 4 else asked
        return rows[-1 - number // 4 % len(rows)][:2] if rows else None

    def begin_with(self, kind: str, number: int) -> None:
        """An honest spending, hold or earning, so that there is one that something can be about."""
        message = self.order(kind, 1, "fresh", f"{kind}-{number}", 0)
        if kind in ("redeem", "hold"):
            message |= {"points": 50} | ({"expires": self.time + 3 * DAY} if kind == "hold" else {})
            nonce = f"{kind}{number}".ljust(12, "z")
            self.agree(message, "books", least=0, nonce=nonce, by_custodian=False)
            self.send("books", "till", message)
        else:
            self.send("books", "till", {**message, "amount": 50 * 10**6})

    def about(self, kind: str, original: dict[str, Any], other: int | None) -> dict[str, Any]:
        member = original["member"] if other is None else self.members[other]
        return {"@type": kind, "member": member, "occurred_at": self.time, "program": original["program"]}

    @invariant()
    def everything_adds_up(self):
        if hasattr(self, "members"):
            check_sums(self.machine)
            check_agreement(self.machine, self.model, self.witness)
