"""The benchmark measures what it says: its mixes, its load, its peer, its clock."""

from __future__ import annotations

import random
import time
from collections import Counter

import msgspec
import pytest
from msgspec import UNSET

from contracts.messages import Message
from ledger.transaction import TransactionDecoder
from scripts.measure import mixes
from scripts.measure.figures import Figures
from scripts.measure.inside import send
from scripts.measure.load import Order, make_load
from scripts.measure.peer import BALANCE, CALL, create_tables
from scripts.measure.postgres import run_postgres
from scripts.measure.prepared import prepare
from scripts.measure.stages import Stages

CONSENTED = {mixes.REDEEM_ELSEWHERE, mixes.HOLD, mixes.EXCHANGE, mixes.GIFT}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("cache"), seed=7, members=80)


@pytest.mark.parametrize("mix", mixes.MIXES)
def test_every_hundred_messages_hold_exactly_the_mix(mix):
    kinds = list(mixes.deal(mix, 300, random.Random(1)))
    for start in (0, 100, 200):
        assert Counter(kinds[start : start + 100]) == Counter(mixes.MIXES[mix])


def test_one_message_in_ten_of_a_day_carries_a_consent_and_none_of_a_peak():
    shares = {mix: sum(mixes.MIXES[mix].get(kind, 0) for kind in CONSENTED) for mix in ("day", "peak")}
    assert shares == {"day": 10, "peak": 0}


@pytest.mark.parametrize(
    ("mix", "batch", "consented"), [("day", 7, 20), ("peak", 100, 0), ("burst", 50, 200)]
)
def test_a_load_is_of_its_mix_and_all_of_it_is_applied(prepared, tmp_path, mix, batch, consented):
    site = prepared.copy(tmp_path / "ledger")
    load = make_load(tmp_path / "load", Order(mix, 200, batch, prepared.members, 7, site.chain, mix))
    decoder = TransactionDecoder(Message)
    messages = [each for data in load.read_measured() for each in decoder.decode(data).messages]
    assert len(messages) == 200
    assert sum(getattr(each, "consent", UNSET) is not UNSET for each in messages) == consented
    core = site.open_core()
    try:
        send(core, load.read_before(), under_way=4)
        before = core.head
        send(core, load.read_measured(), under_way=4)
        assert core.head.entries - before.entries == core.head.accepted - before.accepted == 200
    finally:
        core.stop()


def test_a_prepared_ledger_is_made_once_and_copies_of_it_are_ones_own(prepared, tmp_path):
    again = prepare(prepared.site.directory.parent, seed=7, members=80)
    assert again == prepared
    core = prepared.copy(tmp_path / "ledger").open_core()
    assert core.head.entries == core.head.accepted
    assert len(core.list_records("program")) == 4
    assert core.head.entries > 2 * 80
    core.stop()


def test_a_run_whose_load_was_turned_down_gives_no_figure():
    row = {"path": "", "store": "", "mix": "", "batch": 1, "seconds": 1.0, "drain_seconds": 0.0}
    row |= {"p50_ms": 0.0, "p99_ms": 0.0, "cpu_seconds": 1.0, "operations": 1_000}
    msgspec.convert({**row, "applied": 990}, Figures).check_applied()
    with pytest.raises(SystemExit, match="only 989 of 1000"):
        msgspec.convert({**row, "applied": 989}, Figures).check_applied()


def test_the_peer_applies_a_batch_in_order_and_each_reference_once():
    psycopg = pytest.importorskip("psycopg")
    with run_postgres() as server, psycopg.connect(server.address, autocommit=True) as connection:
        create_tables(connection, accounts=3)

        def transfer(*rows):
            columns = ["{" + ",".join(map(str, column)) + "}" for column in zip(*rows, strict=True)]
            return connection.execute(CALL, columns).fetchone()[0]

        def balances():
            return [row[0] for row in connection.execute("SELECT balance FROM account ORDER BY id")]

        # The second lacks one point until the first has brought it; the fourth lacks it for good.
        rows = [("a", 1, 2, 1), ("b", 2, 3, BALANCE + 1), ("a", 1, 2, 5), ("c", 2, 3, 1)]
        assert transfer(*rows) == 2
        assert balances() == [BALANCE - 1, 0, 2 * BALANCE + 1]
        assert transfer(("b", 3, 1, 1), ("c", 3, 2, 4)) == 1
        assert balances() == [BALANCE - 1, 4, 2 * BALANCE - 3]
        single = "SELECT transfer(%s, %s, %s, %s)"
        assert connection.execute(single, ("d", 3, 1, 2)).fetchone()[0] == "OK"
        assert connection.execute(single, ("d", 3, 1, 2)).fetchone()[0] == "ALREADY_DONE"
        with pytest.raises(psycopg.errors.RaiseException, match="INSUFFICIENT_POINTS"):
            connection.execute(single, ("e", 2, 1, 5))
        assert balances() == [BALANCE + 1, 4, 2 * BALANCE - 5]
        kept = connection.execute("SELECT reference FROM transfer ORDER BY reference").fetchall()
        assert kept == [("a",), ("b",), ("c",), ("d",)]


def test_time_in_a_stage_within_a_stage_counts_for_the_inner_one_alone():
    stages = Stages(places={})

    def burn(seconds):
        until = time.thread_time() + seconds
        while time.thread_time() < until:
            pass

    inner = stages.wrap("inner", lambda: burn(0.04))

    def around():
        burn(0.02)
        inner()
        inner()

    outer = stages.wrap("outer", around)
    stages.begin()
    outer()
    found = stages.tell(1_000_000)
    assert found["inner"] == pytest.approx(0.08, abs=0.01)
    assert found["outer"] == pytest.approx(0.02, abs=0.01)
