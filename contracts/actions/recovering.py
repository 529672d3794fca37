"""Recovering: an organisation that lost its keys, or lost them to somebody, gets others by vote.

Its own keys an organisation adds and revokes without asking anyone; this is for when it no longer can, or
when a thief can as well. A thief may add keys until the very block of the enactment, so the lost ones end
with that block's beginning, and where none is named all do.
"""

from __future__ import annotations

from contracts.mechanics import membership
from contracts.mechanics.enactment import Effects
from contracts.mechanics.halts import check_present
from contracts.messages.actions import RecoverKeys
from ledger.rule import BlockContext
from ledger.state import StateView
from ledger.values import FOREVER


def do_recover_keys(state: StateView, block: BlockContext, action: RecoverKeys) -> Effects:
    """The new keys count from the next height; the old ones no longer do, in this block already."""
    name = action.participant
    check_present(state, name)
    changes = membership.register_keys(state, block, name, action.add)
    lost = dict.fromkeys(action.revoke or membership.list_own_keys(state, name))
    keys = {identifier: membership.get_own_key(state, name, identifier) for identifier in lost}
    # Whoever has a lost key may revoke another meanwhile: that one has ended, and the vote holds.
    ending = {identifier: key for identifier, key in keys.items() if key.valid_to == FOREVER}
    changes += [
        membership.end_key(identifier, key, height=block.height) for identifier, key in ending.items()
    ]
    govern_keys = membership.count_govern(action.add) - sum(
        key.purpose == "govern" for key in ending.values()
    )
    changes.append(membership.count_govern_keys(state, name, govern_keys))
    return Effects(changes)
