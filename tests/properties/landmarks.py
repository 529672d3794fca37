"""Situations that codes do not tell: what a random history should have come through to be worth its time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

LANDMARKS = {
    *("second life given", "second life over", "second life spent", "second life given away"),
    *("refund over", "refund of several lots", "refund elsewhere", "capture in part", "capture past its day"),
    *("release past its day", "lapse past its day", "debt repaid", "debt made", "shortfall forgiven"),
    *("debt repaid by a refund", "debt repaid by a release"),
    *("debt repaid by a capture", "debt repaid by a lapse", "partner paid back a part"),
    *("cooling lot taken back", "accrual fee returned", "exchange for another", "several lots given"),
}


def find_landmarks(message: dict[str, Any], outcome: dict[str, Any], today: int) -> Iterator[str]:
    """What is remarkable about this success."""
    kind, lots = message["@type"], outcome.get("lots", [])
    over = outcome.get("expired", [])
    reasons = {leg["reason"] for leg in outcome.get("legs", [])}
    second = any(row[2] for row in lots)
    checks = {
        "second life given": kind == "refund" and any(0 < row[2] < today for row in lots),
        "second life over": kind == "refund" and any(row[2] for row in over),
        "second life spent": kind in ("redeem", "hold") and second,
        "second life given away": kind == "gift" and second,
        "refund over": kind == "refund" and bool(over),
        "refund of several lots": kind == "refund" and len(lots) > 1,
        "refund elsewhere": "redeem_return" in reasons,
        "capture in part": kind == "capture" and "released" in outcome,
        "capture past its day": kind == "capture" and any(row[0] < today for row in lots),
        "release past its day": kind == "release" and bool(over),
        "lapse past its day": kind == "lapse" and bool(over),
        "debt repaid": "repaid" in outcome,
        "debt repaid by a refund": kind == "refund" and "repaid" in outcome,
        "debt repaid by a release": kind == "release" and "repaid" in outcome,
        "debt repaid by a capture": kind == "capture" and "repaid" in outcome,
        "debt repaid by a lapse": kind == "lapse" and "repaid" in outcome,
        "partner paid back a part": kind == "return_order"
        and "earn_return" in reasons
        and outcome["points"] > sum(row[3] for row in lots),
        "debt made": kind == "return_order" and "debt" in outcome,
        "shortfall forgiven": kind == "return_order"
        and "debt" not in outcome
        and outcome["points"] > sum(row[3] for row in lots),
        "cooling lot taken back": kind == "return_order" and any(row[5] for row in lots),
        "accrual fee returned": "accrual_fee_return" in reasons,
        "exchange for another": kind == "exchange" and message["recipient"] != message["member"],
        "several lots given": kind == "gift" and len(lots) > 1,
    }
    return (name for name, reached in checks.items() if reached)
