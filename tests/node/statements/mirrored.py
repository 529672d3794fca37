"""A log written leaf by leaf into a folder of tiles, as any mirror would: a real tree, a signed checkpoint.

The entries are made up, in the shapes that the ledger writes; what they add up to is added up here apart, so
a test can hold the reader of logs against it.
"""

from __future__ import annotations

import random

from contracts.mechanics.statement import WindowSums, hash_statement, make_statement
from contracts.messages import Redeem
from contracts.messages.settlement import Cut
from ledger.codec import encode, to_base64url
from ledger.genesis import read_genesis
from ledger.leaves import (
    BlockLeaf,
    Totals,
    compute_tag,
    encode_block_leaf,
    encode_entry,
    encode_system_entry,
    encode_transaction_leaf,
)
from ledger.log.merkle import compute_leaf_hashes
from ledger.log.note import sign_checkpoint
from ledger.log.tiles import TILE_WIDTH, HashTree, encode_bundle, entries_path, tile_path
from ledger.outcome import Leg, Outcome
from ledger.transaction import Header
from tests.contracts.cast import OPERATOR, PARTICIPANTS, START, member_id
from tests.node.engine.town import LOG_SIGNER, make_genesis

SHOPS = tuple(name for name in PARTICIPANTS if name != OPERATOR)
ZEROS = to_base64url(bytes(32))


class MirroredLog:
    """Leaves handed in one after the other, and the folder they end in."""

    def __init__(self, folder):
        self.folder = folder
        self._bundle = []
        self._tiles = {}
        self.tree = HashTree(lambda level, index: self._tiles[level, index])

    def add(self, *leaves):
        for leaf in leaves:
            self._bundle.append(leaf)
            if len(self._bundle) == TILE_WIDTH:
                self._flush()

    def finish(self, chain, *, signer=LOG_SIGNER):
        """The last tiles and the checkpoint are there."""
        if self._bundle:
            self._flush()
        level = 0
        while known := self.tree.size >> (8 * level):
            index, width = divmod(known, TILE_WIDTH)
            if width:
                self._write(tile_path(level, index, width), self.tree.tile(level, index, width))
            level += 1
        note = sign_checkpoint(origin=chain, size=self.tree.size, root=self.tree.root(), signer=signer)
        self._write("checkpoint", note.encode())

    def _flush(self):
        index, leaves = self.tree.size // TILE_WIDTH, self._bundle
        self._bundle = []
        for tile in self.tree.extend(compute_leaf_hashes(leaves)):
            self._tiles[tile.level, tile.index] = tile.data
            self._write(tile_path(tile.level, tile.index), tile.data)
        self._write(entries_path(index, len(leaves)), encode_bundle(leaves))

    def _write(self, path, data):
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


class Trade:
    """Blocks of spending among shops, and windows cut over them; `expected` are their statements."""

    def __init__(self, folder, *, seed=6):

        self.genesis = make_genesis()
        self.origin = read_genesis(self.genesis)
        self.log = MirroredLog(folder)
        self.log.add(*self.genesis)
        self.height, self.window, self.first_height = 0, 1, 1
        self.lines, self.carries, self.previous = {}, {}, None
        self.expected = []
        self.entries = 0
        self._random = random.Random(seed)

    def spend(self, count):
        """A block with one transaction of so many spends."""
        self._open_block()
        header = Header(
            chain=self.origin.chain,
            count=count,
            digest=ZEROS,
            id=f"t-{self.height}",
            key="0" * 16,
            not_after=self.time,
            sender="petrol-west",
        )
        leaf = encode_transaction_leaf(
            encode(header), height=self.height, signature=to_base64url(bytes(64)), time=self.time
        )
        tag = compute_tag(leaf)
        self.log.add(leaf, *(self._make_spend(tag, number) for number in range(count)))
        self.entries += count
        self._close_block()

    def _make_spend(self, tag, number):
        issuer, acceptor = self._random.sample(SHOPS, 2)
        points = self._random.randrange(1, 2_000)
        gross = points * 10_001
        fee = gross // 100
        legs = [
            Leg(issuer, gross - fee, "redeem", acceptor),
            Leg(issuer, fee, "commission", OPERATOR),
        ]
        for leg in legs:
            key = leg.source, leg.destination, leg.reason
            self.lines[key] = self.lines.get(key, 0) + leg.micros
        message = Redeem(
            member=member_id(self._random.randrange(1000)),
            occurred_at=self.time - 5_000,
            points=points,
            program="leaf",
            reference=f"order-{self.height}-{number}",
        )
        return encode_entry(encode(message), encode(Outcome(code="OK", legs=legs, points=points)), tag)

    def cut(self):
        """A block that cuts the open window and does nothing else."""
        self._open_block()
        data = make_statement(
            WindowSums(
                chain=self.origin.chain,
                currency="CNY",
                window=self.window,
                first_height=self.first_height,
                last_height=self.height - 1,
                closed_at=self.time,
                payment_unit_micros=10_000,
                lines=self.lines,
                brought={},
                carries=self.carries,
                brands={},
                previous=self.previous,
            )
        )
        self.expected.append(data)
        self.previous = hash_statement(data)
        outcome = Outcome(code="OK", statement=self.previous)
        self.log.add(encode_system_entry(encode(Cut(window=self.window)), encode(outcome)))
        self._close_block()
        self.carries = read_carries(data)
        self.lines = {}
        self.window += 1
        self.first_height = self.height

    def finish(self):
        self.log.finish(self.origin.chain)

    def _open_block(self):
        self.height += 1
        self.time = START + self.height * 1_000

    def _close_block(self):
        leaf = BlockLeaf(self.height, 0, self.height, 0, ZEROS, 1, ZEROS, self.time, Totals(0, 0, 0))
        self.log.add(encode_block_leaf(leaf))


def read_carries(data):
    import msgspec

    found = {each["participant"]: int(each["carry_after"]) for each in msgspec.json.decode(data)["positions"]}
    return {name: micros for name, micros in found.items() if micros}
