"""Where a chain of CometBFT's begins in a ledger, as an application and its start need to know it.

    a ledger of validators         before its first block, with those of the genesis
    one that a sequencer kept      after the block of the switch, with those who were voted in
    one that lost its quorum       after the last block of the engine before, with those whom the note of a
                                   recovery names (`node.engine.cometbft.recovery`)

Each is a chain of its own to CometBFT, so that no vote for one counts in another. The ledger's heights go on
throughout, and so do the engine's heights that block leaves tell, but that a sequencer has none.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from contracts.mechanics.governance_records import EngineRecord, ValidatorSet
from node.engine.cometbft.home import make_chain_id, make_recovered_chain_id
from node.engine.cometbft.recovery import RECOVERY_FILE, read_recovery
from node.engine.standing import Reader, find_validators


class Beginning(NamedTuple):
    """Of the engine that a data directory has."""

    chain_id: str
    height: int
    """Of the ledger: the first block after this one is the engine's."""
    engine_height: int
    """The engine's first block has the next one."""
    validators: ValidatorSet | None = None
    """Who decides at first, where that is not what the ledger says."""

    def find_validators(self, reader: Reader) -> ValidatorSet | None:
        """Who decides now: whom the ledger has named since, or those it began with."""
        found = find_validators(reader)
        if self.validators is None or (found is not None and found.height > self.height):
            return found
        return self.validators


def make_beginning(chain: str, engine: EngineRecord) -> Beginning:
    """As the ledger says."""
    return Beginning(make_chain_id(chain), engine.height, 0)


def read_beginning(home: Path, *, chain: str, engine: EngineRecord) -> Beginning:
    """As the ledger says, or the note of a recovery in CometBFT's folder. Raises `Unusable`."""
    path = home / RECOVERY_FILE
    if not path.exists():
        return make_beginning(chain, engine)
    recovery = read_recovery(path)
    note = recovery.note
    return Beginning(
        chain_id=make_recovered_chain_id(chain, recovery.digest),
        height=note.height,
        engine_height=note.engine_height,
        validators=ValidatorSet(note.height, note.rows),
    )
