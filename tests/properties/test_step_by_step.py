"""The same two, ledger and model, driven by Hypothesis: short stories, and of a failing one the shortest.

The random histories next door are long and wild. Here every step is one message of a small alliance, so that
what Hypothesis shrinks a difference to can be read and told.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.properties.draws import DAY
from tests.properties.founding import ISSUED
from tests.properties.history import History
from tests.properties.machine import Machine
from tests.properties.promises import check_agreement, check_sums
from tests.properties.witness import Witness

PROGRAMS = ("books", "cinema", "fresh", "fresh.club", "op", "petrol")
SENDERS = tuple(ISSUED)
senders = st.sampled_from(SENDERS)
programs = st.sampled_from(PROGRAMS)
members = st.integers(0, 5)
points = st.sampled_from((1, 2, 3, 7, 50, 51, 1_000))
orders = st.sampled_from(("a", "b", "c", "d"))
days_ago = st.sampled_from((0, 1, 2, 399, 400, 401))


class Story(RuleBasedStateMachine):
    """A founded alliance, some of its members, and whatever may happen next."""

    @initialize(seed=st.integers(0, 3))
    def begin(self, seed: int) -> None:
        self.history = History(seed)
        self.model = self.history.model
        self.machine = Machine(self.history.genesis)
        self.witness = Witness(self.history.genesis, self.model.chain)
        self.time = self.model.time
        self.sent: list[dict[str, Any]] = []
        while self.history.founding:
            time, transactions = self.history.draw_block()
            self.execute(time, transactions)
        self.members = sorted(self.model.state.members)[:6]

    def execute(self, time: int, transactions: list[dict[str, Any]]) -> None:
        block = self.machine.execute(time, transactions)
        _, leaves = self.model.execute(time, transactions)
        assert leaves == block.leaves
        if leaves:
            self.witness.read(leaves, time)

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
        own = self.history.alliance.member_pairs.get(name)
        custody = self.history.alliance.owned[known.custodian, "custody"][-1]
        message["consent"] = self.history.alliance.sign_consent(
            own[-1] if own and not by_custodian else custody,
            message,
            "exchange" if "target" in message else "redeem",
            counterparty=party,
            expires=self.time + 60_000,
            nonce=nonce.ljust(21, "x") + "A",
            points=max(1, message["points"] + least),
        )

    @rule(sender=senders, member=members, program=programs, order=orders, ago=days_ago, number=points)
    def earn(self, *, sender, member, program, order, ago, number):
        message = self.order("earn", member, program, order, ago)
        self.send(sender, "transact", {**message, "amount": number * 10**6})

    @rule(
        sender=senders,
        member=members,
        program=programs,
        order=orders,
        number=points,
        word=st.sampled_from(("none", "own", "custodian")),
        party=st.sampled_from(("sender", "any", "op")),
        least=st.sampled_from((0, 0, -1)),
        nonce=st.text("01", min_size=2, max_size=5),
    )
    def redeem(self, *, sender, member, program, order, number, word, party, least, nonce):
        message = self.order("redeem", member, program, order, 0) | {"points": number}
        if word != "none":
            party = sender if party == "sender" else party
            self.agree(message, party, least=least, nonce=nonce, by_custodian=word == "custodian")
        self.send(sender, "till", message)

    @rule(
        member=members,
        recipient=members,
        program=programs,
        into=programs,
        number=points,
        nonce=st.text("01", min_size=2, max_size=5),
        later=st.sampled_from((0, 0, 0, 1)),
    )
    def exchange(self, *, member, recipient, program, into, number, nonce, later):
        message = self.order("exchange", member, program, "x" + nonce, 0) | {
            "least": 1,
            "points": number,
            "rate_height": 2 + later,
            "recipient": self.members[recipient],
            "series": "s0",
            "target": into,
        }
        self.agree(message, message["recipient"], least=0, nonce=nonce, by_custodian=False)
        self.send("op", "transact", message)

    @rule(
        program=programs,
        to=senders,
        kind=st.sampled_from(("earn", "redeem", "exchange_out", "exchange_in", "custody")),
        budget=st.sampled_from((0, 1, 50, 10**6)),
        seconds=st.sampled_from((0, 86_400, 10**9)),
    )
    def grant(self, program, to, kind, budget, seconds):
        issuer = self.model.state.programs[program].issuer
        message = {"@type": "grant", "budget_day": budget, "budget_total": 3 * budget, "kind": kind}
        expires = self.time + 1000 * seconds
        self.send(issuer, "govern", {**message, "expires": expires, "program": program, "to": to})

    @rule(member=members, own=st.booleans())
    def get_key(self, member, own):
        name = self.members[member]
        known = self.model.state.members[name].at(self.time)
        kind = "add_member_key" if known.public is None else "replace_member_key"
        pair = self.history.alliance.new_pair()
        self.history.alliance.member_pairs.setdefault(name, []).append(pair)
        key = self.history.alliance.prove_possession(pair, name)
        sender = known.custodian if own else "op"
        self.send(sender, "custody", {"@type": kind, "key": key, "member": name})

    @rule(number=st.integers(0, 7))
    def send_again(self, number):
        """The same messages under a new id, or the very same transaction."""
        if self.sent:
            earlier = self.sent[-1 - number % len(self.sent)]
            if number % 2:
                self.execute(self.time, [earlier])
            else:
                pair = self.history.alliance.pairs[earlier["header"]["key"]]
                header = {"id": self.history.alliance.next_id("t-"), "not_after": self.time}
                again = self.history.alliance.sign_transaction(
                    pair, earlier["header"]["sender"], earlier["messages"], **header
                )
                self.execute(self.time, [again, again])

    @rule(days=st.sampled_from((1, 30, 366)), edge=st.sampled_from((-1, 0, 1)))
    def wait(self, days, edge):
        midnight = self.time - (self.time + 480 * 60_000) % DAY + days * DAY
        self.time = max(self.time, midnight + edge)
        self.execute(self.time, [])

    @invariant()
    def everything_adds_up(self):
        if hasattr(self, "members"):
            check_sums(self.machine)
            check_agreement(self.machine, self.model, self.witness)


Story.TestCase.settings = settings(max_examples=40, stateful_step_count=30)
TestStory = Story.TestCase
