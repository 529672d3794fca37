"""Tessera's checker of tiled logs finds nothing wrong with ours, over files and over HTTP, and finds what is.

It is called as ``fsck -ui=false -N=2 -storage_url=<file:///... or http://...> -public_key=<file>``, with
``-bearer_token=<token>`` where entries are not public, and reads ``checkpoint``, ``tile/<L>/<N>[.p/<W>]`` and
``tile/entries/<N>[.p/<W>]`` below that address. The origin it expects is the name of the key. Version 1.0.4
exits with 0 when it found a fault, too: only its last line tells, so that line is what counts here.
"""

from __future__ import annotations

import http.server
import itertools
import subprocess
import threading
from functools import partial

import pytest

from ledger.keys import SeedSigner
from ledger.log.merkle import compute_leaf_hashes
from ledger.log.note import ED25519, VerifierKey, encode_vkey, sign_checkpoint
from ledger.log.tiles import TILE_WIDTH, HashTree, encode_bundle, entries_path, tile_path

ORIGIN = "demo/0123456789abcdef0123456789abcdef"
LOG = SeedSigner(b"log".ljust(32))
TOKEN = "short-lived"


def write_log(folder, size):
    """The whole log as files, as any web server could hand them out."""
    leaves = [b'{"leaf":%d}' % number for number in range(size)]
    tree = HashTree()
    files = {
        tile_path(tile.level, tile.index): tile.data for tile in tree.extend(compute_leaf_hashes(leaves))
    }
    for level in itertools.count():
        index, width = divmod(size >> (8 * level), TILE_WIDTH)
        if width:
            files[tile_path(level, index, width)] = tree.tile(level, index, width)
        elif not index:
            break
    for index, begin in enumerate(range(0, size, TILE_WIDTH)):
        bundle = leaves[begin : begin + TILE_WIDTH]
        files[entries_path(index, len(bundle))] = encode_bundle(bundle)
    checkpoint = sign_checkpoint(origin=ORIGIN, size=size, root=tree.root(), signer=LOG)
    files["checkpoint"] = checkpoint.encode()
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return files


@pytest.fixture
def run(fsck, tmp_path):
    """Runs fsck over an address; answers whether it was content."""
    vkey = tmp_path / "log.vkey"
    # With the line feed that a command line prints after it.
    vkey.write_text(encode_vkey(VerifierKey(ORIGIN, ED25519, LOG.public)) + "\n")

    def run_fsck(url, *options):
        command = [fsck, "-ui=false", "-N=2", f"-storage_url={url}", f"-public_key={vkey}", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        content = "Successfully fsck'd log" in done.stderr.splitlines()[-1] and done.returncode == 0
        # Either it says that all is well, or what is not: a run that says neither proves nothing.
        assert content or "fsck failed: " in done.stderr, done.stderr[:1000]
        return content

    return run_fsck


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder for whoever brings the token; notes down what was asked for."""

    asked: list[str]

    def do_GET(self):
        self.asked.append(self.path)
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            super().do_GET()
        else:
            self.send_error(401)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def serve(tmp_path):
    """Serves ``tmp_path / "log"`` on a loopback port; answers the address and the list of paths asked for."""
    asked = []
    handler = partial(type("Asked", (Handler,), {"asked": asked}), directory=str(tmp_path / "log"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", asked
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 600, 65_536 + 300])
def test_fsck_is_content_with_our_files(run, tmp_path, size):
    write_log(tmp_path / "log", size)
    assert run((tmp_path / "log").as_uri())


def test_fsck_is_content_over_http_with_a_token_and_reads_what_the_specification_names(run, serve, tmp_path):
    files = write_log(tmp_path / "log", 600)
    url, asked = serve
    assert run(url, f"-bearer_token={TOKEN}")
    assert sorted(asked) == sorted(f"/{path}" for path in files)


def test_fsck_without_a_token_is_turned_away(run, serve, tmp_path):
    write_log(tmp_path / "log", 10)
    url, asked = serve
    assert not run(url)
    assert asked == ["/checkpoint"]


def test_fsck_finds_one_flipped_bit_in_any_file(run, tmp_path):
    files = write_log(tmp_path / "log", 300)
    assert len(files) == 6
    for path, data in files.items():
        changed = bytearray(data)
        changed[len(data) * 2 // 3] ^= 1
        (tmp_path / "log" / path).write_bytes(changed)
        assert not run((tmp_path / "log").as_uri()), path
        (tmp_path / "log" / path).write_bytes(data)
    assert run((tmp_path / "log").as_uri())
