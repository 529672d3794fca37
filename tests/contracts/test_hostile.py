"""Nothing that can be asked stops the node: there is an answer to everything, and every sum holds.

Participants, keys, members, consents and amounts are thrown together at random, with the values at the edges
of what a message may say more often than is likely. Each leaf is read back with the strictest decoder there
is.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from msgspec import UNSET

from contracts.mechanics.terms import get_open_series, get_pars
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
from ledger.outcome import Lot
from ledger.values import AMOUNT_MAX, BALANCE_MAX, NEVER, PAR_MAX, POINTS_MAX
from tests.contracts.alliance import OUTCOMES, Alliance
from tests.contracts.cast import (
    ANNA,
    BORIS,
    CINEMA,
    CLARA,
    FRESH,
    PARTICIPANTS,
    PETROL,
    PROGRAMS,
    PURPOSES,
    STRANGER,
    TODAY,
    grant,
    make_signer,
    member_id,
    public_of,
)
from tests.contracts.letters import make_nonce, prove_possession, sign_choice, sign_consent
from tests.contracts.orders import give
from tests.contracts.purchases import buy, convert

KINDS = ("earn", "redeem", "exchange_out", "exchange_in", "custody")
CHOICES = ("stop_replacement", "custodian_on", "custodian_off", "till_on", "till_off")
MEMBERS = [ANNA, BORIS, CLARA, STRANGER, *map(member_id, range(5, 9))]
NAMES = [*sorted(PROGRAMS) * 4, "nowhere", "another"]
KEYS = [make_signer(member) for member in MEMBERS] + [make_signer("spare", number) for number in range(30)]


class Crowd:
    """Everybody at once, from one seed."""

    def __init__(self, seed: int) -> None:
        self.choose = random.Random(seed)
        self.made: list[tuple[str, Any]] = []
        pick = self.choose.choice
        self.alliance = Alliance(
            parameters={
                "accrual_fee_basis_points": pick([0, 1_000]),
                "commission_floor_micros": pick([0, 10**9]),
                "due_entries_max": pick([1, 256]),
                "key_replacement_delay_seconds": pick([0, 100, 259_200]),
                "par_floor_micros": pick([1, 10_000]),
                "rate_notice_heights": 1,
            },
            utc_offset_minutes=pick([-720, 0, 480, 840]),
        ).open()
        for row in PROGRAMS.values():
            others = [name for name in PARTICIPANTS if name != row.issuer]
            self.alliance.must(
                row.issuer, *[self.make_grant(kind, row.program, to) for kind in KINDS for to in others]
            )
        for member in MEMBERS[4:]:
            self.alliance.must(FRESH, self.alliance.enrol(member, pick([None, make_signer(member)])))

    def make_grant(self, kind: Any, program: str, to: str) -> Grant:
        return Grant(BALANCE_MAX, BALANCE_MAX, self.alliance.time + 10**13, kind, program, to)

    def points(self) -> int:
        small = self.choose.randrange(1, 10_000)
        return self.choose.choice([1, 2, 10, 5_000, 5_001, small, small, POINTS_MAX])

    def moment(self) -> int:
        ago = self.choose.choice([0] * 9 + [1_000, 86_400_000, -300_000, -300_001, 400 * 86_400_000, 10**15])
        return max(0, self.alliance.time - ago)

    def reference(self) -> str:
        return f"r{self.choose.randrange(2_000)}"

    def agree(self, sender: str, member: str, **said: Any) -> Any:
        pick = self.choose.choice
        signer = pick(KEYS) if self.choose.random() < 0.1 else make_signer(member)
        ahead = pick([0, 1_000, 100_000, 100_000, -1, 10**8])
        text = {"counterparty": pick([sender, sender, "any"]), **said}
        return sign_consent(
            self.alliance.chain,
            signer,
            expires=self.alliance.time + ahead,
            member=member,
            nonce=make_nonce(self.choose.randrange(2_000)),
            **text,
        )

    def rate_height(self, program: str, target: str) -> int:
        """The right one, mostly."""
        height = self.alliance.height
        record, source = (
            self.alliance.get("program", target),
            self.alliance.get("series", f"{program}|{program}-1"),
        )
        opened = get_open_series(record, height=height) if record is not None else None
        if opened is None or source is None or self.choose.random() < 0.1:
            return height
        into = self.alliance.get("series", f"{target}|{opened}")
        return max(get_pars(source, height=height).height, get_pars(into, height=height).height)

    def transact(self, sender: str, *, may_exchange: bool) -> Any:
        pick = self.choose.choice
        member, program, points = pick(MEMBERS), pick(NAMES), self.points()
        accounts = [key.split("|") for key, _ in self.alliance.state.rows("account")]
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
                OpenSeries(height, pick([0, 1, 3, 12, 120]), accrue, redeem, program, series),
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


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_asked_there_is_an_answer_and_every_sum_holds(seed):
    crowd = Crowd(seed)
    codes = Counter(code for _ in range(1_000) for code in crowd.go_on())
    crowd.alliance.check()
    assert codes["OK"] > 100
    assert len(codes) > 40, "not much of it was hostile"
    rows = crowd.alliance.state.rows
    done = {key.split("|")[2] for table in ("earned", "spent", "hold", "reference") for key, _ in rows(table)}
    assert done >= {"earn", "award", "redeem", "hold"}, "much never succeeded"
    undone = [bool(record.undone) for table in ("earned", "spent") for _, record in rows(table)]
    assert sum(undone) > 5


def test_nobody_can_close_anothers_account_with_small_change(alliance):
    """64 exchanges of one point each for somebody who never asked; and as many gifts, which need no asking:
    they can earn all the same.
    """
    alliance.must(PETROL, grant("exchange_out", "mile", CINEMA))
    alliance.must(CINEMA, grant("exchange_in", "star", PETROL))
    days = range(TODAY + 200, TODAY + 264)
    alliance.place(CLARA, "mile", *[Lot(day, 5, 0, 5, "mile-1", 0) for day in days])
    told = {"member": CLARA, "recipient": BORIS, "program": "mile"}
    for number in range(64):
        sent = {**told, "points": 5, "reference": f"x-{number}"}
        outcome = convert(alliance, target="star", recipient_consent=UNSET, **sent)
        assert outcome.code == "CONSENT_MISSING"
    codes = [give(alliance, points=5, reference=f"g-{number}", **told).code for number in range(64)]
    assert codes == ["OK"] * 32 + ["LOT_LIMIT"] * 32
    assert buy(alliance, CINEMA, member=BORIS, program="star").code == "OK"
    for number in range(32):
        assert buy(alliance, PETROL, member=BORIS, program="mile", reference=f"{number}").code == "OK"
        alliance.wait(days=31)
