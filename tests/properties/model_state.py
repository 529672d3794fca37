"""What the model remembers: dictionaries of values that never change in place, and the sums beside them."""

from __future__ import annotations

from collections import defaultdict
from hashlib import sha256
from typing import Any, NamedTuple, NoReturn

from tests.properties.model_values import PARAMETERS, canonical, spell

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


class State:
    def __init__(self) -> None:
        self.participants: dict[str, str] = {}
        self.keys: dict[str, Key] = {}
        self.parameters: dict[str, tuple[tuple[int, int], ...]] = {}
        self.programs: dict[str, Program] = {}
        self.series: dict[tuple[str, str], Series] = {}
        self.grants: dict[tuple[str, str, str], Grant] = {}
        self.members: dict[str, Member] = {}
        self.nonces: dict[tuple[str, int, str], bool] = {}
        """(key id, day of `expires`, nonce)"""
        self.references: dict[Slot, tuple[bytes, int]] = {}
        self.transactions: dict[tuple[str, str], tuple[str, int]] = {}
        self.policies: dict[str, Policy] = {}
        self.tills: dict[str, Till] = {}
        self.caps: dict[str, int] = {}
        self.accounts: dict[tuple[str, str], Lots] = {}
        """Free lots."""
        self.debts: dict[tuple[str, str], int] = {}
        self.open_holds: dict[Slot, Hold] = {}
        self.final_holds: dict[Slot, Hold] = {}
        self.spent: dict[Slot, Spent] = {}
        self.earned: dict[Slot, Earned] = {}
        self.tallies: dict[tuple[str, str], int] = {}
        self.positions: dict[str, int] = {}
        self.owed: dict[tuple[str, str, str], int] = {}

    def copy(self) -> State:
        twin = State()
        for name, table in vars(self).items():
            setattr(twin, name, dict(table))
        return twin

    def parameter(self, name: str, height: int) -> int:
        """The value that the latest change in force gave it; of two for one height the one set last."""
        value = PARAMETERS[name][0]
        for _, changed in sorted(
            (change for change in self.parameters.get(name, ()) if change[0] <= height), key=lambda c: c[0]
        ):
            value = changed
        return value

    def open_series(self, program: str, height: int) -> str | None:
        """The id of the series with the latest opening height reached."""
        openings = [
            (series.opened, number, name)
            for number, ((owner, name), series) in enumerate(self.series.items())
            if owner == program and series.opened <= height
        ]
        return max(openings)[2] if openings else None

    def policy(self, program: str) -> Policy:
        return self.policies.get(program, Policy())

    def held(self, member: str, program: str) -> Lots:
        """What holds keep of this account."""
        return tuple(
            lot
            for (_, _, of, _, _), hold in self.open_holds.items()
            if (hold.member, of) == (member, program)
            for lot in hold.lots
        )

    def free(self, member: str, program: str, day: int) -> Lots:
        """The account's free lots; what has cooled down by this day is like what never waited."""
        lots: dict[LotKey, int] = defaultdict(int)
        for like, points in self.accounts.get((member, program), ()):
            lots[like if like[4] > day else (*like[:4], 0)] += points
        return tuple(sorted((like, points) for like, points in lots.items() if points))

    def change(self, member: str, program: str, changes: list[tuple[LotKey, int]], day: int) -> None:
        """These points came or, negative, went."""
        self.accounts[member, program] = (*self.free(member, program, day), *changes)
        self.accounts[member, program] = self.free(member, program, day)

    def balance(self, member: str, program: str) -> int:
        free = self.accounts.get((member, program), ())
        return sum(points for _, points in (*free, *self.held(member, program)))

    def debits(self, who: str) -> int:
        """Every leg it owes since genesis, and what it would owe for open holds."""
        legs = sum(micros for (source, _, _), micros in self.owed.items() if source == who)
        for (acceptor, _, program, _, _), hold in self.open_holds.items():
            if self.programs[program].issuer == who != acceptor:
                legs += sum(points * par for (_, points), par in zip(hold.lots, hold.pars, strict=True))
        return legs

    def supply(self, program: str) -> int:
        said = {word: points for (of, word), points in self.tallies.items() if of == program}
        return sum(points if word in CAME else -points for word, points in said.items())

    def tally(self, program: str, word: str, points: int) -> None:
        self.tallies[program, word] = self.tallies.get((program, word), 0) + points

    def owe(self, legs: list[dict[str, Any]]) -> None:
        for leg in legs:
            for who, sign in ((leg["from"], -1), (leg["to"], 1)):
                self.positions[who] = self.positions.get(who, 0) + sign * leg["micros"]
            pair = (leg["from"], leg["to"], leg["reason"])
            self.owed[pair] = self.owed.get(pair, 0) + leg["micros"]

    def sums(self) -> list[dict[str, int]]:
        """The supply of every program, and everybody's position."""
        return [{program: self.supply(program) for program in self.programs}, dict(self.positions)]

    def sums_since(self, before: list[dict[str, int]]) -> str:
        """SHA-256 of canonical rows: [program, supply], then [participant, micros], that changed, sorted."""
        rows = [
            [name, str(total)]
            for old, new in zip(before, self.sums(), strict=True)
            for name, total in sorted(new.items())
            if total != old.get(name, 0)
        ]
        return spell(sha256(canonical(rows)).digest())
