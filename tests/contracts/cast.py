"""Who plays in the small alliance of these tests: four merchants, their programs and grants, three members.

    fresh-market   a supermarket     program `leaf`   two points a unit of currency, lapse after 12 months
    petrol-west    a petrol chain    program `mile`   one point, 3 months
    pharmacy-plus  a pharmacy        program `drop`   one point, 6 months
    cinema-nova    a cinema          program `star`   one point, never

`clearing` is the operator. `ANNA` has a key of her own, `BORIS` has none (both enrolled by the supermarket),
`CLARA` has one (enrolled by the petrol chain). Keys are made from names, so every run sees the same ones.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec.structs import replace

from contracts.messages import Grant, OpenProgram, OpenSeries
from ledger.codec import encode, sha256, to_base64url
from ledger.genesis import GenesisKey, GenesisParticipant
from ledger.keys import SeedSigner

OPERATOR, FRESH, PETROL = "clearing", "fresh-market", "petrol-west"
PHARMACY, CINEMA = "pharmacy-plus", "cinema-nova"
PARTICIPANTS = (CINEMA, OPERATOR, FRESH, PETROL, PHARMACY)
PURPOSES = ("govern", "custody", "transact", "till")
START = 1_700_000_000_000
"""2023-11-14 22:13:20 UTC: in the chain's offset the morning of the 15th, day 19,676."""
TODAY = 19_676
DAY_MILLIS = 86_400_000
FAR = 10**15
"""A budget that nothing here uses up."""


class Series(NamedTuple):
    """How one program of the alliance begins."""

    program: str
    issuer: str
    spend_per_point: int
    series: str
    par_accrue: int
    par_redeem: int
    expiry_months: int


PROGRAMS = {
    "leaf": Series("leaf", FRESH, 500_000, "leaf-1", 10_500, 10_000, 12),
    "mile": Series("mile", PETROL, 1_000_000, "mile-1", 16_000, 15_000, 3),
    "drop": Series("drop", PHARMACY, 1_000_000, "drop-1", 30_000, 30_000, 6),
    "star": Series("star", CINEMA, 1_000_000, "star-1", 70_000, 70_000, 0),
}
#   kind, program, to: everything else is ungranted
GRANTS = (
    ("earn", "leaf", PETROL),
    ("redeem", "leaf", PETROL),
    ("redeem", "leaf", CINEMA),
    ("redeem", "drop", PETROL),
    ("custody", "drop", FRESH),
    ("exchange_out", "leaf", PETROL),
    ("exchange_in", "mile", FRESH),
    ("exchange_out", "leaf", CINEMA),
    ("exchange_in", "star", FRESH),
    ("exchange_out", "star", FRESH),
    ("exchange_in", "leaf", CINEMA),
)


def member_id(number: int) -> str:
    """A pseudonym that is the same in every run."""
    return f"m_{number:026d}"


ANNA, BORIS, CLARA, STRANGER = (member_id(number) for number in (1, 2, 3, 404))


def make_signer(*names: object) -> SeedSigner:
    """A key that is the same in every run, by what it is for."""
    return SeedSigner(sha256(encode([str(name) for name in names])))


def public_of(signer: SeedSigner) -> str:
    """The public key as it is written in messages."""
    return to_base64url(signer.public)


def make_participant(name: str) -> GenesisParticipant:
    """A participant of the genesis, with one key of each purpose."""
    keys = [GenesisKey(public=public_of(make_signer(name, purpose)), purpose=purpose) for purpose in PURPOSES]
    return GenesisParticipant(keys=keys, name=name.replace("-", " ").title(), participant=name)


def open_program(row: Series, *, height: int) -> list[Any]:
    """The messages with which an issuer begins a program and its first series."""
    return [
        OpenProgram(name=row.program.title(), program=row.program, spend_per_point=row.spend_per_point),
        OpenSeries(
            effective_height=height,
            expiry_months=row.expiry_months,
            par_accrue=row.par_accrue,
            par_redeem=row.par_redeem,
            program=row.program,
            series=row.series,
        ),
    ]


def grant(kind: Any, program: str, to: str, **fields: Any) -> Grant:
    """A generous grant for a year, but for what is said otherwise."""
    generous = Grant(
        budget_day=FAR, budget_total=FAR, expires=START + 366 * DAY_MILLIS, kind=kind, program=program, to=to
    )
    return replace(generous, **fields)
