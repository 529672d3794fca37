"""The ledger and the model side by side, for a story that is told step by step."""

from __future__ import annotations

from typing import Any

from ledger.outcome import Lot
from ledger.posting import Account
from tests.properties.history import History
from tests.properties.machine import Machine


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

    def hold(self, program: str, lots: list[tuple[int, int, str, int]], member: str = "") -> None:
        """A member holds these lots (expires, opened, series, points), as if issued at home."""
        member = member or self.member
        total = sum(points for _, _, _, points in lots)
        self.model.state.tally(program, "issued.home", total)
        self.model.state.accounts[member, program] = tuple(
            ((expires, opened, series, 0, 0), points) for expires, opened, series, points in lots
        )
        rows = tuple(Lot(expires, opened, 0, points, series, 0) for expires, opened, series, points in lots)
        state = self.machine.state
        state.begin()
        state.put("account", f"{member}|{program}", Account(cooling=0, held=(), lots=rows, points=total))
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

    def exchange(self, program: str, target: str, points: int, recipient: str = "") -> str:
        message = {
            "@type": "exchange",
            "least": 1,
            "member": self.member,
            "occurred_at": self.model.time,
            "points": points,
            "program": program,
            "rate_height": 2,
            "recipient": recipient or self.member,
            "reference": self.history.alliance.next_id("r"),
            "series": "s0",
            "target": target,
        }
        self.agree(message, message["recipient"])
        if message["recipient"] != self.member:
            message["recipient_consent"] = self.welcome(message)
        return self.ask("op", "transact", message)

    def give(self, program: str, points: int, recipient: str) -> str:
        message = {
            "@type": "gift",
            "member": self.member,
            "occurred_at": self.model.time,
            "points": points,
            "program": program,
            "recipient": recipient,
            "reference": self.history.alliance.next_id("r"),
        }
        self.agree(message, recipient)
        return self.ask("op", "transact", message)

    def agree(self, message: dict[str, Any], counterparty: str) -> None:
        """The member's consent to this, by their key, or their custodian's where they have none."""
        alliance = self.history.alliance
        custodian = self.model.state.members[self.member].custodian
        pairs = alliance.member_pairs.get(self.member) or alliance.owned[custodian, "custody"]
        message["consent"] = alliance.sign_consent(
            pairs[0],
            message,
            message["@type"],
            counterparty=counterparty,
            expires=self.model.time,
            nonce=alliance.new_nonce(),
            points=message["points"],
        )

    def ask(self, sender: str, purpose: str, message: dict[str, Any]) -> str:
        (code,) = self.execute(self.model.time, [self.history.send(sender, purpose, [message])])
        return code

    def welcome(self, message: dict[str, Any]) -> dict[str, Any]:
        """The recipient's consent to whatever arrives."""
        name, alliance = message["recipient"], self.history.alliance
        custodian = self.model.state.members[name].custodian
        pairs = alliance.member_pairs.get(name) or alliance.owned[custodian, "custody"]
        asked = {"@type": "receive", "member": name, "program": message["target"]}
        return alliance.sign_consent(
            pairs[0],
            asked,
            "receive",
            counterparty=message["member"],
            expires=self.model.time,
            nonce=alliance.new_nonce(),
            points=10**9,
        )
