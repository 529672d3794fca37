"""The demo's alliance: who takes part, on which terms, and with which keys.

Eight merchants of one town and a clearing house that runs the ledger for them. Each merchant issues points of
its own under its own terms, takes every other's, and lets some partners give its points out. The names and
terms are invented; what is bought under them is not (`scripts.year.purchases`).

Every key, pseudonym and id is derived from one published seed, so two runs make the same ledger to the last
byte. That is why nothing here may be used outside a demo: whoever reads this file knows the private keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final, NamedTuple

from contracts.messages import Grant, OpenProgram, OpenSeries
from contracts.messages.registry import GrantKind
from ledger.codec import to_base64url
from ledger.genesis import GenesisKey, GenesisParticipant
from ledger.keys import SeedSigner

SEED: Final = "commonpoint/demo/v1"
BEGINS: Final = 1_483_246_800_000
"""2017-01-01, midnight in the merchants' own offset; the first purchase is made that morning."""
ENDS: Final = BEGINS + 400 * 86_400_000
"""By when every grant has ended: some weeks after the last purchase."""
UTC_OFFSET_MINUTES: Final = -300
CHAIN_NAME: Final = "demo"
CURRENCY: Final = "USD"
OPERATOR: Final = "clearing"
OPERATOR_NAME: Final = "Town Clearing"
SUPERMARKET: Final = "fresh"
SERIES: Final = "s2017"
KEY_PURPOSES: Final = ("govern", "transact", "custody")
_CROCKFORD: Final = "0123456789abcdefghjkmnpqrstvwxyz"


class Terms(NamedTuple):
    """A merchant and the terms of its program, which bears the merchant's own id."""

    participant: str
    name: str
    departments: tuple[str, ...]
    """What it sells, in the data's words; the supermarket also sells whatever nobody else does."""
    spend_per_point: int
    par_accrue: int
    par_redeem: int
    expiry_months: int


class PartnerEarning(NamedTuple):
    """At ``merchant`` a share of the visits collects ``program``'s points as well."""

    merchant: str
    program: str
    percent: int


MERCHANTS: Final = (
    Terms("bakery", "Corner Bakery", ("PASTRY",), 500_000, 10_000, 10_000, 6),
    Terms("beauty", "Belle Beauty", ("COSMETICS",), 1_000_000, 31_000, 30_000, 12),
    Terms("florist", "Tulip Florist", ("FLORAL", "GARDEN CENTER"), 2_000_000, 52_000, 50_000, 12),
    Terms(SUPERMARKET, "Fresh Supermarket", (), 1_000_000, 10_500, 10_000, 24),
    Terms(
        "kitchen",
        "Town Kitchen",
        ("CHEF SHOPPE", "DELI", "RESTAURANT", "SALAD BAR"),
        500_000,
        10_200,
        10_000,
        3,
    ),
    Terms("petrol", "Ring Road Petrol", ("FUEL",), 2_000_000, 21_000, 20_000, 12),
    Terms("pharmacy", "Green Cross Pharmacy", ("DRUG GM",), 1_000_000, 12_500, 12_000, 12),
    Terms("travel", "Blue Bay Travel", ("TRAVEL & LEISURE",), 5_000_000, 105_000, 100_000, 0),
)
TERMS: Final = {terms.participant: terms for terms in MERCHANTS}

PARTNER_EARNINGS: Final = (
    PartnerEarning("bakery", "kitchen", 15),
    PartnerEarning("florist", SUPERMARKET, 30),
    PartnerEarning("petrol", SUPERMARKET, 40),
    PartnerEarning("pharmacy", SUPERMARKET, 10),
    PartnerEarning("travel", "petrol", 50),
)

EXCHANGES: Final = (
    ("bakery", "kitchen"),
    ("beauty", "florist"),
    (SUPERMARKET, "petrol"),
    (SUPERMARKET, "travel"),
    ("kitchen", "bakery"),
    ("petrol", SUPERMARKET),
    ("petrol", "travel"),
    ("pharmacy", SUPERMARKET),
)
"""From which program into which the two issuers let members exchange."""


def derive(*parts: str | int) -> bytes:
    """32 bytes that follow from the seed and these words alone."""
    return sha256("\n".join([SEED, *map(str, parts)]).encode()).digest()


def get_names() -> dict[str, str]:
    """What people call each participant: the merchants in order of their ids, then the clearing house."""
    return {**{each.participant: each.name for each in MERCHANTS}, OPERATOR: OPERATOR_NAME}


def draw_percent(*parts: str | int) -> int:
    """A number from 0 to 99 that follows from the seed and these words; each as good as evenly often."""
    return int.from_bytes(derive(*parts)[:8], "big") % 100


def derive_text(*parts: str | int) -> str:
    """26 characters of Crockford's base32 (130 bits) that follow from the seed and these words."""
    number = int.from_bytes(derive(*parts), "big") >> 126
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def get_member_id(household: int) -> str:
    """The pseudonym of a household."""
    return "m_" + derive_text("member", household)


def get_departments() -> dict[str, str]:
    """Which merchant sells what each department holds."""
    return {department: terms.participant for terms in MERCHANTS for department in terms.departments}


def get_seed(name: str, purpose: str) -> bytes:
    """The private key of a participant (or, with the purpose ``log``, of the operator's node)."""
    return derive("key", name, purpose)


def make_participants() -> list[GenesisParticipant]:
    """The merchants the chain begins with, each with its public keys. The operator's are the node's own."""
    return [
        GenesisParticipant(
            keys=[
                GenesisKey(
                    public=to_base64url(SeedSigner(get_seed(terms.participant, purpose)).public),
                    purpose=purpose,
                )
                for purpose in KEY_PURPOSES
            ],
            name=terms.name,
            participant=terms.participant,
        )
        for terms in MERCHANTS
    ]


def make_opening(merchant: str) -> list[Any]:
    """What a merchant's govern key signs on the first day: its program, its series, its grants."""
    terms = TERMS[merchant]
    return [
        OpenProgram(name=terms.name, program=merchant, spend_per_point=terms.spend_per_point),
        OpenSeries(
            effective_height=2,
            expiry_months=terms.expiry_months,
            par_accrue=terms.par_accrue,
            par_redeem=terms.par_redeem,
            program=merchant,
            series=SERIES,
        ),
        *_make_grants(merchant),
    ]


def _make_grants(issuer: str) -> Iterator[Grant]:
    """Everybody may take this issuer's points; partners may give them out; into some others they may go."""
    granted: list[tuple[GrantKind, str]] = [("redeem", other) for other in TERMS if other != issuer]
    granted += [("earn", earning.merchant) for earning in PARTNER_EARNINGS if earning.program == issuer]
    granted += [("exchange_out", target) for source, target in EXCHANGES if source == issuer]
    granted += [("exchange_in", source) for source, target in EXCHANGES if target == issuer]
    for kind, grantee in granted:
        yield Grant(
            budget_day=1_000_000,
            budget_total=100_000_000,
            expires=ENDS,
            kind=kind,
            program=issuer,
            to=grantee,
        )
