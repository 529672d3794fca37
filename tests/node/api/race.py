"""A node in a process of its own, two merchants who sign for themselves, and many connections at once."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from contracts.messages import Earn, Enrol, Redeem
from ledger.transaction import sign_transaction
from merchant_sdk import Merchant
from node.access import Role
from node.app import open_tokens
from node.config import init_data_dir, load_config
from tests.contracts.cast import (
    ANNA,
    DAY_MILLIS,
    FRESH,
    OPERATOR,
    PETROL,
    PROGRAMS,
    grant,
    make_participant,
    make_signer,
    open_program,
)
from tests.contracts.letters import make_nonce, prove_possession, sign_consent
from tests.node.cli.conftest import NodeProcess

_AUDITOR = Role("auditor")
SECONDS = 60


class Answer(NamedTuple):
    """What one line heard."""

    status: int
    body: Any

    @property
    def outcome(self) -> Any:
        """The outcome of the only message."""
        (outcome,) = self.body["outcomes"]
        return outcome


class Alliance:
    """A node in its own process, and two merchants who sign for themselves."""

    def __init__(self, repository, directory) -> None:
        self.directory = directory
        init_data_dir(
            directory,
            name="race",
            operator=OPERATOR,
            time=get_time(),
            participants=[make_participant(FRESH), make_participant(PETROL)],
        )
        self.config = load_config(directory)
        self.chain = self.config.origin.chain
        self.node = NodeProcess(repository, directory, "--limit", "addresses=50", "--limit", "reads=0")
        self.host = urlsplit(self.node.url).netloc
        self._count = 0

    def begin(self) -> None:
        """Leaves are earned and spent at the market, and spent at the petrol chain; Anna has a key."""
        anna = make_signer(ANNA)
        allowed = grant("redeem", "leaf", PETROL, expires=get_time() + 300 * DAY_MILLIS)
        self.must(FRESH, "govern", *open_program(PROGRAMS["leaf"], height=2), allowed)
        self.must(FRESH, "custody", Enrol(key=prove_possession(self.chain, ANNA, anna), member=ANNA))

    def earn(self, points: int) -> None:
        """So many points for Anna."""
        self._count += 1
        self.must(FRESH, "transact", Earn(points * 500_000, ANNA, get_time(), "leaf", f"e-{self._count}"))

    def redeem_at_home(self, points: int, reference: str, *, occurred_at: int | None = None) -> Redeem:
        """At the custodian's own till."""
        return Redeem(
            member=ANNA,
            occurred_at=occurred_at or get_time(),
            points=points,
            program="leaf",
            reference=reference,
        )

    def redeem_elsewhere(self, points: int, reference: str) -> Redeem:
        """At the petrol chain, with Anna's own consent."""
        consent = sign_consent(
            self.chain,
            make_signer(ANNA),
            counterparty=PETROL,
            expires=get_time() + 100_000,
            member=ANNA,
            points=points,
            program="leaf",
            nonce=make_nonce(reference),
        )
        return Redeem(
            consent=consent,
            member=ANNA,
            occurred_at=get_time(),
            points=points,
            program="leaf",
            reference=reference,
        )

    def sign(self, sender: str, purpose: str, transaction_id: str, *messages: Any) -> bytes:
        """A transaction's bytes."""
        return sign_transaction(
            messages,
            chain=self.chain,
            sender=sender,
            transaction_id=transaction_id,
            not_after=get_time() + 300_000,
            signer=make_signer(sender, purpose),
        ).encode()

    def must(self, sender: str, purpose: str, *messages: Any) -> None:
        """What every test takes for granted."""
        self._count += 1
        data = self.sign(sender, purpose, f"must-{self._count}", *messages)
        (answer,) = self.send_at_once([data])
        assert answer.status == 200, answer
        assert {outcome["code"] for outcome in answer.body["outcomes"]} == {"OK"}, answer

    def send_at_once(self, transactions: Sequence[bytes]) -> list[Answer]:
        """The answers to transactions that go off together, each on a connection of its own."""

        def make(data: bytes) -> Callable[[], Answer]:
            line = http.client.HTTPConnection(self.host, timeout=SECONDS)
            line.connect()

            def send() -> Answer:
                line.request("POST", "/v1/transactions", body=data)
                answer = line.getresponse()
                heard = Answer(answer.status, json.loads(answer.read()))
                line.close()
                return heard

            return send

        return run_at_once([make(data) for data in transactions])

    def read(self, path: str) -> Any:
        """An answer to the auditor."""
        token, _ = open_tokens(self.config).issue(_AUDITOR, seconds=600)
        line = http.client.HTTPConnection(self.host, timeout=SECONDS)
        line.request("GET", path, headers={"authorization": f"Bearer {token}"})
        answer = line.getresponse()
        assert answer.status == 200, answer.read()
        return json.loads(answer.read())

    def get_balance(self) -> int:
        """Anna's leaves."""
        rows = self.read(f"/v1/members/{ANNA}/balances")["balances"]
        return sum(row["points"] for row in rows)

    def check_conserved(self) -> None:
        """Points came from somewhere, money is owed by somebody, and nothing else is there."""
        tallies = {row["account"]: int(row["points"]) for row in self.read("/v1/tallies")["rows"]}
        gone = sum(points for account, points in tallies.items() if account.startswith("redeemed."))
        assert tallies["issued.home"] - gone == self.get_balance() >= 0
        assert set(tallies) <= {"issued.home", "redeemed.home", "redeemed.elsewhere"}
        positions = self.read("/v1/positions")["rows"]
        assert sum(int(row["net_micros"]) for row in positions) == 0

    def merchant(self) -> Merchant:
        """The market, through the SDK, on a connection of its own."""
        keys = {purpose: make_signer(FRESH, purpose) for purpose in ("transact", "custody")}
        return Merchant(FRESH, self.node.url, chain=self.chain, keys=keys, program="leaf")


def get_time() -> int:
    """Milliseconds UTC."""
    return time.time_ns() // 1_000_000


def run_at_once(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each came to, all begun at the same moment; the first error of any is raised here."""
    barrier = threading.Barrier(len(works))
    found: list[Any] = [None] * len(works)

    def run(place: int) -> None:
        barrier.wait(SECONDS)
        try:
            found[place] = works[place]()
        except BaseException as error:  # noqa: BLE001 - raised again below, in the test's own thread
            found[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive(), "a line heard nothing"
    for each in found:
        if isinstance(each, BaseException):
            raise each
    return found
