"""A validator whose program does not know the rules that the alliance has voted for stops, and says so; one
that runs in two places signs two blocks of one height, and is caught by the others.
"""

from __future__ import annotations

import json
import re
import shutil
import time

import pytest

from contracts.messages.actions import SetRulebook
from ledger.codec import from_base64url
from ledger.leaves import BLOCK_LEAF_DECODER, BLOCK_START
from node import keystore
from node.engine.cometbft.founding import read_validator
from node.engine.cometbft.home import _encode, _tell_private, compute_address
from tests.node.cometbft.networks import find_ports
from tests.node.cometbft.newer import MODULE, NEXT_VERSION
from tests.node.cometbft.test_one_validator import read_log
from tests.node.cometbft.test_validator_sets import decide
from tests.node.cometbft.validators import SECONDS, WHO, Validator


@pytest.mark.full
def test_a_validator_left_behind_a_version_of_the_rules_stops_alone_and_comes_back_with_them(make_validators):
    alliance = make_validators(4)
    *others, behind = alliance.all
    for each in others:
        each.begin(module=MODULE)
    behind.begin()
    for each in alliance.all:
        each.node.wait_for_address()
    alliance.begin(members=10)
    decide(alliance, SetRulebook(NEXT_VERSION), name="rules")
    alliance.must(alliance.earn("enacts", members=10))
    alliance.must(alliance.earn("under-the-next", members=10))
    status, said = behind.node.wait()
    assert status == 3, said
    (told,) = re.findall(
        rf"commonpoint: RULEBOOK_UNKNOWN \(height: (\d+), .* version: {NEXT_VERSION}\)", said
    )
    assert "install a version of the program that knows them" in said
    assert "Traceback" not in said
    # As often as it is started.
    behind.begin()
    status, said = behind.node.wait()
    assert (status, "RULEBOOK_UNKNOWN" in said) == (3, True), said
    alliance.must(alliance.earn("without-it", members=10), at=1)
    behind.start(module=MODULE)
    alliance.must(alliance.earn("with-it", members=10), at=3)
    alliance.wait_for_same_root()
    for each in alliance.all:
        each.stop()
    logs = [read_log(each) for each in alliance.all]
    assert all(leaves == logs[0] for leaves in logs)
    blocks = [BLOCK_LEAF_DECODER.decode(leaf) for leaf in logs[0] if leaf.startswith(BLOCK_START)]
    assert int(told) == next(block.height for block in blocks if block.rulebook == NEXT_VERSION)


@pytest.mark.full
def test_one_that_runs_in_two_places_is_caught_signing_twice(make_validators, tmp_path):
    alliance = make_validators(4)
    alliance.start()
    alliance.begin(members=10)
    *others, twin = alliance.all
    public = read_validator(tmp_path / f"keys-{WHO[3]}" / "validator.json").consensus_key
    twin.stop()
    copy = tmp_path / "copy"
    shutil.copytree(twin.directory, copy)
    change_place(copy)
    second = Validator(alliance.repository, copy)
    alliance.all.append(second)
    twin.start()
    second.start()
    files = [each.directory / "cometbft" / "misbehaviour.jsonl" for each in others]
    end = time.monotonic() + SECONDS
    count = 0
    while not all(file.exists() for file in files):
        assert time.monotonic() < end, "nobody was caught"
        alliance.must(alliance.earn(f"more-{count}", members=10), at=count % 3)
        count += 1
    expected = compute_address(from_base64url(public, size=32))
    for file in files:
        first = json.loads(file.read_text().splitlines()[0])
        assert (first["kind"], first["validator"], first["power"]) == ("duplicate_vote", expected, 10)
    for each, file in zip(others, files, strict=True):
        _, figures = each.ask("GET", "/metrics")
        assert f"commonpoint_misbehaviour_total {len(file.read_text().splitlines())}.0" in figures
    second.kill()
    alliance.all.remove(second)
    for each in others:
        status, said = each.node.stop()
        assert status == 0, said
        assert "a validator signed two blocks of one height" in said
        each.node = None


def change_place(directory) -> None:
    """The same validator, as another node at another address."""
    config = directory / "cometbft" / "config"
    (config / "node_key.json").unlink()
    keystore.write_private(
        config / "node_key.json", _encode({"priv_key": _tell_private(keystore.make_seed())})
    )
    settings = config / "config.toml"
    text = settings.read_text()
    laddr = next(line for line in text.splitlines() if line.startswith("laddr = "))
    external = next(line for line in text.splitlines() if line.startswith("external_address = "))
    port = find_ports(1)[0]
    text = text.replace(laddr, f'laddr = "tcp://127.0.0.1:{port}"')
    settings.write_text(text.replace(external, f'external_address = "127.0.0.1:{port}"'))
