"""A mirror is believed only as far as its tiles and its signed checkpoint go."""

from __future__ import annotations

import shutil

import pytest

from ledger.errors import InvalidBlock, Unverified
from ledger.log.note import sign_checkpoint
from node.keystore import Unusable
from tests.contracts.cast import make_signer
from tests.node.statements.conftest import read_kept, take
from tests.node.statements.mirrored import Trade


@pytest.fixture
def copy(mirror, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(mirror, folder)
    return folder


def change_byte(path, old, new):
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def test_a_folder_of_tiles_is_enough(mirror, alliance):
    assert take(mirror, 3).window.data == read_kept(alliance, 3)


def test_an_entry_that_was_changed_is_found_by_its_hash(copy):
    change_byte(copy / "tile/entries/000", b'"reason":"redeem"', b'"reason":"redeen"')
    with pytest.raises(InvalidBlock) as caught:
        take(copy, 1)
    assert caught.value.code == "LEAF_HASH_DIFFERS"


def test_tiles_that_are_missing_are_named(copy):
    (copy / "tile/0/000").unlink()
    with pytest.raises(InvalidBlock) as caught:
        take(copy, 1)
    assert caught.value.code == "TILE_MISSING"


def test_a_checkpoint_that_somebody_else_signed_is_refused(copy, alliance):
    note = sign_checkpoint(origin=alliance.chain, size=300, root=bytes(32), signer=make_signer("mallory"))
    (copy / "checkpoint").write_text(note)
    with pytest.raises(Unverified):
        take(copy, 1)


def test_a_later_leaf_that_is_not_the_signed_one_is_found_before_anything_is_given_out(tmp_path):
    """Also where the window that was asked for ended long before."""
    made = Trade(tmp_path)
    made.spend(20)
    made.cut()
    made.spend(300)
    made.finish()
    assert take(tmp_path, 1).window.data == made.expected[0]
    (last,) = (tmp_path / "tile/entries/001.p").iterdir()
    change_byte(last, b"order-3-299", b"order-3-298")
    with pytest.raises(InvalidBlock):
        take(tmp_path, 1)


def test_another_chain_than_the_one_told_is_refused(mirror):
    from node.statements.making import recompute
    from node.statements.sources import open_directory

    with open_directory(mirror, chain="small/" + "0" * 32) as log, pytest.raises(InvalidBlock) as caught:
        recompute(log, number=1)
    assert caught.value.code == "WRONG_CHAIN"


def test_a_folder_that_is_neither_is_refused(tmp_path):
    with pytest.raises(Unusable) as caught:
        take(tmp_path, 1)
    assert caught.value.code == "NOT_A_DATA_DIRECTORY"
