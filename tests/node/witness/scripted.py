"""A witness that answers what a test wrote down, and a log that asks it."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from ledger.keys import SeedSigner
from ledger.log.note import COSIGNATURE_V1, VerifierKey, open_note, parse_checkpoint, split_note
from node.witnessing.client import WitnessClient
from tests.node.witness.conftest import HandLog

STRANGER = SeedSigner(bytes(32))
LISTED = VerifierKey("w", COSIGNATURE_V1, STRANGER.public)


class Heard(NamedTuple):
    """A request that arrived, read by the specification's own words and by none of ours."""

    method: str
    path: str
    data: bytes
    log: HandLog

    @property
    def body(self):
        return self.data.decode().partition("\n\n")[2].partition("\n\n")[0] + "\n"


class Scripted:
    """A small real server that answers what stands in a row."""

    def __init__(self, log) -> None:
        self.log = log
        self.heard: list[Heard] = []
        self.replies: list = []
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                data = self.rfile.read(int(self.headers["content-length"]))
                asked = Heard(self.command, self.path, data, scripted.log)
                scripted.heard.append(asked)
                status, kind, body = scripted.replies.pop(0)
                body = body(asked) if callable(body) else body
                body = body.encode() if isinstance(body, str) else body
                self.send_response(status)
                if kind is not None:
                    self.send_header("content-type", kind)
                if status == 308:
                    self.send_header("location", "/elsewhere")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    # Whoever asked has heard enough.
                    self.close_connection = True

            def log_message(self, *_arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.client = WitnessClient(f"http://127.0.0.1:{self.server.server_port}/prefix", LISTED)

    def close(self):
        self.client.close()
        self.server.shutdown()
        self.server.server_close()


def submit(client, log, size, story="true"):
    note = log.note(size, story)
    checkpoint = parse_checkpoint(split_note(note)[0])
    lines = client.submit(checkpoint, note, prove=lambda old, new: log.prove(old, new, story))
    assert lines.count("\n") == 1
    return open_note(note + lines, [client.key, log.key])
