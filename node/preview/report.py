"""What a preview found: for machines as canonical JSON, and what the table and the picture are made from.

The same log, actions and first block give the same bytes, wherever and whenever they are worked out. Numbers
that can grow beyond what every JSON reader agrees on are decimal strings.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict

from contracts.messages.actions import Action
from ledger.codec import encode
from ledger.outcome import OK
from node.preview.figures import NOTHING, Figures, subtract
from node.preview.flips import FlipGroup

Decimal = Annotated[str, "a whole number"]


class Impact(Struct, frozen=True):
    """One participant: as it was, and as it would have been."""

    participant: str
    base: Figures
    proposed: Figures

    @property
    def difference(self) -> Figures:
        """By how much it would have been more."""
        return subtract(self.proposed, self.base)


class Preview(Struct, frozen=True, kw_only=True):
    """What came of a replay and its fork. Never on the wire; `to_json` says it."""

    actions: list[Action]
    altered: dict[str, int]
    chain: str
    compared: int
    """Outcomes that were."""
    enactment: str | None
    """The code with which the actions were enacted; none where there were none."""
    first_height: int
    flips: list[FlipGroup]
    impacts: list[Impact]
    last_height: int
    operations: int
    """Messages executed again, and what blocks did by themselves, since genesis."""
    proposal: str | None
    """Of this ledger, where it is one."""
    root: str
    """Of the checkpoint's tree, base64url."""
    seconds: float
    signed_size: int
    size: int
    """Leaves that came out byte for byte the same, signed for or not."""

    @property
    def flipped(self) -> int:
        """How many outcomes flip."""
        return sum(group.count for group in self.flips)

    @property
    def is_enacted(self) -> bool:
        """Whether the actions could be done."""
        return self.enactment in (None, OK)

    @property
    def changes_nothing(self) -> bool:
        """Whether nobody's figures and no outcome would have been others."""
        return (
            not self.flips and not self.altered and all(each.difference == NOTHING for each in self.impacts)
        )

    def to_json(self) -> bytes:
        """One object in canonical JSON, as docs/how-to/admin.md lists it."""
        data: bytes = encode(
            _Told(
                actions=self.actions,
                altered=[_Altered(count, kind) for kind, count in sorted(self.altered.items())],
                chain=self.chain,
                compared=self.compared,
                enactment=UNSET if self.enactment is None else self.enactment,
                flipped=self.flipped,
                flips=self.flips,
                heights=_Heights(self.first_height, self.last_height),
                participants=[
                    _ToldImpact(
                        _tell(each.base), _tell(each.difference), each.participant, _tell(each.proposed)
                    )
                    for each in self.impacts
                ],
                proposal=UNSET if self.proposal is None else self.proposal,
                verified=_Verified(self.root, self.signed_size, self.size),
            )
        )
        return data


class _Heights(Struct):
    first: int
    last: int


class _Verified(Struct):
    root: str
    signed_size: int
    size: int


class _Altered(Struct):
    count: int
    type: str


class _ToldFigures(Struct):
    """As `Figures`, in decimal strings."""

    clawed_back: Decimal
    exchanged_in: Decimal
    exchanged_out: Decimal
    expired: Decimal
    fees_micros: Decimal
    issued: Decimal
    liability_micros: Decimal
    liability_points: Decimal
    position_micros: Decimal
    redeemed_elsewhere: Decimal
    redeemed_home: Decimal


class _ToldImpact(Struct):
    base: _ToldFigures
    difference: _ToldFigures
    participant: str
    proposed: _ToldFigures


class _Told(Struct, kw_only=True, tag="preview", tag_field="@type"):
    actions: list[Action]
    altered: list[_Altered]
    chain: str
    compared: int
    enactment: str | UnsetType
    flipped: int
    flips: list[FlipGroup]
    heights: _Heights
    participants: list[_ToldImpact]
    proposal: str | UnsetType
    verified: _Verified


def _tell(figures: Figures) -> _ToldFigures:
    return _ToldFigures(**{name: str(amount) for name, amount in asdict(figures).items()})
