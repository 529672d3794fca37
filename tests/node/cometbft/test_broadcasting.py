"""Handing over: CometBFT sends a transaction to its peers once, and one that is catching up throws it away.
What stays in hand while no block comes is handed over in other bytes, which are sent anew.
"""

from __future__ import annotations

import json
import socketserver
import threading
import time
from base64 import b64decode
from http.server import BaseHTTPRequestHandler

import pytest

from ledger.transaction import TransactionDecoder, sign_transaction
from node.engine.cometbft import broadcasting
from node.engine.cometbft.broadcasting import Broadcaster
from node.engine.cometbft.known import KnownTransactions
from node.engine.cometbft.packing import unpack
from node.mempool import Mempool
from tests.contracts.cast import FRESH, PROGRAMS, make_signer, open_program
from tests.node.engine.town import RULEBOOK

CHAIN = "a/" + "0" * 32


class Rpc(socketserver.ThreadingUnixStreamServer):
    """CometBFT's end: it takes everything, and remembers what it was handed."""

    daemon_threads = True

    def __init__(self, path) -> None:
        self.handed: list[bytes] = []
        rpc = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                calls = json.loads(self.rfile.read(int(self.headers["content-length"])))
                rpc.handed += [b64decode(call["params"]["tx"]) for call in calls]
                body = json.dumps([{"id": call["id"], "result": {"code": 0}} for call in calls]).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def address_string(self):
                return ""

            def log_message(self, *_arguments):
                pass

        super().__init__(str(path), Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


@pytest.mark.parametrize("is_stuck", [True, False], ids=["no block comes", "blocks come"])
def test_only_where_no_block_comes_is_it_spelled_in_other_bytes(tmp_path, monkeypatch, is_stuck):
    monkeypatch.setattr(broadcasting, "AGAIN_SECONDS", 0.2)
    monkeypatch.setattr(broadcasting, "_LOOK_SECONDS", 0.05)
    rpc = Rpc(tmp_path / "rpc.sock")
    mempool, begun = Mempool(), time.monotonic()
    failures = []
    broadcaster = Broadcaster(
        mempool,
        rpc=tmp_path / "rpc.sock",
        known=KnownTransactions(TransactionDecoder(RULEBOOK.message_type), chain=CHAIN),
        get_last_block=lambda: begun if is_stuck else time.monotonic(),
        on_failure=failures.append,
    )
    broadcaster.start()
    transaction = sign_transaction(
        open_program(PROGRAMS["leaf"], height=2),
        chain=CHAIN,
        sender=FRESH,
        transaction_id="t-1",
        not_after=2_000_000_000_000,
        signer=make_signer(FRESH, "govern"),
    )
    mempool.add(transaction)
    while len(rpc.handed) < 8:
        assert time.monotonic() - begun < 60
        time.sleep(0.02)
    broadcaster.stop()
    rpc.shutdown()
    rpc.server_close()
    assert not failures
    assert {unpack(data) for data in rpc.handed} == {transaction.encode()}
    assert (len(set(rpc.handed)) > 2) == is_stuck
