"""A server over an honest mirror's files that does something else under some paths, and what it may do."""

from __future__ import annotations

import gzip
import threading
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import zstandard

MIB = 1024 * 1024


@cache
def pack_zeros(size: int, *, times: int = 1) -> bytes:
    data = gzip.compress(bytes(size), 9)
    for _ in range(times - 1):
        data = gzip.compress(data, 9)
    return data


@cache
def make_frame(size: int, *, window_log: int = 17) -> bytes:
    """Nothing but noughts in one frame, which needs a window of so many bits."""
    terms = zstandard.ZstdCompressionParameters(window_log=window_log, write_content_size=False)
    packer = zstandard.ZstdCompressor(compression_params=terms).compressobj()
    return b"".join(packer.compress(bytes(MIB)) for _ in range(size // MIB)) + packer.flush()


class Hostile:
    """A server over an honest mirror's files that does something else under some paths."""

    def __init__(self, mirror, attack, where) -> None:
        self.asked: list[str] = []
        self.stopping = threading.Event()
        hostile = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.lstrip("/")
                hostile.asked.append(path)
                with suppress(OSError):
                    if where(path):
                        attack(self, path, hostile)
                    elif (mirror / path).is_file():
                        self.answer((mirror / path).read_bytes())
                    else:
                        self.answer(b"", status=404)

            def answer(self, data, *, status=200, length=None, **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("content-length", str(len(data) if length is None else length))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()


def endless(handler, _path, hostile):
    """Bytes without end, and no length."""
    handler.send_response(200)
    handler.end_headers()
    while not hostile.stopping.is_set():
        handler.wfile.write(b"x" * MIB)


def drip(handler, _path, hostile):
    """A byte now and then: no wait is ever long, and the whole has no end."""
    handler.send_response(200)
    handler.send_header("content-length", str(MIB))
    handler.end_headers()
    while not hostile.stopping.wait(0.1):
        handler.wfile.write(b"x")


def drip_frames(handler, _path, hostile):
    """The same in frames with nothing in them."""
    handler.send_response(200)
    handler.send_header("content-encoding", "zstd")
    handler.end_headers()
    while not hostile.stopping.wait(0.1):
        handler.wfile.write(make_frame(0))


def hundred_megabytes(handler, _path, _hostile):
    """Said beforehand, and sent."""
    handler.send_response(200)
    handler.send_header("content-length", str(100 * MIB))
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(bytes(MIB))
