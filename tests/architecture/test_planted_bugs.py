"""Every planted bug still fits the code it breaks: what the tests say to it, `scripts/plant` finds out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.planting.__main__ import main
from scripts.planting.faults import apply_fault, read_faults

ROOT = Path(__file__).resolve().parents[2]
FAULTS = read_faults()


def test_the_readme_says_how_many_there_are():
    assert len(FAULTS) == 43
    said = re.findall(r"(\d+) of (\d+) planted bugs caught", (ROOT / "README.md").read_text("utf-8"))
    assert said == [("43", "43")]


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_it_applies_and_its_tests_exist(fault):
    assert apply_fault(fault, ROOT, check_only=True) is None
    assert fault.what.endswith(".")
    assert fault.tests
    for test in fault.tests:
        assert (ROOT / test.partition("::")[0]).is_file(), test


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_all_of_them_are_caught(capsys):
    assert main([]) == 0, capsys.readouterr().out
