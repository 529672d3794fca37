"""Validators as the command line runs them, each with a CometBFT of its own, on one machine."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from contracts.messages import Earn, Enrol
from ledger.transaction import sign_transaction
from merchant_sdk import Merchant
from node.access import Role
from node.app import open_tokens
from node.config import load_config
from node.engine.cometbft.founding import found_ledger, join_ledger, make_validator
from tests.contracts.cast import (
    FRESH,
    OPERATOR,
    PARTICIPANTS,
    PETROL,
    PROGRAMS,
    make_participant,
    make_signer,
    member_id,
    open_program,
)
from tests.node.cometbft.networks import Loopback, Network
from tests.node.cometbft.processes import PROGRAM, SECONDS, Keeping, list_children

_AUDITOR = Role("auditor")
WHO = (OPERATOR, FRESH, PETROL, "validator-d")


def get_time() -> int:
    """Milliseconds UTC."""
    return time.time_ns() // 1_000_000


class Validator:
    """One of them: its folder, and its processes while it runs."""

    def __init__(
        self, repository: Path, directory: Path, *, network: Network | None = None, place: int = 0
    ) -> None:
        self.repository = repository
        self.directory = directory
        self.config = load_config(directory)
        self.node: Keeping | None = None
        self._network = network or Loopback(0)
        self._place = place
        self._module = PROGRAM

    def begin(self, *, module: str = PROGRAM) -> None:
        """Its keeper runs."""
        self._module = module
        with self._network.enter(self._place):
            self.node = Keeping(
                self.repository,
                self.directory,
                *("--limit", "transactions=0", "--limit", "reads=0"),
                module=module,
            )

    def start(self, *, module: str = PROGRAM) -> None:
        """It runs, and answers."""
        self.begin(module=module)
        self.node.wait_for_address()

    @property
    def url(self) -> str:
        """Of its API, the same however often it is started again."""
        assert self.node is not None
        return self.node.url

    @property
    def application(self) -> int:
        """The process id of its application."""
        return self._wait_for(lambda: self._applications)

    @property
    def cometbft(self) -> int:
        """The process id of its CometBFT."""
        return self._wait_for(
            lambda: [pid for each in self._applications for pid in list_children(each, "cometbft")]
        )

    @property
    def _applications(self) -> list[int]:
        return list_children(self.node.process.pid, self._module)

    @staticmethod
    def _wait_for(find: Callable[[], list[int]]) -> int:
        end = time.monotonic() + SECONDS
        while not (found := find()):
            assert time.monotonic() < end, "it does not run"
            time.sleep(0.02)
        return found[0]

    @property
    def processes(self) -> list[int]:
        """All of it: the keeper, its node, and whatever that has started."""
        found = [self.node.process.pid]
        for each in found:
            found += list_children(each)
        return found

    def stop(self) -> None:
        """It has ended in order, and said nothing of a fault of ours."""
        status, said = self.node.stop()
        self.node = None
        assert status == 0, said
        assert "Traceback" not in said, said

    def kill(self) -> None:
        """Nothing of it is left, whatever it was doing."""
        if self.node is not None:
            for pid in self.processes:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.node.wait()
            self.node = None

    def make_headers(self) -> dict[str, str]:
        """An auditor's."""
        token, _ = open_tokens(self.config).issue(_AUDITOR, seconds=600)
        return {"authorization": f"Bearer {token}"}

    def connect(self, *, seconds: float = SECONDS) -> http.client.HTTPConnection:
        """A line to its API, which is on loopback, wherever the validator is."""
        line = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=seconds)
        with self._network.enter(self._place):
            line.connect()
        # A line that is lost is not made again from somewhere else.
        line.auto_open = 0
        return line

    def ask(self, method: str, path: str, body: bytes | None = None, *, seconds: float = SECONDS) -> Any:
        """Status and what was said; an auditor asks. Raises `OSError` where nobody answers."""
        line = self.connect(seconds=seconds)
        try:
            line.request(method, path, body=body, headers=self.make_headers())
            answer = line.getresponse()
            data = answer.read()
            return answer.status, json.loads(data) if data[:1] in b"{[" else data.decode()
        except http.client.HTTPException as error:
            raise ConnectionError("cut off in the middle of an answer") from error
        finally:
            line.close()

    def get_checkpoint(self) -> tuple[int, str]:
        """The size and root that it has signed last."""
        status, text = self.ask("GET", "/checkpoint")
        assert status == 200, text
        _, size, root, *_ = text.split("\n")
        return int(size), root


class Validators:
    """A ledger kept by so many organisations."""

    network: Network | Loopback = Loopback(0)

    def __init__(self, repository: Path, folder: Path, *, count: int, network: Network | None = None) -> None:
        self.repository = repository
        self.network = network or Loopback(count)
        self._count = 0
        who = WHO[:count]
        made = [
            make_validator(folder / f"keys-{participant}", participant=participant, address=address)
            for participant, address in zip(who, self.network.addresses, strict=True)
        ]
        participants = [make_participant(name) for name in {*PARTICIPANTS, *who} - {OPERATOR}]
        self.all: list[Validator] = []
        for place, participant in enumerate(who):
            directory, keys = folder / f"n{place}", folder / f"keys-{participant}"
            told = self.network.tell(place, made)
            if place == 0:
                founded = found_ledger(
                    directory,
                    keys=keys,
                    validators=told,
                    name="alliance-of-several-merchants",
                    operator=OPERATOR,
                    participants=participants,
                    time=get_time() - 1_000,
                )
            else:
                join_ledger(directory, genesis=founded.origin.leaves, keys=keys, validators=told)
            self.all.append(Validator(repository, directory, network=self.network, place=place))
        self.origin = founded.origin
        self.chain = founded.origin.chain

    def start(self) -> None:
        """All of them run."""
        with ThreadPoolExecutor(len(self.all)) as pool:
            list(pool.map(Validator.start, self.all))

    def close(self) -> None:
        """Nothing is left of them."""
        for each in self.all:
            each.kill()
        self.network.close()

    def sign(self, sender: str, purpose: str, *messages: Any, name: str | None = None) -> bytes:
        """A transaction's bytes."""
        self._count += 1
        return sign_transaction(
            messages,
            chain=self.chain,
            sender=sender,
            transaction_id=name or f"t-{self._count}",
            not_after=get_time() + 300_000,
            signer=make_signer(sender, purpose),
        ).encode()

    def begin(self, *, members: int = 100) -> None:
        """Leaves are earned at the market by so many members."""
        self.must(self.sign(FRESH, "govern", *open_program(PROGRAMS["leaf"], height=2)))
        self.must(self.sign(FRESH, "custody", *[Enrol(member=member_id(one)) for one in range(members)]))

    def must(self, data: bytes, *, at: int = 0) -> Any:
        """What every test takes for granted."""
        status, answer = self.all[at].ask("POST", "/v1/transactions", data)
        assert status == 200, answer
        assert {outcome["code"] for outcome in answer["outcomes"]} == {"OK"}, answer
        return answer

    def earn(self, name: str, *, count: int = 1, member: int = 0, members: int = 100) -> bytes:
        """A transaction of so many purchases."""
        now = get_time()
        purchases = [
            Earn(
                amount=1_000_000,
                member=member_id((member + each) % members),
                occurred_at=now,
                program="leaf",
                reference=f"{name}-{each}",
            )
            for each in range(count)
        ]
        return self.sign(FRESH, "transact", *purchases, name=name)

    def merchant(self, at: int) -> Merchant:
        """The market, through the SDK and one of the nodes."""
        keys = {purpose: make_signer(FRESH, purpose) for purpose in ("transact", "custody")}
        return Merchant(FRESH, self.all[at].url, chain=self.chain, keys=keys, program="leaf")

    @staticmethod
    def wait_for_size(node: Validator, size: int) -> None:
        """It has come so far."""
        end = time.monotonic() + SECONDS
        while (found := node.get_checkpoint()[0]) < size:
            assert time.monotonic() < end, f"at {found} of {size}"
            time.sleep(0.1)

    def wait_for_same_root(self, *, least: int = 0, among: Iterable[Validator] = ()) -> tuple[int, str]:
        """What all of them have signed, once it is the same and has come so far."""
        whom: Sequence[Validator] = list(among) or self.all
        end = time.monotonic() + SECONDS
        while True:
            try:
                found = {each.get_checkpoint() for each in whom}
            except OSError:
                found = set()
            if len(found) == 1 and next(iter(found))[0] >= least:
                return found.pop()
            sizes = [size for size, _ in found]
            assert len(sizes) == len(set(sizes)), f"two roots of one size: {found}"
            assert time.monotonic() < end, found
            time.sleep(0.1)
