"""Prepared ledgers: an alliance whose members are enrolled and have points, ready to be copied and measured.

Every account is made as any other: `enrol` by its custodian, then `earn`, in signed transactions of up to
8,192 messages that a real node executes. That takes a while for a million members, so a ledger that was made
is kept in a cache folder, under a name that says what it depends on.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

from contracts.messages import Earn
from contracts.rulebook import CURRENT_VERSION
from ledger.codec import encode
from ledger.values import MESSAGES_MAX, TRANSACTION_BYTES_MAX
from node.storage.schema import LOG_VERSION, VIEWS_VERSION
from scripts.measure.alliance import ISSUERS, SPEND_PER_POINT, Alliance
from scripts.measure.envelopes import Pen
from scripts.measure.inside import feed_apart
from scripts.measure.load import Order, TransactionFile, make_load
from scripts.measure.members import Members
from scripts.measure.postgres import Server, copy_database, drop_database, make_database
from scripts.measure.site import Site

RECIPE: Final = 1
"""Raised whenever a prepared ledger would come out otherwise."""
_OPENING_POINTS: Final = (50_000, 150_000)
_FILL_OPERATIONS: Final = 2_000_000


class Prepared(NamedTuple):
    """A ledger on disk that no process uses. It is copied, never run."""

    site: Site
    seed: int
    members: int
    entries: int

    def copy(self, to: Path) -> Site:
        """A ledger of one's own, equal to this. `remove` it in the end."""
        shutil.copytree(self.site.directory, to, copy_function=shutil.copyfile)
        for path in [to, *to.rglob("*")]:
            path.chmod(0o700 if path.is_dir() else 0o600)
        if not self.site.address:
            return Site(to)
        return Site(to, copy_database(self.site.address, name=f"run_{to.parent.name.replace('-', '_')}"))


def remove(site: Site) -> None:
    """A copy is gone."""
    shutil.rmtree(site.directory)
    if site.address:
        drop_database(site.address)


def prepare(cache: Path, *, seed: int, members: int, entries: int = 0) -> Prepared:
    """The ledger of so many members and at least so many entries: from the cache, or made now."""
    versions = f"recipe{RECIPE}-schema{LOG_VERSION}.{VIEWS_VERSION}-rulebook{CURRENT_VERSION}"
    name = f"{versions}-seed{seed}-members{members}"
    base = 2 * members
    if entries <= base:
        directory = cache / name
        entries = base
    else:
        directory = cache / f"{name}-entries{entries}"
    prepared = Prepared(Site(directory), seed, members, entries)
    if directory.exists():
        return prepared
    started = time.monotonic()
    print(f"preparing a ledger of {members:,} members and {entries:,} entries, once ...", flush=True)
    growing = cache / f"growing-{os.getpid()}"
    shutil.rmtree(growing, ignore_errors=True)
    cache.mkdir(parents=True, exist_ok=True)
    if entries == base:
        _found(Site(growing), cache, seed=seed, members=members)
    else:
        _fill(prepare(cache, seed=seed, members=members), growing, cache, count=entries - base)
    if directory.exists():
        # Another run was quicker.
        shutil.rmtree(growing)
        return prepared
    growing.rename(directory)
    print(f"prepared in {time.monotonic() - started:.0f} s: {directory}", flush=True)
    return prepared


def prepare_in_postgresql(server: Server, scratch: Path, *, seed: int, members: int) -> Prepared:
    """The same in a database of this server, made now: it lasts no longer than the server."""
    site = Site(scratch / "prepared-in-postgresql", make_database(server.address, name="prepared"))
    _found(site, scratch, seed=seed, members=members)
    return Prepared(site, seed, members, 2 * members)


def _found(site: Site, cache: Path, *, seed: int, members: int) -> None:
    """A new ledger, its programs opened, its members enrolled and given points."""
    moment = time.time_ns() // 1_000_000
    alliance = Alliance(seed)
    config = alliance.make_data_dir(site.directory, time=moment - 1)
    folder = cache / f"letters-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    chain = config.origin.chain
    pen = Pen(alliance, chain=chain, time=moment, name="opening")
    with TransactionFile(folder / "opening") as opening:
        for issuer, messages in alliance.make_openings(time=moment):
            opening.write([pen.sign(issuer, "govern", messages)])
    parts = os.cpu_count() or 1
    with ProcessPoolExecutor(parts, mp_context=multiprocessing.get_context("spawn")) as pool:
        tasks = [
            pool.submit(
                _write_members,
                folder,
                seed=seed,
                chain=chain,
                moment=moment,
                count=members,
                part=part,
                parts=parts,
            )
            for part in range(parts)
        ]
        for task in tasks:
            task.result()
    feed_apart(site, [folder / "opening", *sorted(folder.glob("members-*"))])
    shutil.rmtree(folder)


def _write_members(
    folder: Path, *, seed: int, chain: str, moment: int, count: int, part: int, parts: int
) -> None:
    """One part of the members: enrolled by their homes, then given points for a purchase."""
    alliance = Alliance(seed)
    members = Members(alliance, count)
    pen = Pen(alliance, chain=chain, time=moment, name=f"p{part}")
    dice = random.Random(f"{seed}/members/{part}")
    step = MESSAGES_MAX * len(ISSUERS)
    first, end = count * part // parts, count * (part + 1) // parts
    with TransactionFile(folder / f"members-{part:02d}") as file:
        for start in range(first, end, step):
            numbers = range(start, min(end, start + step))
            for home in ISSUERS:
                ours = [number for number in numbers if members.get_home(number) == home]
                enrolments = [members.enrol(number, chain=chain) for number in ours]
                purchases = [_open_account(pen, members, number, dice) for number in ours]
                for purpose, messages in (("custody", enrolments), ("transact", purchases)):
                    file.write(pen.sign(home, purpose, some) for some in _cut(messages))


def _open_account(pen: Pen, members: Members, number: int, dice: random.Random) -> Earn:
    return Earn(
        amount=dice.randrange(*_OPENING_POINTS) * SPEND_PER_POINT,
        member=members.get_id(number),
        occurred_at=pen.time,
        program=members.get_home(number),
        reference=pen.make_reference(),
    )


def _cut(messages: list[Any]) -> Iterator[list[Any]]:
    """Into pieces that a transaction can hold."""
    some: list[Any] = []
    size = 0
    for message in messages:
        length = len(encode(message)) + 1
        if some and (size + length > TRANSACTION_BYTES_MAX - 4_096 or len(some) == MESSAGES_MAX):
            yield some
            some, size = [], 0
        some.append(message)
        size += length
    if some:
        yield some


def _fill(base: Prepared, directory: Path, cache: Path, *, count: int) -> None:
    """``count`` entries more of the peak mix, in pieces that are signed while they are young."""
    site = base.copy(directory)
    while count > 0:
        piece = min(count, _FILL_OPERATIONS)
        load = make_load(
            cache / f"letters-{os.getpid()}",
            Order("peak", piece, MESSAGES_MAX, base.members, base.seed, site.chain, f"fill{count}"),
        )
        feed_apart(site, load.list_files())
        load.remove()
        count -= piece + load.before
