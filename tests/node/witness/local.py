"""Real witness desks behind sockets of this process, which a test lets answer or not."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ledger.keys import SeedSigner
from ledger.log.note import COSIGNATURE_V1, VerifierKey
from ledger.log.policy import Log, Policy, Witness, format_policy
from node.witness.desk import WitnessDesk


class LocalWitness:
    """One witness of one log, whichever of these keys signs it."""

    def __init__(self, folder: Path, number: int, keys: list[VerifierKey]) -> None:
        self.signer = SeedSigner(bytes([40 + number]) * 32)
        self.key = VerifierKey(f"w{number}.example/w", COSIGNATURE_V1, self.signer.public)
        folder = folder / f"w{number}"
        folder.mkdir()
        self.desk = WitnessDesk(
            folder, name=self.key.name, signer=self.signer, logs=keys, clock=lambda: 1_700_000_000
        )
        self.is_up = True
        self.asked = 0
        witness = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                data = self.rfile.read(int(self.headers["content-length"]))
                witness.asked += 1
                if not witness.is_up:
                    self.send_response(503)
                    self.send_header("content-length", "0")
                    self.end_headers()
                    return
                reply = witness.desk.add_checkpoint(data)
                body = reply.body.encode()
                self.send_response(reply.status)
                self.send_header("content-type", reply.media_type)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def seen(self) -> int:
        """The size of the largest tree that it has cosigned."""
        (seen,) = self.desk._seen.values()
        return seen.size

    def close(self) -> None:
        """Nothing listens there any more."""
        self._server.shutdown()
        self._server.server_close()


def make_text(chain: str, signer: SeedSigner, *witnesses: LocalWitness, has_urls: bool = True) -> str:
    """A policy of which these witnesses have to cosign, all of them."""
    listed = tuple(
        Witness(f"w{at}", each.key, each.url if has_urls else None) for at, each in enumerate(witnesses)
    )
    assert len(listed) <= 1
    quorum = listed[0].name if listed else "none"
    log = Log(VerifierKey.for_log(chain, signer.public))
    return format_policy(Policy((log,), listed, (), quorum)).decode()
