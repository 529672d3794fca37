"""Random limits: policies, what tills may do by themselves, who may owe how much."""

from __future__ import annotations

from typing import Any

from tests.properties.draw_registry import PROGRAM_TWISTS, some_program
from tests.properties.draws import Draws
from tests.properties.model_exposure import find_owed


def set_policy(draws: Draws, sender: str) -> dict[str, Any]:
    rng = draws.rng
    return {
        "@type": "set_policy",
        "bonus_day": rng.choice((0, 100, 10**6, 10**9)),
        "bonus_total": rng.choice((0, 1_000, 10**6, 10**15)),
        "cooling_days": rng.choice((0, 0, 1, 3, 30)),
        "gifts": rng.choice(("allowed", "allowed", "allowed", "forbidden")),
        "order_share_basis_points": rng.choice((10_000, 10_000, 9_999, 5_000, 0)),
        "points_order": rng.choice((10**9, 10**9, 10**9, 1_000, 20)),
        "program": some_program(draws, sender, draws.twist(PROGRAM_TWISTS)),
        "shortfall": rng.choice(("debt", "debt", "absorb", "block", "block")),
    }


def set_till_limits(draws: Draws, sender: str) -> dict[str, Any]:
    rng = draws.rng
    twist = draws.twist(("unknown", "foreign", "no_till"))
    keys = [
        (name, key)
        for name, key in draws.state.keys.items()
        if (key.participant == sender) != (twist == "foreign")
        and (key.purpose == "till") != (twist == "no_till")
    ]
    unknown = twist == "unknown" or not keys
    return {
        "@type": "set_till_limits",
        "key": draws.alliance.new_pair().id if unknown else rng.choice(keys)[0],
        "points_day": rng.choice((10**9, 5_000, 300, 0)),
        "points_order": rng.choice((10**9, 500, 20)),
        "step_up": rng.choice((10**9, 10**9, 200, 10, 0)),
    }


def set_debit_cap(draws: Draws, _sender: str) -> dict[str, Any]:
    """Mostly none that matters; at times one that the next few spendings reach."""
    rng = draws.rng
    who = "nobody" if draws.twist(("nobody",)) and rng.random() < 0.2 else None
    who = who or rng.choice(sorted(draws.state.participants))
    owed = find_owed(draws.state, who) if who != "nobody" else 0
    near = (owed, owed - 1, owed + rng.randrange(5 * 10**6), owed + rng.randrange(10**8))
    cap = 10**15 if rng.random() < 0.7 else rng.choice(near)
    return {"@type": "set_debit_cap", "cap": max(0, min(10**15, cap)), "participant": who}
