"""An order looked up in a data directory, as of one moment, whether a node uses it or not.

Look-ups are those of the last fold. What was not folded yet is read through leaf by leaf, and where the
folder has no views at all, so is the whole log: slower, and the same bundle.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from ledger.genesis import Origin
from ledger.log.merkle import compute_leaf_hashes
from ledger.log.tiles import TILE_WIDTH, decode_bundle
from ledger.policy_chain import PolicyChain
from ledger.transaction import KEY_TABLE, RegisteredKey
from node.bundle.file import StatedKey
from node.bundle.leaves import Leaves
from node.bundle.sources import Leaf, Unbundled
from node.storage.orders import OrderSnapshot

_KEY: Final = msgspec.json.Decoder(RegisteredKey)


class DirectoryOrders:
    """A data directory's database as an `OrderSource`."""

    def __init__(self, snapshot: OrderSnapshot, *, origin: Origin, note: str, policies: PolicyChain) -> None:
        self._snapshot = snapshot
        self.genesis = origin.leaves
        self.note = note
        self.policies = policies
        self._size = size = policies.verify_signed(note)[0].size
        self._leaves = Leaves(
            snapshot.read_bundle,
            size=size,
            genesis=len(origin.leaves),
            utc_offset_minutes=origin.settings.utc_offset_minutes,
        )
        mark = snapshot.read_mark()
        self._folded = min(len(origin.leaves) if mark is None else mark, size)

    def read_full_tile(self, level: int, index: int) -> bytes:
        """A full hash tile."""
        tile = self._snapshot.read_tile(level, index, TILE_WIDTH)
        if tile is None:
            raise Unbundled("TILE_MISSING", level=level, index=index)
        return tile

    def read_edge(self, size: int) -> list[bytes]:
        """The leaf hashes after the last full tile."""
        number, width = divmod(size, TILE_WIDTH)
        data = self._snapshot.read_bundle(number, width) if width else b""
        return compute_leaf_hashes(decode_bundle(data or b""))

    def read_entry(self, place: int) -> Leaf:
        """An entry with its transaction leaf."""
        return self._leaves.read_entry(place)

    def list_siblings(self, entry: Leaf) -> list[bytes]:
        """The leaves of all entries of its transaction."""
        return self._leaves.list_siblings(entry)

    def find_order(self, sender: str, reference: str) -> Iterator[int]:
        """Entries of this sender that name this reference."""
        if self._snapshot.has_views:
            yield from self._snapshot.find_order(sender, reference, size=self._folded)
        for entry in self._leaves.list_entries(self._folded, self._size, naming=(reference,)):
            if sender in (entry.sender, getattr(entry.message, "sender", None)):
                yield entry.place

    def list_history(self, member: str) -> Iterator[int]:
        """Entries that concern this member."""
        if self._snapshot.has_views:
            yield from self._snapshot.find_history(member, size=self._folded)
        for entry in self._leaves.list_entries(self._folded, self._size, naming=(member,)):
            yield entry.place

    def find_registration(self, key: str, participant: str) -> int | None:
        """The entry that registered this key."""
        record = self._read_key(key)
        height = None if record is None else record.valid_from - 1
        return self._leaves.find_registration(key, participant, height=height)

    def state_key(self, key: str, participant: str) -> StatedKey | None:
        """Nothing is taken on the folder's word: all of its log can be read."""
        del key, participant
        return None

    def _read_key(self, key: str) -> RegisteredKey | None:
        value = self._snapshot.find_record(KEY_TABLE, key)
        return None if value is None else _KEY.decode(value)
