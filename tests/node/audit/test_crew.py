"""Workers that are not there give no verdict, and none is left behind."""

from __future__ import annotations

import os
import sys
import weakref
from functools import partial

import pytest

from node.audit import crew, verify
from node.audit.crew import Crew
from node.audit.sources import SourceUnavailable
from node.audit.together import OptimisticReplay
from node.audit.verify import verify_ledger
from node.cli import main
from node.storage.snapshot import Snapshot
from tests.node.audit import forgeries
from tests.node.audit.audited import audit
from tests.node.audit.hurried import hurry


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    hurry(monkeypatch)


def test_a_worker_that_dies_is_no_verdict(directory, monkeypatch):
    ask = Crew.ask

    def ask_the_dead(self, questions):
        for worker in self._workers:
            worker.process.kill()
            worker.process.wait()
        ask(self, questions)

    monkeypatch.setattr(Crew, "ask", ask_the_dead)
    with pytest.raises(SourceUnavailable) as caught:
        audit(directory, processes=2)
    assert (caught.value.code, caught.value.facts) == ("WORKER_LOST", {"status": -9})


def test_a_worker_that_dies_with_the_last_signatures_in_hand_is_no_verdict(log, monkeypatch):
    finish = Crew.finish

    def finish_without(self):
        (worker,) = self._workers
        worker.process.kill()
        finish(self)

    monkeypatch.setattr(Crew, "finish", finish_without)
    monkeypatch.setattr(crew, "LOT", 10_000)  # so all are left for the end, and the worker has them in hand
    monkeypatch.setattr(Crew, "_check_lot", Crew._take_answer)
    with pytest.raises(SourceUnavailable) as caught:
        verify_ledger(log, processes=2)
    assert caught.value.code == "WORKER_LOST"


def test_a_worker_that_cannot_be_started_is_no_verdict(log, monkeypatch):
    monkeypatch.setattr(crew.sys, "executable", "/nowhere/python")
    with pytest.raises(SourceUnavailable) as caught:
        verify_ledger(log, processes=2)
    assert caught.value.code == "WORKER_NOT_STARTED"


def test_a_worker_that_cannot_read_is_no_verdict(directory):
    path = directory / "ledger.db"
    with Snapshot(path) as snapshot, pytest.raises(SourceUnavailable) as caught:
        verify_ledger(
            snapshot, stored=snapshot, opening=partial(Snapshot, directory / "gone.db"), processes=2
        )
    assert caught.value.code == "DATABASE_MISSING"


def test_what_the_quick_way_held_is_let_go_of_before_all_is_looked_at_again(
    history, leaves, rewrite, monkeypatch
):
    forgeries.forge_balance(leaves, history)
    held = []
    execute, run = OptimisticReplay._execute, verify._Audit.run

    def note(self, recorded):
        held.append(weakref.ref(self.state))
        return execute(self, recorded)

    def look_again(self, **how):
        assert held
        assert not any(reference() for reference in held)
        run(self, **how)

    monkeypatch.setattr(OptimisticReplay, "_execute", note)
    monkeypatch.setattr(verify._Audit, "run", look_again)
    assert not verify_ledger(rewrite(leaves), processes=2).is_good


def test_no_process_is_left_behind(log, monkeypatch):
    started = []
    start = Crew._start

    def note(self, number):
        started.append(start(self, number))
        return started[-1]

    monkeypatch.setattr(Crew, "_start", note)
    assert verify_ledger(log, processes=3).is_good
    assert [worker.process.poll() for worker in started] == [-9, -9]
    assert not any(worker.reader.is_alive() for worker in started)


def test_a_small_log_starts_no_process(log, monkeypatch):
    monkeypatch.setattr(verify, "WORTH_SHARING", 20_000)
    monkeypatch.setattr(Crew, "_start", lambda *_: pytest.fail("a worker for so little"))
    assert verify_ledger(log, processes=2).is_good


def test_one_process_is_one_process(log, monkeypatch):
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a second process"))
    assert verify_ledger(log).is_good


def test_the_command_says_that_nothing_is_known_when_a_worker_dies(directory, monkeypatch, capsys):
    finish = Crew.finish

    def finish_alone(self):
        os.kill(self._workers[0].process.pid, 9)
        self._workers[0].process.wait()
        self._questions.append(None)
        finish(self)

    monkeypatch.setattr(Crew, "finish", finish_alone)
    monkeypatch.setattr(Crew, "_check_lot", Crew._take_answer)
    monkeypatch.setattr(sys, "argv", ["commonpoint", "verify", "--data", str(directory), "--processes", "2"])
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert ended.value.code == 2
    assert "WORKER_LOST" in capsys.readouterr().err


def test_the_command_verifies_with_as_many_processes_as_it_is_told(directory, monkeypatch, capsys):
    monkeypatch.setattr(Crew, "_start", lambda *_: pytest.fail("one process"))
    monkeypatch.setattr(sys, "argv", ["commonpoint", "verify", "--data", str(directory), "--processes", "1"])
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert not ended.value.code
    assert capsys.readouterr().out.startswith("GOOD")
