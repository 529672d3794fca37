"""The year in one file: canonical JSON of whole numbers and names, the same from run to run."""

from __future__ import annotations

from typing import Any

from ledger.codec import encode
from scripts.year.charter import WEIGHTS
from scripts.year.recounted import Year
from scripts.year.results import Results


def encode_summary(
    *, chain: str, root: str, size: int, operations: int, results: Results, year: Year
) -> bytes:
    """The summary's canonical bytes."""
    merchants = {name: row._asdict() for name, row in results.rows.items()}
    told = {
        "alliance": _summarise(year),
        "chain": chain,
        "merchants": merchants,
        "operations": operations,
        "root": root,
        "size": size,
    }
    summary: bytes = encode(_sort(told))
    return summary


def _sort(told: Any) -> Any:
    """The same with the keys of every object in order, as canonical JSON has them."""
    return {key: _sort(told[key]) for key in sorted(told)} if isinstance(told, dict) else told


def _summarise(year: Year) -> dict[str, Any]:
    """What the alliance settled and decided. Money in micros."""
    return {
        "aborted": year.find_weeks("aborted"),
        "balances": {
            name: {**row._asdict(), "most_owed": year.marks.get(name, 0)}
            for name, row in year.compute_balances().items()
        },
        "caps": {name: {"home": cap.home, "refused": cap.refused} for name, cap in year.caps.items()},
        "default": None
        if year.default is None
        else {
            "draws": dict(year.default.draws),
            "participant": year.default.participant,
            "window": year.default.window,
        },
        "disputes": {
            str(week.statement.window): sorted(week.disputes) for week in year.weeks if week.disputes
        },
        "motions": {
            each.proposal: {
                "code": each.enacted,
                "height": each.enacts_at,
                "weight_for": sum(WEIGHTS[name] for name, choice in each.ballots.items() if choice == "yes"),
            }
            for each in year.motions
        },
        "payments": len(year.paid),
        "settled": year.count("settled"),
        "statements": [week.digest for week in year.weeks],
    }
