"""Who signed two blocks of one height is told of once, kept, and counted for good."""

from __future__ import annotations

import json

from structlog.testing import capture_logs

from node.engine.cometbft.misbehaviour import MISBEHAVIOUR_FILE, Misbehaviour


def make_fact(height: int, *, validator: str = "01" * 20):
    return {"kind": "duplicate_vote", "engine_height": height, "validator": validator, "power": 10}


def test_each_time_is_told_once_however_often_its_block_is_shown(tmp_path):
    kept = Misbehaviour(tmp_path)
    assert kept.count == 0
    with capture_logs() as said:
        kept.note([make_fact(7), make_fact(7, validator="02" * 20)])
        kept.note([make_fact(7)])
        kept.note([make_fact(9), make_fact(9)])
    facts = [make_fact(7), make_fact(7, validator="02" * 20), make_fact(9)]
    assert kept.count == 3
    assert [line["engine_height"] for line in said if line["log_level"] == "critical"] == [7, 7, 9]
    assert [json.loads(line) for line in (tmp_path / MISBEHAVIOUR_FILE).read_text().splitlines()] == facts


def test_a_start_forgets_nothing_and_tells_nothing_again(tmp_path):
    Misbehaviour(tmp_path).note([make_fact(7)])
    again = Misbehaviour(tmp_path)
    with capture_logs() as said:
        again.note([make_fact(7)])
    assert (again.count, said) == (1, [])
    again.note([make_fact(8)])
    assert Misbehaviour(tmp_path).count == 2
