"""Somebody in an alliance goes by another rule, or serves what is not so: it alone is stopped or passed over,
and everybody else goes on.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path

import httpx2
import pytest

from ledger.log.tiles import TILE_WIDTH, entries_path, tile_path
from node.access import Role
from node.app import open_tokens
from node.follower.short import SHORT_LEAVES_MAX
from tests.node.cometbft.load import MEMBERS, Load, audit, check_good, end_and_compare
from tests.node.cometbft.processes import SECONDS, list_children
from tests.node.follower.conftest import Process
from tests.node.follower.written import write_log

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def alliance(make_validators):
    made = make_validators(4)
    made.start()
    made.begin(members=MEMBERS)
    return made


def test_a_validator_under_an_altered_rule_stops_alone_names_the_height_and_comes_back_by_replay(alliance):
    *others, altered = alliance.all
    load = Load(alliance, senders=3, seed=5, pause_seconds=0.1)
    load.nodes = others
    load.wait_for_more(10)
    load.end()
    altered.stop()
    begun, _ = alliance.wait_for_same_root(among=others)
    height = others[0].ask("GET", "/v1/chain")[1]["height"]

    altered.start(module="tests.node.cometbft.altered")
    alliance.wait_for_size(altered, begun)
    node = altered.application
    # The first purchase that it executes brings a point too many.
    alliance.must(alliance.earn("first"))
    status, said = altered.node.wait()
    assert status == 3, said
    assert f"commonpoint: BLOCK_DIFFERS (decided: {alliance.wait_for_same_root(among=others)[1]}, " in said
    assert re.search(rf"height: {height + 1}, root: \S+, size: {begun + 3}\)", said), said
    assert "Traceback" not in said
    assert not Path(f"/proc/{node}").exists()
    assert list_children(altered.node.process.pid) == []

    load = Load(alliance, senders=3, seed=6, pause_seconds=0.1)
    load.nodes = others
    load.wait_for_more(20)
    # Nothing has changed, so it stops at the same block however often it is started.
    altered.begin(module="tests.node.cometbft.altered")
    status, said = altered.node.wait()
    assert (status, f"height: {height + 1}, " in said) == (3, True), said

    report = audit(altered.directory)
    assert (report.first_bad.check, report.first_bad.index) == ("ENTRY_DIFFERS", begun + 1)
    forget(altered)
    altered.start()
    load.nodes = alliance.all
    load.wait_for_more(20)
    end_and_compare(alliance, load)


def forget(validator) -> None:
    """As docs/how-to/recovery.md says: everything but keys, settings and what it voted last."""
    for path in validator.directory.iterdir():
        if path.name.startswith(("ledger.db", "views.db")):
            path.unlink()
    home = validator.directory / "cometbft"
    (home / "engine-height.json").unlink(missing_ok=True)
    for path in (home / "data").iterdir():
        if path.name != "priv_validator_state.json":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


#   what is not so: a leaf in its bundle; a hash in the tile at the edge, which a short way does not read
@pytest.mark.parametrize(
    ("what", "leaves"),
    [("bundle", TILE_WIDTH), pytest.param("tile", SHORT_LEAVES_MAX, marks=pytest.mark.full)],
)
def test_an_altered_tile_of_one_source_is_refused_and_fetched_from_a_validator(
    make_validators, repository, tmp_path, what, leaves
):
    alliance = make_validators(2)
    alliance.start()
    alliance.begin(members=MEMBERS)
    for number in range(2):
        alliance.must(alliance.earn(f"many-{number}", count=leaves // 2))
    size, _ = alliance.wait_for_same_root()
    first, second = alliance.all
    spoiled = write_log(first.directory, tmp_path / "spoiled")
    path = entries_path(0) if what == "bundle" else tile_path(0, size // TILE_WIDTH, size % TILE_WIDTH)
    data = bytearray((spoiled / path).read_bytes())
    data[len(data) // 2] ^= 1
    (spoiled / path).write_bytes(data)

    token, _ = open_tokens(second.config).issue(Role("follower"), seconds=600)
    folder = tmp_path / "follower"
    follower = Process(
        repository,
        *("node.cli.main", "node", "--data", folder, "--port", "0", "--chain", alliance.chain),
        *("--follow", spoiled, "--follow", second.url),
        COMMONPOINT_TOKEN=token,
    )
    try:
        alliance.must(alliance.earn("more"))
        expected = alliance.wait_for_same_root(least=size + 3)
        wait_for_checkpoint(follower.url, expected)
    finally:
        status, said = follower.end()
    assert status == 0, said
    refused = [json.loads(line) for line in said.splitlines() if '"source refused"' in line]
    assert {each["source"] for each in refused} == {str(spoiled)}, said
    assert refused[0]["path"] == (path if what == "bundle" else "the partial tiles"), said
    for each in alliance.all:
        each.stop()
    for directory in (folder, *(each.directory for each in alliance.all)):
        check_good(directory)


def wait_for_checkpoint(url, expected) -> None:
    """What is served there is this size and root."""
    end = time.monotonic() + SECONDS
    while True:
        _, size, root, *_ = httpx2.get(f"{url}/checkpoint", timeout=30).text.split("\n")
        if (int(size), root) == expected:
            return
        assert time.monotonic() < end, f"at {size} of {expected}"
        time.sleep(0.1)
