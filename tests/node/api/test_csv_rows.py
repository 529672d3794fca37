"""CSV rows: numbers are numbers, money is exact, and no text is ever a formula."""

from __future__ import annotations

import csv
import io
import unicodedata

from hypothesis import example, given, settings
from hypothesis import strategies as st

from node.api.csv_rows import Units, disarm, encode_row, format_time, restore

# What a spreadsheet might take for the start of a formula, found in Unicode and not in the code under test.
FORMULAS = sorted(
    {"=", "+", "-", "@", "\t", "\r", "\n", "−"}
    | {
        char
        for char in map(chr, range(0x110000))
        if unicodedata.category(char) != "Cs"
        and unicodedata.normalize("NFKC", char)[:1] in ("=", "+", "-", "@")
    }
)
HIDERS = ["", " ", "  ", "'", '"', "\u00a0", "\u3000", "\u200b", "\ufeff", "\u200e\u2066", " '\" ", "’", "＇"]


def test_no_text_begins_as_a_formula_does():
    assert len(FORMULAS) >= 19 + 3
    for hider in HIDERS:
        for start in FORMULAS:
            for before in ("", "Shop;", "Shop,", "a|b|", "x\t"):
                text = f"{before}{hider}{start}cmd|' /C calc'!A1"
                (cell,) = next(csv.reader(io.StringIO(encode_row([text]), newline=""), strict=True))
                assert cell.startswith(f"{before}'{hider}{start}"), (text, cell)
                assert restore(cell) == text


PIECES = st.lists(st.sampled_from([*"=+-@;,|\t\r\n '\"a1", "＝", "\u200b", "’", "−"]), max_size=12).map(
    "".join
)


@given(text=PIECES | st.text(max_size=40))
@example(text="'=")
@example(text=";'';=")
@settings(max_examples=500)
def test_disarming_can_be_undone_and_disarms_whatever_it_is(text):
    disarmed = disarm(text)
    assert restore(disarmed) == text
    assert disarmed.lstrip(" '\"\u200b’")[:1] not in set("=+-@＝−\t\r\n") or disarmed.startswith("'")
    rows = list(csv.reader(io.StringIO(encode_row([text, 7]), newline=""), strict=True))
    assert rows == [[disarmed, "7"]]


def test_numbers_stay_numbers_and_money_is_exact():
    row = encode_row([-5, 10**15, Units(-1), Units(-1_200_000), Units(0), Units(10**18), None, "-5"])
    assert row == "-5,1000000000000000,-0.000001,-1.200000,0.000000,1000000000000.000000,,'-5\r\n"
    assert format_time(2**53 - 1) == "287396-10-12T08:59:00.991Z"
    assert format_time(1_709_164_800_001) == "2024-02-29T00:00:00.001Z"
