"""Transactions on their way to CometBFT: everything that waits is handed to its RPC, many at a time.

Its mempool is memory. What was handed over and is not answered yet is handed over again whenever CometBFT was
started again, and every few seconds besides; it knows what it has by its hash. Whether it lets one in is not
asked of it: the application decides that itself (`node.engine.cometbft.application`).

CometBFT sends a transaction to each peer once, and a peer that is still catching up throws it away. Then
nobody else has it, all wait for somebody to have something, and no block comes. So what stays where it is
while no block comes is spelled in other bytes, which it sends anew.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, Final

import structlog

from ledger.codec import encode
from ledger.log.note import encode_base64
from node.engine.cometbft.known import KnownTransactions
from node.engine.cometbft.packing import pack
from node.mempool import Mempool

BATCH_BYTES_MAX: Final = 4 * 1024 * 1024
IN_HAND_MAX: Final = 4_000
"""So many transactions are with CometBFT at a time; the rest waits with us, where it is bounded."""
IN_HAND_MESSAGES_MAX: Final = 100_000
AGAIN_SECONDS: Final = 5.0
RESPELLED_MAX: Final = 16
"""So many of the oldest are spelled anew at a time: they bring a block, and in a few more it is our turn."""
_PAUSE_SECONDS: Final = 0.05
_LOOK_SECONDS: Final = 0.5
_TIMEOUT_SECONDS: Final = 30.0

log = structlog.get_logger("commonpoint.cometbft")


class _LocalConnection(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_SECONDS)
        self._path = str(path)

    def connect(self) -> None:
        """As HTTP, elsewhere."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_SECONDS)
        self.sock.connect(self._path)


class Broadcaster:
    """One thread that hands over what waits in the mempool."""

    def __init__(
        self,
        mempool: Mempool,
        *,
        rpc: Path,
        known: KnownTransactions,
        get_last_block: Callable[[], float],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._mempool = mempool
        self._known = known
        self._get_last_block = get_last_block
        """When a block came, by the clock that only goes forward."""
        self._attempt = 0
        self._on_failure = on_failure
        self._line = _LocalConnection(rpc)
        self._stopping = threading.Event()
        self._again = threading.Event()
        self._calls: list[bytes] = []
        self.resent: set[tuple[str, str]] = set()
        """What may be with CometBFT from before: no refusal of it is final."""
        self._thread = threading.Thread(target=self._run, name="broadcaster", daemon=True)

    def start(self) -> None:
        """What waits is handed over from now on."""
        self._thread.start()

    def send_again(self) -> None:
        """CometBFT has forgotten what it had."""
        self._again.set()

    def call(self, data: bytes) -> None:
        """This goes to CometBFT too, and nobody waits for it."""
        self._calls.append(data)

    def stop(self) -> None:
        """Nothing more is handed over."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            self._hand_over()
        except BaseException as error:  # noqa: BLE001 - the thread's last act is to stop the node and say why
            self._on_failure(error)

    def _hand_over(self) -> None:
        unsent: list[bytes] = []
        looked = monotonic()
        while not self._stopping.is_set():
            if self._again.is_set() or monotonic() - looked > AGAIN_SECONDS:
                self._again.clear()
                looked = monotonic()
                unsent = self._respell() + self._list_in_hand()
            unsent += self._take_calls()
            if not unsent and not self._is_full():
                self._mempool.wait(_LOOK_SECONDS)
                unsent = self._take()
            if not unsent:
                if self._is_full() or self._mempool.is_closed:
                    self._stopping.wait(_PAUSE_SECONDS)
                continue
            unsent = self._post(unsent)
            if unsent:
                self._stopping.wait(_PAUSE_SECONDS)
        self._line.close()

    def _take(self) -> list[bytes]:
        found: list[bytes] = []
        for waiting in self._mempool.take():
            data = pack(waiting.transaction.encode())
            self._known.remember(waiting.transaction, data)
            found.append(data)
        return found

    def _take_calls(self) -> list[bytes]:
        calls, self._calls = self._calls, []
        return calls

    def _list_in_hand(self) -> list[bytes]:
        found = []
        in_hand = self._mempool.in_hand
        for waiting in in_hand:
            header = waiting.transaction.header
            self.resent.add((header.sender, header.id))
            found.append(pack(waiting.transaction.encode()))
        self.resent &= {(each.transaction.header.sender, each.transaction.header.id) for each in in_hand}
        return found

    def _respell(self) -> list[bytes]:
        """The oldest in hand in other bytes, where they were handed over twice and no block has come."""
        if monotonic() - self._get_last_block() < AGAIN_SECONDS:
            self._attempt = 0
            return []
        headers = [(waiting, waiting.transaction.header) for waiting in self._mempool.in_hand]
        stuck = [waiting for waiting, header in headers if (header.sender, header.id) in self.resent]
        self._attempt += bool(stuck)
        return [
            pack(waiting.transaction.encode(), attempt=self._attempt) for waiting in stuck[:RESPELLED_MAX]
        ]

    def _is_full(self) -> bool:
        in_hand = self._mempool.in_hand
        messages = sum(waiting.transaction.header.count for waiting in in_hand)
        return len(in_hand) >= IN_HAND_MAX or messages >= IN_HAND_MESSAGES_MAX

    def _post(self, unsent: list[bytes]) -> list[bytes]:
        """What has to be handed over once more."""
        size = count = 0
        while count < len(unsent) and (count == 0 or size + len(unsent[count]) <= BATCH_BYTES_MAX):
            size += len(unsent[count])
            count += 1
        batch = unsent[:count]
        calls = [
            {
                "id": number,
                "jsonrpc": "2.0",
                "method": "broadcast_tx_async",
                "params": {"tx": encode_base64(data)},
            }
            for number, data in enumerate(batch)
        ]
        try:
            self._line.request("POST", "/", body=encode(calls), headers={"content-type": "application/json"})
            answers = json.loads(self._line.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            # It is not up yet, or not any more: the child is being started again.
            self._line.close()
            return unsent
        return [*_list_declined(batch, answers), *unsent[count:]]


def _list_declined(batch: Sequence[bytes], answers: Any) -> list[bytes]:
    """What CometBFT had no room for."""
    declined: list[bytes] = []
    for answer in answers if isinstance(answers, list) else [answers]:
        error = answer.get("error")
        if error is None or "already exists" in str(error.get("data")):
            continue
        log.warning("cometbft took a transaction not yet", reason=str(error.get("data"))[:200])
        number = answer.get("id")
        if isinstance(number, int) and 0 <= number < len(batch):
            declined.append(batch[number])
    return declined
