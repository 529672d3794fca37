"""Which keys may sign a log's checkpoints, as the state has it: those of the genesis, until a trust policy
that was enacted lists others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from contracts.mechanics.governance_records import TRUST, TrustPolicy
from ledger.genesis import Origin
from ledger.log.policy import parse_policy


class Reader(Protocol):
    """Whoever knows the records."""

    def list_records(self, table: str) -> list[tuple[str, Any]]:
        """Every record of a small table, in key order."""
        ...


def list_policies(reader: Reader) -> list[TrustPolicy]:
    """The policies that were enacted: epoch 1 first."""
    return [record for _, record in reader.list_records(TRUST)]


def find_epoch(records: Sequence[TrustPolicy], height: int) -> int:
    """The epoch that judges the checkpoint after the block of this height; ``records``: epoch 1 first.

    The block that enacts a policy is the last under the one before.
    """
    return sum(record.height < height for record in records)


def find_log_keys(records: Sequence[TrustPolicy], origin: Origin, *, height: int) -> frozenset[bytes]:
    """The public keys that may sign the checkpoint after the block of this height."""
    epoch = find_epoch(records, height)
    if not epoch:
        return frozenset(origin.log_keys)
    logs = parse_policy(records[epoch - 1].policy.encode()).logs
    return frozenset(log.key.public for log in logs if log.key.name == origin.chain)


def list_log_keys(records: Sequence[TrustPolicy], origin: Origin) -> frozenset[bytes]:
    """The public keys that may ever have signed."""
    heights = (0, *(record.height + 1 for record in records))
    return frozenset[bytes]().union(*(find_log_keys(records, origin, height=each) for each in heights))
