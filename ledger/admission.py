"""Admission: what clock, keys, the rulebook in force and the id alone decide about a transaction, at intake
and again in its block.

What is turned down here is `Refused`: nothing is recorded. The block's word counts, since between the two a
key may have been revoked, time may have passed or other rules have come into force; it depends on the state
and the block alone, so every node says the same.
"""

from __future__ import annotations

from msgspec import Struct

from ledger.errors import Refused
from ledger.rule import BlockContext, Rulebook
from ledger.state import StateView
from ledger.transaction import (
    KEY_TABLE,
    TRANSACTION_TABLE,
    RegisteredKey,
    RememberedTransaction,
    Transaction,
)


def check_authority(
    state: StateView, rulebook: Rulebook, transaction: Transaction, block: BlockContext
) -> None:
    """Time, key, rulebook, purpose and signature allow this transaction. Raises `Refused`, in the documented
    order.
    """
    header = transaction.header
    if header.not_after < block.time:
        raise Refused("EXPIRED", not_after=header.not_after, time=block.time)
    latest = block.time + rulebook.not_after_seconds_max(state, block) * 1000
    if header.not_after > latest:
        raise Refused("NOT_AFTER_TOO_FAR", not_after=header.not_after, allowed=latest)
    key: RegisteredKey | None = state.get(KEY_TABLE, header.key)
    if key is None or key.participant != header.sender:
        raise Refused("UNKNOWN_KEY", key=header.key, sender=header.sender)
    if not key.valid_from <= block.height < key.valid_to:
        raise Refused("KEY_NOT_VALID", key=header.key, height=block.height)
    kinds: dict[type[Struct], None] = dict.fromkeys(map(type, transaction.messages))
    for kind in kinds:
        if kind not in rulebook.rules:
            raise Refused("NOT_IN_FORCE", message=kind.__struct_config__.tag, rulebook=rulebook.version)
    for kind in kinds:
        if key.purpose not in rulebook.rules[kind].purposes:
            raise Refused("WRONG_PURPOSE", purpose=key.purpose)
    transaction.verify_signature(key.public)


def check_repeat(state: StateView, transaction: Transaction, block: BlockContext) -> bool:
    """Whether this very transaction was taken before. Raises `Refused` ``ID_CONFLICT`` where another was,
    under its id.

    The state remembers ids until their `not_after`; a node's look-up, which remembers them for ever, is asked
    at intake.
    """
    header = transaction.header
    known: RememberedTransaction | None = state.get(TRANSACTION_TABLE, f"{header.sender}|{header.id}")
    if known is None or known.not_after < block.time:
        return False
    if known.digest != header.digest:
        raise Refused("ID_CONFLICT", id=header.id)
    return True
