"""What a start believes of the files it finds, and what it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger.errors import CommonpointError, InvalidBlock, InvariantBroken, Unverified
from ledger.log.tiles import decode_bundle, encode_bundle
from node.core import NodeCore
from node.storage.packing import pack, unpack
from node.storage.place import Place
from tests.contracts.cast import FRESH, PETROL, make_signer
from tests.node.engine.town import LOG_SIGNER, Town, codes_of, points_of, submit
from tests.node.storage.makes import Make, spread_chunks

BLOCKS = 6
MESSAGES = 100
"""A block: blocks cross the borders of bundles, and some fill a tile."""


class Grown:
    """A ledger of some blocks, and what its log looked like after each."""

    def __init__(self, make: Make, folder: Path) -> None:
        self.town = open_town(make.make(folder), folder)
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


def open_town(place: Place, folder: Path, **how: Any) -> Town:
    """A town kept there, whose blocks are cut when it is told."""
    town = Town(folder, kind="simulated", **how)
    town.database = place
    return town


class Shell:
    """Somebody with a shell, who does to a ledger what a disk or a bad copy may do."""

    def __init__(self, make: Make, town: Town) -> None:
        self.make = make
        self.town = town

    def read(self, statement: str, *values: Any, views: bool = False) -> list[tuple[Any, ...]]:
        return self.make.read(self.town.database, statement, *values, views=views)

    def write(self, statement: str, *values: Any, views: bool = False) -> int:
        return self.make.write(self.town.database, statement, *values, views=views)

    def forget_views(self) -> None:
        self.make.forget_views(self.town.database)

    def change_note(self, size: int, text: str) -> None:
        self.write("DELETE FROM note")
        self.write("INSERT INTO note (size, text) VALUES (?, ?)", size, text)

    def tear(self, *, size: int, blocks: int, note: tuple[int, str]) -> None:
        """As a copy may look that was made while it was written: `size` leaves, `blocks` blocks."""
        for first, data in self.read("SELECT first, data FROM segment ORDER BY first"):
            leaves = decode_bundle(unpack(data))[: max(0, size - first)]
            if leaves:
                row = pack(encode_bundle(leaves))
                self.write("UPDATE segment SET data = ? WHERE first = ?", row, first)
            else:
                self.write("DELETE FROM segment WHERE first = ?", first)
        self.write("DELETE FROM block WHERE height > ?", blocks)
        self.change_note(*note)
        self.forget_views()


@pytest.fixture(scope="module")
def grown(make, tmp_path_factory):
    return Grown(make, tmp_path_factory.mktemp("grown") / "ledger")


@pytest.fixture
def copied(grown, make, tmp_path):
    """The same ledger elsewhere, to be damaged."""
    place = make.copy(grown.town.database, tmp_path / "copy")
    town = open_town(place, tmp_path)
    yield town
    town.close()
    make.take_back(place)


@pytest.fixture
def shell(make, copied):
    return Shell(make, copied)


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
def test_a_torn_tail_is_cut_back_to_the_last_block(grown, copied, shell, blocks, more):
    size, note = grown.sizes[blocks], grown.notes[blocks]
    shell.tear(size=size + more, blocks=blocks, note=(size, note))
    core = copied.open()
    assert core.head.height == blocks
    assert core.read_leaves(0, core.head.size) == grown.leaves[:size]
    assert core.checkpoint == note
    for data in [*copied.begin(), *map(grown.make, range(BLOCKS))]:
        assert codes_of(submit(core, data)) == {"OK"}
    # The same blocks again come to the same tree, tiles and all.
    assert core.checkpoint == grown.notes[-1]
    core.stop()
    tiles = "SELECT * FROM tile ORDER BY 1, 2"
    assert shell.read(tiles) == shell.make.read(grown.town.database, tiles)


@pytest.mark.parametrize(("blocks", "more"), TORN)
def test_a_log_is_never_cut_back_below_a_signed_checkpoint(grown, copied, shell, blocks, more):
    shell.tear(
        size=grown.sizes[blocks] + more,
        blocks=blocks,
        note=(grown.sizes[blocks + 1], grown.notes[blocks + 1]),
    )
    before = shell.read("SELECT * FROM segment")
    assert refusal_to_start(copied) == "LOG_BEHIND_CHECKPOINT"
    assert shell.read("SELECT * FROM segment") == before, "nothing is cut before it is known what may be"


def test_without_its_views_a_ledger_makes_them_again(grown, make, copied, shell):
    tables = make.list_tables(copied.database, views=True)
    views = read_views(shell, tables)
    assert len(views["history"]) > BLOCKS * MESSAGES
    shell.forget_views()
    core = copied.open()
    assert core.checkpoint == grown.notes[-1]
    core.stop()
    assert read_views(shell, tables) == views


def read_views(shell, tables):
    return {table: spread_chunks(table, shell.read(f"SELECT * FROM {table}", views=True)) for table in tables}


def test_views_of_another_log_are_not_believed(grown, make, copied, tmp_path):
    town = open_town(make.make(tmp_path / "other"), tmp_path / "other")
    core = town.open()
    for data in town.begin():
        submit(core, data)
    # The same kind of transactions, the same sizes; one purchase is another one.
    submit(core, town.sign(FRESH, "t0", *[town.earn(each, points=11) for each in range(MESSAGES)]))
    for number in range(1, BLOCKS):
        submit(core, grown.make(number))
    assert core.head.size == len(grown.leaves)
    town.close()
    make.take_views(copied.database, town.database)
    assert refusal_to_start(copied) == "FOLD_OF_ANOTHER_LOG"


def test_views_ahead_of_the_log_are_not_believed(grown, make, copied, shell):
    shell.tear(size=grown.sizes[4], blocks=4, note=(grown.sizes[4], grown.notes[4]))
    copied.open().stop()
    make.take_views(copied.database, grown.town.database)
    assert refusal_to_start(copied) == "LOG_BEHIND_FOLD"


def flip(data: bytes, place: int) -> bytes:
    return bytes([*data[:place], data[place] ^ 4, *data[place + 1 :]])


def flip_leaves(row: bytes, place: int) -> bytes:
    """A leaf is another one, and nothing about the row tells."""
    return pack(flip(unpack(row), place))


@pytest.mark.parametrize(
    ("change", "place"),
    [*[(flip_leaves, place) for place in (40, 3000, -9)], *[(flip, place) for place in (1, 300, -9)]],
)
def test_a_bit_lost_after_the_checkpoint_is_found_before_it_is_signed(grown, copied, shell, change, place):
    """Leaves that no stored checkpoint vouches for yet are held against the tree, and executed again."""
    shell.change_note(grown.sizes[4], grown.notes[4])
    (first, data), *_ = shell.read("SELECT first, data FROM segment ORDER BY first DESC LIMIT 1")
    shell.write("UPDATE segment SET data = ? WHERE first = ?", change(data, place), first)
    assert refusal_to_start(copied) in ("FOLD_AHEAD_OF_CHECKPOINT", "ROW_MALFORMED", "BUNDLE_MALFORMED")
    shell.forget_views()
    refusal_to_start(copied)


def test_a_bit_lost_in_a_tile_after_the_checkpoint_is_found_before_it_is_signed(grown, copied, shell):
    shell.change_note(grown.sizes[4], grown.notes[4])
    shell.forget_views()
    (position, data), *_ = shell.read(
        "SELECT position, data FROM tile WHERE level = 0 ORDER BY 1 DESC LIMIT 1"
    )
    assert (position + 1) * 256 > grown.sizes[4]
    shell.write("UPDATE tile SET data = ? WHERE level = 0 AND position = ?", flip(data, -5), position)
    assert refusal_to_start(copied) == "LEAF_HASH_DIFFERS"


def test_a_bit_lost_in_a_tile_below_the_checkpoint_is_found(copied, shell):
    (data,), *_ = shell.read("SELECT data FROM tile WHERE level = 0 AND position = 0")
    shell.write("UPDATE tile SET data = ? WHERE level = 0 AND position = 0", flip(data, 11))
    assert refusal_to_start(copied) == "CHECKPOINT_DIFFERS"


def test_a_checkpoint_that_is_not_ours_is_not_believed(grown, copied, shell):
    size, text = shell.read("SELECT size, text FROM note")[0]
    forged = grown.notes[3].split("\n\n")[0] + "\n\n" + text.split("\n\n")[1]
    for note in (forged, text.replace("A", "B", 1), "", grown.notes[3].replace("town", "twon")):
        shell.write("UPDATE note SET text = ?", note)
        refusal_to_start(copied)
    shell.write("UPDATE note SET text = ?", text)
    assert copied.open().head.size == size


def test_another_genesis_or_another_log_key_opens_nothing(copied, tmp_path):
    other = open_town(copied.database, tmp_path, parameters={"commission_basis_points": 7})
    assert refusal_to_start(other) == "GENESIS_DIFFERS"
    with pytest.raises(InvariantBroken, match="LOG_KEY_DIFFERS"):
        NodeCore.open(copied.database, genesis=copied.genesis, signer=make_signer("another"))
    with pytest.raises(CommonpointError):
        NodeCore.open(copied.database, genesis=copied.genesis[:3], signer=LOG_SIGNER)
    assert copied.open().is_ready


@pytest.mark.parametrize("blocks", [None, 4])
def test_views_that_no_checkpoint_covers_are_not_believed(grown, copied, shell, blocks):
    """What is folded is not executed again, so it must lie below a checkpoint that was stored before."""
    if blocks is None:
        shell.write("DELETE FROM note")
    else:
        shell.change_note(grown.sizes[blocks], grown.notes[blocks])
    assert refusal_to_start(copied) == "FOLD_AHEAD_OF_CHECKPOINT"
    shell.forget_views()
    core = copied.open()
    assert core.checkpoint == grown.notes[-1]


def test_a_missing_row_in_the_middle_is_missed(copied, shell):
    assert shell.write("DELETE FROM segment WHERE first = 256") == 1
    shell.forget_views()
    assert refusal_to_start(copied) == "LEAVES_MISSING"


def test_a_start_that_failed_leaves_nothing_open(make, copied, shell):
    note = shell.read("SELECT text FROM note")[0][0]
    shell.write("UPDATE note SET text = ''")
    refusal_to_start(copied)
    make.check_let_go(copied.database)
    shell.write("UPDATE note SET text = ?", note)
    core = copied.open()
    assert points_of(core, 1) > 0
    assert codes_of(submit(core, copied.sign(PETROL, "more", copied.earn(1, sender=PETROL)))) == {"OK"}
