"""An order looked up at a node over HTTP.

With an auditor's token all of the log can be read, and every key is proven. A participant's token shows what
concerns that participant: its order and its receipts, and of the others' keys only what the registry says.
Hash tiles are everybody's, so proofs are worked out here either way, for one checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import UNSET

from ledger.genesis import Origin
from ledger.leaves import TRANSACTION_LEAF_DECODER
from ledger.log.tiles import TILE_WIDTH, entries_path, tile_path
from ledger.policy_chain import PolicyChain
from ledger.receipt import read_receipt
from node.bundle.file import StatedKey
from node.bundle.leaves import Leaves
from node.bundle.sources import Leaf, Unbundled, split_hashes
from node.remote.connection import Connection

_PAGE: Final = 200


class ServedOrders:
    """A node as an `OrderSource`."""

    def __init__(self, connection: Connection, *, origin: Origin, note: str, policies: PolicyChain) -> None:
        self._connection = connection
        self.genesis = origin.leaves
        self.note = note
        self.policies = policies
        self._size = size = policies.verify_signed(note)[0].size
        self._leaves = Leaves(
            lambda index, width: connection.get_file(entries_path(index, width)),
            size=size,
            genesis=len(origin.leaves),
            utc_offset_minutes=origin.settings.utc_offset_minutes,
        )
        self._sees_all = connection.get_file(entries_path(0, min(TILE_WIDTH, size))) is not None
        self._keys: dict[tuple[str, str], dict[str, Any]] | None = None

    def read_full_tile(self, level: int, index: int) -> bytes:
        """A full hash tile."""
        return self._read_tile(tile_path(level, index))

    def read_edge(self, size: int) -> list[bytes]:
        """The leaf hashes after the last full tile."""
        number, width = divmod(size, TILE_WIDTH)
        return split_hashes(self._read_tile(tile_path(0, number, width))) if width else []

    def read_entry(self, place: int) -> Leaf:
        """An entry with its transaction leaf."""
        if self._sees_all:
            return self._leaves.read_entry(place)
        body = self._connection.get_file(f"v1/receipts/{place}")
        if body is None:
            raise Unbundled("ENTRY_NOT_SHOWN", index=place)
        receipt = read_receipt(body)
        transaction = None if receipt.transaction is UNSET else receipt.transaction.encode()
        return Leaf(place, receipt.entry.encode(), transaction)

    def list_siblings(self, entry: Leaf) -> list[bytes]:
        """The leaves of all entries of its transaction: only its sender and auditors may see them all."""
        if self._sees_all:
            return self._leaves.list_siblings(entry)
        header = TRANSACTION_LEAF_DECODER.decode(entry.transaction or b"").header
        told = self._connection.get_json("v1", "transactions", header.sender, header.id)
        if not isinstance(told, dict) or not isinstance(told.get("index"), int):
            raise Unbundled("ENTRY_NOT_SHOWN", index=entry.place)
        first = told["index"] + 1
        return [self.read_entry(place).data for place in range(first, first + header.count)]

    def find_order(self, sender: str, reference: str) -> Iterator[int]:
        """Entries of this sender that name this reference."""
        told = self._connection.get_json("v1", "orders", reference, sender=sender)
        yield from (place for place in _read_places(told) if place < self._size)

    def list_history(self, member: str) -> Iterator[int]:
        """Entries that concern this member, newest first."""
        query: dict[str, Any] = {"limit": _PAGE}
        while True:
            told = self._connection.get_json("v1", "members", member, "history", **query)
            yield from (place for place in _read_places(told) if place < self._size)
            if not isinstance(told, dict) or not isinstance(told.get("next"), int):
                return
            query["before"] = told["next"]

    def find_registration(self, key: str, participant: str) -> int | None:
        """The entry that registered this key, where all of the log can be read."""
        if not self._sees_all:
            return None
        told = self._list_keys().get((key, participant), {})
        valid_from = told.get("valid_from")
        height = valid_from - 1 if isinstance(valid_from, int) else None
        return self._leaves.find_registration(key, participant, height=height)

    def state_key(self, key: str, participant: str) -> StatedKey | None:
        """The key as the node's registry tells it."""
        told = self._list_keys().get((key, participant))
        if told is None:
            return None
        return StatedKey(key=key, participant=participant, public=told["public"], purpose=told["purpose"])

    def _list_keys(self) -> dict[tuple[str, str], dict[str, Any]]:
        if self._keys is None:
            told = self._connection.get_json("v1", "participants")
            rows = told.get("participants", ()) if isinstance(told, dict) else ()
            self._keys = {
                (key["key"], row["participant"]): key for row in rows for key in row.get("keys", ())
            }
        return self._keys

    def _read_tile(self, path: str) -> bytes:
        tile = self._connection.get_file(path)
        if tile is None:
            raise Unbundled("TILE_MISSING", path=path)
        return tile


def _read_places(told: Any) -> list[int]:
    """The indexes of the rows in an answer."""
    rows = told.get("rows", ()) if isinstance(told, dict) else ()
    return [row["index"] for row in rows if isinstance(row.get("index"), int)]
