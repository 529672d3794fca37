"""examples/till.py as its cashier sees it: a real node, a line that can be cut, a till that is killed."""

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from contracts.messages import OpenProgram, OpenSeries
from merchant_sdk import Merchant, Wallet

TILL = Path(__file__).parents[2] / "examples" / "till.py"
COMMONPOINT = str(Path(sys.executable).with_name("commonpoint"))


class Line:
    """From till to node: `cut` refuses connections, `is_deaf` carries what is asked and loses replies."""

    def __init__(self, node: str) -> None:
        self.node = (urlsplit(node).hostname, urlsplit(node).port)
        self.port, self.is_deaf, self.sockets = 0, False, []
        self.mend()

    def mend(self) -> None:
        self.is_deaf = False
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.take, args=(self.listener,), daemon=True).start()

    def cut(self) -> None:
        for each in [self.listener, *self.sockets]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self.sockets.clear()

    def take(self, listener) -> None:
        with suppress(OSError):
            while True:
                till, _ = listener.accept()
                node = socket.create_connection(self.node)
                self.sockets += [till, node]
                threading.Thread(target=self.carry, args=(till, node, False), daemon=True).start()
                threading.Thread(target=self.carry, args=(node, till, True), daemon=True).start()

    def carry(self, source, target, is_reply: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if is_reply and self.is_deaf:
                    break
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)


class Session:
    """A till in a process of its own."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        command = [sys.executable, str(TILL), "--folder", str(folder), "--program", "petrol"]
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.greeting = self.read()

    def read(self) -> str:
        while not re.match(r"(DONE nothing|LINE|UNKNOWN \d+ trans)", line := self.process.stdout.readline()):
            assert line, self.process.wait()
        return line

    def type(self, *lines: str) -> None:
        self.process.stdin.write("".join(f"{line}\n" for line in lines))
        self.process.stdin.flush()

    def ask(self, *lines: str) -> str:
        self.type(*lines)
        return self.process.stdout.readline().strip()

    def close_day(self) -> list[str]:
        self.type("close")
        told = []
        while not told or not re.match(r"CLOSED|REFUSED close", told[-1]):
            told.append(self.process.stdout.readline().rstrip("\n"))
            assert told[-1] or self.process.poll() is None
        return told

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


class Station:
    """A petrol station with one till, two members and a node."""

    def __init__(self, folder: Path, node: str, chain: str) -> None:
        self.line, self.till = Line(node), folder / "till"
        self.till.mkdir()
        self.office = Merchant("petrol", node, chain=chain, key=str(folder / "keys"), program="petrol")
        self.office.submit([OpenProgram(name="Petrol", program="petrol", spend_per_point=1_000_000)])
        height = self.office.submit([OpenProgram(name="-", program="unused", spend_per_point=1_000_000)])[
            0
        ].height
        terms = {"expiry_months": 24, "par_accrue": 12_000, "par_redeem": 10_000, "series": "first"}
        self.office.submit([OpenSeries(effective_height=height + 2, program="petrol", **terms)])
        self.anna = Wallet(chain)
        self.office.enrol(self.anna)
        self.bert = self.office.enrol()  # without a key of his own
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COMMONPOINT_")}
        self.environment = kept | {
            "COMMONPOINT_PARTICIPANT": "petrol",
            "COMMONPOINT_URL": f"http://127.0.0.1:{self.line.port}",
            "COMMONPOINT_CHAIN": chain,
            "COMMONPOINT_KEY_TILL": str(folder / "keys" / "till.pem"),
        }

    @contextmanager
    def open_till(self) -> Iterator[Session]:
        session = Session(self.till, self.environment)
        try:
            yield session
        finally:
            session.kill()

    def scan(self, points: int) -> str:
        return str(self.anna.points_code("petrol", points, acceptor="petrol"))

    def count(self, member: str | None = None) -> int:
        return self.office.balance(member or self.anna.member, "petrol").available


@pytest.fixture
def station(tmp_path) -> Iterator[Station]:
    def run(*words: str) -> str:  # what it says on stderr is shown by pytest if it fails
        command = [COMMONPOINT, *words]
        return subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.PIPE, text=True).stdout

    run("key", "new", "keys", "--participant", "petrol", "--name", "Petrol")
    chain = run("init", "ledger", "--operator", "clearing", "--participant", "keys/participant.json").strip()
    node = [COMMONPOINT, "node", "--data", "ledger", "--port", "0"]
    with (tmp_path / "node.err").open("w") as log:
        process = subprocess.Popen(node, cwd=tmp_path, stdout=subprocess.PIPE, stderr=log, text=True)
    station = None
    try:
        station = Station(tmp_path, process.stdout.readline().strip(), chain)
        yield station
    finally:
        if station is not None:
            station.line.cut()
            station.office.close()
        process.terminate()
        process.communicate(timeout=30)
    run("verify", "--data", "ledger")


def test_an_ordinary_day(station) -> None:
    anna = station.anna.member
    with station.open_till() as till:
        assert till.greeting == "DONE nothing waits\n"
        assert till.ask(f"sale 45.60 --member {anna} --order A-1").endswith("balance 45")
        assert till.ask(f"sale 45.60 --member {anna} --order A-1").endswith("pressed twice, counts once")
        assert till.ask(f"sale 46.60 --member {anna} --order A-1").startswith(
            "REFUSED A-1: this number was used"
        )
        assert till.ask(f"sale 45.6 --member {anna} --order A-9").startswith("MISTYPED")
        assert till.ask("pay - 30 --order P-1 --amount 60.00", station.scan(40)).endswith("balance 15")
        assert till.ask("pay - 30 --order P-2 --amount 60.00", station.scan(40)).startswith(
            "REFUSED P-2: INSUFFICIENT"
        )
        for scanned in ("half a code", station.bert):
            assert till.ask("pay - 30 --order P-3", scanned).startswith("NOT SENT pay: INVALID_REQUEST")
        hold = str(station.anna.consent_for_hold("petrol", 15, "petrol"))
        assert till.ask("hold - 12 --order H-1", hold).startswith("DONE H-1: hold 12")
        assert station.count() == 3
        assert till.ask("finish --order H-1").startswith("REFUSED H-1: `hold` and `pump`")
        assert till.ask("pump 0.08 --order H-1").startswith("DONE")
        assert till.ask("finish --order H-1") == "DONE H-1: finish 8, and 0.00 in money; balance 7"
        assert till.ask("cancel --order P-1").endswith("cancel payment; balance 37")
        assert till.ask("pay - 30 --order P-1", station.scan(30)).startswith(
            "REFUSED P-1: this number was used"
        )
        assert till.ask("return --order A-1 --amount 20.00").endswith("balance 18")
        assert till.ask("return --order A-1 --amount 20.00").endswith("counts once")
        told = till.close_day()
        assert told[-1] == (
            "CLOSED earn 1: 45 points, redeem 1: 30 points, capture 1: 8 points, refund 1: 30 points,"
            " return_order 1: 19 points"
        )
        assert sum(line.startswith("RECEIPT") for line in told) == 5
        assert sum("█" in line for line in told) > 5 * 40
        assert till.close_day()[-1].startswith("CLOSED earn 0: 0 points, redeem 0")
    assert station.count() == 18


def test_a_day_without_a_line(station) -> None:
    anna, bert = station.anna.member, station.bert
    with station.open_till() as till:
        assert till.ask(f"sale 50.00 --member {bert} --order A-1").endswith("balance 50")
        assert till.ask(f"reserve {bert} 20").startswith("DONE 20 points")
        station.line.cut()
        assert till.ask(f"sale 30.00 --member {anna} --order A-2").startswith("QUEUED A-2")
        assert till.ask(f"sale 30.00 --member {anna} --order A-2").startswith("QUEUED A-2: sale 30.00")
        assert till.ask(f"sale 31.00 --member {anna} --order A-2").startswith("REFUSED A-2")
        assert till.ask("return --order A-2 --amount 30.00").startswith(
            "REFUSED A-2-back: the sale itself still"
        )
        assert till.ask("pay - 5 --order P-1", station.scan(5)).startswith(
            "NOT SENT P-1: NOT_SENT. Nothing was taken"
        )
        assert till.ask(f"spend 8 --member {bert} --order S-1").endswith("12 left to spend without a line")
        till.kill()
    with station.open_till() as till:
        assert till.greeting == "LINE DOWN NOT_SENT; 1 sales wait\n"
        assert till.ask(f"spend 8 --member {bert} --order S-1").endswith("12 left to spend without a line")
        assert till.ask(f"spend 7 --member {bert} --order S-2").endswith("5 left to spend without a line")
        assert till.ask(f"spend 6 --member {bert} --order S-3").startswith(
            "NOT SENT spend: ALLOWANCE_USED_UP"
        )
        assert till.ask(f"spend 6 --member {anna} --order S-3").startswith(
            "REFUSED S-3: nothing of this member"
        )
        assert till.ask("cancel --order S-2").startswith("DONE S-2: voided; 12 left")
        assert till.close_day()[-1].startswith("REFUSED close: nothing is lost")
        station.line.mend()
        assert till.ask("flush").startswith("DONE A-2: sale 30.00")
        assert till.read() == "DONE nothing waits\n"
        assert till.ask(f"pay {bert} 8 --order S-1").startswith("REFUSED S-1: it was paid without a line")
        assert till.close_day()[-1].startswith(
            "CLOSED earn 2: 80 points, redeem 0: 0 points, capture 1: 8 points"
        )
    assert (station.count(anna), station.count(bert)) == (30, 42)


def test_killed_between_and_in_the_middle_of_sales(station) -> None:
    anna = station.anna.member
    for number in range(6):
        with station.open_till() as till:
            assert till.ask(f"sale 10.00 --member {anna} --order A-{number}").startswith(("DONE", "QUEUED"))
            till.type(f"sale 1.00 --member {anna} --order B-{number}")
            with suppress(subprocess.TimeoutExpired):
                till.process.wait(0.004 * number)
            till.kill()  # B may not have been read yet, or be anywhere
        with station.open_till() as till:
            told = till.ask(f"sale 1.00 --member {anna} --order B-{number}")
            assert told.startswith(f"DONE B-{number}")
    with station.open_till() as till:
        assert till.close_day()[-1].startswith("CLOSED earn 12: 66 points")
    assert station.count() == 66


def test_a_lost_reply_is_unknown_until_it_is_asked_again(station) -> None:
    anna = station.anna.member
    with station.open_till() as till:
        assert till.ask(f"sale 50.00 --member {anna} --order A-1").startswith("DONE")
        station.line.is_deaf = True
        told = till.ask("pay - 20 --order P-1", station.scan(20))
        assert told.startswith("UNKNOWN P-1"), told
        assert "No other number" in told
        station.line.cut()
        assert till.ask("pay - 20 --order P-1", station.scan(20)).startswith("UNKNOWN P-1")
        assert till.ask(f"spend 20 --member {anna} --order P-1").startswith("REFUSED P-1: it is paid")
        till.kill()
        station.line.mend()
    with station.open_till() as till:
        assert till.ask("pay - 20 --order P-1", station.scan(20)).startswith(
            "DONE P-1: pay 20; pressed twice"
        )
        station.line.is_deaf = True
        assert till.ask(f"sale 9.00 --member {anna} --order A-2").startswith("QUEUED A-2")
        station.line.is_deaf = False
        assert till.close_day()[-1].startswith("CLOSED earn 2: 59 points, redeem 1: 20 points")
    assert station.count() == 39


def test_one_command_at_a_time(station) -> None:
    words = [sys.executable, str(TILL), "--folder", str(station.till), "--program", "petrol"]

    def run(*more: str) -> int:
        return subprocess.run(
            [*words, *more], env=station.environment, check=False, capture_output=True
        ).returncode

    assert run("sale", "5.00", "--member", station.anna.member, "--order", "A-1") == 0
    assert run("pay", station.scan(9), "9", "--order", "P-1") == 1
    assert run("pay", station.scan(5), "5", "--order", "P-1") == 0
    assert run("close") == 0
