"""A story told message by message to the ledger and the model at once, for as many days as it takes."""

from __future__ import annotations

from typing import Any

from tests.properties.draws import DAY
from tests.properties.pair import Pair
from tests.properties.promises import check_agreement, check_sums
from tests.properties.witness import Witness

Outcome = dict[str, Any]


def micros(outcome: Outcome, reason: str) -> int:
    """What the legs of this reason come to."""
    return sum(leg["micros"] for leg in outcome.get("legs", []) if leg["reason"] == reason)


class Telling(Pair):
    """A founded alliance and a member of `fresh` with a key of their own.

    What is told is checked three times: the model says the same, the witness sees nothing wrong, and all that
    must add up does.
    """

    def __init__(self) -> None:
        self.witness: Witness | None = None
        super().__init__()
        self.time = self.model.time
        self.member = self.enrol("fresh")

    def execute(self, time: int, transactions: list[dict[str, Any]]) -> list[str]:
        model = self.history.model
        if self.witness is None:
            self.witness = Witness(self.history.genesis, model.chain)
        block = self.machine.execute(time, transactions)
        answers, self.leaves = model.execute(time, transactions)
        assert self.leaves == block.leaves
        if self.leaves:
            self.witness.read(self.leaves, time)
        check_sums(self.machine)
        check_agreement(self.machine, model, self.witness)
        self.outcomes = [outcome for answer in answers for outcome in answer.outcomes]
        return [outcome["code"] for outcome in self.outcomes]

    @property
    def today(self) -> int:
        return self.model.block_at(self.time).day

    def wait(self, *, days: int = 0, millis: int = 0) -> None:
        """Time passes, and a block sees it."""
        self.time += days * DAY + millis
        self.execute(self.time, [])

    def send(self, sender: str, message: Outcome, purpose: str = "transact") -> Outcome:
        sent = self.history.send(sender, purpose, [message], not_after=self.time + 1_000)
        self.execute(self.time, [sent])
        return self.outcomes[0]

    def enrol(self, custodian: str) -> str:
        alliance = self.history.alliance
        name, pair = alliance.new_member(), alliance.new_pair()
        alliance.member_pairs[name] = [pair]
        key = alliance.prove_possession(pair, name)
        assert self.send(custodian, {"@type": "enrol", "key": key, "member": name}, "custody")["code"] == "OK"
        return name

    def order(self, kind: str, program: str, **fields: Any) -> Outcome:
        return {
            "@type": kind,
            "member": self.member,
            "occurred_at": self.time,
            "program": program,
            "reference": self.history.alliance.next_id("r"),
            **fields,
        }

    def agreed(self, message: Outcome, counterparty: str) -> Outcome:
        """The message with the member's consent, asked for anew."""
        alliance = self.history.alliance
        message["consent"] = alliance.sign_consent(
            alliance.member_pairs[message["member"]][0],
            message,
            message["@type"],
            counterparty=counterparty,
            expires=self.time,
            nonce=alliance.new_nonce(),
            points=message["points"],
        )
        return message

    def earn_at(self, sender: str, program: str, points: int) -> Outcome:
        return self.send(sender, self.order("earn", program, amount=points * 10**6))

    def bring(self, program: str, points: int, *, days: int) -> Outcome:
        """Points with so many days left: their last day is today at 0."""
        dates = {"earned_day": self.today, "expires_day": self.today + days, "series": "s0"}
        issuer = self.model.state.programs[program].issuer
        return self.send(issuer, self.order("import_balance", program, points=points, **dates), "govern")

    def spend(self, kind: str, sender: str, program: str, points: int, **fields: Any) -> Outcome:
        """A redemption or a hold, its outcome with the message beside it."""
        message = self.agreed(self.order(kind, program, points=points, **fields), sender)
        return {**self.send(sender, message), "message": message}

    def hold_for(self, sender: str, program: str, points: int, *, millis: int) -> Outcome:
        return self.spend("hold", sender, program, points, expires=self.time + millis)

    def undo(self, sender: str, spent: Outcome, points: int, **fields: Any) -> Outcome:
        original = spent["message"]
        about = {
            "original": original["reference"],
            "original_day": self.model.block_at(original["occurred_at"]).day,
            "original_type": original["@type"],
        }
        return self.send(
            sender, self.order("refund", original["program"], points=points, **{**about, **fields})
        )

    def finish(self, kind: str, sender: str, held: Outcome, **fields: Any) -> Outcome:
        """A capture or a release of this hold."""
        original = held["message"]
        day = self.model.block_at(original["occurred_at"]).day
        about = {"hold": original["reference"], "hold_day": day}
        message = self.order(kind, original["program"], **{**about, **fields})
        del message["reference"]
        return self.send(sender, message)

    def bring_back(self, sender: str, earned: Outcome, amount: int, **fields: Any) -> Outcome:
        """Goods of this order come back."""
        about = {
            "original": earned["reference"],
            "original_day": self.model.block_at(earned["occurred_at"]).day,
        }
        about["original_type"] = earned["@type"]
        message = self.order("return_order", earned["program"], amount=amount, **{**about, **fields})
        return self.send(sender, message)

    def set_policy(self, program: str, **fields: Any) -> None:
        policy = {
            "@type": "set_policy",
            "bonus_day": 0,
            "bonus_total": 0,
            "cooling_days": 0,
            "gifts": "allowed",
            "order_share_basis_points": 10_000,
            "points_order": 10**9,
            "program": program,
            "shortfall": "debt",
        }
        issuer = self.model.state.programs[program].issuer
        assert self.send(issuer, {**policy, **fields}, "govern")["code"] == "OK"

    def set_parameter(self, name: str, value: int) -> None:
        """From the next height on."""
        change = {"effective_height": self.model.height + 2, "parameter": name, "value": value}
        assert self.send("op", {"@type": "set_parameter", **change}, "govern")["code"] == "OK"

    def set_cap(self, participant: str, cap: int) -> None:
        message = {"@type": "set_debit_cap", "cap": cap, "participant": participant}
        assert self.send("op", message, "govern")["code"] == "OK"
