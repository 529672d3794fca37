"""Catching up costs little more than an audit of the same log: a follower checks what an audit checks, and
stores it.
"""

from __future__ import annotations

import pytest

from scripts.measure.prepared import prepare
from scripts.measure.runs import Bench, Run
from scripts.measure.verifying import follow, verify

AT_LEAST = 0.5
"""Of an audit's speed; a machine that does nothing else shows nine tenths and more."""


@pytest.mark.full
def test_catching_up_costs_less_than_twice_an_audit(tmp_path):
    site = Bench(tmp_path / "runs", repeat=1).lay_down(
        prepare(tmp_path / "cache", seed=1, members=2_000), Run("day", 1_000, 200_000)
    )
    audited, _ = verify(site.directory)
    followed = follow(site.directory, tmp_path)
    assert audited.cpu_seconds / followed.cpu_seconds >= AT_LEAST
