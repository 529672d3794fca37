"""Tokens: each source is shown the one that is meant for it, as the file says it now."""

from __future__ import annotations

import pytest

from node.audit.sources import SourceUnavailable
from node.follower.sources import open_source
from node.follower.tokens import Tokens
from tests.node.follower.answering import serve

TOKEN_FILE = """
# whose is whose
https://one.example one-token
https://two.example/ two-token
everybody
"""


def test_a_token_is_shown_to_whom_it_is_for(tmp_path):
    path = tmp_path / "tokens"
    path.write_text(TOKEN_FILE)
    tokens = Tokens("never", path)
    urls = ["https://one.example", "https://two.example", "https://three.example"]
    assert [tokens.read_for(url) for url in urls] == ["one-token", "two-token", "everybody"]
    path.write_text("https://one.example next")
    assert [tokens.read_for(url) for url in urls] == ["next", None, None]
    path.unlink()
    assert tokens.read_for(urls[0]) is None
    assert Tokens("for all").read_for(urls[0]) == "for all"


def test_each_source_is_asked_with_its_own_token_and_with_a_renewed_one(tmp_path):
    asked = []
    right = ["first"]

    def answer(handler):
        token = handler.headers.get("authorization", "")
        asked.append(token)
        handler.send_response(200 if token == f"Bearer {right[0]}" else 403)
        handler.send_header("content-length", "0")
        handler.end_headers()

    server = serve(answer)
    url = f"http://127.0.0.1:{server.server_port}"
    path = tmp_path / "tokens"
    path.write_text(f"{url} first\nhttps://other.example other\n")
    source = open_source(url, Tokens(None, path))
    assert source.read("x", 10) == b""
    right[0] = "second"
    path.write_text(f"{url} second\n")
    assert source.read("x", 10) == b""
    right[0] = "third"
    with pytest.raises(SourceUnavailable):
        source.read("x", 10)
    source.close()
    server.shutdown()
    server.server_close()
    assert asked == [f"Bearer {each}" for each in ("first", "first", "second", "second")]
