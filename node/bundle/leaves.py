"""A log read leaf by leaf, where all of it may be seen: what both a data directory and an auditor's token
allow.

Entries lie after their transaction's leaf and before their block's, so everything around one is found by
looking there. Bundles of 256 leaves are kept at hand, since whoever asks for a leaf asks for its neighbours.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final

from ledger.leaves import ENTRY_START, SYSTEM_START, TRANSACTION_LEAF_DECODER
from ledger.log.tiles import TILE_WIDTH, decode_bundle
from node.bundle.heights import find_block
from node.bundle.keyring import read_registered
from node.bundle.naming import Entry, read_entry
from node.bundle.sources import Leaf, Unbundled, find_transaction

ReadBundle = Callable[[int, int], bytes | None]
"""``read_bundle(index, width)``: an entry bundle with its first ``width`` leaves, or None."""
_AT_HAND: Final = 64


class Leaves:
    """The first ``size`` leaves of a log."""

    def __init__(self, read_bundle: ReadBundle, *, size: int, genesis: int, utc_offset_minutes: int) -> None:
        self._read_bundle = read_bundle
        self._genesis = genesis
        self._offset = utc_offset_minutes
        self._at_hand: OrderedDict[int, list[bytes]] = OrderedDict()
        self.size = size

    def get(self, place: int) -> bytes:
        """The leaf. Raises `Unbundled` where there is none."""
        number, within = divmod(place, TILE_WIDTH)
        bundle = self._at_hand.get(number)
        if bundle is None:
            width = min(TILE_WIDTH, self.size - number * TILE_WIDTH)
            data = self._read_bundle(number, width) if width > 0 else None
            bundle = [] if data is None else decode_bundle(data)
            self._at_hand[number] = bundle
            if len(self._at_hand) > _AT_HAND:
                self._at_hand.popitem(last=False)
        if within >= len(bundle):
            raise Unbundled("LEAF_MISSING", index=place, size=self.size)
        return bundle[within]

    def read_entry(self, place: int) -> Leaf:
        """The entry with its transaction leaf."""
        data = self.get(place)
        if data.startswith(SYSTEM_START):
            return Leaf(place, data, None)
        return Leaf(place, data, self.get(find_transaction(self, place)))

    def list_siblings(self, entry: Leaf) -> list[bytes]:
        """The leaves of all entries of its transaction."""
        first = find_transaction(self, entry.place)
        count = TRANSACTION_LEAF_DECODER.decode(self.get(first)).header.count
        return [self.get(place) for place in range(first + 1, first + 1 + count)]

    def list_entries(self, first: int, end: int, *, naming: tuple[str, ...]) -> Iterator[Entry]:
        """The entries from ``first`` to ``end`` in which all of these words stand, in quotation marks."""
        words = [f'"{word}"'.encode() for word in naming]
        for place in range(first, end):
            leaf = self.get(place)
            if leaf.startswith((ENTRY_START, SYSTEM_START)) and all(word in leaf for word in words):
                found = self.decode(self.read_entry(place))
                if found is not None:
                    yield found

    def find_registration(self, key: str, participant: str, *, height: int | None) -> int | None:
        """The entry that registered this key: in the block of that height, or, unknown, wherever it is."""
        first, end = self._genesis, self.size
        if height is not None:
            block = find_block(self, first=first, size=end, height=height)
            if block is None:
                return None
            first, end = block.first, block.last
        for word in ("add_key", "admit"):
            for entry in self.list_entries(first, end, naming=(word,)):
                if any(each.key == key and each.holder == participant for each in read_registered(entry)):
                    return entry.place
        return None

    def decode(self, leaf: Leaf) -> Entry | None:
        """The entry, read."""
        return read_entry(leaf.place, leaf.data, leaf.transaction, utc_offset_minutes=self._offset)
