"""The command line of a validator that proposes what nobody should, another block each time it is its
turn, and votes for its own whatever that is. What it executes is what was decided, as everybody does.
"""

from __future__ import annotations

import itertools
import sys
import zlib

from node.cli.main import run
from node.engine.cometbft import keeping
from node.engine.cometbft.application import Application
from node.engine.cometbft.generated import abci_pb2 as abci
from node.engine.cometbft.injected import encode_time, encode_wake

DAY = 86_400_000
MODULE = "tests.node.cometbft.dishonest"
OLD: list[bytes] = []
"""Transactions that stand in the ledger already."""


def forge(data: bytes) -> bytes:
    """The same under another signature."""
    plain = zlib.decompress(data) if data[:1] == b"x" else data
    head, mark, rest = plain.rpartition(b'"signature":"')
    return head + mark + (b"B" if rest[:1] != b"B" else b"C") + rest[1:]


def bomb(size: int) -> bytes:
    return zlib.compress(b"{" + b" " * size + b"}", 9)


#   what an honest proposer would have made (its time first), and what this one makes of it
ATTACKS = {
    "honest": lambda now, good: [encode_time(now), *good],
    "far ahead": lambda now, good: [encode_time(now + DAY), *good],
    "far behind": lambda now, good: [encode_time(now - DAY), *good],
    "no time": lambda _now, good: good,
    "two times": lambda now, good: [encode_time(now), encode_time(now + 5), *good],
    "everything twice": lambda now, good: [encode_time(now), *good, *good],
    "packed again": lambda now, good: [encode_time(now), *good, *(zlib.compress(each) for each in good)],
    "forged copies first": lambda now, good: [encode_time(now), *map(forge, good), *good],
    "only old ones": lambda now, _good: [encode_time(now), *OLD[-50:]],
    "nothing": lambda now, _good: [encode_time(now)],
    "rubbish": lambda now, good: [encode_time(now), *good, b"\xff" * 100, b"{}"],
    "a bomb": lambda now, _good: [encode_time(now), bomb(1 << 26)],
    "calls to wake up": lambda now, good: [encode_time(now), *good, *[encode_wake(7)] * 5_000],
}


class Dishonest(Application):
    """Proposes badly, in turn."""

    def __init__(self, *arguments, **named) -> None:
        super().__init__(*arguments, **named)
        self._turns = itertools.cycle(ATTACKS)
        self._own: list[tuple[bytes, ...]] = []

    def _prepare_proposal(self, request):
        honest = list(super()._prepare_proposal(request).txs)
        name = next(self._turns)
        made = ATTACKS[name](max(self._clock(), self._chain.executor.head.time), honest[1:])
        kept, size = [], 0
        for each in made:
            size += len(each) + 8
            if size < request.max_tx_bytes:
                kept.append(each)
        self._own = [*self._own[-9:], tuple(kept)]
        print(f"proposed: {name}", file=sys.stderr, flush=True)
        return abci.ResponsePrepareProposal(txs=kept)

    def _process_proposal(self, request):
        if tuple(request.txs) in self._own:
            return abci.ResponseProcessProposal(status=abci.ResponseProcessProposal.ACCEPT)
        return super()._process_proposal(request)

    def _commit(self, request):
        OLD.extend(self._in_hand.data[1:])
        return super()._commit(request)


class Keeper(keeping.Keeper):
    """It keeps this very program running."""

    def __init__(self, *arguments, **named) -> None:
        super().__init__(*arguments, **named)
        self._command[self._command.index("node.cli.main")] = MODULE


if __name__ == "__main__":
    from node.engine.cometbft import engine

    engine.Application = Dishonest
    keeping.Keeper = Keeper
    run()
