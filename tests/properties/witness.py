"""A witness who has only the log: reads each new leaf, and holds it against what may happen to anybody.

The witness knows nothing of prices, budgets or references. It follows who may speak for whom and what
everybody holds, and checks that nobody's points went anywhere without a signed word, a till of the member's
own custodian, or the passing of a day; that no lot goes below zero; and that what one owes another is owed.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from tests.properties.model_state import Key, Member
from tests.properties.model_values import FOREVER, canonical, day_of, is_signed, key_id_of
from tests.properties.witness_points import (
    REFUNDED,
    RETURNED,
    Kind,
    Original,
    check_kept_age,
    check_refused_capture,
    count,
    split,
    total,
)
from tests.properties.witness_votes import Clerk, change_keys

Leaf = dict[str, Any]


class Witness:
    def __init__(self, genesis: list[bytes], chain: str) -> None:
        settings, *participants = [json.loads(leaf) for leaf in genesis]
        self.chain = chain
        self.offset = settings["utc_offset_minutes"]
        self.keys: dict[str, Key] = {}
        self.members: dict[str, Member] = {}
        self.issuers: dict[str, str] = {}
        self.lots: dict[tuple[str, str], Counter[Kind]] = {}
        """(member, program) → (expires, series, original) → free points, from the log alone."""
        self.holds: dict[int, tuple[str, Leaf, list[list[Any]]]] = {}
        """Index of an open hold → its sender, message and lots."""
        self.originals: dict[int, Original] = {}
        self.debts: Counter[tuple[str, str]] = Counter()
        self.positions: Counter[str] = Counter()
        self.spent: set[tuple[str, int, str]] = set()
        self.clerk = Clerk()
        self.seen = 0
        """How many times somebody's points became fewer."""
        for participant in participants:
            self.register(participant["participant"], participant["keys"], 0)

    def register(self, who: str, keys: list[Leaf], height: int) -> None:
        for key in keys:
            self.keys[key_id_of(key["public"])] = Key(who, key["public"], key["purpose"], height, FOREVER)

    def read(self, leaves: list[bytes], time: int) -> None:
        """The leaves of one block."""
        block = json.loads(leaves[-1])
        self.rulebook = block["rulebook"]
        sender, is_atomic = "", False
        for index, data in enumerate(leaves[:-1], start=block["first"]):
            leaf = json.loads(data)
            if leaf["@type"] == "transaction":
                sender, is_atomic = leaf["header"]["sender"], "atomic" in leaf["header"]
            elif leaf["outcome"]["code"] == "OK":
                if leaf["@type"] == "system":
                    sender = ""
                self.index, self.time, self.height = index, time, block["height"]
                self.read_entry(sender, leaf["message"], leaf["outcome"])
            elif leaf["message"]["@type"] == "capture" and not is_atomic:
                self.time = time
                check_refused_capture(self, sender, leaf["message"], leaf["outcome"]["code"])

    def read_entry(self, sender: str, message: Leaf, outcome: Leaf) -> None:
        kind, height = message["@type"], self.height
        if (read := getattr(self, f"read_{kind}", None)) is not None:
            read(sender, message, outcome)
        if kind == "open_program":
            self.issuers[message["program"]] = sender
        elif kind == "admit":
            self.register(message["participant"], message["keys"], height + 1)
        elif kind == "add_key":
            self.register(sender, [message], height + 1)
        elif kind == "enact":
            change_keys(self, self.clerk.enact(message, outcome), height)
        elif kind == "revoke_key":
            self.keys[message["key"]] = self.keys[message["key"]]._replace(valid_to=height + 1)
        elif kind in ("enrol", "add_member_key", "replace_member_key", "set_member_choice"):
            self.read_member(sender, message, outcome, self.time)
        self.clerk.read(message, outcome, height)
        for leg in outcome.get("legs", ()):
            assert leg["micros"] > 0
            self.positions[leg["from"]] -= leg["micros"]
            self.positions[leg["to"]] += leg["micros"]

    def read_member(self, sender: str, message: Leaf, outcome: Leaf, time: int) -> None:
        name, kind = message["member"], message["@type"]
        public = message.get("key", {}).get("public")
        if kind == "enrol":
            self.members[name] = Member(sender, public, 0, None, custodian_speaks=False, till_speaks=True)
            return
        member = self.members[name].at(time)
        if kind == "add_member_key":
            member = member._replace(public=public, waits_until=outcome["events"][0]["at"])
        elif kind == "replace_member_key":
            member = member._replace(pending=(public, outcome["events"][0]["at"]))
        else:
            self.check_signature(member.public, "choice", message)
            choice = message["choice"]
            if choice == "stop_replacement":
                member = member._replace(pending=None)
            elif choice.startswith("custodian"):
                member = member._replace(custodian_speaks=choice == "custodian_on")
            else:
                member = member._replace(till_speaks=choice == "till_on")
        self.members[name] = member

    def check_signature(self, public: str | None, purpose: str, text: Leaf) -> None:
        body = {name: value for name, value in text.items() if name != "signature"} | {"@type": purpose}
        assert public is not None
        assert is_signed(
            public=public,
            purpose=purpose,
            chain=self.chain,
            body=canonical(body),
            signature=text["signature"],
        )

    @property
    def today(self) -> int:
        return day_of(self.time, self.offset)

    def check_word(self, sender: str, message: Leaf, outcome: Leaf) -> None:
        """Somebody who may said that these points may go, and their day has not passed."""
        self.seen += 1
        assert all(row[0] >= self.today >= row[5] == 0 for row in outcome["lots"])
        member = self.members[message["member"]].at(self.time)
        issuer = self.issuers[message["program"]]
        if "consent" not in message:
            assert message["@type"] in ("redeem", "hold")
            assert sender == issuer == member.custodian
            assert member.till_speaks
            return
        consent = message["consent"]
        if member.public is not None and key_id_of(member.public) == consent["key"]:
            assert issuer == member.custodian or member.waits_until <= self.time
        named = {name: message[name] for name in ("least", "target") if name in message}
        about = {"member": message["member"], "program": message["program"], "purpose": message["@type"]}
        others = (message["recipient"],) if "recipient" in message else (sender, "any")
        assert consent["counterparty"] in others
        self.check_consent(consent, {**named, **about}, total(outcome["lots"]))
        if "least" in message:
            assert total(outcome["received"]) >= message["least"]

    def check_consent(self, consent: Leaf, about: Leaf, points: int) -> None:
        """Somebody who speaks for this member signed this, for so many points, for now, and once."""
        member = self.members[about["member"]].at(self.time)
        public = member.public
        if public is None or key_id_of(public) != consent["key"]:
            key = self.keys[consent["key"]]
            public = key.public
            assert (key.participant, key.purpose) == (member.custodian, "custody")
            assert key.valid_from <= self.height < key.valid_to
            assert member.public is None or member.custodian_speaks
        self.check_signature(public, "consent", {**consent, **about})
        assert points <= consent["points"]
        assert consent["expires"] >= self.time
        nonce = (consent["key"], day_of(consent["expires"], self.offset), consent["nonce"])
        assert nonce not in self.spent
        self.spent.add(nonce)

    def move(self, member: str, program: str, rows: list[list[Any]], sign: int) -> None:
        free = self.lots.setdefault((member, program), Counter())
        for kind, points in count(rows).items():
            free[kind] += sign * points
            assert free[kind] >= 0
            if not free[kind]:
                del free[kind]

    def repay(self, message: Leaf, outcome: Leaf, points: int) -> int:
        """What the account owes is repaid before any of these points get to it."""
        account = message["member"], message["program"]
        repaid = min(points, self.debts[account])
        assert outcome.get("repaid", 0) == repaid
        self.debts[account] -= repaid
        assert outcome.get("debt") == (self.debts[account] if repaid else None)
        return repaid

    def read_earn(self, sender: str, message: Leaf, outcome: Leaf) -> None:
        """Points of a first life."""
        lots = outcome.get("lots", [])
        self.move(message["member"], message["program"], lots, 1)
        self.originals[self.index] = original = Original(sender, message, outcome)
        assert original.points == self.repay(message, outcome, original.points) + total(lots)
        assert all(row[2] == 0 for row in lots)

    read_award = read_earn

    def read_import_balance(self, _sender: str, message: Leaf, outcome: Leaf) -> None:
        assert all(row[2] == 0 and row[0] == message["expires_day"] for row in outcome["lots"])
        self.move(message["member"], message["program"], outcome["lots"], 1)

    def read_adjust(self, sender: str, message: Leaf, outcome: Leaf) -> None:
        assert sender == self.issuers[message["program"]]
        gives, lots = message["direction"] == "give", outcome.get("lots", [])
        if not gives:
            self.check_word(sender, message, outcome)
        elif self.rulebook >= 2:
            repaid = self.repay(message, outcome, message["points"])
            assert message["points"] == repaid + total(lots)
        self.move(message["member"], message["program"], lots, 1 if gives else -1)

    def read_return_order(self, sender: str, message: Leaf, outcome: Leaf) -> None:
        """Only what was earned on the goods goes, whoever asks; what is missing is owed or forgiven."""
        account = message["member"], message["program"]
        lots = outcome.get("lots", [])
        self.originals[outcome["original"]].come_back(sender, message, outcome, RETURNED)
        self.move(*account, lots, -1)
        missing = outcome["points"] - total(lots)
        if "debt" in outcome:
            self.debts[account] += missing
            assert missing
        assert missing >= 0
        assert outcome.get("debt", self.debts[account]) == self.debts[account]
        assert all(row[0] >= self.today for row in lots)

    def read_redeem(self, sender: str, message: Leaf, outcome: Leaf) -> None:
        self.check_word(sender, message, outcome)
        self.move(message["member"], message["program"], outcome["lots"], -1)
        if message["@type"] == "hold":
            self.holds[self.index] = (sender, message, outcome["lots"])
        else:
            self.originals[self.index] = Original(sender, message, outcome)
        assert total(outcome["lots"]) == message["points"]

    read_hold = read_redeem

    def read_capture(self, sender: str, message: Leaf, outcome: Leaf) -> None:
        """What was held is taken or goes back, by whom it was held for, in its time, once."""
        holder, held, lots = self.holds.pop(outcome["original"])
        rest = outcome.get("released", [])
        assert (held["member"], held["program"]) == (message["member"], message["program"])
        assert count(outcome.get("lots", [])) + count(rest) == count(lots)
        over = outcome.get("expired", [])
        assert count(over) == count([row for row in rest if row[0] < self.today])
        living = [row for row in rest if row not in over]
        _, arriving = split(living, self.repay(held, outcome, total(living)))
        self.move(held["member"], held["program"], arriving, 1)
        if message["@type"] == "lapse":
            assert held["expires"] <= self.time
            assert message["sender"] == holder
            return
        assert sender == holder
        if message["@type"] == "capture":
            assert held["expires"] > self.time
            assert total(outcome["lots"]) == message["points"]
            self.originals[self.index] = Original(sender, message, outcome)

    read_release = read_lapse = read_capture

    def read_refund(self, sender: str, message: Leaf, outcome: Leaf) -> None:
        original = self.originals[outcome["original"]]
        original.come_back(sender, message, outcome, REFUNDED)
        original.take_back(outcome, message["points"], self.today)
        rows = outcome.get("lots", [])
        living = message["points"] - total(outcome.get("expired", []))
        assert total(rows) == living - self.repay(message, outcome, living)
        self.move(message["member"], message["program"], rows, 1)

    def read_gift(self, sender: str, message: Leaf, outcome: Leaf) -> None:
        self.check_word(sender, message, outcome)
        self.move(message["member"], message["program"], outcome["lots"], -1)
        self.move(message["recipient"], message["program"], outcome["lots"], 1)

    def read_exchange(self, sender: str, message: Leaf, outcome: Leaf) -> None:
        self.check_word(sender, message, outcome)
        check_kept_age(outcome["lots"], outcome["received"])
        self.move(message["member"], message["program"], outcome["lots"], -1)
        self.move(message["recipient"], message["target"], outcome["received"], 1)
        if message["recipient"] != message["member"]:
            consent = message["recipient_consent"]
            about = {"member": message["recipient"], "program": message["target"], "purpose": "receive"}
            assert consent["counterparty"] == message["member"]
            self.check_consent(consent, about, total(outcome["received"]))

    def read_expire(self, _sender: str, message: Leaf, outcome: Leaf) -> None:
        self.seen += 1
        assert outcome["lots"]
        assert all(row[0] == message["day"] < self.today for row in outcome["lots"])
        self.move(message["member"], message["program"], outcome["lots"], -1)
