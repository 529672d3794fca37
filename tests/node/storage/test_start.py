"""What a start believes of the files it finds, and what it does not."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest

from ledger.errors import CommonpointError, InvalidBlock, InvariantBroken, Unverified
from ledger.log.tiles import decode_bundle, encode_bundle
from node.core import NodeCore
from node.storage.store import VIEWS_FILE
from tests.contracts.cast import FRESH, PETROL, make_signer
from tests.node.engine.town import LOG_SIGNER, Town, codes_of, points_of, submit

BLOCKS = 6
MESSAGES = 100
"""A block: blocks cross the borders of bundles, and some fill a tile."""


class Grown:
    """A ledger of some blocks, and what its log looked like after each."""

    def __init__(self, folder) -> None:
        folder.mkdir()
        self.town = Town(folder, kind="simulated")
        core = self.town.open()
        self.notes = [core.checkpoint]
        self.sizes = [core.head.size]
        for data in [*self.town.begin(), *map(self.make, range(BLOCKS))]:
            submit(core, data)
            self.notes.append(core.checkpoint)
            self.sizes.append(core.head.size)
        self.leaves = core.read_leaves(0, core.head.size)
        self.town.close()

    def make(self, number: int) -> bytes:
        earned = [self.town.earn(number * 1000 + each, member=each % 3 + 1) for each in range(MESSAGES)]
        return self.town.sign(FRESH, f"t{number}", *earned)

    def copy(self, folder) -> Town:
        """The same files elsewhere, to be damaged."""
        shutil.copytree(self.town.database.parent, folder)
        town = Town(folder, kind="simulated")
        assert town.database.exists()
        return town


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    return Grown(tmp_path_factory.mktemp("grown") / "ledger")


@pytest.fixture
def copied(grown, tmp_path):
    town = grown.copy(tmp_path / "copy")
    yield town
    town.close()


def write(town: Town, statement: str, *values, file: str = "ledger.db") -> int:
    with closing(sqlite3.connect(town.database.with_name(file))) as connection, connection:
        return connection.execute(statement, values).rowcount


def read(town: Town, statement: str, *values, file: str = "ledger.db") -> list[tuple]:
    with closing(sqlite3.connect(town.database.with_name(file))) as connection:
        return connection.execute(statement, values).fetchall()


def forget_views(town: Town) -> None:
    """As if the log had been restored alone: everything after the genesis is executed again."""
    for file in town.database.parent.glob(f"{VIEWS_FILE}*"):
        file.unlink()


def tear(town: Town, *, size: int, blocks: int, note: tuple[int, str]) -> None:
    """The files as a copy may look that was made while they were written: `size` leaves, `blocks` blocks."""
    for first, data in read(town, "SELECT first, data FROM segment ORDER BY first"):
        leaves = decode_bundle(data)[: max(0, size - first)]
        if leaves:
            write(town, "UPDATE segment SET data = ? WHERE first = ?", encode_bundle(leaves), first)
        else:
            write(town, "DELETE FROM segment WHERE first = ?", first)
    write(town, "DELETE FROM block WHERE height > ?", blocks)
    write(town, "DELETE FROM note")
    write(town, "INSERT INTO note (size, text) VALUES (?, ?)", *note)
    forget_views(town)


def refusal_to_start(town: Town) -> str:
    """The code of the error, which is one a command line can tell, and the same when it is tried again."""
    codes = []
    for _ in range(2):
        with pytest.raises(CommonpointError) as refused:
            town.open()
        assert isinstance(refused.value, InvariantBroken | InvalidBlock | Unverified)
        codes.append(refused.value.code)
    assert codes[0] == codes[1]
    return codes[0]


#   whole blocks, and how many leaves of the next one are there
TORN = [(0, 1), (0, 5), (3, 1), (3, 50), (3, 101), (5, 40), (8, 1), (8, 100)]


@pytest.mark.parametrize(("blocks", "more"), TORN)
def test_a_torn_tail_is_cut_back_to_the_last_block(grown, copied, blocks, more):
    size, note = grown.sizes[blocks], grown.notes[blocks]
    tear(copied, size=size + more, blocks=blocks, note=(size, note))
    core = copied.open()
    assert core.head.height == blocks
    assert core.read_leaves(0, core.head.size) == grown.leaves[:size]
    assert core.checkpoint == note
    for data in [*copied.begin(), *map(grown.make, range(BLOCKS))]:
        assert codes_of(submit(core, data)) == {"OK"}
    # The same blocks again come to the same tree, tiles and all.
    assert core.checkpoint == grown.notes[-1]
    core.stop()
    assert read(copied, "SELECT * FROM tile ORDER BY 1, 2") == read(
        grown.town, "SELECT * FROM tile ORDER BY 1, 2"
    )


@pytest.mark.parametrize(("blocks", "more"), TORN)
def test_a_log_is_never_cut_back_below_a_signed_checkpoint(grown, copied, blocks, more):
    tear(
        copied,
        size=grown.sizes[blocks] + more,
        blocks=blocks,
        note=(grown.sizes[blocks + 1], grown.notes[blocks + 1]),
    )
    before = read(copied, "SELECT * FROM segment")
    assert refusal_to_start(copied) == "LOG_BEHIND_CHECKPOINT"
    assert read(copied, "SELECT * FROM segment") == before, "nothing is cut before it is known what may be"


def test_without_its_views_a_ledger_makes_them_again(grown, copied):
    views = {
        table: read(copied, f"SELECT * FROM {table} ORDER BY 1, 2", file=VIEWS_FILE)
        for (table,) in read(copied, "SELECT name FROM sqlite_master WHERE type = 'table'", file=VIEWS_FILE)
    }
    assert len(views["history"]) > BLOCKS * MESSAGES
    forget_views(copied)
    core = copied.open()
    assert core.checkpoint == grown.notes[-1]
    core.stop()
    for table, rows in views.items():
        found = read(copied, f"SELECT * FROM {table} ORDER BY 1, 2", file=VIEWS_FILE)
        assert sorted(found) == sorted(rows), table


def test_views_of_another_log_are_not_believed(grown, copied, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    town = Town(other, kind="simulated")
    core = town.open()
    for data in town.begin():
        submit(core, data)
    # The same kind of transactions, the same sizes; one purchase is another one.
    submit(core, town.sign(FRESH, "t0", *[town.earn(each, points=11) for each in range(MESSAGES)]))
    for number in range(1, BLOCKS):
        submit(core, grown.make(number))
    assert core.head.size == len(grown.leaves)
    town.close()
    shutil.copy(other / VIEWS_FILE, copied.database.with_name(VIEWS_FILE))
    assert refusal_to_start(copied) == "FOLD_OF_ANOTHER_LOG"


def test_views_ahead_of_the_log_are_not_believed(grown, copied, tmp_path):
    views = tmp_path / VIEWS_FILE
    shutil.copy(copied.database.with_name(VIEWS_FILE), views)
    tear(copied, size=grown.sizes[4], blocks=4, note=(grown.sizes[4], grown.notes[4]))
    shutil.copy(views, copied.database.with_name(VIEWS_FILE))
    assert refusal_to_start(copied) == "LOG_BEHIND_FOLD"


def flip(data: bytes, place: int) -> bytes:
    return bytes([*data[:place], data[place] ^ 4, *data[place + 1 :]])


@pytest.mark.parametrize("place", [40, 3000, -9])
def test_a_bit_lost_after_the_checkpoint_is_found_before_it_is_signed(grown, copied, place):
    """Leaves that no stored checkpoint vouches for yet are held against the tree, and executed again."""
    write(copied, "DELETE FROM note")
    write(copied, "INSERT INTO note (size, text) VALUES (?, ?)", grown.sizes[4], grown.notes[4])
    (first, data), *_ = read(copied, "SELECT first, data FROM segment ORDER BY first DESC LIMIT 1")
    write(copied, "UPDATE segment SET data = ? WHERE first = ?", flip(data, place), first)
    assert refusal_to_start(copied) == "FOLD_AHEAD_OF_CHECKPOINT"
    forget_views(copied)
    refusal_to_start(copied)


def test_a_bit_lost_in_a_tile_after_the_checkpoint_is_found_before_it_is_signed(grown, copied):
    write(copied, "DELETE FROM note")
    write(copied, "INSERT INTO note (size, text) VALUES (?, ?)", grown.sizes[4], grown.notes[4])
    forget_views(copied)
    (position, data), *_ = read(
        copied, "SELECT position, data FROM tile WHERE level = 0 ORDER BY 1 DESC LIMIT 1"
    )
    assert (position + 1) * 256 > grown.sizes[4]
    write(copied, "UPDATE tile SET data = ? WHERE level = 0 AND position = ?", flip(data, -5), position)
    assert refusal_to_start(copied) == "LEAF_HASH_DIFFERS"


def test_a_bit_lost_in_a_tile_below_the_checkpoint_is_found(copied):
    (data,), *_ = read(copied, "SELECT data FROM tile WHERE level = 0 AND position = 0")
    write(copied, "UPDATE tile SET data = ? WHERE level = 0 AND position = 0", flip(data, 11))
    assert refusal_to_start(copied) == "CHECKPOINT_DIFFERS"


def test_a_checkpoint_that_is_not_ours_is_not_believed(grown, copied):
    size, text = read(copied, "SELECT size, text FROM note")[0]
    forged = grown.notes[3].split("\n\n")[0] + "\n\n" + text.split("\n\n")[1]
    for note in (forged, text.replace("A", "B", 1), "", grown.notes[3].replace("town", "twon")):
        write(copied, "UPDATE note SET text = ?", note)
        refusal_to_start(copied)
    write(copied, "UPDATE note SET text = ?", text)
    assert copied.open().head.size == size


def test_another_genesis_or_another_log_key_opens_nothing(copied):
    other = Town(copied.database.parent, kind="simulated", parameters={"commission_basis_points": 7})
    assert refusal_to_start(other) == "GENESIS_DIFFERS"
    with pytest.raises(InvariantBroken, match="LOG_KEY_DIFFERS"):
        NodeCore.open(copied.database, genesis=copied.genesis, signer=make_signer("another"))
    with pytest.raises(CommonpointError):
        NodeCore.open(copied.database, genesis=copied.genesis[:3], signer=LOG_SIGNER)
    assert copied.open().is_ready


@pytest.mark.parametrize("blocks", [None, 4])
def test_views_that_no_checkpoint_covers_are_not_believed(grown, copied, blocks):
    """What is folded is not executed again, so it must lie below a checkpoint that was stored before."""
    write(copied, "DELETE FROM note")
    if blocks is not None:
        write(copied, "INSERT INTO note (size, text) VALUES (?, ?)", grown.sizes[blocks], grown.notes[blocks])
    assert refusal_to_start(copied) == "FOLD_AHEAD_OF_CHECKPOINT"
    forget_views(copied)
    core = copied.open()
    assert core.checkpoint == grown.notes[-1]


def test_a_missing_row_in_the_middle_is_missed(copied):
    assert write(copied, "DELETE FROM segment WHERE first = 256") == 1
    forget_views(copied)
    assert refusal_to_start(copied) == "LEAVES_MISSING"


def test_a_start_that_failed_leaves_nothing_open(copied):
    note = read(copied, "SELECT text FROM note")[0][0]
    write(copied, "UPDATE note SET text = ''")
    refusal_to_start(copied)
    # Nobody holds the files: they can be taken exclusively, mended, and used.
    with closing(sqlite3.connect(copied.database, timeout=0)) as connection:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("UPDATE note SET text = ?", (note,))
        connection.commit()
    core = copied.open()
    assert points_of(core, 1) > 0
    assert codes_of(submit(core, copied.sign(PETROL, "more", copied.earn(1, sender=PETROL)))) == {"OK"}
