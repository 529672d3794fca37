"""A load: signed transactions in files, made by several processes before any clock starts.

Each part of a load is drawn by a process of its own from a seed of its own, and has two files: what is sent
*before*, and what is *measured*. The parts' transactions are sent in the order of the parts. A file is
transactions one after the other, each behind its length in four bytes.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple, Self

from scripts.measure.alliance import MERCHANTS, Alliance
from scripts.measure.envelopes import Pen
from scripts.measure.members import Members
from scripts.measure.writer import Writer

_SMALL: Final = 5_000
"""A load of so few messages is made sooner than a process."""


class Order(NamedTuple):
    """What is asked of a load. ``name`` makes its ids and references its own on this chain."""

    mix: str
    operations: int
    batch: int
    members: int
    seed: int
    chain: str
    name: str


class Load(NamedTuple):
    """A load on disk."""

    folder: Path
    order: Order
    before: int
    """Messages sent beforehand."""
    transactions: int
    """Measured ones."""

    @property
    def operations(self) -> int:
        """Measured messages."""
        return self.order.operations

    def read_before(self) -> Iterator[bytes]:
        """The transactions sent beforehand."""
        return self._read("before-*")

    def read_measured(self) -> Iterator[bytes]:
        """The measured transactions."""
        return self._read("measured-*")

    def list_files(self) -> list[Path]:
        """All of its files, in the order in which they are sent."""
        return [*sorted(self.folder.glob("before-*")), *sorted(self.folder.glob("measured-*"))]

    def remove(self) -> None:
        """The files are gone."""
        shutil.rmtree(self.folder)

    def _read(self, pattern: str) -> Iterator[bytes]:
        for path in sorted(self.folder.glob(pattern)):
            yield from read_transactions(path)


def read_transactions(path: Path) -> Iterator[bytes]:
    """The transactions of one file, read as they are wanted: a load takes no memory."""
    with path.open("rb", buffering=4 * 1024 * 1024) as file:
        while head := file.read(4):
            yield file.read(int.from_bytes(head, "big"))


class TransactionFile:
    """A file that transactions are written to."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=1024 * 1024)
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, transactions: Iterable[bytes]) -> None:
        """Append them."""
        for data in transactions:
            self._file.write(len(data).to_bytes(4, "big") + data)
            self.count += 1


def make_load(folder: Path, order: Order) -> Load:
    """The whole load in ``folder``, made by as many processes as there are processors."""
    folder.mkdir(parents=True)
    cores = os.cpu_count() or 1
    whole = order.operations // order.batch
    parts = max(1, min(cores, whole))
    counts = [whole // parts * order.batch] * parts
    counts[-1] += order.operations - sum(counts)
    moment = time.time_ns() // 1_000_000
    if order.operations <= _SMALL:
        made = [_make_part(folder, order, 0, 1, moment)]
        return Load(folder, order, made[0][0], made[0][1])
    with ProcessPoolExecutor(parts, mp_context=multiprocessing.get_context("spawn")) as pool:
        made = list(
            pool.map(
                _make_part,
                [folder] * parts,
                [order._replace(operations=count) for count in counts],
                range(parts),
                [parts] * parts,
                [moment] * parts,
            )
        )
    return Load(folder, order, sum(before for before, _ in made), sum(count for _, count in made))


def _make_part(folder: Path, order: Order, part: int, parts: int, moment: int) -> tuple[int, int]:
    """Messages beforehand and measured transactions of one part, whose files are written."""
    alliance = Alliance(order.seed)
    name = f"{order.name}.{part}"
    pen = Pen(alliance, chain=order.chain, time=moment, name=name)
    dice = random.Random(f"{order.seed}/{order.name}/{part}")
    writer = Writer(
        pen,
        Members(alliance, order.members),
        mix=order.mix,
        batch=order.batch,
        dice=dice,
        first_acceptor=len(MERCHANTS) * part // parts,
    )
    with (
        TransactionFile(folder / f"before-{part:02d}") as before,
        TransactionFile(folder / f"measured-{part:02d}") as measured,
    ):
        for _ in writer.write(order.operations):
            before.write(writer.before.take())
            measured.write(writer.measured.take())
        before.write(writer.before.take())
        measured.write(writer.measured.take())
    return writer.messages_before, measured.count
