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

Leaf = dict[str, Any]


class Witness:
    def __init__(self, genesis: list[bytes], chain: str) -> None:
        settings, *participants = [json.loads(leaf) for leaf in genesis]
        self.chain = chain
        self.offset = settings["utc_offset_minutes"]
        self.keys: dict[str, Key] = {}
        self.members: dict[str, Member] = {}
        self.issuers: dict[str, str] = {}
        self.lots: dict[tuple[str, str], Counter[tuple[int, str]]] = {}
        """(member, program) → (expires, series) → points, from the log alone."""
        self.positions: Counter[str] = Counter()
        self.spent: set[tuple[str, str]] = set()
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
        sender = ""
        for data in leaves[:-1]:
            leaf = json.loads(data)
            if leaf["@type"] == "transaction":
                sender = leaf["header"]["sender"]
            elif leaf["outcome"]["code"] == "OK":
                self.read_entry(sender, leaf["message"], leaf["outcome"], time, block["height"])

    def read_entry(self, sender: str, message: Leaf, outcome: Leaf, time: int, height: int) -> None:
        kind = message["@type"]
        if kind in ("redeem", "exchange", "expire"):
            self.seen += 1
            self.check_word(sender, message, outcome, time, height)
            self.move(message["member"], message["program"], outcome["lots"], -1)
        if kind == "earn":
            self.move(message["member"], message["program"], outcome.get("lots", []), 1)
        elif kind == "exchange":
            self.move(message["recipient"], message["target"], outcome["received"], 1)
        elif kind == "open_program":
            self.issuers[message["program"]] = sender
        elif kind == "admit":
            self.register(message["participant"], message["keys"], height + 1)
        elif kind == "add_key":
            self.register(sender, [message], height + 1)
        elif kind == "revoke_key":
            self.keys[message["key"]] = self.keys[message["key"]]._replace(valid_to=height + 1)
        elif kind in ("enrol", "add_member_key", "replace_member_key", "set_member_choice"):
            self.read_member(sender, message, outcome, time)
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

    def check_word(self, sender: str, message: Leaf, outcome: Leaf, time: int, height: int) -> None:
        """Somebody who may said that these points may go, or their day has passed."""
        taken = sum(row[2] for row in outcome["lots"])
        today = day_of(time, self.offset)
        if message["@type"] == "expire":
            assert all(row[0] <= message["day"] < today for row in outcome["lots"])
            return
        assert all(row[0] >= today for row in outcome["lots"])
        member = self.members[message["member"]].at(time)
        issuer = self.issuers[message["program"]]
        if "consent" not in message:
            assert (message["@type"], sender, issuer) == ("redeem", member.custodian, member.custodian)
            assert member.till_speaks
            return
        consent = message["consent"]
        public = member.public
        if public is not None and key_id_of(public) == consent["key"]:
            assert issuer == member.custodian or member.waits_until <= time
        else:
            key = self.keys[consent["key"]]
            public = key.public
            assert (key.participant, key.purpose) == (member.custodian, "custody")
            assert key.valid_from <= height < key.valid_to
            assert member.public is None or member.custodian_speaks
        named = {name: message[name] for name in ("least", "target") if name in message}
        text = {
            **consent,
            **named,
            "member": message["member"],
            "program": message["program"],
            "purpose": message["@type"],
        }
        self.check_signature(public, "consent", text)
        others = (message["recipient"],) if "recipient" in message else (sender, "any")
        assert consent["counterparty"] in others
        assert taken <= consent["points"]
        assert consent["expires"] >= time
        assert (consent["key"], consent["nonce"]) not in self.spent
        self.spent.add((consent["key"], consent["nonce"]))
        if "least" in message:
            assert sum(row[2] for row in outcome["received"]) >= message["least"]

    def move(self, member: str, program: str, rows: list[list[Any]], sign: int) -> None:
        held = self.lots.setdefault((member, program), Counter())
        for expires, _, points, series, _ in rows:
            assert points > 0
            held[expires, series] += sign * points
            assert held[expires, series] >= 0
            if not held[expires, series]:
                del held[expires, series]
