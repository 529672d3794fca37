"""What the model is made of, from the standard library and libsodium alone: days, canonical bytes, keys.

Nothing here is taken from the project. Days come from `datetime`, money from `Fraction`, the canonical form
from `json`, so a fault in the project's own calendar, arithmetic or encoder has no twin here to hide behind.
"""

from __future__ import annotations

import base64
import binascii
import json
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from hashlib import sha256
from math import ceil, floor

from nacl import bindings
from nacl.exceptions import BadSignatureError

EPOCH = date(1970, 1, 1)
NEVER = (date(9999, 12, 31) - EPOCH).days
FOREVER = 2**53 - 1
POINTS_MAX = 10**9
BALANCE_MAX = 10**15
LOTS_MAX = 64
LOTS_FROM_OTHERS_MAX = 32
REFUNDS_MAX = 16
FORGOTTEN_DAYS = 1_000
PURPOSES = {
    "earn": {"transact", "till"},
    "award": {"transact", "till"},
    "return_order": {"transact", "till"},
    "import_balance": {"govern"},
    "adjust": {"govern"},
    "redeem": {"transact", "till"},
    "hold": {"transact", "till"},
    "capture": {"transact", "till"},
    "release": {"transact", "till"},
    "refund": {"transact", "till"},
    "gift": {"transact"},
    "exchange": {"transact"},
    "set_policy": {"govern"},
    "set_till_limits": {"govern"},
    "set_debit_cap": {"govern"},
    "enrol": {"custody"},
    "add_member_key": {"custody"},
    "replace_member_key": {"custody"},
    "set_member_choice": {"transact", "custody"},
    "admit": {"govern"},
    "set_parameter": {"govern"},
    "add_key": {"govern"},
    "revoke_key": {"govern"},
    "open_program": {"govern"},
    "open_series": {"govern"},
    "announce_par": {"govern"},
    "grant": {"govern"},
    "revoke_grant": {"govern"},
    "propose": {"govern"},
    "vote": {"govern"},
    "cancel_proposal": {"govern"},
    "cut_window": {"govern"},
    "countersign": {"govern"},
    "attest_payment": {"govern"},
    "attest_cover": {"govern"},
    "attest_fund": {"govern"},
    "set_brand_shares": {"govern"},
}
PARAMETERS = {
    "accrual_fee_basis_points": (0, 0, 1_000),
    "commission_basis_points": (100, 0, 2_000),
    "commission_cap_micros": (50_000_000, 0, 10**12),
    "commission_floor_micros": (0, 0, 10**9),
    "confirmation_seconds": (259_200, 60, 2_592_000),
    "consent_seconds_max": (86_400, 60, 2_592_000),
    "debt_points_max": (100_000, 0, 10**9),
    "due_entries_max": (256, 1, 8_192),
    "hold_seconds_max": (604_800, 60, 2_678_400),
    "import_days": (400, 0, 3_650),
    "key_replacement_delay_seconds": (259_200, 0, 2_592_000),
    "not_after_seconds_max": (3_600, 10, 3_600),
    "occurred_lead_seconds": (300, 0, 3_600),
    "open_consent_points_max": (5_000, 0, 10**9),
    "open_consent_seconds_max": (120, 10, 120),
    "par_band_basis_points": (1_000, 0, 10_000),
    "par_floor_micros": (10_000, 1, 5_000_000),
    "payment_seconds": (604_800, 60, 5_184_000),
    "payment_unit_micros": (10_000, 1, 1_000_000),
    "proposal_seconds_max": (2_592_000, 60, 31_536_000),
    "rate_notice_heights": (10, 1, 10_000_000),
    "reference_horizon_days": (400, 1, 800),
    "refund_grace_days": (30, 0, 90),
    "refund_horizon_days": (180, 1, 400),
    "window_days": (0, 0, 366),
}
"""Name → default, least, greatest: the table of docs/spec/messages.md, which a test compares."""

SMALL_ORDER_R = {
    bytes.fromhex(text)
    for text in (
        "00" * 32,
        "00" * 31 + "80",
        "01" + "00" * 31,
        "01" + "00" * 30 + "80",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "ec" + "ff" * 30 + "7f",
        "ec" + "ff" * 31,
        "ed" + "ff" * 30 + "7f",
        "ed" + "ff" * 31,
        "ee" + "ff" * 30 + "7f",
        "ee" + "ff" * 31,
    )
}


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def spell(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unspell(text: str) -> bytes | None:
    """The bytes, or None where this is not their one accepted spelling."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return None
    return data if spell(data) == text else None


def day_of(time: int, utc_offset_minutes: int) -> int:
    moment = datetime(1970, 1, 1) + timedelta(milliseconds=time, minutes=utc_offset_minutes)  # noqa: DTZ001
    return (moment.date() - EPOCH).days


@lru_cache(maxsize=10_000)
def last_day(earned: int, months: int) -> int:
    """The end of the month that many months after the day of earning; 0 months are for ever."""
    if months == 0:
        return NEVER
    start = EPOCH + timedelta(days=earned)
    year, month = divmod(start.year * 12 + start.month - 1 + months + 1, 12)
    return (date(year, month + 1, 1) - timedelta(days=1) - EPOCH).days


def floor_of(numerator: int, denominator: int) -> int:
    return floor(Fraction(numerator, denominator))


def ceiling_of(numerator: int, denominator: int) -> int:
    return ceil(Fraction(numerator, denominator))


@lru_cache(maxsize=10_000)
def key_id_of(public: str) -> str:
    """Sixteen hex digits of a key; something that names no key where the text is no base64url."""
    return sha256(b"commonpoint/key/v1\n" + (unspell(public) or b"")).hexdigest()[:16]


@lru_cache(maxsize=10_000)
def is_fit_key(public: str) -> bool:
    """Canonical and in the prime-order subgroup, as libsodium sees it."""
    raw = unspell(public)
    return raw is not None and len(raw) == 32 and bindings.crypto_core_ed25519_is_valid_point(raw)


def is_signed(*, public: str, purpose: str, chain: str, body: bytes, signature: str) -> bool:
    raw = unspell(signature)
    if raw is None or len(raw) != 64 or raw[:32] in SMALL_ORDER_R:
        return False
    text = b"commonpoint/" + purpose.encode() + b"/v1\n" + chain.encode() + b"\n" + body
    try:
        bindings.crypto_sign_open(raw + text, unspell(public))
    except BadSignatureError:
        return False
    return True


def hash_leaf(leaf: bytes) -> bytes:
    return sha256(b"\x00" + leaf).digest()


def root_of(hashes: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, as it is written there."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return sha256(b"\x01" + root_of(hashes[:split]) + root_of(hashes[split:])).digest()
