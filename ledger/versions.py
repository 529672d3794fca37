"""Which rulebook is in force: a record of the state, so that for each block everybody picks the same.

A rule that changes it writes the new version's number; the block in hand ends under the old one, and the next
begins under the new. Where nobody has written it, the version is that of the genesis. Whether a program knows
the version is no matter of the ledger's: one that does not stops rather than guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ledger.errors import InvariantBroken
from ledger.rule import Rulebook

RULEBOOK_TABLE: Final = "rulebook"
RULEBOOK_KEY: Final = "rulebook"
"""Under which the table holds its one record: the version's number."""


def pick_rulebook(rulebooks: Mapping[int, Rulebook], version: int, *, height: int) -> Rulebook:
    """The rulebook of this version, for the block of this height. Raises `InvariantBroken`
    ``RULEBOOK_UNKNOWN``.
    """
    rulebook = rulebooks.get(version)
    if rulebook is None:
        raise InvariantBroken("RULEBOOK_UNKNOWN", height=height, known=sorted(rulebooks), version=version)
    return rulebook
