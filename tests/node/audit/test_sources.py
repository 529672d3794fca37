"""A log is read from any web server that has its files; what is absent is bad, what cannot be reached is no
verdict.
"""

from __future__ import annotations

import http.server
import threading

import pytest

from ledger.log.tiles import TILE_LEVELS, TILE_WIDTH, entries_path, tile_path
from node.audit.sources import BUNDLE_BYTES_MAX, HttpSource, SourceUnavailable
from node.audit.verify import verify_ledger
from tests.node.audit.written import flip

TOKEN = "an-auditor's"


class Mirror:
    """The files of a log behind HTTP. A test may change any file, or what a path answers."""

    def __init__(self, log):
        size = log.stored_size
        self.files = {"/checkpoint": log.note.encode()}
        for index, bundle in log.bundles.items():
            self.files["/" + entries_path(index, min(TILE_WIDTH, size - index * TILE_WIDTH))] = bundle
        for (level, index), tile in log.tiles.items():
            width = min(TILE_WIDTH, (size >> (TILE_LEVELS * level)) - index * TILE_WIDTH)
            self.files["/" + tile_path(level, index, width)] = tile
        self.statuses = {}
        self.asked = []
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.asked.append(self.path)
                status = mirror.statuses.get(self.path, 200 if self.path in mirror.files else 404)
                body = mirror.files.get(self.path, b"") if status == 200 else b""
                if "/entries/" in self.path and self.headers["Authorization"] != f"Bearer {TOKEN}":
                    status, body = 401, b""
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if status == 302:
                    self.send_header("Location", "http://127.0.0.1:9/")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                """Tests speak for themselves."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def find(self, part):
        (path,) = [path for path in self.files if part in path]
        return path


@pytest.fixture
def mirror(log):
    mirror = Mirror(log)
    yield mirror
    mirror.close()


def audit(mirror, token=TOKEN):
    with HttpSource(mirror.url, token) as source:
        return verify_ledger(source)


def test_a_plain_web_server_is_enough(history, mirror):
    report = audit(mirror)
    assert report.is_good, report.first_bad
    assert report.size == len(history.leaves)
    # Every file was read, and none twice.
    assert sorted(mirror.asked) == sorted(mirror.files)


def test_one_bit_in_any_file_is_found(mirror):
    for path, data in list(mirror.files.items()):
        mirror.files[path] = flip(data, len(data) // 2)
        assert not audit(mirror).is_good, path
        mirror.files[path] = data
    assert audit(mirror).is_good


@pytest.mark.parametrize(
    ("part", "index"), [("tile/entries/001", 256), ("tile/0/002", 512), ("tile/1/000.p/4", 0)]
)
def test_a_file_that_is_not_there_is_bad(mirror, part, index):
    del mirror.files[mirror.find(part)]
    report = audit(mirror)
    assert not report.is_good
    assert report.first_bad.index == index


def test_no_checkpoint_is_bad(mirror):
    del mirror.files["/checkpoint"]
    assert audit(mirror).first_bad.check == "CHECKPOINT_MISSING"


def test_more_than_a_bundle_can_be_is_not_read(mirror):
    path = mirror.find("tile/entries/001")
    mirror.files[path] += bytes(2 * BUNDLE_BYTES_MAX)
    with HttpSource(mirror.url, TOKEN) as source:
        assert len(source.read_bundle(1, TILE_WIDTH)) == BUNDLE_BYTES_MAX + 1
    assert audit(mirror).first_bad.index == 2 * TILE_WIDTH


#   what the server answers, the code
NO_VERDICT = [
    (401, "TOKEN_REFUSED"),
    (403, "TOKEN_REFUSED"),
    (500, "SOURCE_ANSWERED"),
    (302, "SOURCE_ANSWERED"),
]


@pytest.mark.parametrize(("status", "code"), NO_VERDICT)
def test_an_answer_that_is_no_file_is_no_verdict(mirror, status, code):
    mirror.statuses[mirror.find("tile/entries/002")] = status
    with pytest.raises(SourceUnavailable) as caught:
        audit(mirror)
    assert caught.value.code == code


def test_without_a_token_there_is_no_verdict(mirror):
    with pytest.raises(SourceUnavailable) as caught:
        audit(mirror, token=None)
    assert caught.value.code == "TOKEN_REFUSED"


def test_entries_that_are_withheld_from_the_start_are_no_verdict(mirror):
    # An asker of the wrong role hears the same as for what is not there.
    for path in [path for path in mirror.files if "/entries/" in path]:
        mirror.statuses[path] = 404
    with pytest.raises(SourceUnavailable) as caught:
        audit(mirror)
    assert caught.value.code == "ENTRIES_WITHHELD"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1:9", "SOURCE_UNREACHABLE"),
        ("ftp://127.0.0.1/", "URL_INVALID"),
        ("127.0.0.1:8710", "URL_INVALID"),
    ],
)
def test_an_address_that_leads_nowhere_is_no_verdict(url, code):
    with HttpSource(url) as source, pytest.raises(SourceUnavailable) as caught:
        verify_ledger(source)
    assert caught.value.code == code
