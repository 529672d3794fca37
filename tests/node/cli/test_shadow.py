"""A parallel run: an export that agrees, every way in which one can disagree, and both ways to look."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.calendar import get_date
from tests.node.cli.conftest import NodeProcess
from tests.node.cli.street import MEMBER, OTHER, begin

HEAD = "customer,kind,points,balance,day,order"


@pytest.fixture(scope="module")
def evening(tmp_path_factory, repository):
    """A ledger with an evening's trade, its node stopped, and the custodian's book."""
    street, node = begin(tmp_path_factory.mktemp("shadow"), repository, NodeProcess)
    status, said = node.stop()
    assert status == 0, said
    book = street.directory.parent / "book"
    book.mkdir(mode=0o700)
    (book / "members.csv").write_text(f"customer,member\nANNA-1,{MEMBER}\nBERT-2,{OTHER}\n")
    (book / "members.csv").chmod(0o600)
    street.book = book
    return street


def write_day(street, days=0):
    date = get_date(street.today + days)
    return f"{date.year:04d}-{date.month:02d}-{date.day:02d}"


@pytest.fixture
def truth(evening):
    """What an earlier system would have written of that evening, had it seen the same."""
    day = write_day(evening)
    return [
        f"ANNA-1,earn,900,900,{day},W-1",
        f"BERT-2,earn,50,50,{day},W-2",
        f"ANNA-1,earn,45,945,{day},O-1",
        f"ANNA-1,redeem,250,695,{day},O-1",
        f"ANNA-1,refund,60,755,{day},O-1",
        f"ANNA-1,refund,40,795,{day},O-1",
        f"ANNA-1,return,9,786,{day},O-1",
        f"ANNA-1,redeem,30,756,{day},O-2",
        f"BERT-2,earn,7,57,{day},O-3",
        f"BERT-2,earn,7,64,{day},O-4",
    ]


@pytest.fixture
def shadow(cli, evening, tmp_path):
    """Compares lines with the ledger: (exit status, differences by line or leaf, the sum)."""

    def run(lines, *options, head=HEAD, source=None):
        file = tmp_path / "export.csv"
        file.write_text("\n".join([head, *lines]) + "\n")
        looked = source or ("--data", evening.directory)
        given = ("shadow", file, *looked, "--program", "leaf", "--state", evening.book, "--json", *options)
        status, out, err = cli(*given)
        if status == 2:
            return status, err, None
        *found, total = map(json.loads, out.splitlines())
        return status, found, total

    return run


def test_an_export_that_says_the_same_is_the_same(shadow, truth):
    status, found, total = shadow(truth)
    assert (status, found) == (0, [])
    assert (total["same"], total["lines"], total["matched"]) == (True, 10, 10)
    assert total["kinds"]["redeem"] == {"lines": 2, "line_points": 280, "entries": 2, "entry_points": 280}


def edit(number, old, new):
    def change(lines):
        assert old in lines[number]
        lines[number] = lines[number].replace(old, new)

    return change


#   what is done to the true export, code, line or None, fields
EDITS = [
    ("points", edit(2, "earn,45,", "earn,46,"), ("DIFFERS", 4, [["points", 46, 45]])),
    ("balance", edit(3, ",695,", ",700,"), ("DIFFERS", 5, [["balance", 700, 695]])),
    ("a line more", lambda lines: lines.append(lines[1].replace("W-2", "W-9")), ("NOT_ON_LEDGER", 12, [])),
    ("a line twice", lambda lines: lines.append(lines[7]), ("NOT_ON_LEDGER", 12, [])),
    ("a line fewer", lambda lines: lines.pop(6), ("NOT_IN_EXPORT", None, [])),
    ("a refund fewer", lambda lines: lines.pop(5), ("NOT_IN_EXPORT", None, [])),
    ("a refund of other points", edit(5, "refund,40", "refund,41"), ("DIFFERS", 7, [["points", 41, 40]])),
    ("who is not in the book", edit(1, "BERT-2", "CARL-3"), ("CUSTOMER_UNKNOWN", 3, None)),
    ("an unknown kind", edit(1, "earn", "sale"), ("KIND", 3, None)),
    ("no number", edit(1, "earn,50", "earn,fifty"), ("POINTS", 3, None)),
    ("no day", edit(1, "202", "2o2"), ("DAY", 3, None)),
]


@pytest.mark.parametrize(("change", "expected"), [row[1:] for row in EDITS], ids=[row[0] for row in EDITS])
def test_each_difference_is_named_with_its_line(shadow, truth, change, expected):
    change(truth)
    status, found, total = shadow(truth)
    assert (status, total["same"]) == (1, False)
    code, line, fields = expected
    first = found[0]
    assert (first["code"], first.get("line")) == (code, line)
    if fields is not None:
        assert len(found) == 1
        assert first.get("fields", []) == fields


def test_another_day_is_a_difference_unless_it_is_tolerated(shadow, truth, evening):
    truth[2] = truth[2].replace(write_day(evening), write_day(evening, -1))
    status, found, _ = shadow(truth)
    assert status == 1
    assert found[0]["fields"] == [["day", evening.today - 1, evening.today]]
    assert shadow(truth, "--tolerate-days", "1")[0] == 0


def test_what_is_tolerated_is_said_and_no_more(shadow, truth):
    edit(2, "earn,45,945", "earn,47,948")(truth)
    assert shadow(truth, "--tolerate-points", "2", "--tolerate-balance", "3")[0] == 0
    assert shadow(truth, "--tolerate-points", "1", "--tolerate-balance", "3")[0] == 1
    assert shadow(truth, "--tolerate-points", "2", "--tolerate-balance", "2")[0] == 1
    assert shadow(truth, "--tolerate-points", "2", "--ignore-balance")[0] == 0


def test_words_of_theirs_are_taught(shadow, truth):
    lines = [line.replace(",earn,", ",Sale,") for line in truth]
    assert shadow(lines)[0] == 1
    assert shadow(lines, "--kind", "sale=earn")[0] == 0
    assert shadow(lines, "--kind", "sale=magic")[:1] == (2,)


def test_without_orders_or_balances_what_fits_is_paired(shadow, truth):
    lines = [line.rpartition(",")[0] for line in truth]
    assert shadow(lines, head="customer,kind,points,balance,day")[0] == 0
    lines = [",".join(line.split(",")[:3] + line.split(",")[4:5]) for line in truth]
    assert shadow(lines, head="customer,kind,points,day")[0] == 0
    lines = [line.replace("ANNA-1", MEMBER).replace("BERT-2", OTHER) for line in truth]
    assert shadow(lines, head=HEAD.replace("customer", "member"))[0] == 0


def test_days_can_be_named(shadow, truth, evening):
    day = write_day(evening)
    lines = [*truth, f"ANNA-1,earn,5,5,{write_day(evening, -9)},OLD"]
    assert shadow(lines, "--from", day, "--to", day)[0] == 0
    status, found, _ = shadow([], "--from", day, "--to", day)
    assert (status, len(found)) == (1, 10)
    earlier = write_day(evening, -20)
    assert shadow([], "--from", earlier, "--to", earlier)[0] == 0
    assert shadow([])[:1] == (2,)


def test_over_http_the_same_is_found(shadow, truth, start, cli, evening):
    node = start(evening.directory)
    _, token, _ = cli("key", "token", "--data", evening.directory)
    edit(3, ",695,", ",700,")(truth)
    truth.pop(6)
    from_data = shadow(truth)
    from_log = shadow(truth, source=("--url", node.url, "--token", token.strip()))
    assert from_log == from_data
    status, found, total = shadow(truth, source=("--url", node.url, "--keys", evening.folders["fresh"]))
    assert (status, found) == from_data[:2]
    assert total["reads_log"] is False


def test_it_reads_well_at_a_terminal(cli, evening, truth, tmp_path):
    edit(2, "earn,45,", "earn,46,")(truth)
    truth.pop(8)
    (tmp_path / "e.csv").write_text("\n".join([HEAD, *truth]) + "\n")
    given = ("shadow", tmp_path / "e.csv", "--data", evening.directory, "--program", "leaf")
    status, out, err = cli(*given, "--state", evening.book)
    assert (status, err) == (1, "")
    day = write_day(evening)
    assert (
        f"    line 4  ANNA-1  earn O-1  {day}\n        points: 46 in the export, 45 on the ledger (leaf 30)\n"
        in out
    )
    assert f"  BERT-2  earn O-3  {day}\n        7 points, not in the export\n" in out
    assert "\nDIFFERENT\n    lines compared     9\n    as on the ledger   8\n" in out
    assert max(len(line) for line in out.splitlines()[1:]) <= 80


def test_the_answer_does_not_change_from_run_to_run(shadow, truth):
    drawn = random.Random(2)
    for number in range(len(truth)):
        truth[number] = truth[number].replace(",O-", f",X{drawn.randrange(3)}-")
    assert shadow(truth) == shadow(truth)
    assert [each["line"] for each in shadow(truth)[1] if "line" in each] == sorted(
        each["line"] for each in shadow(truth)[1] if "line" in each
    )


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_two_books_of_many_members_are_compared_without_holding_them(repository):
    # A process of its own, whose memory is then known: 200,000 movements a side, some different.
    code = """
import tempfile
from pathlib import Path
from node.migration.comparison import Books, Tolerance
from node.migration.movements import Movement
with tempfile.TemporaryDirectory() as folder:
    books = Books(Path(folder), Tolerance())
    for number in range(200_000):
        member = f"m_{number % 50_000:026d}"
        line = Movement(member, "earn", f"O-{number}", 20_000, number % 999, None, number, member)
        books.add_theirs(line)
        books.add_ours(line._replace(points=line.points + (number % 1000 == 0)))
    found = [each.line for each in books.compare(first_day=0, last_day=99_999)]
    assert found == list(range(0, 200_000, 1000)), len(found)
    assert books.matched == 199_800
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(int(status["VmHWM"].split()[0]) // 1024)
"""
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, check=True, capture_output=True, text=True
    )
    # Megabytes. All 400,000 in memory would be some 160.
    assert int(said.stdout) < 60
