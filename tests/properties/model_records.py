"""What the model's tables hold: values that never change in place."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, NamedTuple, NoReturn

LotKey = tuple[int, int, str, int, int]
"""(expires, opened, series, original, spendable_from): what tells two lots apart, and the order they are
taken in."""
Lots = tuple[tuple[LotKey, int], ...]
Slot = tuple[str, str, str, int, str]
"""(sender, type, program, day of `occurred_at`, reference): under which a success is found again."""

CAME = {
    *("issued.home", "issued.partner", "imported", "adjusted.in", "exchanged.in"),
    *("refunded.home", "refunded.elsewhere"),
}
WENT = {
    *("redeemed.home", "redeemed.elsewhere", "exchanged.out", "expired", "clawed_back", "adjusted.out"),
}


class TurnedDown(Exception):
    def __init__(self, outcome: dict[str, Any]) -> None:
        self.outcome = outcome
        super().__init__(outcome["code"])


def reject(code: str, **facts: Any) -> NoReturn:
    raise TurnedDown({"code": code, **facts})


class Block(NamedTuple):
    chain: str
    height: int
    time: int
    day: int
    offset: int
    operator: str
    key: str = ""
    """The key that signed the transaction at hand."""
    index: int = 0
    """The index that the message at hand will have in the log."""
    previous: str = ""
    """The leaf hash of the block leaf before."""
    rulebook: int = 1


class Key(NamedTuple):
    participant: str
    public: str
    purpose: str
    valid_from: int
    valid_to: int


class Program(NamedTuple):
    issuer: str
    spend_per_point: int
    opened_day: int


class Policy(NamedTuple):
    """What an issuer set for its program; as made, what holds until then."""

    bonus_day: int = 0
    bonus_total: int = 0
    cooling_days: int = 0
    gifts: str = "allowed"
    order_share_basis_points: int = 10_000
    points_order: int = 10**9
    shortfall: str = "debt"
    used: int = 0
    day: int = 0
    used_that_day: int = 0


class Till(NamedTuple):
    """How far one key's own word goes, and how far it went on a day."""

    points_day: int
    points_order: int
    step_up: int
    day: int
    used_that_day: int


class Hold(NamedTuple):
    index: int
    member: str
    expires: int
    lots: Lots
    pars: tuple[int, ...]
    """par_redeem of each lot as of the hold."""
    content: bytes | None
    """What made it final, where somebody asked for it."""
    final: int | None
    """That entry's index; -1 where it lapsed."""


class Spent(NamedTuple):
    """A redemption or a captured hold, with what came back of it."""

    index: int
    member: str
    lots: Lots
    pars: tuple[int, ...]
    commission: int
    refunded: int
    """Points."""
    refunds: tuple[tuple[str, bytes, int], ...]
    """(reference, content, index)"""

    def gross_of_last(self, points: int) -> int:
        """What the last so many points were worth."""
        gross = 0
        for (_, there), par in zip(reversed(self.lots), reversed(self.pars), strict=True):
            gross += min(there, points) * par
            points -= min(there, points)
        return gross


class Earned(NamedTuple):
    """An earning or an award, with what was returned of its order."""

    index: int
    member: str
    amount: int
    points: int
    like: LotKey
    """The lot they went to, or would have."""
    par_accrue: int
    fee: int
    returned: int
    """Micros."""
    taken: int
    """Points really taken back."""
    returns: tuple[tuple[str, bytes, int], ...]


class Series(NamedTuple):
    opened: int
    expiry_months: int
    pars: tuple[tuple[int, int, int], ...]
    """(height, par_accrue, par_redeem), the opening first."""
    opening: int
    """The par_redeem that the band is measured from."""

    def par_at(self, height: int) -> tuple[int, int, int]:
        """The pars in force; before the opening its own."""
        return [par for par in self.pars if par[0] <= height or par is self.pars[0]][-1]


class Grant(NamedTuple):
    budget_day: int
    budget_total: int
    expires: int
    used: int
    day: int
    used_that_day: int

    def allows(self, points: int, day: int) -> bool:
        today = self.used_that_day if self.day == day else 0
        return today + points <= self.budget_day and self.used + points <= self.budget_total

    def after(self, points: int, day: int) -> Grant:
        today = self.used_that_day if self.day == day else 0
        return self._replace(used=self.used + points, day=day, used_that_day=today + points)


class Cover(NamedTuple):
    """What the trustee attested."""

    cover: int
    reserve: int
    expires: int


class Trial(NamedTuple):
    """Another value of a parameter, for some merchants or a share of the members."""

    value: int
    merchants: tuple[str, ...]
    members: int
    """Basis points."""
    seed: str

    def holds_for(self, name: str, sender: str, member: str) -> bool:
        drawn = sha256(f"commonpoint/trial/v1\n{self.seed}\n{name}\n{member}".encode()).digest()
        is_drawn = bool(member) and int.from_bytes(drawn[:8], "big") % 10_000 < self.members
        return sender in self.merchants or is_drawn


class Proposal(NamedTuple):
    proposer: str
    actions: tuple[dict[str, Any], ...]
    configuration: int
    effective_height: int
    expires: int
    approve: int
    notice: int
    ballots: tuple[tuple[str, str], ...] = ()
    """(voter, choice)"""
    stands: str = "open"
    enacts_at: int = 0


class Window(NamedTuple):
    statement: dict[str, Any]
    hash: str
    clock: int
    """When whoever was silent has agreed; once confirmed, when the time to pay is over."""
    stands: str
    agreed: frozenset[str]
    disputing: frozenset[str]
    sides: tuple[frozenset[str], ...]
    """Of each transfer, who attested it: `from`, `to`."""
    asked: bool = False
    """Whether the clock has come."""


class Member(NamedTuple):
    custodian: str
    public: str | None
    waits_until: int
    """Until then the key does not spend other issuers' points."""
    pending: tuple[str, int] | None
    """A replacement and the time from which it is the key."""
    custodian_speaks: bool
    till_speaks: bool

    def at(self, time: int) -> Member:
        """The member as of a time: a replacement whose delay has passed is the key."""
        if self.pending is None or time < self.pending[1]:
            return self
        return self._replace(public=self.pending[0], waits_until=0, pending=None)
