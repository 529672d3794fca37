"""Sources that mean ill: a follower takes nothing wrong from them, is not held up, and arrives with what one
honest source gives.
"""

from __future__ import annotations

import gzip
import shutil
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
import structlog
import zstandard

from ledger.keys import SeedSigner
from ledger.log.note import parse_checkpoint, sign_checkpoint, split_note
from ledger.log.tiles import encode_bundle
from node.audit.sources import HttpSource, SourceUnavailable
from node.auditing import audit_data_dir
from node.follower import beginning
from node.follower import sources as follower_sources
from node.follower.beginning import open_directory, read_cosigner_name
from node.follower.serving import catch_up_first
from node.follower.sources import FolderSource, Sources, WebSource
from node.follower.tokens import Tokens
from node.storage.snapshot import Snapshot
from tests.node.follower.hostile import (
    MIB,
    Hostile,
    drip,
    drip_frames,
    endless,
    hundred_megabytes,
    make_frame,
    pack_zeros,
)
from tests.node.follower.written import write_log

PEAK_MIB = 120
"""A follower asks for a few bundles ahead, none larger than 17 MB; here there are two."""


TOKENS = Tokens()


@pytest.fixture(scope="module")
def mirror(founded, tmp_path_factory):
    """The leader's log as files. Not to be changed."""
    return write_log(founded / "ledger", tmp_path_factory.mktemp("mirror") / "whole")


@pytest.fixture
def chain(mirror):
    return (mirror / "checkpoint").read_text().splitlines()[0]


@pytest.fixture
def attack_with(mirror):
    opened = []
    # Before anybody counts memory.
    pack_zeros(128 * MIB), pack_zeros(64 * MIB, times=3), make_frame(128 * MIB), make_frame(0)
    make_frame(32 * MIB, window_log=25)

    def start(attack, where):
        opened.append(Hostile(mirror, attack, where))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


ATTACKS = {
    "a gzip bomb": lambda at, _path, _: at.answer(pack_zeros(128 * MIB), content_encoding="gzip"),
    "a bomb in a bomb": lambda at, _path, _: at.answer(
        pack_zeros(64 * MIB, times=3), content_encoding="gzip, gzip, gzip"
    ),
    "another packing": lambda at, _path, _: at.answer(pack_zeros(MIB), content_encoding="br"),
    "gzip that is none": lambda at, _path, _: at.answer(b"\x1f\x8b rubbish", content_encoding="gzip"),
    "a frame that is a bomb": lambda at, _path, _: at.answer(make_frame(128 * MIB), content_encoding="zstd"),
    "many such frames": lambda at, _path, _: at.answer(make_frame(MIB) * 200, content_encoding="zstd"),
    "a frame that wants much memory": lambda at, _path, _: at.answer(
        make_frame(32 * MIB, window_log=25), content_encoding="zstd"
    ),
    "frames that are none": lambda at, _path, _: at.answer(b"\x28\xb5\x2f\xfd no", content_encoding="zstd"),
    "a drip of empty frames": drip_frames,
    "a hundred megabytes": hundred_megabytes,
    "bytes without end": endless,
    "a drip": drip,
    "less than was said": lambda at, _path, _: at.answer(b"x" * 100, length=10_000),
    "nothing": lambda at, _path, _: at.answer(b""),
    "a redirect": lambda at, path, _: at.answer(b"", status=302, location=f"http://127.0.0.1:9/{path}"),
    "a page": lambda at, _path, _: at.answer(b"<html>" * 100, content_type="text/html"),
    "an error": lambda at, _path, _: at.answer(b"", status=503),
    "other leaves": lambda at, _path, _: at.answer(encode_bundle([b"{}"] * 256)),
    "another file": lambda at, path, _: at.answer(path.encode() * 200),
}
WHERE = {
    "entries": lambda path: path.startswith("tile/entries/"),
    "tiles": lambda path: path.startswith(("tile/0/", "tile/1/")),
    "checkpoint": lambda path: path == "checkpoint",
}


PAIRS = [
    pytest.param(attack, where, id=f"{attack}-{where}", marks=[] if where == "entries" else pytest.mark.full)
    for attack in ATTACKS
    for where in WHERE
]


def catch_up(directory, chain, *sources, is_stopping=lambda: False):
    """A follower that has arrived, and is closed again; who was refused for what, and how much it took."""
    row = Sources(list(sources))
    tracemalloc.start()
    try:
        with structlog.testing.capture_logs() as told:
            config = open_directory(directory, row, chain=chain)
            follower = catch_up_first(
                config, row, workers=0, is_stopping=is_stopping, on_step=lambda _: None, is_apart=False
            )
        peak = tracemalloc.get_traced_memory()[1] // MIB
    finally:
        tracemalloc.stop()
    follower.stop()
    follower.chain.close()
    follower.chain.store.close()
    return {line["source"] for line in told if line["event"] == "source refused"}, peak


@pytest.fixture
def impatient(monkeypatch):
    """No answer is waited for long, and no stretch is short, so that every kind of file is asked for."""
    monkeypatch.setattr(follower_sources, "_TIMEOUT_SECONDS", 1.0)
    monkeypatch.setattr("node.follower.following.SHORT_LEAVES_MAX", -1)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("attack", "where"), PAIRS)
def test_a_hostile_source_is_refused_and_the_honest_one_followed(
    mirror, tmp_path, attack_with, attack, where
):
    chain = (mirror / "checkpoint").read_text().splitlines()[0]
    hostile = attack_with(ATTACKS[attack], WHERE[where])
    began = time.monotonic()
    refused, peak = catch_up(tmp_path / "f", chain, WebSource(hostile.url, TOKENS), FolderSource(mirror))
    assert hostile.asked
    assert refused <= {hostile.url}
    # Who is asked for a checkpoint alone may be silent; who gives other bytes than the tree's is named.
    if where != "checkpoint":
        assert refused == {hostile.url}
    assert peak < PEAK_MIB
    assert time.monotonic() - began < 60
    report = audit_data_dir(tmp_path / "f", policy=None, chain=None, progress=lambda _done, _total: None)
    assert report.is_good
    assert report.size == parse_checkpoint(split_note((mirror / "checkpoint").read_text())[0]).size


@pytest.mark.parametrize(
    "attack",
    [
        "a gzip bomb",
        "a bomb in a bomb",
        "a frame that is a bomb",
        "many such frames",
        "a hundred megabytes",
        "bytes without end",
    ],
)
def test_no_answer_takes_more_memory_than_what_was_asked_for(attack_with, attack):
    """A tile is 8 KiB, whatever comes."""
    hostile = attack_with(ATTACKS[attack], lambda _path: True)
    source = HttpSource(hostile.url)
    tracemalloc.start()
    with suppress(SourceUnavailable):
        assert len(source.fetch("tile/0/000", 8_192)) == 8_193
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    source.close()
    assert peak < 4 * MIB


def test_what_is_packed_once_is_read_to_its_end(attack_with):
    """The bounds do not cut what is honest: also where it comes in many pieces."""
    whole = bytes(range(256)) * 4_000
    hostile = attack_with(
        lambda at, _path, _: at.answer(gzip.compress(whole), content_encoding="gzip"), lambda _path: True
    )
    source = HttpSource(hostile.url)
    assert source.fetch("x", len(whole)) == whole
    assert source.fetch("x", len(whole) - 1) == whole
    assert source.fetch("x", 10) == whole[:11]
    source.close()


def test_frames_one_after_the_other_are_read_to_the_end_of_the_last(attack_with):
    """As a node sends a bundle that several blocks have made."""
    pieces = [b"", *(bytes([number]) * number**2 for number in range(100)), b"", bytes(range(256)) * 4_000]
    packed = b"".join(map(zstandard.ZstdCompressor(write_checksum=True).compress, pieces))
    whole = b"".join(pieces)
    hostile = attack_with(lambda at, _path, _: at.answer(packed, content_encoding="zstd"), lambda _path: True)
    source = HttpSource(hostile.url)
    assert source.fetch("x", len(whole)) == whole
    assert source.fetch("x", len(whole) - 1) == whole
    assert source.fetch("x", 10) == whole[:11]
    source.close()


def test_a_genesis_without_end_is_not_read_to_its_end(chain, mirror, tmp_path, attack_with, monkeypatch):
    """A checkpoint that nobody signed says how many leaves there are, and each bundle is genesis leaves."""
    monkeypatch.setattr(beginning, "GENESIS_BYTES_MAX", 4 * MIB)
    endless_log = sign_checkpoint(origin=chain, size=2**40, root=bytes(32), signer=SeedSigner(bytes(32)))
    bundle = encode_bundle([b'{"@type":"genesis_participant"' + b" " * 2_000] * 256)

    def attack(at, path, _hostile):
        at.answer(endless_log.encode() if path == "checkpoint" else bundle)

    hostile = attack_with(attack, lambda _path: True)
    refused, peak = catch_up(tmp_path / "f", chain, WebSource(hostile.url, TOKENS), FolderSource(mirror))
    assert refused == {hostile.url}
    assert peak < PEAK_MIB
    assert len(hostile.asked) < 100


def test_a_token_goes_to_nobody_whom_an_answer_names(mirror, chain, tmp_path, attack_with):
    tokens = Tokens("secret")
    seen = []

    def listen(at, _path, _hostile):
        seen.append(at.headers.get("authorization"))
        at.answer(b"")

    thief = attack_with(listen, lambda _path: True)

    def send_on(at, path, _hostile):
        at.answer(b"", status=307, location=f"{thief.url}/{path}")

    hostile = attack_with(send_on, lambda _path: True)
    catch_up(tmp_path / "f", chain, WebSource(hostile.url, tokens), FolderSource(mirror))
    assert hostile.asked
    assert seen == []


def test_where_every_source_is_hostile_a_follower_goes_nowhere_and_signs_nothing(
    mirror, chain, tmp_path, attack_with
):
    """It stays where it was, and says which sources gave nothing right."""
    whole = shutil.copytree(mirror, tmp_path / "copy")
    for path in filter(Path.is_file, whole.glob("tile/entries/**/*")):
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    hostile = attack_with(ATTACKS["nothing"], lambda path: path.startswith("tile/"))
    directory = tmp_path / "f"
    config = open_directory(directory, Sources([FolderSource(mirror)]), chain=chain)
    # It asks again and again, until it is told to stop.
    sources = (WebSource(hostile.url, TOKENS), FolderSource(whole))
    refused, _ = catch_up(directory, chain, *sources, is_stopping=lambda: len(hostile.asked) > 6)
    assert refused == {hostile.url, str(whole)}
    with Snapshot(config.database) as snapshot:
        assert snapshot.read_size() < parse_checkpoint(split_note((whole / "checkpoint").read_text())[0]).size
        assert read_cosigner_name(config) not in snapshot.read_checkpoint()
