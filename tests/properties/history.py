"""A random history of an alliance, block by block, as transactions that anybody could have sent.

The first blocks found programs, series, grants and members honestly; all later ones are drawn. The same seed
draws the same history, whatever machine it runs on.
"""

from __future__ import annotations

from typing import Any

from tests.properties import (
    aftermath,
    draw_governance,
    draw_holds,
    draw_issuing,
    draw_limits,
    draw_members,
    draw_points,
    draw_registry,
    draw_settlement,
    rounds,
)
from tests.properties.alliance import PARTICIPANTS, START, Alliance
from tests.properties.clock import HOUR, SECOND, draw_time
from tests.properties.draws import Draws
from tests.properties.founding import CONSTITUTION, found
from tests.properties.model import Answer, Model
from tests.properties.model_values import FOREVER

Transaction = dict[str, Any]
KINDS_OF = {
    "govern": {
        "open_series": 8,
        "announce_par": 6,
        "grant": 12,
        "revoke_grant": 2,
        "add_key": 3,
        "revoke_key": 3,
        "open_program": 2,
        "set_parameter": 1,
        "admit": 1,
        "import_balance": 6,
        "adjust": 8,
        "set_policy": 4,
        "set_till_limits": 3,
        "set_debit_cap": 1,
        "propose": 5,
        "vote": 6,
        "cancel_proposal": 2,
        "cut_window": 1,
        "countersign": 5,
        "attest_payment": 5,
        "attest_cover": 1,
        "attest_fund": 1,
        "set_brand_shares": 1,
    },
    "transact": {
        "earn": 10,
        "award": 6,
        "return_order": 8,
        "redeem": 14,
        "hold": 10,
        "capture": 12,
        "release": 5,
        "refund": 14,
        "gift": 8,
        "exchange": 12,
        "set_member_choice": 2,
    },
    "till": {
        "earn": 8,
        "award": 3,
        "return_order": 4,
        "redeem": 12,
        "hold": 6,
        "capture": 8,
        "release": 2,
        "refund": 8,
    },
    "custody": {"enrol": 3, "add_member_key": 4, "replace_member_key": 3, "set_member_choice": 3},
}
OPERATORS = ("admit", "cut_window", "set_debit_cap", "set_parameter", "set_parameter")
ROOMS = (
    *(draw_points, draw_holds, draw_issuing, draw_limits, draw_members, draw_registry),
    *(draw_governance, draw_settlement),
)
HEADER_TWISTS = (
    *("expired", "edge", "far", "edge_far", "chain", "digest", "unknown_key", "foreign_key", "old_key"),
    *("purpose", "signature", "same_id", "replay", "replay", "replay_later"),
)


class History:
    """Draws blocks; `learn` tells it what the model made of the last one."""

    def __init__(
        self, seed: int, *, utc_offset_minutes: int = 480, is_constituted: bool = False, window_days: int = 0
    ) -> None:
        self.alliance = Alliance(seed)
        self.rng = self.alliance.rng
        self.genesis = self.alliance.make_genesis(
            utc_offset_minutes=utc_offset_minutes,
            parameters={
                "due_entries_max": 5,
                "par_floor_micros": 10_000 if is_constituted else 1,
                "rate_notice_heights": 1,
                "window_days": window_days,
            },
            constitution=CONSTITUTION if is_constituted else None,
        )
        self.model = Model(self.genesis)
        self.alliance.chain = self.model.chain
        self.draws = Draws(self.alliance, self.model)
        self.sent: list[Transaction] = []
        self.aborted: list[tuple[str, str, list[dict[str, Any]]]] = []
        """Atomic transactions of which nothing happened: what they asked can be asked again."""
        self.founding = list(found(self))

    def send(self, sender: str, purpose: str, messages: list[dict[str, Any]], **header: Any) -> Transaction:
        pair = self.fit_pairs(sender, purpose, None)[-1]
        honest = {"id": self.alliance.next_id("t-"), "not_after": START + HOUR}
        return self.alliance.sign_transaction(pair, sender, messages, **{**honest, **header})

    def draw_block(self) -> tuple[int, list[Transaction]]:
        time = self.model.time if self.founding else draw_time(self.draws)
        self.draws.look(time)
        if self.founding:
            return time, self.founding.pop(0)
        count = self.rng.choice((0, 1, 1, 2, 2, 3, 5))
        block = [self.draw_transaction() for _ in range(count)]
        if self.rng.random() < 0.35:
            block += self.fill_collector()
        if self.rng.random() < 0.1:
            messages = [self.draw_message(self.rng.choice(OPERATORS), "op") for _ in range(3)]
            block.append(self.send("op", "govern", messages, not_after=time + 10 * SECOND))
        if self.rng.random() < 0.015:
            sender, messages = draw_registry.announce_many(self.draws)
            block.append(self.send(sender, "govern", messages, not_after=time + 10 * SECOND))
        if self.rng.random() < 0.02:
            block += self.use_new_key()
        if self.rng.random() < 0.03:
            block += aftermath.crumble(self)
        block += rounds.draw_rounds(self)
        if self.rng.random() < 0.3:
            block += aftermath.wake(self)
        if self.rng.random() < 0.5:
            block += aftermath.finish_late(self)
        if self.rng.random() < 0.5:
            block += aftermath.finish_due(self)
        if self.rng.random() < 0.1:
            block += aftermath.owe(self)
        if self.rng.random() < 0.2:
            block += aftermath.hold_on(self)
        if self.rng.random() < 0.2:
            block += aftermath.spend_at_till(self)
        if block and self.rng.random() < 0.08:
            block.append(self.rng.choice(block))
        return time, block

    def use_new_key(self) -> list[Transaction]:
        """A key that is added, and used in the same block already."""
        pair = self.alliance.new_key_of("cinema", "till")
        added = {"@type": "add_key", "public": pair.public, "purpose": "till"}
        deadline = {"not_after": self.draws.time + 10 * SECOND}
        used = self.alliance.sign_transaction(
            pair,
            "cinema",
            [draw_points.earn(self.draws, "cinema")],
            id=self.alliance.next_id("t-"),
            **deadline,
        )
        return [self.send("cinema", "govern", [added], **deadline), used]

    def fill_collector(self) -> list[Transaction]:
        """One more series, and points of the open one for the account that is to have all the lots."""
        issuer, program, member = self.draws.collector
        amount = self.model.state.programs[program].spend_per_point
        series = draw_registry.open_series(self.draws, issuer)
        earned = {
            "@type": "earn",
            "amount": amount,
            "member": member,
            "occurred_at": self.draws.time,
            "program": program,
            "reference": self.draws.reference(),
        }
        deadline = {"not_after": self.draws.time + 10 * SECOND}
        return [
            self.send(issuer, "till", [earned], **deadline),
            self.send(issuer, "govern", [{**series, "program": program, "expiry_months": 0}], **deadline),
        ]

    def draw_messages(self, sender: str, purpose: str) -> list[dict[str, Any]]:
        weights = dict(KINDS_OF[purpose])
        if sender != "op" and self.rng.random() < 0.9:
            weights = {kind: weight for kind, weight in weights.items() if kind not in OPERATORS}
        count = self.rng.choice((1, 1, 2, 4, 8, 16))
        kinds = self.rng.choices(list(weights), list(weights.values()), k=count)
        messages = [self.draw_message(kind, sender) for kind in kinds]
        if purpose in ("transact", "till"):
            followed = [message for message in messages if self.rng.random() < 0.12]
            nexts = [aftermath.follow(self.draws, sender, message) for message in followed]
            messages += [message for message in nexts if message is not None]
        if self.rng.random() < 0.1:  # the same again, or its consent used for another order
            again = dict(self.rng.choice(messages))
            if "reference" in again and self.rng.random() < 0.6:
                again["reference"] = self.draws.reference()
            messages.append(again)
        return messages

    def draw_message(self, kind: str, sender: str) -> dict[str, Any]:
        if kind in ("add_member_key", "replace_member_key"):
            return draw_members.change_key(self.draws, sender, kind)
        room = next(room for room in ROOMS if hasattr(room, kind))
        return getattr(room, kind)(self.draws, sender)

    def draw_transaction(self) -> Transaction:
        rng, alliance, time = self.rng, self.alliance, self.draws.time
        everybody = sorted(self.model.state.participants)
        sender = rng.choice(PARTICIPANTS if rng.random() < 0.85 else everybody)
        purpose = rng.choices(("govern", "transact", "till", "custody"), (20, 48, 20, 12))[0]
        twist = rng.choice(HEADER_TWISTS) if self.sent and rng.random() < 0.12 else None
        earlier = rng.choice(self.sent[-10:]) if self.sent else {}
        if twist == "replay":
            return earlier
        if twist in ("same_id", "replay_later"):
            sender, purpose = earlier["header"]["sender"], self.purpose_of(earlier)
        messages = self.draw_messages(sender, purpose)
        if twist is None and self.aborted and rng.random() < 0.1:
            sender, purpose, messages = self.aborted.pop()
        longest = SECOND * self.draws.parameter("not_after_seconds_max")
        not_after = {"expired": time - 1, "edge": time, "far": time + longest + 1, "edge_far": time + longest}
        header: dict[str, Any] = {"not_after": not_after.get(twist or "", time + rng.randrange(longest + 1))}
        header["id"] = alliance.next_id("t-")
        if rng.random() < 0.2:
            header["atomic"] = True
        if twist in ("same_id", "replay_later"):
            header["id"] = earlier["header"]["id"]
            messages = messages if twist == "same_id" else earlier["messages"]
        elif twist == "chain":
            header["chain"] = "model/" + "0" * 32
        elif twist == "digest":
            header["digest"] = "A" * 43
        pairs = self.fit_pairs(sender, purpose, twist)
        transaction = alliance.sign_transaction(rng.choice(pairs), sender, messages, **header)
        if twist == "signature":
            transaction["signature"] = rng.choice(pairs).sign("consent", alliance.chain, b"")
        return transaction

    def purpose_of(self, transaction: Transaction) -> str:
        return self.model.state.keys[transaction["header"]["key"]].purpose

    def fit_pairs(self, sender: str, purpose: str, twist: str | None) -> list[Any]:
        """The keys this sender would sign with, or for some twists those it may not."""
        owned = self.alliance.owned
        if twist == "unknown_key":
            return [self.alliance.new_pair()]
        if twist == "foreign_key":
            return owned["op" if sender != "op" else "fresh", purpose]
        if twist == "purpose":
            purpose = self.rng.choice(list(KINDS_OF))
        pairs = owned.get((sender, purpose), owned[sender, "govern"])
        keys = self.model.state.keys
        valid = [pair for pair in pairs if pair.id in keys and keys[pair.id].valid_to == FOREVER]
        revoked = [pair for pair in pairs if pair not in valid]
        return (revoked if twist == "old_key" else valid) or pairs

    def learn(self, transactions: list[Transaction], answers: list[Answer]) -> None:
        """What the model answered is what later draws repeat, contradict or build on."""
        for transaction, answer in zip(transactions, answers, strict=True):
            if answer.refusal is not None or answer.is_repeat:
                continue
            self.sent = [*self.sent[-40:], transaction]
            if any(outcome["code"] == "ATOMIC_ABORTED" for outcome in answer.outcomes):
                sender = transaction["header"]["sender"]
                self.aborted = [(sender, self.purpose_of(transaction), transaction["messages"])]
            for message, outcome in zip(transaction["messages"], answer.outcomes, strict=True):
                if outcome["code"] == "OK":
                    self.draws.remember(transaction["header"]["sender"], message)
