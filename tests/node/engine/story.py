"""A few weeks of a town, told by a seed: every kind of message, much that is turned down, points that lapse.

The story is a list of days; each day some transactions arrive and one block is cut. It is signed bytes, so
nothing about how a node keeps its state can reach it, and whatever node hears it must come to the same root.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import msgspec

from contracts.messages import (
    AddKey,
    AddMemberKey,
    AnnouncePar,
    Enrol,
    Exchange,
    ReplaceMemberKey,
    RevokeGrant,
    RevokeKey,
    SetParameter,
)
from tests.contracts.cast import (
    DAY_MILLIS,
    FRESH,
    OPERATOR,
    PETROL,
    START,
    grant,
    make_signer,
    member_id,
    public_of,
)
from tests.contracts.letters import prove_possession, sign_choice, sign_consent
from tests.node.engine.afterwards import Afterwards
from tests.node.engine.town import Town

MEMBERS = 12
KEYED = range(1, 7)
"""Members with a key of their own; the others have none."""


class Story:
    """Draws messages. Every draw depends on the seed and on what was drawn before, and on nothing else."""

    def __init__(self, town: Town, seed: int) -> None:
        self._town = town
        self._draw = random.Random(seed)
        self._count = 0
        self._now = START
        self._enrolled = MEMBERS
        self._rate_height = 3
        self._after = Afterwards(
            self._draw,
            members=MEMBERS,
            name=self._name,
            now=lambda: self._now,
            consent=self._consent,
            keyed=KEYED,
        )

    def tell(self, *, days: int) -> Iterator[tuple[int, list[bytes]]]:
        """Time and transactions of each block."""
        town = self._town
        for number, data in enumerate(town.begin(members=MEMBERS)):
            yield START + number, [data]
        keys = [
            AddMemberKey(
                key=prove_possession(town.chain, member_id(each), self._key_of(each)), member=member_id(each)
            )
            for each in KEYED
        ]
        yield START + 10, [town.sign(FRESH, "keys", *keys)]
        for _ in range(days):
            # Now and then weeks pass at once, so that points of both programs lapse within the story.
            self._now += self._draw.choice((1, 1, 1, 1, 45)) * DAY_MILLIS
            yield self._now, [self._sign() for _ in range(self._draw.randint(0, 5))]

    def _key_of(self, member: int) -> Any:
        return make_signer(member_id(member))

    def _sign(self) -> bytes:
        draw = self._draw
        self._count += 1
        after = self._after
        sender, kinds = draw.choice(
            (
                (FRESH, (after.hold, after.hold, after.capture, after.release, after.refund)),
                (PETROL, (after.hold, after.hold, after.capture, after.release, after.refund)),
                (FRESH, (after.return_order, after.award, after.gift)),
                (PETROL, (after.return_order, after.gift)),
                (FRESH, (after.adjust, after.import_balance, after.set_policy, after.set_till_limits)),
                (FRESH, (self._earn, self._earn, self._redeem, self._exchange)),
                (FRESH, (self._earn, self._redeem)),
                (PETROL, (self._earn, self._earn_elsewhere, self._redeem_elsewhere, self._exchange)),
                (PETROL, (self._earn_elsewhere, self._redeem_elsewhere)),
                (FRESH, (self._enrol, self._replace_key)),
                (PETROL, (self._choose,)),
                (FRESH, (self._announce, self._add_key, self._revoke_key)),
                (FRESH, (self._grant, self._grant, self._grant, self._revoke_grant)),
                (OPERATOR, (self._set_parameter, after.set_debit_cap)),
            )
        )
        messages = [draw.choice(kinds)(sender) for _ in range(draw.randint(1, 8))]
        if draw.random() < 0.3:
            messages.append(messages[0])
        return self._town.sign(
            sender,
            f"t{self._count}",
            *messages,
            not_after=self._now + 600_000,
            atomic=draw.random() < 0.15,
        )

    def _member(self) -> int:
        return self._draw.randint(1, MEMBERS)

    def _name(self) -> str:
        # Few names: some are taken by another order of the day.
        return f"r{self._draw.randint(1, 40)}"

    def _earn(self, sender: str) -> Any:
        program = "leaf" if sender == FRESH else "mile"
        message = self._town.earn(0, points=self._draw.randint(0, 90), member=self._member())
        message = msgspec.structs.replace(
            message, occurred_at=self._now, program=program, reference=self._name()
        )
        return self._after.remember(sender, message)

    def _earn_elsewhere(self, sender: str) -> Any:
        message = msgspec.structs.replace(self._earn(sender), program="leaf")
        return self._after.remember(sender, message)

    def _redeem(self, sender: str) -> Any:
        member = self._draw.randint(KEYED.stop, MEMBERS)
        message = self._town.redeem(
            0,
            points=self._draw.randint(1, 60),
            member=member,
            occurred_at=self._now,
            reference=self._name(),
        )
        return self._after.remember(sender, message)

    def _redeem_elsewhere(self, sender: str) -> Any:
        member, points = self._draw.choice(KEYED), self._draw.randint(1, 60)
        consent = self._consent(member, points, purpose="redeem", counterparty=sender)
        message = self._town.redeem(0, points=points, member=member, reference=self._name())
        message = msgspec.structs.replace(message, occurred_at=self._now, consent=consent)
        return self._after.remember(sender, message)

    def _consent(self, member: int, points: int, *, program: str = "leaf", **how: Any) -> Any:
        return sign_consent(
            self._town.chain,
            self._key_of(member),
            expires=self._now + 60_000,
            member=member_id(member),
            points=points,
            program=program,
            nonce=how.pop("nonce", None),
            **how,
        )

    def _exchange(self, _sender: str) -> Any:
        member, points = self._draw.choice(KEYED), self._draw.randint(20, 80)
        other = self._draw.choice((member, self._draw.choice(KEYED)))
        recipient = member_id(other)
        consent = self._consent(
            member, points, purpose="exchange", counterparty=recipient, least=1, target="mile"
        )
        return Exchange(
            consent=consent,
            least=1,
            member=member_id(member),
            occurred_at=self._now,
            points=points,
            program="leaf",
            rate_height=self._draw.choice((3, 3, 3, self._rate_height)),
            recipient=recipient,
            recipient_consent=self._consent(
                other, points, program="mile", purpose="receive", counterparty=member_id(member)
            ),
            reference=self._name(),
            series="leaf-1",
            target="mile",
        )

    def _enrol(self, _sender: str) -> Any:
        self._enrolled += 1
        return Enrol(member=member_id(self._draw.choice((self._enrolled, self._member()))))

    def _replace_key(self, _sender: str) -> Any:
        member = self._member()
        key = prove_possession(self._town.chain, member_id(member), self._key_of(member))
        return ReplaceMemberKey(key=key, member=member_id(member))

    def _choose(self, _sender: str) -> Any:
        member = self._member()
        choice = self._draw.choice(("till_off", "till_on", "custodian_on", "stop_replacement"))
        return sign_choice(
            self._town.chain, self._key_of(member), member_id(member), choice, expires=self._now + 60_000
        )

    def _announce(self, _sender: str) -> Any:
        self._rate_height = self._draw.randint(20, 120)
        return AnnouncePar(
            effective_height=self._rate_height,
            par_accrue=10_500,
            par_redeem=self._draw.choice((10_000, 10_200)),
            program="leaf",
            series="leaf-1",
        )

    def _grant(self, _sender: str) -> Any:
        kind = self._draw.choice(("earn", "redeem", "exchange_out"))
        return grant(
            kind, "leaf", PETROL, expires=self._now + self._draw.choice((-1, 90, 90, 300)) * DAY_MILLIS
        )

    def _revoke_grant(self, _sender: str) -> Any:
        kind = self._draw.choice(("earn", "redeem", "custody"))
        return RevokeGrant(kind=kind, program="leaf", to=PETROL)

    def _add_key(self, sender: str) -> Any:
        return AddKey(public=public_of(make_signer(sender, self._draw.randint(1, 9))), purpose="till")

    def _revoke_key(self, sender: str) -> Any:
        return RevokeKey(key=make_signer(sender, self._draw.randint(1, 9)).key_id)

    def _set_parameter(self, _sender: str) -> Any:
        value = self._draw.choice((1, 3, 256, 10**6))
        return SetParameter(
            effective_height=self._draw.randint(1, 200), parameter="due_entries_max", value=value
        )
