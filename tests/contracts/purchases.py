"""What happens at a till all day: a purchase, points spent, points exchanged; each but for what is said."""

from __future__ import annotations

from contracts.messages import Earn, Exchange, Redeem
from tests.contracts.cast import ANNA, FRESH, PHARMACY, make_signer
from tests.contracts.letters import make_nonce, sign_consent


def buy(alliance, sender=FRESH, **fields):
    """Anna buys for 20 units at the supermarket: 40 points."""
    plain = {"amount": 20_000_000, "member": ANNA, "occurred_at": alliance.time, "program": "leaf"}
    return alliance.ask(sender, Earn(**{**plain, "reference": "order", **fields}))


def spend(alliance, sender=FRESH, member=ANNA, speaker=None, *, agreed=None, how=None, **fields):
    """Anna spends with a code of her own, made out to the acceptor."""
    plain = {"member": member, "occurred_at": alliance.time, "points": 100, "program": "leaf"}
    told = {**plain, "reference": "order", **fields}
    if "consent" not in fields:
        text = {
            "counterparty": sender,
            "expires": alliance.time + 60_000,
            "member": member,
            "points": told["points"],
            "program": told["program"],
            "nonce": make_nonce(told["reference"]),
            **(agreed or {}),
        }
        told["consent"] = sign_consent(alliance.chain, speaker or make_signer(member), **text)
    return alliance.ask(sender, Redeem(**told), **(how or {}))


def convert(alliance, sender=PHARMACY, speaker=None, agreed=None, **fields):
    """Anna converts her own points of the supermarket into the cinema's."""
    told = {
        "least": 1,
        "member": ANNA,
        "occurred_at": alliance.time,
        "points": 100,
        "program": "leaf",
        "rate_height": 5,
        "recipient": ANNA,
        "reference": "order",
        "target": "star",
        **fields,
    }
    told.setdefault("series", f"{told['program']}-1")
    text = {
        "counterparty": told["recipient"],
        "expires": alliance.time + 60_000,
        "least": told["least"],
        "member": told["member"],
        "points": told["points"],
        "program": told["program"],
        "purpose": "exchange",
        "target": told["target"],
        "nonce": make_nonce(told["reference"]),
        **(agreed or {}),
    }
    told["consent"] = sign_consent(alliance.chain, speaker or make_signer(told["member"]), **text)
    if told["recipient"] != told["member"]:
        told.setdefault("recipient_consent", accept(alliance, told))
    return alliance.ask(sender, Exchange(**told))


def accept(alliance, told, speaker=None, **otherwise):
    """The recipient of an exchange agrees to it, with a key of their own."""
    text = {
        "counterparty": told["member"],
        "expires": alliance.time + 60_000,
        "member": told["recipient"],
        "nonce": make_nonce("receive", told["reference"]),
        "points": 10**9,
        "program": told["target"],
        "purpose": "receive",
        **otherwise,
    }
    return sign_consent(alliance.chain, speaker or make_signer(told["recipient"]), **text)
