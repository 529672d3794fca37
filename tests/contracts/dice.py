"""What chance says, from one seed: points, moments, references, consents, in an alliance ready for a crowd.

Values at the edges of what a message may say come up more often than is likely.
"""

from __future__ import annotations

import random
from typing import Any

from contracts.mechanics.terms import get_open_series, get_pars
from contracts.messages import Grant
from ledger.values import BALANCE_MAX, POINTS_MAX
from tests.contracts.alliance import Alliance
from tests.contracts.cast import (
    ANNA,
    BORIS,
    CLARA,
    FRESH,
    PARTICIPANTS,
    PROGRAMS,
    STRANGER,
    make_signer,
    member_id,
)
from tests.contracts.letters import make_nonce, sign_consent

KINDS = ("earn", "redeem", "exchange_out", "exchange_in", "custody")
CHOICES = ("stop_replacement", "custodian_on", "custodian_off", "till_on", "till_off")
MEMBERS = [ANNA, BORIS, CLARA, STRANGER, *map(member_id, range(5, 9))]
NAMES = [*sorted(PROGRAMS) * 4, "nowhere", "another"]
KEYS = [make_signer(member) for member in MEMBERS] + [make_signer("spare", number) for number in range(30)]


class Dice:
    """One seed, and the alliance that it is thrown in."""

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
