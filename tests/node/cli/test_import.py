"""Opening balances from real CSV files to a real node: checked first, sent once, whatever is cut off."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from ledger.calendar import get_day
from node.cli.tables import format_day
from node.migration.members import make_member
from tests.conftest import FULL
from tests.node.cli.conftest import NodeProcess
from tests.node.cli.street import OFFSET, begin

TODAY = get_day(time.time_ns() // 1_000_000, utc_offset_minutes=OFFSET)
EARNED = format_day(TODAY - 30)
EXPIRES = format_day(TODAY + 90)
HEAD = "customer,points,earned,expires\n"


@pytest.fixture(scope="module")
def town(tmp_path_factory, repository):
    """A running node with a program to bring balances into: (street, node)."""
    street, node = begin(tmp_path_factory.mktemp("town"), repository, NodeProcess)
    yield street, node
    node.stop()


def make_lines(count, *, seed=1, name="C"):
    """Lines of many customers, some with two lots, some with none, and what the points come to."""
    drawn = random.Random(seed)
    lines, total = [], 0
    for number in range(count):
        points = 0 if number % 7 == 0 else drawn.randrange(1, 9_000)
        days = f"{EARNED},{EXPIRES}" if points else ","
        lines.append(f"{name}-{number},{points},{days}\n")
        total += points
        if number % 11 == 0:
            lines.append(f"{name}-{number},5,{EARNED},{format_day(TODAY + 91)}\n")
            total += 5
    return lines, total


@pytest.fixture
def send(cli, town, tmp_path):
    """Imports a file's text into the town: (exit status, the result)."""
    street, _ = town

    def run(text, *options, file=tmp_path / "members.csv", keys="fresh", is_json=True):
        if text is not None:
            file.write_bytes(text.encode() if isinstance(text, str) else text)
        given = ("import", file, "--program", "leaf", "--series", "s1", "--url", street.url)
        asked = ["--json"] if is_json else []
        status, out, err = cli(*given, "--keys", street.folders[keys], *asked, *options)
        return status, json.loads(out) if is_json and out else out, err

    return run


def read_balance(street, cli, member):
    _, token, _ = cli("key", "token", "--data", street.directory)
    answer = httpx2.get(
        f"{street.url}/v1/members/{member}/balances",
        headers={"Authorization": f"Bearer {token.strip()}"},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    return {each["program"]: each["points"] for each in answer.json()["balances"]}


def read_book(folder):
    rows = (folder / "members.csv").read_text().splitlines()
    assert rows[0] == "customer,member"
    return dict(row.split(",") for row in rows[1:])


def test_one_bad_line_is_named_and_nothing_at_all_is_sent(send, tmp_path):
    status, result, _ = send(f"{HEAD}C-0,7,{EARNED},{EXPIRES}\nC-1,5,{EARNED},2099-12-31\n")
    assert status == 1
    (found,) = result["rejected"]
    assert (found["line"], found["code"]) == (3, "EXPIRES")
    assert "later than the series allows" in found["told"]
    assert result["sent"] is None
    assert not (tmp_path / "members.csv.state").exists()


def test_a_dry_run_adds_up_and_leaves_no_trace(send, town, tmp_path):
    lines, total = make_lines(50)
    before = httpx2.get(f"{town[0].url}/v1/chain", timeout=30).json()["size"]
    status, out, err = send(HEAD + "".join(lines), "--dry-run", is_json=False)
    assert status == 0
    assert f"  points          {total:,}\n" in out
    assert "  customers            50\n" in out
    assert err == "Nothing was sent.\n"
    assert httpx2.get(f"{town[0].url}/v1/chain", timeout=30).json()["size"] == before
    assert [path.name for path in tmp_path.iterdir()] == ["members.csv"]


def test_members_and_balances_are_on_the_ledger_and_the_book_is_private(send, town, tmp_path, cli):
    lines, total = make_lines(1_200, name="B")
    status, result, _ = send(HEAD + "".join(lines))
    assert status == 0
    sent = {"members": 1_200, "points": total, "points_on_ledger": total, "differences": []}
    assert result["sent"] == sent
    state = tmp_path / "members.csv.state"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in state.iterdir()}
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600}
    book = read_book(state)
    assert len(set(book.values())) == 1_200
    points = int(lines[1].split(",")[1])
    assert read_balance(town[0], cli, book["B-0"]) == {"leaf": 5}
    assert lines[2].startswith("B-1,")
    assert points == 5
    assert read_balance(town[0], cli, book["B-1"]) == {"leaf": int(lines[2].split(",")[1])}


def test_no_customer_number_ever_reaches_the_ledger(send, town, tmp_path):
    street, _ = town
    marked = "SECRET-CUSTOMER"
    assert send(f"{HEAD}{marked},77,{EARNED},{EXPIRES}\n")[0] == 0
    stored = b"".join(path.read_bytes() for path in Path(street.directory).glob("*.db*"))
    assert read_book(tmp_path / "members.csv.state")[marked].encode() in stored
    assert marked.encode() not in stored


def test_again_and_again_changes_nothing(send, town, tmp_path, cli):
    lines, total = make_lines(60, name="A")
    first = send(HEAD + "".join(lines))[1]
    state = tmp_path / "members.csv.state"
    book = read_book(state)
    balances = [read_balance(town[0], cli, member) for member in list(book.values())[:5]]
    # The same file; the lines in another order; the journal lost; a line more.
    assert send(None)[1] == first
    assert send(HEAD + "".join(reversed(lines)))[1]["sent"] == first["sent"]
    (state / "sent.jsonl").unlink()
    assert send(HEAD + "".join(lines))[1]["sent"] == first["sent"]
    more = send(HEAD + "".join(lines) + f"A-new,9,{EARNED},{EXPIRES}\n")[1]["sent"]
    assert (more["members"], more["points_on_ledger"]) == (61, total + 9)
    assert [read_balance(town[0], cli, member) for member in list(book.values())[:5]] == balances


def test_other_points_on_a_line_that_was_brought_are_told_and_not_added(send, town, tmp_path, cli):
    assert send(f"{HEAD}D-1,10,{EARNED},{EXPIRES}\nD-2,20,{EARNED},{EXPIRES}\n")[0] == 0
    text = f"{HEAD}D-1,11,{EARNED},{EXPIRES}\nD-2,20,{EARNED},{EXPIRES}\n"
    status, result, _ = send(text)
    assert status == 1
    (difference,) = result["sent"]["differences"]
    assert difference == {"line": 2, "customer": "D-1", "points": 11, "code": "REFERENCE_CONFLICT"}
    assert result["sent"]["points"] == result["sent"]["points_on_ledger"] + 11
    assert read_balance(town[0], cli, read_book(tmp_path / "members.csv.state")["D-1"]) == {"leaf": 10}
    status, out, _ = send(None, is_json=False)
    assert (status, "line 2  11 points of D-1: " in out) == (1, True)


def test_the_good_lines_go_alone_only_when_asked(send):
    text = f"{HEAD}E-1,10,{EARNED},{EXPIRES}\nE-2,x,{EARNED},{EXPIRES}\n"
    assert send(text)[1]["sent"] is None
    status, result, _ = send(text, "--leave-out-rejected")
    assert (status, result["sent"]["points_on_ledger"], len(result["rejected"])) == (1, 10, 1)


def test_who_is_not_the_issuer_is_told_before_anything_is_sent(send):
    status, _, err = send(f"{HEAD}F-1,10,{EARNED},{EXPIRES}\n", keys="petrol")
    assert (status, "NOT_ISSUER" in err) == (2, True)


def test_a_book_is_for_one_chain_and_one_process(send, tmp_path):
    import fcntl

    text = f"{HEAD}G-1,10,{EARNED},{EXPIRES}\n"
    assert send(text)[0] == 0
    state = tmp_path / "members.csv.state"
    with (state / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "STATE_IN_USE" in send(text)[2]
    begun = json.loads((state / "begun.json").read_text())
    (state / "begun.json").write_text(json.dumps({**begun, "chain": "other/" + "0" * 32}))
    status, _, err = send(text)
    assert (status, "STATE_OF_ANOTHER" in err) == (2, True)
    (state / "begun.json").write_text(json.dumps(begun))
    (state / "members.csv").chmod(0o644)
    assert "MODE_TOO_WIDE" in send(text)[2]


def test_a_line_of_the_book_that_was_cut_short_was_never_used(send, tmp_path):
    assert send(f"{HEAD}H-1,10,{EARNED},{EXPIRES}\n")[0] == 0
    book = tmp_path / "members.csv.state/members.csv"
    whole = book.read_bytes()
    for cut in (b"H", b"H-2,", b"H-2,m_0000", b"H-2," + make_member().encode()):
        book.write_bytes(whole + cut)
        (tmp_path / "members.csv.state/sent.jsonl").open("ab").write(b'{"header":{"cha')
        assert send(None)[0] == 0
        assert book.read_bytes() == whole


def test_killed_anywhere_and_begun_again_it_ends_with_every_point_once(town, tmp_path, cli, repository):
    street, _ = town
    lines, total = make_lines(4_000, name="K", seed=3)
    file = tmp_path / "k.csv"
    file.write_text(HEAD + "".join(lines))
    command = [
        *(sys.executable, "-m", "node.cli.main", "import", file, "--program", "leaf", "--series", "s1"),
        *("--url", street.url, "--keys", street.folders["fresh"], "--json"),
    ]
    drawn = random.Random(5)
    state = file.with_name("k.csv.state")
    journal = state / "sent.jsonl"
    kills = []
    while len(kills) < (20 if FULL else 6):
        signed = journal.read_bytes().count(b"\n") if journal.exists() else 0
        running = subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        # Now while the book is begun, now somewhere around a transaction that is on its way.
        is_early = len(kills) % 3 == 0
        while running.poll() is None:
            count = journal.read_bytes().count(b"\n") if journal.exists() else 0
            if count > signed or (is_early and state.exists()):
                break
            time.sleep(0.001)
        time.sleep(drawn.uniform(0, 0.06))
        if running.poll() is None:
            os.kill(running.pid, signal.SIGKILL)
        running.communicate()
        if running.returncode != -signal.SIGKILL:
            break
        kills.append(signed)
    assert len(kills) >= 4
    done = subprocess.run(command, cwd=repository, check=True, capture_output=True)
    sent = json.loads(done.stdout)["sent"]
    assert sent == {"members": 4_000, "points": total, "points_on_ledger": total, "differences": []}
    expected = {}
    for line in lines:
        customer, points, *_ = line.split(",")
        expected[customer] = expected.get(customer, 0) + int(points)
    book = read_book(state)
    for customer in drawn.sample(sorted(book), 60):
        wanted = {"leaf": expected[customer]} if expected[customer] else {}
        assert read_balance(street, cli, book[customer]) == wanted


def test_a_node_that_is_gone_is_exit_status_2_and_the_next_run_completes(cli, tmp_path, repository, start):
    (tmp_path / "gone").mkdir()
    street, node = begin(tmp_path / "gone", repository, NodeProcess)
    lines, total = make_lines(300, name="N")
    (tmp_path / "n.csv").write_text(HEAD + "".join(lines))
    node.stop(signal.SIGKILL)
    given = ("import", tmp_path / "n.csv", "--program", "leaf", "--series", "s1", "--json")
    keys = ("--keys", street.folders["fresh"])
    status, _, err = cli(*given, *keys, "--url", street.url)
    assert (status, "SOURCE_UNREACHABLE" in err) == (2, True)
    again = start(street.directory)
    status, out, _ = cli(*given, *keys, "--url", again.url)
    assert (status, json.loads(out)["sent"]["points_on_ledger"]) == (0, total)
