"""What the model remembers: dictionaries of values that never change in place, and the sums beside them."""

from __future__ import annotations

from collections import defaultdict
from hashlib import sha256
from typing import Any

from tests.properties.model_records import (
    CAME,
    WENT,
    Block,
    Cover,
    Earned,
    Grant,
    Hold,
    Key,
    LotKey,
    Lots,
    Member,
    Policy,
    Program,
    Proposal,
    Series,
    Slot,
    Spent,
    Till,
    Trial,
    TurnedDown,
    Window,
    reject,
)
from tests.properties.model_values import PARAMETERS, canonical, spell

__all__ = [
    "CAME",
    "WENT",
    "Block",
    "Cover",
    "Earned",
    "Grant",
    "Hold",
    "Key",
    "LotKey",
    "Lots",
    "Member",
    "Policy",
    "Program",
    "Proposal",
    "Series",
    "Slot",
    "Spent",
    "State",
    "Till",
    "Trial",
    "TurnedDown",
    "Window",
    "reject",
]


STANDING = ("open", "passed")
"""A proposal that takes up a place, and keeps the keys that it names from everybody else."""


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
        self.debited: dict[str, int] = {}
        """Every leg that somebody owes, since genesis."""
        self.relieved: dict[str, int] = {}
        self.legs: dict[int, tuple[dict[str, Any], ...]] = {}
        """Those of the open window, by height."""
        self.asking: dict[str, str] = {}
        """`sender` and `member` of the message at hand."""
        self.standing: dict[str, Any] = {}
        """What there is one of: see `model_governance.begin`."""
        self.weights: dict[str, int] = {}
        self.voting: dict[str, tuple[int, int]] = {}
        """Kind → basis points, heights of notice."""
        self.proposals: dict[str, Proposal] = {}
        self.suspended: dict[str, bool] = {}
        self.removed: dict[str, bool] = {}
        self.paused: dict[tuple[str, str], bool] = {}
        """(`message` or `program`, which)"""
        self.trials: dict[str, Trial] = {}
        self.policies_of_trust: dict[int, Any] = {}
        """Epoch → `model_trust.Trust`."""
        self.engines: dict[str, Any] = {}
        """`engine` and `validators`, once a sequencer has handed over."""
        self.budgets: dict[str, Grant] = {}
        self.covers: dict[str, Cover] = {}
        self.brands: dict[str, tuple[tuple[str, int], ...]] = {}
        self.windows: dict[int, Window] = {}
        self.carries: dict[str, int] = {}
        self.brought: dict[tuple[str, str, int], int] = {}
        """(from, to, window it comes from): to be paid with the open window."""

    def copy(self) -> State:
        twin = State()
        for name, table in vars(self).items():
            setattr(twin, name, dict(table))
        return twin

    def parameter(self, name: str, height: int) -> int:
        """The value that the latest change in force gave it; of two for one height the one set last; or, for
        whom another is tried, that.
        """
        trial = self.trials.get(name)
        if self.asking and trial is not None and trial.holds_for(name, **self.asking):
            return trial.value
        value = PARAMETERS[name][0]
        for _, changed in sorted(
            (change for change in self.parameters.get(name, ()) if change[0] <= height), key=lambda c: c[0]
        ):
            value = changed
        return value

    def keys_named(self) -> set[str]:
        """The public keys that proposals give to somebody."""
        actions = [one for each in self.proposals.values() if each.stands in STANDING for one in each.actions]
        given = {"admit": "keys", "recover_keys": "add"}
        return {key["public"] for one in actions if one["@type"] in given for key in one[given[one["@type"]]]}

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
            self.debited[leg["from"]] = self.debited.get(leg["from"], 0) + leg["micros"]
        height = self.standing["height"]
        self.legs[height] = (*self.legs.get(height, ()), *legs)

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
