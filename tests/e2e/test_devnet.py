"""The alliance of several organisations on one machine, run as a person runs it: `scripts/devnet`, from
another folder, with real purchases.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import httpx2
import pytest

from tests.conftest import FULL

HOUSEHOLDS = 20 if FULL else 14
ORGANISATIONS = {"clearing", "fresh", "petrol", "pharmacy", "bakery"}
COSIGNER = "bakery.example/points"
RUN_SECONDS = 280
STOP_SECONDS = 90


@pytest.fixture(scope="module", autouse=True)
def _program(repository):
    """The pinned CometBFT. Where there is no Go to build it, these tests cannot run."""
    if "COMMONPOINT_COMETBFT" in os.environ:
        return
    built = subprocess.run(
        ["bash", "scripts/cometbft"], cwd=repository, capture_output=True, check=False, text=True
    )
    if built.returncode == 2:
        pytest.skip(built.stderr.strip())
    assert built.returncode == 0, built.stderr


@pytest.fixture
def folder():
    """A folder of its own, where also temporary files go. Its path is short: sockets lie below it."""
    made = Path(tempfile.mkdtemp(prefix="dev-"))
    yield made
    shutil.rmtree(made)


def start_devnet(repository: Path, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [repository / "scripts/devnet", *arguments],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def processes_at(folder: Path) -> list[str]:
    """The processes that have a path of this folder among their arguments."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes()
        except OSError:  # it ended meanwhile
            continue
        if str(folder).encode() in words:
            found.append(words.replace(b"\0", b" ").decode())
    return found


def read_summary(folder: Path) -> dict:
    data = (folder / "summary.json").read_bytes()
    summary = json.loads(data)
    assert data == json.dumps(summary, sort_keys=True, separators=(",", ":")).encode()
    assert set(summary) == {"chain", "cosigners", "operations", "roots", "size"}
    assert set(summary["roots"]) == ORGANISATIONS
    return summary


@pytest.mark.timeout(RUN_SECONDS + STOP_SECONDS)
def test_five_organisations_come_to_one_root_and_verify(repository, folder):
    devnet = start_devnet(
        repository, folder, "--once", "--households", str(HOUSEHOLDS), "--summary", "summary.json"
    )
    try:
        said, _ = devnet.communicate(timeout=RUN_SECONDS)
    finally:
        if devnet.poll() is None:
            devnet.send_signal(signal.SIGTERM)
            devnet.wait(STOP_SECONDS)
    assert devnet.returncode == 0, said
    summary = read_summary(folder)
    assert len(set(summary["roots"].values())) == 1
    assert summary["cosigners"] == [COSIGNER]
    # What was proven to the merchants, one enactment and one cut are what stands in the log of either kind of
    # store, executed again.
    assert said.count(f"  {summary['operations'] + 2:,} executed again, byte for byte the same") == 2
    assert len(re.findall(rf"^ +leaves +{summary['size']:,}$", said, re.MULTILINE)) == 2
    assert "The ledger of Ring Road Petrol, verified offline" in said
    # Decided by vote, and settled to the last payment.
    assert re.search(r"^ +lower commission +enacted, by vote$", said, re.MULTILINE), said
    assert re.search(
        r"^ +window +settled: [89] countersigned, [1-9]\d* payments attested$", said, re.MULTILINE
    )
    # The merchants' year holds what the demo's does: every verb, and one checkout that was clicked twice.
    for verb in ("earn", "redeem", "hold", "capture", "exchange", "gift", "refund", "return_order"):
        assert re.search(rf"^ +{verb} +[1-9]", said, re.MULTILINE), (verb, said)
    turned_down = dict(re.findall(r"^ +(\w+: [A-Z_]+) +([\d,]+)$", said, re.MULTILINE))
    assert turned_down == {"redeem: ALREADY_DONE": "1"}
    assert [path.name for path in folder.iterdir()] == ["summary.json"]
    assert processes_at(folder) == []


@pytest.mark.timeout(RUN_SECONDS + STOP_SECONDS)
def test_it_stays_up_until_ctrl_c_and_leaves_nothing_behind(repository, folder):
    devnet = start_devnet(repository, folder, "--households", "2", "--summary", "summary.json")
    try:
        said = ""
        for line in devnet.stdout:
            said += line
            if "Ctrl-C stops them all" in line:
                break
        else:
            raise AssertionError(said)
        summary = read_summary(folder)
        addresses = re.findall(r"http://127\.0\.0\.1:\d+", said)
        assert len(set(addresses)) == len(ORGANISATIONS), said
        notes = {each: httpx2.get(f"{each}/checkpoint", timeout=30).text.split("\n") for each in addresses}
        # The text is one; who has signed it is not.
        assert len({tuple(note[:3]) for note in notes.values()}) == 1
        assert {note[0] for note in notes.values()} == {summary["chain"]}
        assert len({note[4] for note in notes.values()}) == len(ORGANISATIONS) - 1
        assert [COSIGNER in "".join(note) for note in notes.values()].count(True) == 1
        devnet.send_signal(signal.SIGINT)
        rest, _ = devnet.communicate(timeout=STOP_SECONDS)
        assert (devnet.returncode, rest.split()[-1:]) == (130, ["stopped"])
    finally:
        if devnet.poll() is None:
            devnet.send_signal(signal.SIGTERM)
            devnet.wait(STOP_SECONDS)
    assert [path.name for path in folder.iterdir()] == ["summary.json"]
    assert processes_at(folder) == []
