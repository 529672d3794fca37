"""Random consents: the right one, or one that is wrong in a single way."""

from __future__ import annotations

from typing import Any

from tests.properties.alliance import Pair
from tests.properties.draws import Draws
from tests.properties.model_values import spell

CONSENT_TWISTS = (
    *("missing", "wrong_party", "expired", "edge_expiry", "too_long", "edge_long", "too_small", "roomy"),
    *("open", "open_above", "open_edge", "open_long", "open_edge_long", "stranger", "old_key", "custody"),
    *("other_custody", "forged", "flipped", "used", "used_elsewhere", "waiting", "waiting"),
    *("foreign_custody", "foreign_custody", "foreign_custody"),
)
PURPOSES = ("redeem", "hold", "exchange", "gift", "adjust", "receive")


def pick_speaker(draws: Draws, member: str, twist: str | None) -> Pair:
    """Whose key signs a consent for this member."""
    known = draws.state.members.get(member)
    if known is None or twist == "stranger":
        return draws.rng.choice(list(draws.alliance.pairs.values()))
    known = known.at(draws.time)
    own = draws.alliance.member_pairs.get(member, [])
    custody = draws.alliance.owned[known.custodian, "custody"]
    if twist == "old_key" and own:
        return draws.rng.choice(own)
    if twist == "other_custody":
        who = draws.rng.choice(sorted(draws.state.participants))
        return draws.rng.choice(draws.alliance.owned.get((who, "custody"), custody))
    if known.public is None or twist in ("custody", "foreign_custody"):
        return custody[-1] if draws.rng.random() < 0.9 else draws.rng.choice(custody)
    return next(pair for pair in own if pair.public == known.public)


def forge(draws: Draws, message: dict[str, Any]) -> dict[str, Any]:
    """One thing in the signed text that is not as the message says."""
    rng = draws.rng
    forged = {
        "member": draws.member(),
        "nonce": draws.alliance.new_nonce(),
        "points": message["points"] + 1,
        "program": draws.bare,
        "purpose": rng.choice([purpose for purpose in PURPOSES if purpose != message["@type"]]),
        "expires": draws.time + 1,
        "counterparty": "any",
    }
    if "target" in message:
        forged |= {"least": message["least"] + 1, "target": draws.bare}
    field = rng.choice(["chain", "domain", *sorted(forged)])
    if field == "chain":
        return {"chain": "other/" + "0" * 32}
    if field == "domain":
        return {"domain": rng.choice(("choice", "transaction", "possession"))}
    return {"forged": {field: forged[field]}}


def sign_consent(draws: Draws, message: dict[str, Any], party: str, twist: str | None) -> dict[str, Any]:
    """A consent to this message, wrong in the way the twist says."""
    rng, time, asked = draws.rng, draws.time, message["points"]
    purpose = message["@type"]
    longest = 1000 * draws.parameter("consent_seconds_max")
    open_longest = 1000 * draws.parameter("open_consent_seconds_max")
    if twist in ("open", "open_above", "open_edge", "open_long", "open_edge_long"):
        party = "any"
        longest = open_longest
    elif twist == "wrong_party":
        party = rng.choice((*sorted(draws.state.participants), draws.member(), "nobody"))
    expires = {
        "expired": time - 1,
        "edge_expiry": time,
        "too_long": time + longest + 1,
        "edge_long": time + longest,
        "open_long": time + longest + 1,
        "open_edge_long": time + longest,
    }.get(twist or "", time + rng.randrange(longest + 1))
    points = {"too_small": max(1, asked - 1), "roomy": min(10**9, asked + rng.randrange(1, 1000))}
    nonce = draws.alliance.new_nonce()
    if twist == "used" and draws.spent.get(message["member"]):
        nonce = rng.choice(draws.spent[message["member"]])
    elif twist == "used_elsewhere" and draws.spent:
        nonce = rng.choice(draws.spent[rng.choice(sorted(draws.spent))])
    signed = draws.alliance.sign_consent(
        pick_speaker(draws, message["member"], twist),
        message,
        purpose,
        counterparty=party,
        expires=expires,
        nonce=nonce,
        points=points.get(twist or "", asked),
        **(forge(draws, message) if twist == "forged" else {}),
    )
    if twist == "flipped":
        signed["signature"] = rng.choice(
            (
                ("A" if signed["signature"][0] != "A" else "B") + signed["signature"][1:],
                spell(bytes(64)),
                spell(bytes([1]) + bytes(63)),
            )
        )
    return signed


def sign_receipt(draws: Draws, message: dict[str, Any], points: int, twist: str | None) -> dict[str, Any]:
    """The consent of an exchange's recipient to so many points of the target."""
    asked = {
        "@type": "receive",
        "member": message["recipient"],
        "points": points,
        "program": message["target"],
    }
    return sign_consent(draws, asked, message["member"], twist)
