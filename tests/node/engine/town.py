"""A small town's ledger on a real disk: what the tests of engine, storage and crashes drive.

`clearing` runs it, `fresh-market` issues `leaf`, `petrol-west` issues `mile` and may give out and take
`leaf`. Everything is made from names (`tests.contracts.cast`), so another process that is told the same makes
the very same bytes: a transaction can be sent again by somebody who never saw it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec

from contracts.messages import Earn, Enrol, Redeem
from contracts.rulebook import CURRENT
from ledger.codec import to_base64url
from ledger.genesis import Genesis, GenesisParameter, Origin, encode_genesis, read_genesis
from ledger.keys import SeedSigner
from ledger.outcome import Outcome
from ledger.transaction import sign_transaction
from node.answers import Taken
from node.core import NodeCore
from tests.contracts.cast import (
    FRESH,
    OPERATOR,
    PARTICIPANTS,
    PETROL,
    PROGRAMS,
    PURPOSES,
    START,
    grant,
    make_participant,
    make_signer,
    member_id,
    open_program,
)

RULEBOOK = CURRENT
LOG_SIGNER = make_signer("log")
OUTCOMES = msgspec.json.Decoder(Outcome)
HOUR_MILLIS = 3_600_000
ANSWER_SECONDS = 60.0
"""How long an answer may take on a busy machine; only what is broken takes that long."""
SPEND_PER_POINT = PROGRAMS["leaf"].spend_per_point


class HandClock:
    """A clock that a test moves."""

    def __init__(self, at: int = START) -> None:
        self.at = at

    def __call__(self) -> int:
        return self.at


def run_clock() -> Callable[[], int]:
    """A clock that runs from `START` on, whenever it is made: a node that starts again sees it set back."""
    begun = time.monotonic_ns()
    return lambda: START + (time.monotonic_ns() - begun) // 1_000_000


def make_genesis(
    *,
    kind: str = "system",
    parameters: Mapping[str, int] | None = None,
    version: int = RULEBOOK.version,
) -> list[bytes]:
    """The genesis leaves of the town; `kind` is the chain's clock."""
    settings = Genesis(
        clock=kind,  # type: ignore[arg-type]
        currency="CNY",
        engine="solo",
        log_key=to_base64url(LOG_SIGNER.public),
        name="town",
        operator=OPERATOR,
        parameters=[GenesisParameter(name, value) for name, value in sorted((parameters or {}).items())],
        rulebook=version,
        time=START,
        utc_offset_minutes=480,
    )
    return encode_genesis(settings, [make_participant(name) for name in PARTICIPANTS])


class Town:
    """The genesis, the keys, and the folder its ledger lives in. Nodes are opened over it, one at a time."""

    def __init__(self, folder: Path, **how: Any) -> None:
        """``how`` as for `make_genesis`."""
        self.database = folder / "ledger.db"
        self.genesis = make_genesis(**how)
        self.origin: Origin = read_genesis(self.genesis)
        self.chain = self.origin.chain
        self.clock = HandClock()
        self._opened: list[NodeCore] = []

    def open(self, *, clock: Callable[[], int] | None = None, **how: Any) -> NodeCore:
        """A node over whatever stands in the folder."""
        how.setdefault("signer", LOG_SIGNER)
        core = NodeCore.open(self.database, genesis=self.genesis, clock=clock or self.clock, **how)
        self._opened.append(core)
        return core

    def close(self) -> None:
        """No thread and no file of any node that was opened is left."""
        while self._opened:
            self._opened.pop().stop()

    def sign(
        self,
        sender: str,
        transaction_id: str,
        *messages: Any,
        purpose: str | None = None,
        not_after: int | None = None,
        signer: SeedSigner | None = None,
        **how: Any,
    ) -> bytes:
        """A transaction's bytes; the same arguments give the same bytes."""
        allowed = RULEBOOK.rules[type(messages[0])].purposes
        purpose = purpose or next(name for name in ("transact", *PURPOSES) if name in allowed)
        return sign_transaction(
            messages,
            chain=self.chain,
            sender=sender,
            transaction_id=transaction_id,
            not_after=START + HOUR_MILLIS - 60_000 if not_after is None else not_after,
            signer=signer or make_signer(sender, purpose),
            **how,
        ).encode()

    def earn(
        self, number: int, *, points: int = 10, member: int = 1, sender: str = FRESH, **fields: Any
    ) -> Earn:
        """A purchase that brings `points` of `leaf`."""
        earn = Earn(
            amount=points * SPEND_PER_POINT,
            member=member_id(member),
            occurred_at=START,
            program="leaf",
            reference=f"order-{sender}-{number}",
        )
        return msgspec.structs.replace(earn, **fields)

    def redeem(self, number: int, *, points: int, member: int = 1, **fields: Any) -> Redeem:
        """Points of `leaf` spent at its issuer's own till."""
        redeem = Redeem(
            member=member_id(member),
            occurred_at=START,
            points=points,
            program="leaf",
            reference=f"spend-{number}",
        )
        return msgspec.structs.replace(redeem, **fields)

    def begin(self, *, members: int = 3) -> list[bytes]:
        """The transactions with which the town begins: two programs open from height 3, a grant, members."""
        return [
            self.sign(
                FRESH,
                "begin-leaf",
                *open_program(PROGRAMS["leaf"], height=3),
                grant("earn", "leaf", PETROL),
                grant("redeem", "leaf", PETROL),
                grant("exchange_out", "leaf", PETROL),
            ),
            self.sign(
                PETROL,
                "begin-mile",
                *open_program(PROGRAMS["mile"], height=3),
                grant("exchange_in", "mile", FRESH),
            ),
            self.sign(
                FRESH, "members", *[Enrol(member=member_id(number)) for number in range(1, members + 1)]
            ),
        ]

    def settle(self, core: NodeCore, *, members: int = 3) -> None:
        """The town has begun: each of those transactions stands in a block of its own."""
        for data in self.begin(members=members):
            assert codes_of(submit(core, data)) == {"OK"}


def submit(core: NodeCore, data: bytes) -> Taken:
    """What came of a transaction, waited for. Raises `Refused`."""
    future = core.submit(data)
    if core.origin.settings.clock == "simulated":
        core.cut_block(core.head.time)
    return future.result(ANSWER_SECONDS)


def submit_all(core: NodeCore, transactions: Iterable[bytes]) -> list[Taken]:
    """The answers to transactions that were sent without waiting for one another."""
    futures = [core.submit(data) for data in transactions]
    return [future.result(ANSWER_SECONDS) for future in futures]


def codes_of(taken: Taken) -> set[str]:
    """The codes of a transaction's outcomes."""
    return {OUTCOMES.decode(outcome).code for outcome in taken.outcomes}


def outcomes_of(taken: Taken) -> list[Outcome]:
    """A transaction's outcomes."""
    return [OUTCOMES.decode(outcome) for outcome in taken.outcomes]


def points_of(core: NodeCore, member: int, program: str = "leaf") -> int:
    """A member's balance as committed."""
    account = core.get_record("account", f"{member_id(member)}|{program}")
    return 0 if account is None else account.points


def run_threads(*works: Callable[[], None]) -> None:
    """Everything at once; the first error of any of them is raised here."""
    errors: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again below, in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(ANSWER_SECONDS)
        assert not thread.is_alive(), "a thread is stuck"
    if errors:
        raise errors[0]


def refusal_of(future: Future[Taken]) -> str:
    """The code with which a future was refused."""
    error = future.exception(ANSWER_SECONDS)
    assert error is not None, future.result()
    return getattr(error, "code", repr(error))
