"""Everybody at once, at random: whatever the participants of a small alliance may think of asking."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from contracts.messages import (
    AddKey,
    AddMemberKey,
    Adjust,
    Admit,
    AnnouncePar,
    Award,
    Capture,
    Earn,
    Enrol,
    Exchange,
    Gift,
    Grant,
    Hold,
    ImportBalance,
    OpenProgram,
    OpenSeries,
    Redeem,
    Refund,
    Release,
    ReplaceMemberKey,
    ReturnOrder,
    RevokeGrant,
    RevokeKey,
    SetDebitCap,
    SetParameter,
    SetPolicy,
    SetTillLimits,
)
from contracts.messages.registry import ParticipantKey
from ledger.errors import Refused
from ledger.values import AMOUNT_MAX, NEVER, PAR_MAX, POINTS_MAX
from tests.contracts.alliance import OUTCOMES
from tests.contracts.cast import (
    FRESH,
    PARTICIPANTS,
    PURPOSES,
    make_signer,
    public_of,
)
from tests.contracts.dice import CHOICES, KEYS, KINDS, MEMBERS, NAMES, Dice
from tests.contracts.letters import prove_possession, sign_choice


class Crowd(Dice):
    """Everybody at once, from one seed."""

    def transact(self, sender: str, *, may_exchange: bool) -> Any:
        pick = self.choose.choice
        member, program, points = pick(MEMBERS), pick(NAMES), self.points()
        accounts = [key.split("|") for key, _ in self.alliance.state.list_records("account")]
        if accounts and self.choose.random() < 0.7:
            member, program = pick(accounts)
        what = self.choose.randrange(8 if may_exchange else 6)
        if what >= 2 and what != 7:
            return self.go_further(what, sender, member, program, points)
        if what == 0:
            amount = pick([0, 1, 10**6, 10**9, AMOUNT_MAX, self.choose.randrange(10**12)])
            return self.keep(sender, Earn(amount, member, self.moment(), program, self.reference()))
        if what == 1:
            consent = self.agree(sender, member, points=pick([points, self.points()]), program=program)
            return self.keep(
                sender,
                Redeem(
                    amount=pick([UNSET, 0, 10**9]),
                    consent=pick([consent, consent, UNSET]),
                    member=member,
                    occurred_at=self.moment(),
                    points=points,
                    program=program,
                    reference=self.reference(),
                ),
            )
        recipient, least, target = pick(MEMBERS), pick([1, 1, 2, POINTS_MAX]), pick(NAMES)
        said = {"counterparty": recipient, "least": least, "purpose": "exchange", "target": target}
        return Exchange(
            consent=self.agree(sender, member, points=points, program=program, **said),
            least=least,
            member=member,
            occurred_at=self.moment(),
            points=points,
            program=program,
            rate_height=self.rate_height(program, target),
            recipient=recipient,
            recipient_consent=pick([UNSET, self.welcome(member, recipient, target)]),
            reference=self.reference(),
            series=f"{program}-1",
            target=target,
        )

    def welcome(self, member: str, recipient: str, target: str) -> Any:
        said = {"counterparty": member, "purpose": "receive", "points": POINTS_MAX, "program": target}
        return self.agree(member, recipient, **said)

    def keep(self, sender: str, message: Any) -> Any:
        """Remember what may be completed or undone, and by whom."""
        self.made.append((sender, message))
        return message

    def go_further(self, what: int, sender: str, member: str, program: str, points: int) -> Any:
        """Set aside, end a hold, give back, return, award, or give."""
        pick = self.choose.choice
        told: dict[str, Any] = {"member": member, "occurred_at": self.moment(), "program": program}
        if what == 2:
            consent = self.agree(sender, member, points=points, program=program, purpose="hold")
            ahead = pick([0, 1, 59_999, 3_600_000, 604_800_000, 604_800_001])
            ends = {"consent": pick([consent, UNSET]), "expires": self.alliance.time + ahead}
            return self.keep(sender, Hold(**told, **ends, points=points, reference=self.reference()))
        if what == 5:
            fields = {"points": points, "reason": "bonus", "reference": self.reference()}
            return self.keep(sender, Award(amount=pick([UNSET, 0, 10**6]), **told, **fields))
        if what == 6:
            said = {"counterparty": (recipient := pick(MEMBERS)), "purpose": "gift", "points": points}
            consent = self.agree(sender, member, program=program, **said)
            fields = {"points": points, "recipient": recipient, "reference": self.reference()}
            return Gift(consent=consent, **told, **fields)
        own = [message for who, message in self.made if who == sender or self.choose.random() < 0.1]
        made = pick(own[-20:] or [Earn(1, member, 0, program, "r1")])
        kind = made.__struct_config__.tag
        day = self.alliance.executor.context(time=made.occurred_at).day_of(made.occurred_at)
        told |= {"member": pick([made.member] * 9 + [member]), "program": made.program}
        points = pick([getattr(made, "points", 1), 1, points])
        if kind == "hold" and what == 3:
            told |= {"hold": made.reference, "hold_day": max(0, day)}
            return pick([Capture(**told, points=points), Release(**told)])
        told |= {"original": made.reference, "original_day": max(0, day), "reference": self.reference()}
        if kind in ("earn", "award"):
            amount = pick([1, 10**6, getattr(made, "amount", 1) or 1])
            return ReturnOrder(**told, amount=1 if amount is UNSET else amount, original_type=kind)
        return Refund(**told, original_type=kind, points=points)

    def custody(self) -> Any:
        pick = self.choose.choice
        member, signer, chain = pick(MEMBERS), pick(KEYS), self.alliance.chain
        key = prove_possession(chain, member, signer, holder=pick([signer, signer, make_signer("thief")]))
        letter = sign_choice(
            chain,
            pick([make_signer(member), signer]),
            member,
            pick(CHOICES),
            expires=self.alliance.time + pick([0, 1_000, 10**8]),
        )
        bring = pick([AddMemberKey, ReplaceMemberKey])(key, member)
        return pick([Enrol(member=member), Enrol(key=key, member=member), bring, bring, letter])

    def govern(self) -> Any:
        pick = self.choose.choice
        program, to = pick(NAMES), pick([*PARTICIPANTS, "nobody"])
        height = max(1, self.alliance.height + pick([-1, 0, 1, 1, 2, 5]))
        accrue, redeem = (pick([1, 9_999, 10_000, 10_500, 70_000, PAR_MAX]) for _ in range(2))
        series = pick([f"{program}-1", f"{program}-2", "zz"])
        parameter = pick(["due_entries_max", "par_band_basis_points", "reference_horizon_days", "nothing"])
        keys = [ParticipantKey(public_of(pick(KEYS)), pick(PURPOSES)) for _ in range(2)]
        member, points = pick(MEMBERS), self.points()
        by_hand = {"member": member, "occurred_at": self.moment(), "points": points, "program": program}
        consent = self.agree(to, member, points=points, program=program, purpose="adjust")
        today = self.alliance.executor.context(time=self.alliance.time).day
        limits = [pick([0, 1, 10_000, 10**9]) for _ in range(4)]
        return pick(
            [
                ImportBalance(
                    earned_day=pick([0, today, today + 1, NEVER]),
                    expires_day=pick([today, today + 30, NEVER]),
                    reference=self.reference(),
                    series=series,
                    **by_hand,
                ),
                Adjust(
                    consent=pick([consent, UNSET]),
                    direction=pick(["give", "take"]),
                    reason="correction",
                    reference=self.reference(),
                    **by_hand,
                ),
                SetPolicy(
                    bonus_day=limits[0],
                    bonus_total=limits[1],
                    cooling_days=pick([0, 0, 1, 30]),
                    gifts=pick(["allowed", "allowed", "forbidden"]),
                    order_share_basis_points=pick([0, 5_000, 10_000, 10_000]),
                    points_order=max(limits[2:]),
                    program=program,
                    shortfall=pick(["debt", "absorb", "block"]),
                ),
                SetTillLimits(make_signer(to, "till").key_id, *limits[:3]),
                SetDebitCap(pick([0, 10**9, 10**12, AMOUNT_MAX, AMOUNT_MAX]), to),
                Admit(keys, "New", pick(["any", "new-one", FRESH])),
                SetParameter(height, parameter, pick([0, 1, 10, 800, 8_192])),
                AddKey(public_of(pick(KEYS)), pick(PURPOSES)),
                RevokeKey(pick(KEYS).key_id),
                OpenProgram("New", program, pick([333_334, 10**6, 10**12])),
                OpenSeries(height, pick([0, 1, 3, 12, 48]), accrue, redeem, program, series),
                AnnouncePar(height, accrue, redeem, program, series),
                Grant(
                    pick([0, 100]),
                    pick([0, 1_000]),
                    self.alliance.time + pick([-1, 10**9]),
                    pick(KINDS),
                    program,
                    to,
                ),
                RevokeGrant(pick(KINDS), program, to),
            ]
        )

    def go_on(self) -> list[str]:
        """One block of a few transactions, and the codes of what came of them."""
        pick = self.choose.choice
        if self.choose.random() < 0.1:
            self.alliance.wait(seconds=pick([0, 1, 100, 3_600]), days=pick([0] * 8 + [1, 31, 400]))
        transactions = []
        for _ in range(self.choose.randrange(1, 4)):
            sender, purpose = pick(PARTICIPANTS), pick([*PURPOSES, "transact", "transact", "transact"])
            makers = {"govern": self.govern, "custody": self.custody}
            messages = [
                makers[purpose]()
                if purpose in makers
                else self.transact(sender, may_exchange=purpose == "transact")
                for _ in range(self.choose.randrange(1, 5))
            ]
            name = f"t{self.choose.randrange(4_000)}"
            how = {"atomic": self.choose.random() < 0.2, "purpose": purpose, "transaction_id": name}
            transactions.append(self.alliance.sign(sender, *messages, **how))
        told = []
        for answer in self.alliance.cut(*transactions).answers:
            told += [answer.refusal.code] if isinstance(answer.refusal, Refused) else []
            told += [OUTCOMES.decode(outcome).code for outcome in answer.outcomes]
        return told
