"""Whether this node's word counts: its engine's vote, by the set of validators; its checkpoints, by the trust
policy.

    in the set, listed         a validator
    not in the set, listed     it executes, signs checkpoints and answers reads
    in the set, not listed     it votes, and signs nothing: start it with the log key that is listed now
    never in either            it executes what the others decide, and waits to be voted in
    voted out of both          it votes for as long as it is asked, and then stops

The engine asks a new set two of its heights after the block that named it. Somebody who was voted out and
stopped before could leave the others without the vote they need for the block between.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from ledger.codec import from_base64url
from ledger.errors import InvariantBroken
from node.chain import ChainKeeper
from node.engine.cometbft.home import compute_address
from node.engine.cometbft.validator_chain import ValidatorChain
from node.engine.standing import find_validators

_HEIGHTS: Final = 2
"""Of the engine: so many later the new set is asked."""


class Membership:
    """Of the validator whose keys are in this CometBFT's folder."""

    def __init__(self, chain: ChainKeeper, home: Path) -> None:
        self._chain = chain
        self._address = json.loads((home / "config" / "priv_validator_key.json").read_bytes())["address"]
        self._out_since: int | None = None

    @property
    def is_silent(self) -> bool:
        """Whether this node signs nothing now, so that nothing is taken here."""
        return isinstance(self._chain, ValidatorChain) and self._chain.is_silent

    @property
    def is_in_set(self) -> bool:
        """Whether the newest set of validators names this one."""
        found = find_validators(self._chain.reader)
        publics = [] if found is None else [from_base64url(key, size=32) for _, _, key in found.validators]
        return self._address.lower() in map(compute_address, publics)

    def check(self, engine_height: int) -> None:
        """This node has something to do here, now that the engine has come to this height.

        Raises `InvariantBroken` ``NO_LONGER_A_VALIDATOR``.
        """
        if not self.is_silent or self.is_in_set or not self._was_listed():
            self._out_since = None
            return
        if self._out_since is None:
            self._out_since = engine_height
        if engine_height >= self._out_since + _HEIGHTS:
            height = self._chain.executor.head.height
            raise InvariantBroken("NO_LONGER_A_VALIDATOR", height=height, signed=self._chain.head.height)

    def _was_listed(self) -> bool:
        return isinstance(self._chain, ValidatorChain) and self._chain.was_listed
