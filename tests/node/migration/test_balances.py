"""What a file of opening balances may look like, and what is said of each line that cannot be used."""

from __future__ import annotations

import pytest

from ledger.calendar import Date, get_day_number
from node.cli.tables import format_day
from node.keystore import Unusable
from node.migration.balances import REQUIRED, Balance, Terms, Totals, read_balances
from node.migration.table import Fault, open_table

TODAY = get_day_number(Date(2026, 7, 15))
EARNED, EXPIRES = "2026-06-15", "2026-11-30"
HEAD = "customer,points,earned,expires\n"
TERMS = Terms(TODAY, 12)


@pytest.fixture
def read(tmp_path):
    """Every line of a file, and the totals."""

    def run(text, terms=TERMS):
        (tmp_path / "f.csv").write_bytes(text.encode() if isinstance(text, str) else text)
        totals = Totals()
        with open_table(tmp_path / "f.csv", required=REQUIRED) as table:
            return list(read_balances(table, terms=terms, totals=totals)), totals

    return run


#   a file, what is said of which line
BAD_LINES = [
    ("no number", f"C-1,many,{EARNED},{EXPIRES}", "POINTS", "not a whole number"),
    ("thousands", f'C-1,"1,000",{EARNED},{EXPIRES}', "POINTS", "not a whole number"),
    ("a fraction", f"C-1,12.0,{EARNED},{EXPIRES}", "POINTS", "not a whole number"),
    ("below nothing", f"C-1,-5,{EARNED},{EXPIRES}", "POINTS", "not a whole number"),
    ("leading noughts", f"C-1,007,{EARNED},{EXPIRES}", "POINTS", "not a whole number"),
    ("other digits", f"C-1,１２,{EARNED},{EXPIRES}", "POINTS", "not a whole number"),
    ("too many", f"C-1,1000000001,{EARNED},{EXPIRES}", "POINTS", "1,000,000,000"),
    ("another order of days", "C-1,5,03/04/2026,2027-01-31", "EARNED", "not a day as in"),
    ("no such day", "C-1,5,2026-02-30,2027-01-31", "EARNED", "not in the calendar"),
    ("earned tomorrow", f"C-1,5,{format_day(TODAY + 1)},{EXPIRES}", "EARNED", "after today"),
    ("over", f"C-1,5,{EARNED},{format_day(TODAY - 1)}", "EXPIRES", "is over"),
    ("before it was earned", f"C-1,5,{EARNED},{format_day(TODAY - 31)}", "EXPIRES", "before it was earned"),
    ("too far", f"C-1,5,{EARNED},2099-12-31", "EXPIRES", "later than the series allows"),
    ("never, in a series that ends", f"C-1,5,{EARNED},never", "EXPIRES", "later than the series allows"),
    ("a name", f'"Miller, Anna",5,{EARNED},{EXPIRES}', "CUSTOMER", "no names"),
    ("an address", f"anna@example.org,5,{EARNED},{EXPIRES}", "CUSTOMER", "no names"),
    ("nobody", f",5,{EARNED},{EXPIRES}", "CUSTOMER", "empty"),
    ("a formula", f"=1+1,5,{EARNED},{EXPIRES}", "FORMULA", "a spreadsheet takes for a formula"),
    ("a formula in quotes", f'"@SUM(A1)",5,{EARNED},{EXPIRES}', "FORMULA", "a spreadsheet takes"),
    ("a telephone", f"+4912345,5,{EARNED},{EXPIRES}", "FORMULA", "a spreadsheet takes"),
    ("one cell more", f"C-1,5,{EARNED},{EXPIRES},x", "CELLS", "5 cells"),
    ("one cell fewer", "C-1,5", "CELLS", "2 cells"),
    ("a line break in a cell", f'"C\n1",5,{EARNED},{EXPIRES}', "LINE_BREAK", "a line break"),
    ("a quotation mark", f'C-1,"5"5,{EARNED},{EXPIRES}', "LINE_BROKEN", "a quotation mark inside"),
    ("never closed", f'"C-1,5,{EARNED},{EXPIRES}', "LINE_BROKEN", "never closed"),
    ("a control character", f"C\x07,5,{EARNED},{EXPIRES}", "CONTROL_CHARACTER", "a control"),
    ("nothing with days", f"C-1,0,{EARNED},{EXPIRES}", "POINTS", "0, yet with days"),
    ("the same twice", f"C-0,5,{EARNED},{EXPIRES}", "DUPLICATE", "line 2"),
]


@pytest.mark.parametrize(
    ("line", "code", "told"), [row[1:] for row in BAD_LINES], ids=[r[0] for r in BAD_LINES]
)
def test_a_bad_line_is_named_with_the_reason(read, line, code, told):
    found, totals = read(f"{HEAD}C-0,7,{EARNED},{EXPIRES}\n{line}\n")
    assert isinstance(found[0], Balance)
    (fault,) = found[1:]
    assert (fault.line, fault.code) == (3, code)
    assert told in fault.told
    assert (totals.rejected, totals.points) == (1, 7)


#   the first line, the code
BAD_HEADS = [
    ("customer,points,earned,expires,name\n", "COLUMN_UNKNOWN"),
    ("customer,points,earned\n", "COLUMNS"),
    ("customer,points,earned,expires,points\n", "COLUMNS"),
    ("C-1,5,2026-01-01,2027-01-31\n", "COLUMN_UNKNOWN"),
    ("", "COLUMNS"),
]


@pytest.mark.parametrize(("head", "code"), BAD_HEADS)
def test_columns_that_are_not_the_ones_are_refused_whole(read, head, code):
    with pytest.raises(Unusable) as refused:
        read(head)
    assert refused.value.code == code


#   as which system writes it
FORMS = [
    ("byte order mark, carriage returns", lambda text: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()),
    ("old line ends", lambda text: text.replace("\n", "\r").encode()),
    ("semicolons", lambda text: text.replace(",", ";").encode()),
    ("tabs", lambda text: text.replace(",", "\t").encode()),
    (
        "quoted",
        lambda text: "".join(
            f'"{line.replace(",", chr(34) + "," + chr(34))}"\n' for line in text.split()
        ).encode(),
    ),
    (
        "spaces, capitals, empty lines",
        lambda text: text.replace(",", " , ").upper().replace("\n", "\n\n,,,\n").encode(),
    ),
    ("no last line end", lambda text: text.rstrip("\n").encode()),
]


@pytest.mark.parametrize("form", [row[1] for row in FORMS], ids=[row[0] for row in FORMS])
def test_a_file_is_read_as_systems_and_spreadsheets_write_it(read, form):
    found, totals = read(form(f"{HEAD}C-1,7,{EARNED},{EXPIRES}\nC-2,8,{EARNED},2026-12-31\n"))
    assert [type(each) for each in found] == [Balance, Balance]
    assert (totals.customers, totals.lots, totals.points) == (2, 2, 15)
    assert totals.by_month == {"2026-11": 7, "2026-12": 8}


def test_another_encoding_is_named(read):
    text = f"{HEAD}Müller,7,{EARNED},{EXPIRES}\n"
    ((fault,), _) = read(text.encode("latin-1"))
    assert (fault.line, fault.code) == (2, "NOT_UTF_8")
    with pytest.raises(Unusable):
        read(text.encode("utf-16"))


def test_a_line_is_told_by_where_it_stands_in_the_file(read):
    lines = ["", "C-1,5", "", f'"C\n2",5,{EARNED},{EXPIRES}', "C-3,5", f"C-4,5,{EARNED},{EXPIRES}", "C-5,5"]
    found, totals = read(HEAD + "\n".join(lines))
    assert [each.line for each in found] == [3, 5, 7, 8, 9]
    assert (totals.rejected, totals.lines) == (4, 1)


def test_a_quotation_mark_that_is_never_closed_does_not_swallow_the_file(read):
    lines = [f"C-{number},5,{EARNED},{EXPIRES}" for number in range(2_000)]
    lines[1_000] = '"' + lines[1_000]
    found, _ = read(HEAD + "\n".join(lines))
    fault = next(each for each in found if isinstance(each, Fault))
    assert (fault.line, fault.code) == (1_002, "LINE_BROKEN")
    assert "a quotation mark is missing" in fault.told
    assert len(found) > 1_500


def test_days_are_taken_a_little_wider_where_the_offset_is_not_known(read):
    tomorrow = f"{HEAD}C-1,5,{format_day(TODAY + 1)},{EXPIRES}\n"
    yesterday = f"{HEAD}C-1,5,{EARNED},{format_day(TODAY - 1)}\n"
    for text in (tomorrow, yesterday):
        assert isinstance(read(text)[0][0], Fault)
        assert isinstance(read(text, Terms(TODAY, None, slack_days=1))[0][0], Balance)
