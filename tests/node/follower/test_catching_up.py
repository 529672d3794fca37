"""How a follower comes to where a log is: from any source, past any that is wrong, through any crash."""

from __future__ import annotations

import json
import os
import shutil
import signal

import pytest
import structlog

from ledger.errors import Unverified
from ledger.log.note import parse_checkpoint, sign_checkpoint, split_note
from ledger.log.tiles import TILE_WIDTH, entries_path, tile_path
from node.audit.sources import SourceUnavailable
from node.auditing import audit_data_dir
from node.follower import catching_up, following
from node.follower.beginning import open_directory
from node.follower.following import Diverged, Follower
from node.follower.serving import catch_up_first, open_followed_chain
from node.follower.sources import FolderSource, Sources
from node.keystore import Unusable
from tests.node.follower.written import write_log


@pytest.fixture(scope="module")
def mirrors(founded, tmp_path_factory):
    """The leader's log as files, whole and at an earlier size. Not to be changed."""
    base = tmp_path_factory.mktemp("mirrors")
    return write_log(founded / "ledger", base / "whole"), write_log(
        founded / "ledger", base / "begun", blocks=2
    )


@pytest.fixture
def chain(mirrors):
    return (mirrors[0] / "checkpoint").read_text().splitlines()[0]


def catch_up(directory, chain, *mirrors, workers=0, on_step=lambda _step: None):
    """A follower that has arrived, and is closed again."""
    sources = Sources([FolderSource(mirror) for mirror in mirrors])
    config = open_directory(directory, sources, chain=chain)
    follower = catch_up_first(
        config, sources, workers=workers, is_stopping=lambda: False, on_step=on_step, is_apart=False
    )
    checkpoint = follower.chain.checkpoint
    follower.stop()
    follower.chain.close()
    follower.chain.store.close()
    return checkpoint


def audit(directory):
    report = audit_data_dir(directory, policy=None, chain=None, progress=lambda _done, _total: None)
    assert report.is_good, report.first_bad
    return report.size


def size_of(mirror):
    return parse_checkpoint(split_note((mirror / "checkpoint").read_text())[0]).size


def test_from_an_earlier_checkpoint_on_it_takes_up_what_is_new(mirrors, chain, tmp_path):
    whole, begun = mirrors
    catch_up(tmp_path / "f", chain, begun)
    assert audit(tmp_path / "f") == size_of(begun)
    catch_up(tmp_path / "f", chain, begun, whole)
    assert audit(tmp_path / "f") == size_of(whole)


@pytest.mark.parametrize("begins", ["empty", "amid"])
def test_several_processes_come_to_the_same(mirrors, chain, tmp_path, monkeypatch, begins):
    for name in (catching_up, following):
        monkeypatch.setattr(name, "WORTH_SHARING", 1)
    monkeypatch.setattr(following, "SHORT_LEAVES_MAX", -1)
    monkeypatch.setattr(catching_up, "STORED_TOGETHER_LEAVES", 60)
    if begins == "amid":
        catch_up(tmp_path / "f", chain, mirrors[1])
    used = []
    usual = following.catch_up_together
    monkeypatch.setattr(following, "catch_up_together", lambda *a, **k: (used.append(1), usual(*a, **k)))
    catch_up(tmp_path / "f", chain, mirrors[0], workers=1)
    assert used == [1]
    assert audit(tmp_path / "f") == size_of(mirrors[0])


@pytest.fixture
def tile_by_tile(monkeypatch):
    """No stretch is short."""
    monkeypatch.setattr(following, "SHORT_LEAVES_MAX", -1)


def test_of_a_short_stretch_bundles_are_asked_for_and_no_tiles(mirrors, chain, tmp_path, monkeypatch):
    asked = []
    read = FolderSource.read
    monkeypatch.setattr(
        FolderSource, "read", lambda self, path, most: (asked.append(path), read(self, path, most))[1]
    )
    for mirror in reversed(mirrors):
        catch_up(tmp_path / "f", chain, mirror)
    assert {path for path in asked if path.startswith("tile/") and "entries" not in path} == set()
    assert audit(tmp_path / "f") == size_of(mirrors[0])


def test_a_short_stretch_that_is_altered_is_looked_at_tile_by_tile(mirrors, chain, tmp_path):
    catch_up(tmp_path / "f", chain, mirrors[1])
    spoiled = shutil.copytree(mirrors[0], tmp_path / "spoiled")
    path = entries_path(size_of(spoiled) // TILE_WIDTH, size_of(spoiled) % TILE_WIDTH)
    data = (spoiled / path).read_bytes()
    (spoiled / path).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with structlog.testing.capture_logs() as told:
        catch_up(tmp_path / "f", chain, spoiled, mirrors[0])
    refused = {(line["source"], line["path"]) for line in told if line["event"] == "source refused"}
    assert refused == {(str(spoiled), path)}
    assert audit(tmp_path / "f") == size_of(mirrors[0])


PLACES = {
    "full-bundle": lambda _size: entries_path(0),
    "last-bundle": lambda size: entries_path(size // TILE_WIDTH, size % TILE_WIDTH),
    "edge-of-leaf-hashes": lambda size: tile_path(0, size // TILE_WIDTH, size % TILE_WIDTH),
    "edge-above": lambda size: tile_path(1, 0, size // TILE_WIDTH),
}


@pytest.mark.parametrize(
    "change", ["a bit", *(pytest.param(each, marks=pytest.mark.full) for each in ("cut short", "gone"))]
)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.usefixtures("tile_by_tile")
def test_an_altered_file_is_refused_by_name_and_fetched_elsewhere(mirrors, chain, tmp_path, place, change):
    spoiled = shutil.copytree(mirrors[0], tmp_path / "spoiled")
    path = PLACES[place](size_of(spoiled))
    data = bytearray((spoiled / path).read_bytes())
    data[len(data) // 2] ^= 1
    if change == "gone":
        (spoiled / path).unlink()
    else:
        (spoiled / path).write_bytes(data if change == "a bit" else data[:-40])
    with structlog.testing.capture_logs() as told:
        catch_up(tmp_path / "f", chain, spoiled, mirrors[0])
    assert {line["source"] for line in told if line["event"] == "source refused"} == {str(spoiled)}
    assert audit(tmp_path / "f") == size_of(mirrors[0])


def test_where_nobody_has_it_right_nothing_is_executed(mirrors, chain, tmp_path):
    spoiled = shutil.copytree(mirrors[0], tmp_path / "spoiled")
    path = spoiled / entries_path(size_of(spoiled) // TILE_WIDTH, size_of(spoiled) % TILE_WIDTH)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    sources = Sources([FolderSource(spoiled)])
    config = open_directory(tmp_path / "f", sources, chain=chain)
    chain_kept = open_followed_chain(config, is_apart=False)
    follower = Follower(chain_kept, sources)
    with pytest.raises(SourceUnavailable) as caught:
        follower.begin(workers=0, is_stopping=lambda: False)
    assert caught.value.code == "NO_SOURCE_HAS_IT"
    assert not chain_kept.has_arrived()
    assert chain_kept.size <= size_of(spoiled) // TILE_WIDTH * TILE_WIDTH
    chain_kept.close()
    chain_kept.store.close()


def test_another_chain_than_the_pinned_one_is_not_begun(mirrors, tmp_path):
    for pinned, code, kind in (
        ("demo/" + "0" * 32, "WRONG_CHAIN", Unverified),
        (None, "CHAIN_NOT_PINNED", Unusable),
    ):
        with pytest.raises(kind) as caught:
            open_directory(tmp_path / "f", Sources([FolderSource(mirrors[0])]), chain=pinned)
        assert caught.value.code == code
        assert not (tmp_path / "f").exists()


def test_a_checkpoint_that_the_logs_key_has_not_signed_is_not_gone_to(mirrors, chain, tmp_path):
    from ledger.keys import SeedSigner

    forged = shutil.copytree(mirrors[0], tmp_path / "forged")
    checkpoint = parse_checkpoint(split_note((forged / "checkpoint").read_text())[0])
    note = sign_checkpoint(
        origin=chain, size=checkpoint.size, root=checkpoint.root, signer=SeedSigner(bytes(32))
    )
    (forged / "checkpoint").write_text(note)
    with structlog.testing.capture_logs() as told:
        catch_up(tmp_path / "f", chain, forged, mirrors[1])
    assert audit(tmp_path / "f") == size_of(mirrors[1])
    assert {line["source"] for line in told if line["event"] == "source refused"} == {str(forged)}


@pytest.mark.parametrize("kind", ["same size", "longer"])
def test_a_log_that_was_rewritten_ends_it_with_both_notes_as_evidence(
    mirrors, chain, founded, tmp_path, kind
):
    whole, begun = mirrors
    ours = begun if kind == "longer" else whole
    catch_up(tmp_path / "f", chain, ours)
    other = write_log(founded / "ledger", tmp_path / "other", altered=size_of(begun) - 1)
    with pytest.raises(Diverged) as caught:
        catch_up(tmp_path / "f", chain, other)
    assert caught.value.code == "LOG_FORKED"
    (evidence,) = (tmp_path / "f").glob("evidence-*.json")
    notes = json.loads(evidence.read_text())["notes"]
    assert [split_note(note)[0] for note in notes] == [
        split_note((each / "checkpoint").read_text())[0] for each in (ours, other)
    ]
    assert audit(tmp_path / "f") == size_of(ours)


def test_a_history_that_is_signed_and_wrong_is_named_by_index_and_height(mirrors, chain, founded, tmp_path):
    other = write_log(founded / "ledger", tmp_path / "other", altered=size_of(mirrors[0]) - 3)
    for workers in (0, 1):
        with pytest.raises(Diverged) as caught:
            catch_up(tmp_path / "f", chain, other, workers=workers)
        assert caught.value.facts["index"] == size_of(mirrors[0]) - 3
        assert caught.value.facts["height"] == 5


@pytest.fixture
def often(monkeypatch):
    """A few leaves are a batch, and a few records a fold."""
    monkeypatch.setattr(catching_up, "STORED_TOGETHER_LEAVES", 60)
    monkeypatch.setattr("node.folding.FOLD_RECORDS_MAX", 60)


STEPS = ["aimed", "appended", "committed", "signed", "noted", "folded"]


@pytest.mark.parametrize("occurrence", [1, pytest.param(2, marks=pytest.mark.full)])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.usefixtures("often")
def test_killed_at_any_step_it_comes_to_the_same(mirrors, chain, tmp_path, step, occurrence):
    seen = []

    def die(at):
        seen.append(at)
        if seen.count(step) == occurrence:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            catch_up(tmp_path / "f", chain, mirrors[1], on_step=die)
            catch_up(tmp_path / "f", chain, mirrors[0], on_step=die)
        finally:
            os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == -signal.SIGKILL, f"it never came to {step} {occurrence} times"
    catch_up(tmp_path / "f", chain, mirrors[0])
    assert audit(tmp_path / "f") == size_of(mirrors[0])
