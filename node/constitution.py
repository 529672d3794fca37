"""Constitutions to begin a ledger with: one that is written down in a file, or an equal vote for everybody.

Whether it is one that the rules take, the genesis is asked itself (`contracts.rulebook`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Final, get_args

import msgspec

from ledger.genesis import Constitution, Voter, VotingKind, VotingRule
from node.keystore import Unusable

EQUAL: Final = "equal"
"""What `commonpoint init --constitution` calls an equal vote for everybody who begins with the ledger."""
_APPROVE: Final = {"emergency": 3_334, "resume": 7_500, "constitution": 7_500}
"""Where it is not two thirds: easy to freeze, hard to unfreeze, and the rules of voting hardest to change."""
_TWO_THIRDS: Final = 6_667
_AT_ONCE: Final = ("emergency", "settlement")


def make_equal_constitution(
    participants: Iterable[str], *, trustee: str, notice_heights: int = 10
) -> Constitution:
    """One vote each, two thirds for most decisions, and notice for all but a pause and what settles."""
    voters = sorted(participants)
    return Constitution(
        minimum_voters=min(2, len(voters)),
        rules=[
            VotingRule(
                approve_basis_points=_APPROVE.get(kind, _TWO_THIRDS),
                kind=kind,
                notice_heights=0 if kind in _AT_ONCE else notice_heights,
            )
            for kind in get_args(VotingKind)
        ],
        trustee=trustee,
        voters=[Voter(participant=voter, weight=1) for voter in voters],
    )


def read_constitution(path: Path) -> Constitution:
    """The constitution in a JSON or TOML file. Raises `Unusable`."""
    try:
        data = path.read_bytes()
        told = tomllib.loads(data.decode("utf-8")) if path.suffix == ".toml" else msgspec.json.decode(data)
        return msgspec.convert(told, Constitution)
    except OSError as error:
        raise _unreadable(path, error.strerror or "cannot be read") from None
    except (msgspec.DecodeError, msgspec.ValidationError, ValueError) as error:
        raise _unreadable(path, str(error)) from None


def _unreadable(path: Path, reason: str) -> Unusable:
    advice = "docs/spec/governance.md lists its fields; --constitution equal needs no file."
    return Unusable("CONSTITUTION_UNREADABLE", advice=advice, path=str(path), reason=reason)
