"""An alliance to measure with: an operator, two merchants with programs that trade with each other, members
with keys.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, Final

from msgspec import UNSET

from contracts.messages import Earn, Enrol, Exchange, Grant, OpenProgram, OpenSeries, Redeem
from contracts.messages.consent_text import (
    Consent,
    ConsentText,
    PossessionText,
    Purpose,
    encode_consent,
    encode_possession,
)
from contracts.messages.enrolment import MemberKey
from ledger.codec import to_base64url
from ledger.genesis import Genesis, GenesisKey, GenesisParticipant, Origin, encode_genesis, read_genesis
from ledger.keys import SeedSigner
from ledger.transaction import sign_transaction

FRESH: Final = "fresh"
PETROL: Final = "petrol"
_PURPOSES: Final = ("govern", "transact", "custody")
_PLENTY: Final = 10**15
_OPENING: Final = 3
"""The height from which both programs have a series: the one after both were opened."""
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"


def make_signer(*names: object) -> SeedSigner:
    """A signer whose seed follows from names."""
    return SeedSigner(sha256("/".join(map(str, names)).encode()).digest())


class Alliance:
    """Seeded keys and members, and signed transactions for them."""

    def __init__(self, *, time: int, members: int, seed: int) -> None:
        self.time = time
        self.log_signer = make_signer(seed, "log")
        self._signers = {
            (who, purpose): make_signer(seed, who, purpose)
            for who in ("operator", FRESH, PETROL)
            for purpose in _PURPOSES
        }
        participants = [
            GenesisParticipant(
                keys=[
                    GenesisKey(public=to_base64url(self._signers[who, purpose].public), purpose=purpose)
                    for purpose in _PURPOSES
                ],
                name=who,
                participant=who,
            )
            for who in ("operator", FRESH, PETROL)
        ]
        settings = Genesis(
            clock="system",
            currency="CNY",
            engine="solo",
            log_key=to_base64url(self.log_signer.public),
            name="bench",
            operator="operator",
            parameters=[],
            rulebook=1,
            time=time - 1,
            utc_offset_minutes=480,
        )
        self.genesis = encode_genesis(settings, participants)
        self.origin: Origin = read_genesis(self.genesis)
        self._random = random.Random(seed)
        self._seed = seed
        self._count = 0
        self.members = [self._make_member_id() for _ in range(members)]
        self._wallets: dict[str, SeedSigner] = {}
        self._customers = {FRESH: self.members[::2], PETROL: self.members[1::2]}
        self._homes = {member: who for who, members in self._customers.items() for member in members}

    def sign(self, who: str, purpose: str, messages: Sequence[Any]) -> bytes:
        """A signed transaction's bytes."""
        self._count += 1
        return sign_transaction(
            messages,
            chain=self.origin.chain,
            sender=who,
            transaction_id=f"b-{self._seed}-{self._count}",
            not_after=self.time + 3_000_000,
            signer=self._signers[who, purpose],
        ).encode()

    def make_setup(self) -> Iterator[bytes]:
        """Programs, series, grants; every member enrolled with a key and given points of both programs."""
        for program, other in ((FRESH, PETROL), (PETROL, FRESH)):
            grants = [
                Grant(
                    budget_day=_PLENTY,
                    budget_total=_PLENTY,
                    expires=self.time * 2,
                    kind=kind,
                    program=program,
                    to=other,
                )
                for kind in ("earn", "redeem", "exchange_out", "exchange_in")
            ]
            series = OpenSeries(
                effective_height=_OPENING,
                expiry_months=12,
                par_accrue=10_000,
                par_redeem=10_000,
                program=program,
                series="s1",
            )
            opened = OpenProgram(name=program, program=program, spend_per_point=1_000_000)
            yield self.sign(program, "govern", [opened, series, *grants])
        for start in range(0, len(self.members), 2_000):
            some = self.members[start : start + 2_000]
            for who in (FRESH, PETROL):
                yield self.sign(
                    who, "custody", [self._enrol(member) for member in some if self._homes[member] == who]
                )
            for who in (FRESH, PETROL):
                yield self.sign(
                    who, "transact", [self._earn(who, member, 100_000_000_000) for member in some]
                )

    def make_load(self, transactions: int, *, batch: int) -> list[bytes]:
        """Transactions of ``batch`` messages in the mix: 70 earn, 5 partner earn, 16 home, 7 elsewhere, 2
        exchange.
        """
        return [self._make_transaction(batch) for _ in range(transactions)]

    def _make_transaction(self, batch: int) -> bytes:
        who = self._random.choice((FRESH, PETROL))
        other = PETROL if who == FRESH else FRESH
        messages: list[Any] = []
        for _ in range(batch):
            kind = self._random.randrange(100)
            member = self._random.choice(self._customers[who] if 75 <= kind < 91 else self.members)
            if kind < 70:
                messages.append(
                    self._earn(who, member, self._random.randrange(1_000_000, 300_000_000, 10_000))
                )
            elif kind < 75:
                messages.append(
                    self._earn(other, member, self._random.randrange(1_000_000, 300_000_000, 10_000))
                )
            elif kind < 91:
                messages.append(self._redeem(who, who, member))
            elif kind < 98:
                messages.append(self._redeem(who, other, member))
            else:
                messages.append(self._exchange(who, other, member))
        return self.sign(who, "transact", messages)

    def _earn(self, program: str, member: str, amount: int) -> Earn:
        return Earn(
            amount=amount,
            member=member,
            occurred_at=self.time,
            program=program,
            reference=self._make_reference(),
        )

    def _redeem(self, who: str, program: str, member: str) -> Redeem:
        points = self._random.randrange(1, 20)
        # At the custodian's own till, for its own program, the till's word is enough.
        consent = UNSET if who == program else self._consent("redeem", member, program, points, who)
        return Redeem(
            consent=consent,
            member=member,
            occurred_at=self.time,
            points=points,
            program=program,
            reference=self._make_reference(),
        )

    def _exchange(self, program: str, target: str, member: str) -> Exchange:
        points = self._random.randrange(1, 20)
        consent = self._consent("exchange", member, program, points, member, least=points, target=target)
        return Exchange(
            consent=consent,
            least=points,
            member=member,
            occurred_at=self.time,
            points=points,
            program=program,
            rate_height=_OPENING,
            recipient=member,
            reference=self._make_reference(),
            series="s1",
            target=target,
        )

    def _consent(
        self, purpose: Purpose, member: str, program: str, points: int, counterparty: str, **more: Any
    ) -> Consent:
        wallet = self._wallets[member]
        nonce = to_base64url(self._random.randbytes(16))
        text = ConsentText(
            counterparty=counterparty,
            expires=self.time + 80_000_000,
            key=wallet.key_id,
            member=member,
            nonce=nonce,
            points=points,
            program=program,
            purpose=purpose,
            **more,
        )
        signature = wallet.sign(encode_consent(self.origin.chain, text))
        return Consent(counterparty, text.expires, wallet.key_id, nonce, points, to_base64url(signature))

    def _enrol(self, member: str) -> Enrol:
        wallet = self._wallets[member] = make_signer(self._seed, member)
        public = to_base64url(wallet.public)
        possession = wallet.sign(
            encode_possession(self.origin.chain, PossessionText(member=member, public=public))
        )
        return Enrol(key=MemberKey(possession=to_base64url(possession), public=public), member=member)

    def _make_reference(self) -> str:
        self._count += 1
        return f"o-{self._count}"

    def _make_member_id(self) -> str:
        return "m_" + "".join(self._random.choices(_ALPHABET, k=26))
