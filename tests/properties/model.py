"""An alliance as the documents tell it: plain dictionaries, one function a message, no line of the project.

`Model.execute` takes a block's time and its transactions as parsed JSON and says what the log must hold
afterwards, byte for byte: which transactions are refused with which code, which are repeats, and every leaf
of the rest. It is slow and obvious on purpose. Tables hold only values that never change in place, so
copying the dictionaries is a snapshot.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any, NamedTuple

from tests.properties import (
    model_earning,
    model_exchange,
    model_exposure,
    model_governance,
    model_limits,
    model_members,
    model_registry,
    model_settlement,
    model_spending,
)
from tests.properties.model_due import do_what_is_due
from tests.properties.model_exposure import ALERTING, find_alerted, find_alerts
from tests.properties.model_references import check_occurred, check_reference, content_of, slot_of
from tests.properties.model_rest import check_rest
from tests.properties.model_state import Block, Key, State, TurnedDown
from tests.properties.model_values import (
    FOREVER,
    PURPOSES,
    canonical,
    day_of,
    hash_leaf,
    is_signed,
    key_id_of,
    root_of,
    spell,
)

Message = dict[str, Any]
Decide = Callable[[State, Block, str, Message], dict[str, Any]]
DECIDE: dict[str, Decide] = {
    "earn": model_earning.earn,
    "award": model_earning.award,
    "return_order": model_earning.return_order,
    "import_balance": model_earning.import_balance,
    "adjust": model_earning.adjust,
    "redeem": model_spending.redeem,
    "hold": model_spending.hold,
    "capture": model_spending.capture,
    "release": model_spending.release,
    "refund": model_spending.refund,
    "gift": model_spending.gift,
    "exchange": model_exchange.exchange,
    "set_policy": model_limits.set_policy,
    "set_till_limits": model_limits.set_till_limits,
    "set_debit_cap": model_limits.set_debit_cap,
    "enrol": model_members.enrol,
    "add_member_key": model_members.add_member_key,
    "replace_member_key": model_members.replace_member_key,
    "set_member_choice": model_members.set_member_choice,
    "admit": model_registry.admit,
    "set_parameter": model_registry.set_parameter,
    "add_key": model_registry.add_key,
    "revoke_key": model_registry.revoke_key,
    "open_program": model_registry.open_program,
    "open_series": model_registry.open_series,
    "announce_par": model_registry.announce_par,
    "grant": model_registry.grant,
    "revoke_grant": model_registry.revoke_grant,
    "propose": model_governance.propose,
    "vote": model_governance.vote,
    "cancel_proposal": model_governance.cancel_proposal,
    "cut_window": model_settlement.cut_window,
    "countersign": model_settlement.countersign,
    "attest_payment": model_settlement.attest_payment,
    "attest_cover": model_exposure.attest_cover,
    "attest_fund": model_exposure.attest_fund,
    "set_brand_shares": model_settlement.set_brand_shares,
}


class Answer(NamedTuple):
    """What came of one transaction."""

    refusal: str | None
    is_repeat: bool
    outcomes: list[dict[str, Any]]


class Model:
    """One chain from its genesis leaves on."""

    def __init__(self, genesis: list[bytes]) -> None:
        settings, *participants = [json.loads(leaf) for leaf in genesis]
        root = root_of([hash_leaf(leaf) for leaf in genesis])
        self.chain = f"{settings['name']}/{root.hex()[:32]}"
        self.operator = settings["operator"]
        self.offset = settings["utc_offset_minutes"]
        self.height = 0
        self.time = settings["time"]
        self.previous = spell(root)
        self.size = len(genesis)
        self.totals = {"accepted": 0, "entries": 0, "transactions": 0}
        self.state = State()
        model_governance.begin(self.state, settings)
        for participant in participants:
            self.state.participants[participant["participant"]] = participant["name"]
            for key in participant["keys"]:
                self.state.keys[key_id_of(key["public"])] = Key(
                    participant["participant"], key["public"], key["purpose"], 0, FOREVER
                )
        for parameter in settings["parameters"]:
            self.state.parameters[parameter["name"]] = ((0, parameter["value"]),)

    def block_at(self, time: int) -> Block:
        return Block(
            self.chain,
            self.height + 1,
            time,
            day_of(time, self.offset),
            self.offset,
            self.operator,
            previous=self.previous,
            rulebook=self.state.standing["rulebook"],
        )

    def execute(self, time: int, transactions: list[dict[str, Any]]) -> tuple[list[Answer], list[bytes]]:
        """The answers, and the leaves this block adds."""
        block = self.block_at(time)
        self.state.standing["height"] = block.height
        leaves: list[bytes] = []
        answers: list[Answer] = []
        before = self.state.sums()
        totals = dict(self.totals)
        for message, outcome in do_what_is_due(self.state, block):
            leaves.append(canonical({"@type": "system", "message": message, "outcome": outcome}))
            totals["entries"] += 1
            totals["accepted"] += outcome["code"] == "OK"
        for transaction in transactions:
            header = transaction["header"]
            refusal = self.refusal_of(block, transaction)
            known = self.state.transactions.get((header["sender"], header["id"]))
            is_known = refusal is None and known is not None and known[1] >= time
            if is_known and known[0] != header["digest"]:
                refusal = "ID_CONFLICT"
            if refusal or is_known:
                answers.append(Answer(refusal, refusal is None, []))
                continue
            leaf = canonical(
                {
                    "@type": "transaction",
                    "header": header,
                    "height": block.height,
                    "signature": transaction["signature"],
                    "time": time,
                }
            )
            outcomes = self.take(block, transaction, self.size + len(leaves))
            tag = spell(sha256(leaf).digest()[:16])
            leaves.append(leaf)
            for message, outcome in zip(transaction["messages"], outcomes, strict=True):
                leaves.append(
                    canonical({"@type": "entry", "message": message, "outcome": outcome, "tag": tag})
                )
            totals["transactions"] += 1
            totals["entries"] += len(outcomes)
            totals["accepted"] += sum(outcome["code"] == "OK" for outcome in outcomes)
            answers.append(Answer(None, False, outcomes))
        if leaves:
            self.totals = totals
            leaves.append(self.close(block, len(leaves), before))
        return answers, leaves

    def close(self, block: Block, count: int, before: list[dict[str, int]]) -> bytes:
        leaf = canonical(
            {
                "@type": "block",
                "engine_height": block.height,
                "first": self.size,
                "height": block.height,
                "last": self.size + count,
                "previous": self.previous,
                "rulebook": block.rulebook,
                "sums": self.state.sums_since(before),
                "time": block.time,
                "totals": self.totals,
            }
        )
        self.height, self.time = block.height, block.time
        self.previous = spell(hash_leaf(leaf))
        self.size += count + 1
        return leaf

    def refusal_of(self, block: Block, transaction: dict[str, Any]) -> str | None:
        """The table "Refused" from `WRONG_CHAIN` on, but for the id, which needs to know of repeats."""
        header, messages = transaction["header"], transaction["messages"]
        digest = sha256(b"".join(sha256(canonical(message)).digest() for message in messages)).digest()
        if header["chain"] != self.chain:
            return "WRONG_CHAIN"
        if header["digest"] != spell(digest):
            return "DIGEST_MISMATCH"
        if header["not_after"] < block.time:
            return "EXPIRED"
        ahead = 1000 * self.state.parameter("not_after_seconds_max", block.height)
        if header["not_after"] > block.time + ahead:
            return "NOT_AFTER_TOO_FAR"
        key = self.state.keys.get(header["key"])
        if key is None or key.participant != header["sender"]:
            return "UNKNOWN_KEY"
        if block.height < key.valid_from or block.height >= key.valid_to:
            return "KEY_NOT_VALID"
        if any(key.purpose not in PURPOSES[message["@type"]] for message in messages):
            return "WRONG_PURPOSE"
        signed = is_signed(
            public=key.public,
            purpose="transaction",
            chain=self.chain,
            body=canonical(header),
            signature=transaction["signature"],
        )
        return None if signed else "SIGNATURE_INVALID"

    def take(self, block: Block, transaction: dict[str, Any], index: int) -> list[dict[str, Any]]:
        """One outcome a message: each for itself, or with `atomic` all or none."""
        header, messages = transaction["header"], transaction["messages"]
        outcomes: list[dict[str, Any]] = []
        saved = self.state.copy() if "atomic" in header else None
        for number, message in enumerate(messages):
            at = block._replace(key=header["key"], index=index + 1 + number)
            outcome = self.decide(at, header["sender"], message)
            outcomes.append(outcome)
            if saved is not None and outcome["code"] != "OK":
                self.state = saved
                outcomes = [{"code": "ATOMIC_ABORTED"} for _ in messages]
                outcomes[number] = outcome
                break
        self.state.transactions[header["sender"], header["id"]] = (header["digest"], header["not_after"])
        return outcomes

    def decide(self, block: Block, sender: str, message: Message) -> dict[str, Any]:
        state, kind = self.state, message["@type"]
        bears = "reference" in message and "original" not in message
        state.asking = {"sender": sender, "member": message.get("member", "")}
        try:
            check_rest(state, sender, message)
            if "occurred_at" in message:
                check_occurred(state, block, message)
            if bears:
                check_reference(state, block, sender, message)
            debtors = {sender, self.issuer_of(message)} if kind in ALERTING and block.rulebook >= 2 else set()
            owed = find_alerted(state, debtors, block)
            outcome = DECIDE[kind](state, block, sender, message)
        except TurnedDown as no:
            return no.outcome
        finally:
            state.asking = {}
        if bears:
            state.references[slot_of(block, sender, message)] = (content_of(message), block.index)
        events = find_alerts(state, owed)
        return outcome | {"events": [*outcome.get("events", []), *events]} if events else outcome

    def issuer_of(self, message: Message) -> str:
        program = self.state.programs.get(message.get("program", ""))
        return program.issuer if program else ""
