"""What CometBFT says when it has given up is understood, and nothing that a peer may say is taken for it."""

from __future__ import annotations

import pytest

from node.engine.cometbft.halting import READ_BYTES_MAX, SaidFile, read_halt

OURS, THEIRS = "AB" * 32, "CD" * 32
ROOT = f"wrong Block.Header.AppHash.  Expected {OURS}, got {THEIRS}"
ERROR = "E[2026-01-02|03:04:05.678] "
FAILURE = f"{ERROR}CONSENSUS FAILURE!!!                         module=consensus "
INVALID = f"{ERROR}Error in validation                          module=blocksync height=7 hash=EF01 "


#   what it says
@pytest.mark.parametrize(
    "line",
    [
        f'{FAILURE}err="+2/3 committed an invalid block: {ROOT}" stack="goroutine 1 [running]"',
        f'{FAILURE}err="precommit step; +2/3 prevoted for an invalid block: {ROOT}" stack="goroutine 1"',
        f'{INVALID}err="{ROOT}"',
        f"panic: block.AppHash does not match AppHash after replay. Got {OURS}, expected {THEIRS}.",
    ],
)
def test_another_root_of_the_others_is_read_from_it(line):
    halt = read_halt(line.encode())
    assert halt.decided == bytes.fromhex(THEIRS)
    assert THEIRS in halt.said
    assert "goroutine" not in halt.said


@pytest.mark.parametrize(
    "line",
    [
        f'{FAILURE}err="failed to write msg to consensus WAL due to no space left" stack="goroutine 1"',
        "panic: state.AppHash does not match AppHash after replay. Got",
    ],
)
def test_any_other_failure_is_one_without_a_root(line):
    halt = read_halt(line.encode())
    assert halt.decided is None
    assert line.partition(" stack=")[0] == halt.said


@pytest.mark.parametrize(
    "line",
    [
        # One proposer is wrong, and voted down.
        f'{ERROR}prevote step: consensus deems this block invalid; prevoting nil err="{ROOT}"',
        # A peer has sent what the others never signed.
        f'{INVALID}err="wrong signature (#0): EF01"',
        # A peer's own words.
        f'{ERROR}Error on peer module=p2p moniker="CONSENSUS FAILURE!!! {ROOT}"',
        f'{INVALID}err="wrong ChainID. Expected a, got \\" err=\\"{ROOT}"',
        f"I[2026-01-02|03:04:05.678] CONSENSUS FAILURE!!! {ROOT}",
        "",
    ],
)
def test_what_is_no_end_is_not_taken_for_one(line):
    assert read_halt(line.encode()) is None


def test_the_file_is_read_from_the_start_of_the_node_on_each_line_once_and_whole(tmp_path):
    path = tmp_path / "cometbft.log"
    path.write_text(f"{FAILURE}err=before\n")
    said = SaidFile(path)
    assert said.find_halt() is None

    def add(text):
        with path.open("a") as file:
            file.write(text)
        return said.find_halt()

    assert add("a word\n" + FAILURE) is None, "the line is not whole"
    assert add("err=now\n").said.endswith("err=now")
    assert add("another word\n") is None
    path.write_text(f"{FAILURE}err=anew\n")
    assert said.find_halt().said.endswith("err=anew"), "it was begun anew"
    assert add("x" * READ_BYTES_MAX) is None
    assert add(f"\n{FAILURE}err=late\n") is not None or said.find_halt() is not None


def test_a_file_that_comes_later_is_read_whole(tmp_path):
    said = SaidFile(tmp_path / "cometbft.log")
    assert said.find_halt() is None
    (tmp_path / "cometbft.log").write_text(f"{FAILURE}err=first\n")
    assert said.find_halt() is not None
