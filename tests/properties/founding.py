"""The first blocks of every random history: programs, series, grants and members, all of them honest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.properties import draw_members, draw_registry
from tests.properties.alliance import PARTICIPANTS, START
from tests.properties.draws import DAY

ISSUED = {
    "books": ("books", "dust", "gold"),
    "cinema": ("cinema", "stamps"),
    "fresh": ("fresh", "fresh.club"),
    "op": ("op",),
    "petrol": ("bare", "petrol"),
}
CONSTITUTION = {
    "minimum_voters": 4,
    "rules": [
        {"approve_basis_points": approve, "kind": kind, "notice_heights": notice}
        for kind, approve, notice in (
            ("constitution", 7_500, 3),
            ("emergency", 2_500, 0),
            ("keys", 6_667, 1),
            ("membership", 6_000, 2),
            ("parameters", 5_001, 1),
            ("rates", 6_000, 4),
            ("resume", 6_667, 0),
            ("rulebook", 6_667, 2),
            ("settlement", 5_001, 0),
            ("trust", 5_001, 1),
        )
    ],
    "trustee": "cinema",
    "voters": [
        {"participant": who, "weight": weight}
        for who, weight in (("books", 2), ("cinema", 3), ("fresh", 2), ("op", 2))
    ],
}
PARS = {"dust": (1, 1), "gold": (5_000_000, 5_000_000)}


def found(history: Any) -> Iterator[list[dict[str, Any]]]:
    """The founding blocks: programs with their first series and their grants; then members."""
    block = []
    for issuer, programs in ISSUED.items():
        messages: list[dict[str, Any]] = []
        for program in programs:
            rate = {"spend_per_point": 333_334 if program in PARS else 10**6}
            messages.append({"@type": "open_program", "name": "积分", "program": program, **rate})
            if program != "bare":
                accrue, redeem = PARS.get(program, (20_000 + 1_117 * len(program), 20_000))
                messages.append(
                    {
                        "@type": "open_series",
                        "effective_height": 2,
                        "expiry_months": 0 if program in (*PARS, "stamps") else 12,
                        "par_accrue": accrue,
                        "par_redeem": redeem,
                        "program": program,
                        "series": "s0",
                    }
                )
            messages += [
                {
                    "@type": "grant",
                    "budget_day": 10**15,
                    "budget_total": 10**15,
                    "expires": START + 40_000 * DAY,
                    "kind": kind,
                    "program": program,
                    "to": to,
                }
                for kind in draw_registry.KINDS
                for to in PARTICIPANTS
                if to != issuer and program not in PARS
            ]
        messages += [make_policy(program) for program in programs if program not in ("bare", *PARS)]
        messages.append(make_till_limits(history.alliance.owned[issuer, "till"][0].id))
        if issuer == "op":
            messages.append(
                {
                    "@type": "set_parameter",
                    "effective_height": 2,
                    "parameter": "par_floor_micros",
                    "value": 10_000,
                }
            )
        block.append(history.send(issuer, "govern", messages))
    yield block
    yield [history.send(who, "custody", list(enrolments(history, 12))) for who in PARTICIPANTS]


def enrolments(history: Any, count: int) -> Iterator[dict[str, Any]]:
    for _ in range(count):
        member = history.alliance.new_member()
        message: dict[str, Any] = {"@type": "enrol", "member": member}
        if history.rng.random() < 0.6:
            message["key"] = draw_members.new_member_key(history.draws, member, None)
        yield message
    history.draws.collector = (*history.draws.collector[:2], member)
    history.draws.whale = (*history.draws.whale[:3], member)


def make_policy(program: str) -> dict[str, Any]:
    """Awards within a budget; else as if there were no policy."""
    return {
        "@type": "set_policy",
        "bonus_day": 10**6,
        "bonus_total": 10**9,
        "cooling_days": 0,
        "gifts": "allowed",
        "order_share_basis_points": 10_000,
        "points_order": 10**9,
        "program": program,
        "shortfall": "debt",
    }


def make_till_limits(key: str) -> dict[str, Any]:
    limits = {"points_day": 600, "points_order": 200, "step_up": 100}
    return {"@type": "set_till_limits", "key": key, **limits}
