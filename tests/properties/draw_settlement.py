"""Random settlement: cuts, signatures, disputes, payments and what stands behind debts."""

from __future__ import annotations

from typing import Any

from tests.properties.draws import DAY, Draws
from tests.properties.model_exposure import find_owed
from tests.properties.model_records import Window
from tests.properties.model_settlement import parties_of

COUNTERSIGN_TWISTS = (
    *("unknown", "other_state", "differs", "agree_lines", "no_lines", "foreign", "beyond", "unordered"),
    *("twice", "outsider", "outsider", "dispute", "dispute", "dispute", "dispute"),
)


def cut_window(draws: Draws, _sender: str) -> dict[str, Any]:
    twist = draws.twist(("not_ahead", "far"))
    ahead = {"not_ahead": -draws.rng.randrange(2), "far": 40}.get(twist or "", draws.rng.choice((1, 1, 2, 5)))
    return {"@type": "cut_window", "effective_height": max(1, draws.height + ahead)}


def find_window(
    draws: Draws, sender: str, stands: tuple[str, ...], *, as_outsider: bool = False
) -> tuple[int, Window] | None:
    """One of these in which the sender stands, or does not."""
    fitting = [
        (number, window)
        for number, window in draws.state.windows.items()
        if window.stands in stands and (sender in parties_of(window)) != as_outsider
    ]
    return draws.rng.choice(fitting[-5:]) if fitting else None


def countersign(draws: Draws, sender: str) -> dict[str, Any]:
    rng = draws.rng
    twist = draws.twist(COUNTERSIGN_TWISTS)
    stands = ("confirmed", "settled", "aborted") if twist == "other_state" else ("closed",)
    found = find_window(draws, sender, stands, as_outsider=twist == "outsider")
    if found is None or twist == "unknown":
        number = draws.state.standing["window"] + rng.randrange(2)
        return {"@type": "countersign", "statement": "A" * 43, "verdict": "agree", "window": number}
    number, window = found
    lines = window.statement["lines"]
    own = [place for place, line in enumerate(lines) if sender in (line["from"], line["to"])]
    chosen = sorted(rng.sample(own, min(len(own), rng.choice((1, 1, 2, 5, 64)))))
    message = {
        "@type": "countersign",
        "statement": "A" * 43 if twist == "differs" else window.hash,
        "verdict": "agree",
        "window": number,
    }
    disputes: dict[str, list[int]] = {
        "dispute": chosen,
        "foreign": sorted(rng.sample(range(len(lines)), min(len(lines), 3))),
        "beyond": [*chosen, len(lines)],
        "unordered": [*chosen[1:], *chosen[:1]],
        "twice": chosen[:1] * 2,
    }
    if disputes.get(twist):
        return {**message, "lines": disputes[twist][:64], "verdict": "dispute"}
    if twist == "no_lines":
        return {**message, "verdict": "dispute"}
    return {**message, "lines": [0]} if twist == "agree_lines" else message


def attest_payment(draws: Draws, sender: str) -> dict[str, Any]:
    rng = draws.rng
    twist = draws.twist(("unknown", "other_state", "beyond", "foreign", "foreign"))
    stands = ("closed", "settled", "aborted") if twist == "other_state" else ("confirmed",)
    found = find_window(draws, sender, stands)
    number, transfers = draws.state.standing["window"], []
    if found is not None and twist != "unknown":
        number, transfers = found[0], found[1].statement["transfers"]
    own = [place for place, row in enumerate(transfers) if sender in (row["from"], row["to"])]
    if twist == "foreign":
        own = list(range(len(transfers)))
    place = len(transfers) if twist == "beyond" or not own else rng.choice(own)
    return make_attestation(draws, number, place)


def make_attestation(draws: Draws, number: int, place: int) -> dict[str, Any]:
    reference = draws.alliance.next_id("bank:")
    return {"@type": "attest_payment", "bank_reference": reference, "transfer": place, "window": number}


def attest_cover(draws: Draws, _sender: str) -> dict[str, Any]:
    """Mostly more than enough, for long; at times hardly, or not for long."""
    rng, time = draws.rng, draws.time
    who = "nobody" if rng.random() < 0.05 else rng.choice(sorted(draws.state.participants))
    owed = find_owed(draws.state, who) if who != "nobody" else 0
    near = (owed, max(0, owed - 1), owed + rng.randrange(10**7), 2 * owed, owed // 3, rng.randrange(10**6))
    return {
        "@type": "attest_cover",
        "cover": 10**15 if rng.random() < 0.6 else min(10**15, max(0, rng.choice(near))),
        "expires": time + rng.choice((4_000 * DAY, 4_000 * DAY, 90 * DAY, DAY, 0)),
        "participant": who,
        "reserve": rng.choice((0, 0, rng.randrange(10**7), rng.randrange(10**10))),
    }


def attest_fund(draws: Draws, _sender: str) -> dict[str, Any]:
    return {"@type": "attest_fund", "fund": draws.rng.choice((0, draws.rng.randrange(10**7), 10**10))}


def set_brand_shares(draws: Draws, _sender: str) -> dict[str, Any]:
    rng = draws.rng
    count = rng.choice((0, 1, 2, 3, 16))
    shares = [{"brand": f"Marke {number}", "parts": rng.choice((1, 1, 3, 10_000))} for number in range(count)]
    return {"@type": "set_brand_shares", "shares": shares}
