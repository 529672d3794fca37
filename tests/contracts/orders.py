"""What an order system does to points in a day, beyond buying and spending: each but for what is said.

The reference is `order`, the day of the original the one on which the alliance begins.
"""

from __future__ import annotations

from msgspec import UNSET

from contracts.messages import (
    Adjust,
    Award,
    Capture,
    Gift,
    Hold,
    ImportBalance,
    Refund,
    Release,
    ReturnOrder,
    SetDebitCap,
    SetPolicy,
    SetTillLimits,
)
from tests.contracts.cast import ANNA, BORIS, FRESH, OPERATOR, PHARMACY, TODAY, make_signer
from tests.contracts.letters import make_nonce, sign_consent

WEEK_MILLIS = 604_800_000


def agree(alliance, told, purpose, counterparty, speaker=None, /, **otherwise):
    """The member's consent to a message, with a key of their own."""
    text = {
        "counterparty": counterparty,
        "expires": alliance.time + 60_000,
        "member": told["member"],
        "nonce": make_nonce(purpose, told["reference"]),
        "points": told["points"],
        "program": told["program"],
        "purpose": purpose,
        **otherwise,
    }
    return sign_consent(alliance.chain, speaker or make_signer(told["member"]), **text)


def set_aside(alliance, sender=FRESH, speaker=None, agreed=None, how=None, **fields):
    """Anna lets 100 points be set aside for an order, for an hour."""
    plain = {"expires": alliance.time + 3_600_000, "member": ANNA, "occurred_at": alliance.time}
    told = {**plain, "points": 100, "program": "leaf", "reference": "order", **fields}
    if "consent" not in fields:
        told["consent"] = agree(alliance, told, "hold", sender, speaker, **(agreed or {}))
    return alliance.ask(sender, Hold(**told), **(how or {}))


def capture(alliance, sender=FRESH, **fields):
    """The order goes through: all 100 points are taken."""
    plain = {"hold": "order", "hold_day": TODAY, "member": ANNA, "occurred_at": alliance.time}
    return alliance.ask(sender, Capture(**{**plain, "points": 100, "program": "leaf", **fields}))


def release(alliance, sender=FRESH, **fields):
    """The order does not go through."""
    plain = {"hold": "order", "hold_day": TODAY, "member": ANNA, "occurred_at": alliance.time}
    return alliance.ask(sender, Release(**{**plain, "program": "leaf", **fields}))


def refund(alliance, sender=FRESH, **fields):
    """All 100 points that were spent come back."""
    plain = {"member": ANNA, "occurred_at": alliance.time, "original": "order", "original_day": TODAY}
    plain |= {"original_type": "redeem", "points": 100, "program": "leaf", "reference": "back"}
    return alliance.ask(sender, Refund(**{**plain, **fields}))


def return_goods(alliance, sender=FRESH, **fields):
    """All goods of an order for 20 units come back."""
    plain = {"amount": 20_000_000, "member": ANNA, "occurred_at": alliance.time, "original": "order"}
    plain |= {"original_day": TODAY, "original_type": "earn", "program": "leaf", "reference": "back"}
    return alliance.ask(sender, ReturnOrder(**{**plain, **fields}))


def give(alliance, sender=PHARMACY, speaker=None, agreed=None, **fields):
    """Anna gives Boris 100 points; the pharmacy's terminal sends it."""
    plain = {"member": ANNA, "occurred_at": alliance.time, "points": 100, "program": "leaf"}
    told = {**plain, "recipient": BORIS, "reference": "order", **fields}
    told["consent"] = agree(alliance, told, "gift", told["recipient"], speaker, **(agreed or {}))
    return alliance.ask(sender, Gift(**told))


def award(alliance, sender=FRESH, **fields):
    """Anna gets 50 points for a review."""
    plain = {"member": ANNA, "occurred_at": alliance.time, "points": 50, "program": "leaf"}
    return alliance.ask(sender, Award(**{**plain, "reason": "review", "reference": "order", **fields}))


def take_over(alliance, sender=FRESH, **fields):
    """Anna had 500 points in the supermarket's earlier system, earned today."""
    plain = {"earned_day": TODAY, "expires_day": 20_057, "member": ANNA, "occurred_at": alliance.time}
    plain |= {"points": 500, "program": "leaf", "reference": "order", "series": "leaf-1"}
    return alliance.ask(sender, ImportBalance(**{**plain, **fields}))


def adjust(alliance, sender=FRESH, direction="give", agreed=None, **fields):
    """The supermarket corrects Anna's balance by 30 points; taken, with her consent."""
    plain = {"direction": direction, "member": ANNA, "occurred_at": alliance.time, "points": 30}
    told = {**plain, "program": "leaf", "reason": "correction", "reference": "order", **fields}
    if direction == "take" and "consent" not in fields:
        told["consent"] = agree(alliance, told, "adjust", sender, **(agreed or {}))
    return alliance.ask(sender, Adjust(**told))


def make_policy(program="leaf", **fields) -> SetPolicy:
    """The policy of a program whose issuer has set none, but for what is said; with a bonus budget."""
    plain = {"bonus_day": 10**9, "bonus_total": 10**15, "cooling_days": 0, "gifts": "allowed"}
    plain |= {"order_share_basis_points": 10_000, "points_order": 10**9, "shortfall": "debt"}
    return SetPolicy(**{**plain, "program": program, **fields})


def set_policy(alliance, issuer=FRESH, program="leaf", **fields):
    """The issuer's policy is this from now on."""
    alliance.must(issuer, make_policy(program, **fields))


def set_till_limits(alliance, owner=FRESH, **fields):
    """The owner's till may spend 100 points an order, 150 a day, and up to 80 without asking."""
    plain = {"key": make_signer(owner, "till").key_id, "points_day": 150, "points_order": 100, "step_up": 80}
    alliance.must(owner, SetTillLimits(**{**plain, **fields}))


def set_cap(alliance, participant, cap):
    """The operator lets the participant owe this many micros."""
    alliance.must(OPERATOR, SetDebitCap(cap, participant))


def exposure_of(alliance, participant=FRESH) -> int:
    """Micros of the participant's room that are reserved for open holds."""
    record = alliance.get("exposure", participant)
    return record.held if record is not None else 0


NO_CODE = {"consent": UNSET}
"""At the custodian's own till."""
