"""Several sources: whichever of them is down, slow, behind, or lies, a follower goes on with another and says
which; what one of them signed and should not have is kept as evidence.
"""

from __future__ import annotations

import json
import shutil
import threading
import time

import pytest
import structlog

from ledger.evidence import judge_evidence, read_evidence
from ledger.log.note import parse_checkpoint, split_note
from ledger.log.tiles import TILE_WIDTH, entries_path
from node.audit.sources import SourceUnavailable
from node.auditing import audit_data_dir
from node.disk_space import DiskSpace, Room, read_watermarks
from node.follower import following
from node.follower.beginning import open_directory
from node.follower.following import Diverged
from node.follower.serving import catch_up_first
from node.follower.sources import FolderSource, Sources, WebSource
from node.follower.tokens import Tokens
from tests.node.follower.answering import serve
from tests.node.follower.written import write_log

NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def mirrors(founded, tmp_path_factory):
    """The leader's log as files: whole, and at two earlier sizes. Not to be changed."""
    base = tmp_path_factory.mktemp("mirrors")
    directory = founded / "ledger"
    return [
        write_log(directory, base / "whole"),
        write_log(directory, base / "later", blocks=4),
        write_log(directory, base / "begun", blocks=2),
    ]


def size_of(mirror):
    return parse_checkpoint(split_note((mirror / "checkpoint").read_text())[0]).size


def chain_of(mirror):
    return (mirror / "checkpoint").read_text().splitlines()[0]


class Running:
    """A follower in this process, over its sources."""

    def __init__(self, directory, mirror, *sources, disk=None, is_postgresql=False) -> None:
        self.sources = Sources(list(sources))
        begun = Sources([FolderSource(mirror)])
        self.config = open_directory(directory, begun, chain=chain_of(mirror), is_postgresql=is_postgresql)
        self.follower = catch_up_first(
            self.config, self.sources, workers=0, is_stopping=lambda: False, is_apart=False, disk=disk
        )
        self.chain = self.follower.chain

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.follower.stop()
        self.chain.close()
        self.chain.store.close()

    def wait_for(self, is_true, *, seconds=60):
        end = time.monotonic() + seconds
        while not is_true():
            assert time.monotonic() < end
            time.sleep(0.02)


def first_of(told, event):
    return [line["source"] for line in told if line["event"] == event]


@pytest.fixture
def silent():
    """A source that takes every question and answers none."""
    held = threading.Event()
    server = serve(lambda _handler: held.wait(60))
    yield f"http://127.0.0.1:{server.server_port}"
    held.set()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("which", ["down", "silent"])
def test_one_that_does_not_answer_holds_nobody_up_and_is_named(mirrors, tmp_path, silent, which):
    url = NOBODY if which == "down" else silent
    with structlog.testing.capture_logs() as told:
        web = WebSource(url, Tokens())
        with Running(tmp_path / "f", mirrors[0], web, FolderSource(mirrors[0])) as running:
            assert running.chain.has_arrived()
            # Asked in the first round and still silent, it is not waited for in the second.
            began = time.monotonic()
            running.follower.list_targets()
            assert which == "down" or time.monotonic() - began < 0.9
    event = "source refused" if which == "down" else "source does not answer in time"
    assert set(first_of(told, event)) == {url}


def test_it_goes_on_with_another_when_one_goes_down(mirrors, tmp_path):
    """The one it reads is gone, with its files; the other has more to tell by then."""
    one, other = tmp_path / "one", tmp_path / "other"
    shutil.copytree(mirrors[2], one)
    shutil.copytree(mirrors[2], other)
    with structlog.testing.capture_logs() as told:
        sources = FolderSource(one), FolderSource(other)
        with Running(tmp_path / "f", mirrors[2], *sources) as running:
            running.follower.start()
            one.rename(tmp_path / "gone")
            shutil.copytree(mirrors[0], other, dirs_exist_ok=True)
            running.wait_for(lambda: running.chain.head.size == size_of(mirrors[0]))
            (tmp_path / "gone").rename(one)
            running.wait_for(lambda: first_of(told, "source answers again"))
    refused = [line for line in told if line["event"] == "source refused"]
    assert {(line["source"], line["asked_first"]) for line in refused} == {(str(one), str(other))}
    assert first_of(told, "source answers again") == [str(one)]


def test_one_that_is_behind_is_not_refused_and_whoever_is_ahead_is_read(mirrors, tmp_path):
    with structlog.testing.capture_logs() as told:
        sources = FolderSource(mirrors[2]), FolderSource(mirrors[1]), FolderSource(mirrors[0])
        with Running(tmp_path / "f", mirrors[0], *sources) as running:
            assert running.chain.head.size == size_of(mirrors[0])
            assert running.sources.row[0].name == str(mirrors[0])
    assert first_of(told, "source refused") == []


def test_a_checkpoint_without_the_files_it_stands_for_keeps_nobody_from_the_others(mirrors, tmp_path):
    """Its signature is good, so it may well be there; until somebody gives it, others lead on."""
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copy(mirrors[0] / "checkpoint", bare / "checkpoint")
    with structlog.testing.capture_logs() as told:
        sources = FolderSource(bare), FolderSource(mirrors[1])
        with Running(tmp_path / "f", mirrors[1], *sources) as running:
            assert running.chain.head.size == size_of(mirrors[1])
            with pytest.raises(SourceUnavailable):
                running.follower.begin(workers=0, is_stopping=lambda: False)
            # What it stands for comes in the end, from another.
            whole = Sources([FolderSource(mirrors[0])])
            running.follower.sources._row += whole.row
            running.follower.begin(workers=0, is_stopping=lambda: False)
            assert running.chain.head.size == size_of(mirrors[0])
    assert str(bare) in first_of(told, "source refused")


def test_an_altered_file_is_refused_while_following_and_taken_from_another(mirrors, tmp_path, monkeypatch):
    monkeypatch.setattr(following, "SHORT_LEAVES_MAX", -1)
    liar, honest = tmp_path / "liar", tmp_path / "honest"
    shutil.copytree(mirrors[2], liar)
    shutil.copytree(mirrors[2], honest)
    with structlog.testing.capture_logs() as told:
        sources = FolderSource(liar), FolderSource(honest)
        with Running(tmp_path / "f", mirrors[2], *sources) as running:
            size = size_of(mirrors[0])
            last = entries_path(size // TILE_WIDTH, size % TILE_WIDTH)
            # Its checkpoint last: nobody reads a mirror that is half written.
            for folder in (honest, liar):
                shutil.copytree(mirrors[0] / "tile", folder / "tile", dirs_exist_ok=True)
            data = (liar / last).read_bytes()
            (liar / last).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
            running.follower.start()
            for folder in (honest, liar):
                shutil.copy(mirrors[0] / "checkpoint", folder / "checkpoint")
            running.wait_for(lambda: running.chain.head.size == size)
            running.wait_for(
                lambda: str(liar) in first_of(told, "source refused") or is_unread(running, liar)
            )
    assert str(honest) not in first_of(told, "source refused")
    assert audit(tmp_path / "f") == size_of(mirrors[0])


def is_unread(running, folder):
    """Whether the follower found the honest one first, and so never met the altered file."""
    return running.sources.row[0].name != str(folder)


def audit(directory):
    report = audit_data_dir(directory, policy=None, chain=None, progress=lambda _done, _total: None)
    assert report.is_good, report.first_bad
    return report.size


def test_one_fork_among_honest_sources_ends_it_with_evidence_that_anybody_can_check(
    mirrors, founded, tmp_path
):
    forked = write_log(founded / "ledger", tmp_path / "forked", altered=size_of(mirrors[2]) - 1)
    sources = FolderSource(mirrors[2]), FolderSource(forked)
    with Running(tmp_path / "f", mirrors[2], FolderSource(mirrors[2])):
        pass
    with pytest.raises(Diverged) as caught:
        Running(tmp_path / "f", mirrors[2], *sources)
    assert caught.value.code == "LOG_FORKED"
    (evidence,) = (tmp_path / "f").glob("evidence-*.json")
    notes = json.loads(evidence.read_text())["notes"]
    assert [size_of_note(note) for note in notes] == [size_of(mirrors[2]), size_of(forked)]
    assert audit(tmp_path / "f") == size_of(mirrors[2])


def size_of_note(note):
    return parse_checkpoint(split_note(note)[0]).size


def test_before_the_disk_is_full_nothing_more_is_fetched_and_with_room_it_goes_on(mirrors, tmp_path):
    marks = read_watermarks("100MiB", "200MiB")
    disk, folder = DiskSpace(), tmp_path / "source"
    shutil.copytree(mirrors[2], folder)
    with (
        structlog.testing.capture_logs() as told,
        Running(tmp_path / "f", mirrors[2], FolderSource(folder), disk=disk) as running,
    ):
        disk.take_in(Room(50 << 20, 1000 << 20), marks)
        running.follower.start()
        shutil.copytree(mirrors[0], folder, dirs_exist_ok=True)
        running.wait_for(lambda: [line for line in told if line["event"].startswith("nothing more")])
        assert running.chain.size == size_of(mirrors[2])
        disk.take_in(Room(300 << 20, 1000 << 20), marks)
        running.wait_for(lambda: running.chain.head.size == size_of(mirrors[0]))
    assert [line["code"] for line in told if line["log_level"] == "critical"] == ["STORAGE_LOW"]
    assert audit(tmp_path / "f") == size_of(mirrors[0])


@pytest.mark.parametrize("begins", ["empty", "amid"])
def test_a_follower_keeps_its_ledger_in_postgresql(mirrors, tmp_path, postgres_server, monkeypatch, begins):
    place = postgres_server.make()
    monkeypatch.setenv("COMMONPOINT_POSTGRESQL", place.address)
    try:
        for mirror in [mirrors[0]] if begins == "empty" else [mirrors[2], mirrors[0]]:
            with Running(tmp_path / "f", mirror, FolderSource(mirror), is_postgresql=True) as running:
                assert running.chain.has_arrived()
            assert audit(tmp_path / "f") == size_of(mirror)
        assert not (tmp_path / "f" / "ledger.db").exists()
    finally:
        postgres_server.take_back(place)


@pytest.mark.parametrize("pair", [(0, 0, "TWO_ROOTS"), (2, 0, "PREFIX_DIFFERS")])
def test_evidence_of_a_fork_is_proven_by_the_file_alone(mirrors, founded, tmp_path, pair):
    """Also where the forked tree is the smaller one: `commonpoint evidence` needs nothing else."""
    ours, theirs, code = pair
    altered = size_of(mirrors[2]) - 1
    forks = [write_log(founded / "ledger", tmp_path / "whole", altered=altered), None]
    forks.append(write_log(founded / "ledger", tmp_path / "begun", blocks=2, altered=altered))
    for mine, other in ((ours, theirs), (theirs, ours)):
        directory = tmp_path / f"f{mine}{other}"
        with Running(directory, mirrors[mine], FolderSource(mirrors[mine])):
            pass
        with pytest.raises(Diverged):
            Running(directory, mirrors[mine], FolderSource(forks[other]))
        (evidence,) = directory.glob("evidence-*.json")
        finding = judge_evidence(read_evidence(evidence.read_bytes()), chain=chain_of(mirrors[0]))
        assert (finding.is_proven, finding.code) == (True, code)
