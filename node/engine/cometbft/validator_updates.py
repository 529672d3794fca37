"""What CometBFT is told when a vote has named other validators: the difference, by key.

A block's enactments are done before anything else of it, so the set it leaves behind is known with the block.
CometBFT asks the new set two of its heights later. Under one key a power of 0 means: no longer.
"""

from __future__ import annotations

from contracts.mechanics.governance_records import ValidatorSet
from ledger.codec import from_base64url
from node.engine.cometbft.generated import abci_pb2 as abci
from node.engine.cometbft.generated.keys_pb2 import PublicKey


def list_updates(before: ValidatorSet | None, after: ValidatorSet | None) -> list[abci.ValidatorUpdate]:
    """The keys whose power is another after the block, in order of the keys."""
    old, new = _get_powers(before), _get_powers(after)
    return [
        abci.ValidatorUpdate(
            pub_key=PublicKey(ed25519=from_base64url(public, size=32)), power=new.get(public, 0)
        )
        for public in sorted(old.keys() | new.keys())
        if old.get(public, 0) != new.get(public, 0)
    ]


def _get_powers(validators: ValidatorSet | None) -> dict[str, int]:
    return {} if validators is None else {public: power for _, power, public in validators.validators}
