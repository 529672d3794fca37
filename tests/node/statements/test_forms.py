"""In whatever form: the same figures, no cell that runs, no name that is markup, the same bytes always."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser

import duckdb
import pytest

from node.keystore import Unusable
from node.statements.columnar import make_parquet
from node.statements.document import make_pdf
from node.statements.figures import format_amounts, format_local
from node.statements.page import format_page
from node.statements.paper import make_paper
from node.statements.rows import COLUMNS
from node.statements.spreadsheet import format_csv
from node.statements.view import Order, sum_by_counterparty
from node.statements.wording import KINDS, REASONS
from tests.contracts.cast import FRESH, OPERATOR, PETROL
from tests.node.statements.conftest import take
from tests.node.statements.example import make_example

ORDER = Order(
    entry=812,
    time=1_700_000_000_000,
    occurred_at=1_699_999_999_000,
    kind="redeem",
    reference="-order,9",
    member="m_" + "0" * 26,
    program="leaf",
    points=300,
    source="ada",
    destination="bo",
    reason="redeem",
    micros=10**15 + 1,
)


def read_csv(sheet):
    return list(csv.DictReader(io.StringIO(format_csv(sheet), newline="")))


def test_a_spreadsheet_has_every_figure_twice_and_runs_nothing():
    rows = read_csv(make_example(participant="bo", orders=[ORDER]))
    assert list(rows[0]) == list(COLUMNS)
    lines = [row for row in rows if row["row"] == "line"]
    assert [(row["number"], row["micros"], row["amount"]) for row in lines] == [
        ("0", str(10**15 + 1), "1000000000.000001"),
        ("1", "4005001", "4.005001"),
        ("2", "7", "0.000007"),
    ]
    (order,) = [row for row in rows if row["row"] == "order"]
    assert (order["entry"], order["reference"]) == ("812", "'-order,9")
    assert {row["brand"] for row in rows if row["row"] == "brand"} == {"'+Bay", "Cove"}
    texts = [
        cell
        for row in rows
        for name, cell in row.items()
        if not COLUMNS[name].startswith(("DEC", "INT", "BIG"))
    ]
    assert not [text for text in texts if text.startswith(("=", "+", "-", "@"))]
    assert "'=HYPERLINK(1)" in texts


def test_a_columnar_file_has_the_same_rows_with_exact_types(tmp_path):
    sheet = make_example(participant="bo", orders=[ORDER] * 3)
    made = make_parquet(sheet)
    assert made == make_parquet(sheet)
    path = tmp_path / "s.parquet"
    path.write_bytes(made)
    with duckdb.connect() as connection:
        read = connection.read_parquet(str(path))
        assert dict(zip(read.columns, map(str, read.types), strict=True)) == COLUMNS
        rows = read.fetchall()
    told = read_csv(sheet)
    place = list(COLUMNS).index
    assert [str(row[place("micros")]) for row in rows] == [row["micros"] for row in told]
    assert [f"{row[place('amount')]:.6f}" for row in rows] == [row["amount"] for row in told]
    assert rows[-1][place("reference")] == "-order,9"  # as it is: nothing runs a Parquet file
    assert rows[-1][place("brand")] is None


class Reader(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.parametrize(("language", "title"), [("zh", "结算单"), ("en", "Settlement statement")])
@pytest.mark.parametrize("participant", [None, "ada", "bo", "cy"])
def test_a_page_is_one_file_that_fetches_nothing_and_runs_nothing(language, title, participant):
    orders = () if participant is None else [ORDER]
    page = format_page(
        make_paper(make_example(participant=participant, orders=orders), language, with_orders=True)
    )
    read = Reader(page)
    tags = {tag for tag, _ in read.tags}
    assert not tags & {"script", "link", "img", "iframe", "object", "form", "input"}
    assert not [
        name for _, found in read.tags for name in found if name in ("src", "href") or name[:2] == "on"
    ]
    assert "url(" not in page
    assert "@import" not in page
    assert title in page
    assert any("<script>x</script> #let a = 1" in text for text in read.texts)
    if orders and participant != "cy":
        assert "-order,9" in read.texts


def test_a_side_says_first_what_is_paid():
    paper = make_paper(make_example(participant="ada"), "en", with_orders=False)
    assert [fact.value for fact in paper.headline] == ["pays CNY 999,999,993.53"]
    paper = make_paper(make_example(participant="bo"), "zh", with_orders=False)
    assert [fact.value for fact in paper.headline] == ["应收款 CNY 999,999,996.00"]


def test_a_counterpartys_sum_is_what_the_lines_and_what_was_brought_add_up_to(mirror):
    """In the third window what the second left is in it."""
    sheet = take(mirror, 3, participant=FRESH).sheet
    balances = sum_by_counterparty(sheet)
    (position,) = sheet.positions
    assert sum(each.owed - each.owes for each in balances) == position.net
    assert {each.other for each in balances} > {PETROL, OPERATOR}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_document_is_the_same_bytes_and_takes_names_for_names(language):
    paper = make_paper(make_example(), language, with_orders=False)
    made = make_pdf(paper, closed_at=1_700_000_000_123)
    assert made.startswith(b"%PDF-")
    assert made == make_pdf(paper, closed_at=1_700_000_000_123)
    assert b"D:20231114" in made  # the day of the cut, not of the making
    assert b"NotoSansCJK" in made
    assert b"LibertinusSerif" not in made


def test_an_extra_that_is_missing_is_one_line(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "typst", None)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    sheet = make_example()
    for make in (
        lambda: make_parquet(sheet),
        lambda: make_pdf(make_paper(sheet, "en", with_orders=False), closed_at=0),
    ):
        with pytest.raises(Unusable) as caught:
            make()
        assert caught.value.code == "EXTRA_MISSING"
        assert "commonpoint[statements]" in caught.value.advice


def test_every_text_is_there_in_both_languages():
    from node.statements.wording import _WORDS

    for both in [*REASONS.values(), *KINDS.values(), *_WORDS.values()]:
        zh, en = both
        assert zh
        assert en
        assert re.findall(r"{\w+}", zh) == re.findall(r"{\w+}", en)
        assert not re.search(r"[\u4e00-\u9fff]", en)


def test_amounts_under_each_other_have_as_many_places():
    assert format_amounts([-1, 2_500_000, 1_234_000_000]) == ["-0.000001", "2.500000", "1,234.000000"]
    assert format_amounts([2_500_000]) == ["2.50"]


def test_times_are_in_the_ledgers_offset():
    assert format_local(1_700_000_000_123, utc_offset_minutes=480) == "2023-11-15 06:13:20 +08:00"
    assert format_local(1_700_000_000_123, utc_offset_minutes=-210) == "2023-11-14 18:43:20 -03:30"
