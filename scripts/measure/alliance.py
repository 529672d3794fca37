"""The alliance that is measured: an operator and twenty merchants, four of which issue points of their own.

Every merchant may give out and accept every program's points, and all four may be exchanged into one another.
Each program's member is homed at its issuer. Every key follows from the seed, so nothing here may be used
outside a measurement.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from contracts.messages import Grant, OpenProgram, OpenSeries
from contracts.messages.registry import GrantKind
from ledger.codec import to_base64url
from ledger.genesis import GenesisKey, GenesisParticipant
from ledger.keys import SeedSigner
from node.config import Config, init_data_dir

OPERATOR: Final = "operator"
ISSUERS: Final = ("supermarket", "petrol", "pharmacy", "cinema")
"""Each issues the program that bears its name."""
MERCHANTS: Final = (*ISSUERS, *(f"shop-{number:02d}" for number in range(5, 21)))
SERIES: Final = "s1"
OPENING_HEIGHT: Final = len(ISSUERS) + 1
"""From here on every program has its series and its prices: the issuers' openings are a block each."""
UTC_OFFSET_MINUTES: Final = 480
SPEND_PER_POINT: Final = 1_000_000
_PURPOSES: Final = ("govern", "transact", "custody")
_PLENTY: Final = 10**15
_YEAR_MILLIS: Final = 366 * 86_400_000


class Alliance:
    """The participants and their keys, all of them following from one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._signers: dict[tuple[str, str], SeedSigner] = {}

    def derive(self, *names: object) -> bytes:
        """32 bytes that follow from the seed and these names."""
        return sha256("/".join(map(str, ("bench", self.seed, *names))).encode()).digest()

    def get_signer(self, who: str, purpose: str) -> SeedSigner:
        """A participant's signer for a purpose."""
        signer = self._signers.get((who, purpose))
        if signer is None:
            signer = self._signers[who, purpose] = SeedSigner(self.derive("key", who, purpose))
        return signer

    def make_data_dir(self, directory: Path, *, time: int) -> Config:
        """A new data directory as `commonpoint init` makes one. Raises `node.keystore.Unusable`."""
        return init_data_dir(
            directory,
            name="bench",
            operator=OPERATOR,
            participants=[self._describe(who) for who in MERCHANTS],
            utc_offset_minutes=UTC_OFFSET_MINUTES,
            time=time,
            seeds={purpose: self.derive("key", OPERATOR, purpose) for purpose in ("log", *_PURPOSES)},
        )

    def make_openings(self, *, time: int) -> Iterator[tuple[str, list[Any]]]:
        """What each issuer's govern key signs first: its program, its series, its grants to all others."""
        for issuer in ISSUERS:
            opened = OpenProgram(name=issuer, program=issuer, spend_per_point=SPEND_PER_POINT)
            series = OpenSeries(
                effective_height=OPENING_HEIGHT,
                expiry_months=24,
                par_accrue=10_000,
                par_redeem=10_000,
                program=issuer,
                series=SERIES,
            )
            yield issuer, [opened, series, *self._make_grants(issuer, expires=time + _YEAR_MILLIS)]

    @staticmethod
    def _make_grants(issuer: str, *, expires: int) -> Iterator[Grant]:
        granted: list[tuple[GrantKind, str]] = []
        for other in MERCHANTS:
            if other != issuer:
                granted += [("earn", other), ("redeem", other)]
                if other in ISSUERS:
                    granted += [("exchange_out", other), ("exchange_in", other)]
        for kind, grantee in granted:
            yield Grant(
                budget_day=_PLENTY,
                budget_total=_PLENTY,
                expires=expires,
                kind=kind,
                program=issuer,
                to=grantee,
            )

    def _describe(self, who: str) -> GenesisParticipant:
        return GenesisParticipant(
            keys=[
                GenesisKey(public=to_base64url(self.get_signer(who, purpose).public), purpose=purpose)
                for purpose in _PURPOSES
            ],
            name=who,
            participant=who,
        )
