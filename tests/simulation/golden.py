"""The golden chains: recorded blocks and the roots they led to, which must come out the same for ever.

    python -m tests.simulation.golden --replay chain  replay a committed chain; prints its size and root
    python -m tests.simulation.golden --drawn 3 800   draw a history of so many messages; prints size and root
    python -m tests.simulation.golden --write voted   record a chain anew

`chain` is of the first rulebook alone, from before there were votes; `voted` begins under it with a
constitution, cuts windows, and goes on under the second from a height that was voted on.

`--write` is for the day on which the formats or a rulebook's version are new, never to make a failing replay
pass: what the file holds is what ledgers out there hold. It writes nothing unless the ledger and the model of
tests/properties agree on every byte.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.properties.history import History
from tests.properties.machine import Machine
from tests.properties.model_values import canonical, hash_leaf, root_of

FOLDER = Path(__file__).resolve().parent.parent / "vectors" / "golden"
CHAINS: dict[str, tuple[int, int, dict[str, Any]]] = {
    "chain": (41, 700, {}),
    "voted": (121, 2_200, {"utc_offset_minutes": 0, "is_constituted": True, "window_days": 7}),
}
"""Name to the seed, the messages and the kind of history it was recorded from."""


class Block(NamedTuple):
    time: int
    transactions: list[str]
    size: int
    root: str


def read_golden(name: str) -> tuple[list[bytes], list[Block]]:
    """The genesis leaves, and the blocks with the size and root of the log after each."""
    first, *rest = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    genesis = [leaf.encode() for leaf in json.loads(first)["genesis"]]
    return genesis, [Block(**json.loads(line)) for line in rest]


def read_transactions(block: Block) -> list[dict[str, Any]]:
    """What a block holds, as a machine takes it."""
    return [json.loads(text) for text in block.transactions]


class Replay:
    """A machine that keeps the hashes of its leaves."""

    def __init__(self, genesis: list[bytes]) -> None:
        self.machine = Machine(genesis)
        self.hashes = [hash_leaf(leaf) for leaf in genesis]

    def execute(self, time: int, transactions: list[dict[str, Any]]) -> list[bytes]:
        leaves = self.machine.execute(time, transactions).leaves
        self.hashes += [hash_leaf(leaf) for leaf in leaves]
        return leaves

    @property
    def size(self) -> int:
        return len(self.hashes)

    @property
    def root(self) -> str:
        return root_of(self.hashes).hex()


def replay_golden(name: str) -> Iterator[tuple[Block, int, str]]:
    """Each recorded block, with the size and root that executing it led to now."""
    genesis, blocks = read_golden(name)
    replay = Replay(genesis)
    for block in blocks:
        replay.execute(block.time, read_transactions(block))
        yield block, replay.size, replay.root


def draw(seed: int, messages: int, **kind: Any) -> Iterator[tuple[Block, Replay, History]]:
    """A drawn history, executed; each block as it would be recorded."""
    history = History(seed, **kind)
    replay = Replay(history.genesis)
    asked = 0
    while asked < messages:
        time, transactions = history.draw_block()
        answers, leaves = history.model.execute(time, transactions)
        if replay.execute(time, transactions) != leaves:
            sys.exit(f"height {history.model.height}: the ledger and the model do not agree")
        history.learn(transactions, answers)
        asked += sum(len(answer.outcomes) for answer in answers)
        recorded = [canonical(transaction).decode() for transaction in transactions]
        yield Block(time, recorded, replay.size, replay.root), replay, history


def write(name: str) -> None:
    lines: list[bytes] = []
    seed, messages, kind = CHAINS[name]
    for block, _, history in draw(seed, messages, **kind):
        if not lines:
            lines.append(canonical({"genesis": [leaf.decode() for leaf in history.genesis]}))
        lines.append(canonical(block._asdict()))
    (FOLDER / f"{name}.jsonl").write_bytes(b"\n".join(lines) + b"\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--replay", choices=CHAINS)
    group.add_argument("--drawn", nargs=2, type=int, metavar=("SEED", "MESSAGES"))
    group.add_argument("--write", choices=CHAINS)
    asked = parser.parse_args()
    if asked.write:
        write(asked.write)
    elif asked.replay:
        for block, size, root in replay_golden(asked.replay):
            if (size, root) != (block.size, block.root):
                sys.exit(f"size {size}, root {root}; recorded: size {block.size}, root {block.root}")
        print(size, root)
    else:
        for _, replay, _ in draw(*asked.drawn):
            last = replay
        print(last.size, last.root)


if __name__ == "__main__":
    main()
