"""The same two, ledger and model, driven by Hypothesis: short stories, and of a failing one the shortest.

The random histories next door are long and wild. Here every step is one message of a small alliance, so that
what Hypothesis shrinks a difference to can be read and told.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.properties.draws import DAY
from tests.properties.founding import ISSUED
from tests.properties.model_exposure import find_owed
from tests.properties.model_values import day_of
from tests.properties.stepping import Steps

PROGRAMS = ("fresh", "books", "stamps")
SENDERS = tuple(ISSUED)
senders = st.sampled_from(SENDERS)
programs = st.sampled_from(PROGRAMS)
members = st.integers(0, 1)
points = st.sampled_from((1, 2, 3, 7, 50, 51, 1_000))
orders = st.sampled_from(("a", "b", "c", "d"))
days_ago = st.sampled_from((0, 1, 2, 399, 400, 401))
seldom = st.sampled_from((False, False, False, True))
nonces = st.text("01", min_size=2, max_size=5)
others = st.sampled_from((None, None, None, None, None, 0, 1))
OFFICE = {
    **dict.fromkeys(("admit", "set_parameter", "add_key", "revoke_key", "open_program"), "govern"),
    **dict.fromkeys(("open_series", "announce_par", "revoke_grant"), "govern"),
    **dict.fromkeys(("enrol", "set_member_choice"), "custody"),
}
"""What is asked rarely, and by which key."""


class Story(Steps):
    """A founded alliance, some of its members, and whatever may happen next."""

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
        word=st.sampled_from(("own", "own", "own", "none", "custodian")),
        party=st.sampled_from(("sender", "sender", "sender", "any", "op")),
        least=st.sampled_from((0, 0, 0, 0, -1)),
        nonce=nonces,
        seconds=st.sampled_from((None, None, 60, 3_600, 86_400, 604_800, 0, 604_801)),
    )
    def spend(self, *, sender, member, program, order, number, word, party, least, nonce, seconds):
        """A redemption, or with a time a hold."""
        message = self.order("redeem" if seconds is None else "hold", member, program, order, 0)
        message |= {"points": number} | ({} if seconds is None else {"expires": self.time + 1_000 * seconds})
        if word != "none":
            party = sender if party == "sender" else party
            self.agree(message, party, least=least, nonce=nonce, by_custodian=word == "custodian")
        self.send(sender, "till", message)

    @rule(
        number=st.integers(1, 31),
        kind=st.sampled_from(("capture", "capture", "release")),
        part=points,
        other=others,
        days_off=st.sampled_from((0, 0, 0, 1)),
    )
    def finish(self, *, number, kind, part, other, days_off):
        """A hold that was asked for is captured or released."""
        if self.find_original(number, "hold") is None:
            self.begin_with("hold", number)
        found = self.find_original(number, "hold")
        if found is not None:
            sender, held = found
            day = day_of(held["occurred_at"], 480) - days_off
            message = self.about(kind, held, other) | {"hold": held["reference"], "hold_day": day}
            self.send(sender, "till", message | ({"points": part} if kind == "capture" else {}))

    @rule(
        number=st.integers(1, 31),
        kinds=st.sampled_from((("redeem", "hold"), ("earn", "award"))),
        part=points,
        other=others,
        order=orders,
        by=st.sampled_from((None, None, None, "op")),
    )
    def undo(self, *, number, kinds, part, other, order, by):
        """A refund of what was spent, or the return of what was bought."""
        if self.find_original(number, *kinds) is None:
            self.begin_with(kinds[0], number)
        found = self.find_original(number, *kinds)
        if found is not None:
            sender, original = found
            kind = "refund" if "redeem" in kinds else "return_order"
            message = self.about(kind, original, other) | {
                "original": original["reference"],
                "original_day": day_of(original["occurred_at"], 480),
                "original_type": original["@type"],
                "reference": order,
            }
            size = {"points": part} if kind == "refund" else {"amount": part * 10**6}
            self.send(by or sender, "till", message | size)

    @rule(sender=senders, member=members, program=programs, order=orders, number=points, bought=st.booleans())
    def award(self, *, sender, member, program, order, number, bought):
        message = self.order("award", member, program, order, 0) | {"points": number, "reason": "bonus"}
        self.send(sender, "transact", message | ({"amount": number * 10**6} if bought else {}))

    @rule(
        member=members,
        program=programs,
        order=orders,
        number=points,
        earned=st.sampled_from((-1, 0, 30, 370)),
        lasts=st.sampled_from((-1, 0, 1, 30, 400)),
    )
    def bring(self, *, member, program, order, number, earned, lasts):
        """An opening balance."""
        today = day_of(self.time, 480)
        message = self.order("import_balance", member, program, order, 0)
        dates = {"earned_day": today - earned, "expires_day": today + lasts, "series": "s0"}
        issuer = self.model.state.programs[program].issuer
        self.send(issuer, "govern", message | dates | {"points": number})

    @rule(member=members, program=programs, order=orders, number=points, gives=st.booleans(), nonce=nonces)
    def adjust(self, *, member, program, order, number, gives, nonce):
        issuer = self.model.state.programs[program].issuer
        message = self.order("adjust", member, program, order, 0) | {"points": number, "reason": "goodwill"}
        message["direction"] = "give" if gives else "take"
        if not gives:
            self.agree(message, issuer, least=0, nonce=nonce, by_custodian=False)
        self.send(issuer, "govern", message)

    @rule(member=members, itself=seldom, program=programs, order=orders, number=points, nonce=nonces)
    def give(self, *, member, itself, program, order, number, nonce):
        message = self.order("gift", member, program, order, 0)
        message |= {"points": number, "recipient": self.members[member if itself else 1 - member]}
        self.agree(message, message["recipient"], least=0, nonce=nonce, by_custodian=False)
        self.send("op", "transact", message)

    @rule(
        member=members,
        itself=seldom,
        program=programs,
        into=st.sampled_from((1, 1, 2, 0)),
        number=points,
        nonce=nonces,
        later=st.sampled_from((0, 0, 0, 1)),
    )
    def exchange(self, *, member, itself, program, into, number, nonce, later):
        message = self.order("exchange", member, program, "x" + nonce, 0) | {
            "least": 1,
            "points": number,
            "rate_height": 2 + later,
            "recipient": self.members[member if itself else 1 - member],
            "series": "s0",
            "target": PROGRAMS[(PROGRAMS.index(program) + into) % 3],
        }
        self.agree(message, message["recipient"], least=0, nonce=nonce, by_custodian=False)
        if not itself:
            self.welcome(message, nonce)
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

    @rule(
        program=programs,
        shortfall=st.sampled_from(("debt", "absorb", "block")),
        cooling=st.sampled_from((0, 0, 1, 30)),
        share=st.sampled_from((10_000, 10_000, 0)),
        order=st.sampled_from((10**9, 50)),
        bonus=st.sampled_from((0, 50, 10**6)),
        gifts=st.sampled_from(("allowed", "allowed", "forbidden")),
    )
    def set_policy(self, *, program, shortfall, cooling, share, order, bonus, gifts):
        message = {"@type": "set_policy", "bonus_day": bonus, "bonus_total": 3 * bonus, "gifts": gifts}
        message |= {"cooling_days": cooling, "order_share_basis_points": share, "points_order": order}
        issuer = self.model.state.programs[program].issuer
        self.send(issuer, "govern", {**message, "program": program, "shortfall": shortfall})

    @rule(who=senders, day=points, order=points, step_up=points)
    def set_till_limits(self, *, who, day, order, step_up):
        key = self.history.alliance.owned[who, "till"][0].id
        limits = {"points_day": day, "points_order": order, "step_up": step_up}
        self.send(who, "govern", {"@type": "set_till_limits", "key": key, **limits})

    @rule(who=senders, room=st.sampled_from((0, 1_000_000, 20_000_000, 10**14)))
    def set_debit_cap(self, *, who, room):
        cap = find_owed(self.model.state, who) + room
        self.send("op", "govern", {"@type": "set_debit_cap", "cap": cap, "participant": who})

    @rule(sender=senders, kind=st.sampled_from(sorted(OFFICE)))
    def administer(self, *, sender, kind):
        """One of the messages that no order leads to, drawn as in the random histories."""
        self.history.draws.look(self.time)
        sender = "op" if kind in ("admit", "set_parameter") else sender
        self.send(sender, OFFICE[kind], self.history.draw_message(kind, sender))

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

    @rule(seconds=st.sampled_from((1, 59, 60, 86_400)))
    def wait_a_moment(self, seconds):
        self.time += 1_000 * seconds
        self.execute(self.time, [])

    @rule(days=st.sampled_from((1, 2, 30, 366)), edge=st.sampled_from((-1, 0, 1)))
    def wait(self, days, edge):
        midnight = self.time - (self.time + 480 * 60_000) % DAY + days * DAY
        self.time = max(self.time, midnight + edge)
        self.execute(self.time, [])


Story.TestCase.settings = settings(max_examples=45, stateful_step_count=40)
TestStory = Story.TestCase
