"""What a signed request may be spent on: once, and at this node."""

from __future__ import annotations

import pytest

from ledger.errors import Refused
from node.http_signatures import NONCES_PER_KEY_MAX, NonceWindow, compute_target_url


def test_nonces_are_remembered_as_long_as_they_could_be_used_again():
    window = NonceWindow()
    window.use("k", "n", now_seconds=1_000)
    for later in (1_000, 1_060, 1_120):
        with pytest.raises(Refused, match="NONCE_USED"):
            window.use("k", "n", now_seconds=later)
    window.use("k", "n", now_seconds=1_121)


def test_one_key_cannot_fill_the_window_for_others():
    window = NonceWindow()
    for number in range(NONCES_PER_KEY_MAX):
        window.use("greedy", str(number), now_seconds=0)
    with pytest.raises(Refused, match="BUSY"):
        window.use("greedy", "one more", now_seconds=0)
    window.use("modest", "0", now_seconds=0)
    window.use("greedy", "one more", now_seconds=121)


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr("node.http_signatures.NONCES_MAX", 10)
    window = NonceWindow()
    for number in range(10):
        window.use(f"key {number}", "n", now_seconds=0)
    with pytest.raises(Refused, match="BUSY"):
        window.use("another", "n", now_seconds=0)
    for number in range(10):
        window.use(f"key {number}", "n", now_seconds=200)
    assert len(window._order) == 10
    assert len(window._known) == 10


#   Host header, the operator's addresses, the address the client must have signed (None: refused)
ADDRESSES = [
    ("127.0.0.1:8710", (), "http://127.0.0.1:8710/v1/tokens"),
    ("localhost", (), "http://localhost/v1/tokens"),
    ("[::1]:80", (), "http://[::1]:80/v1/tokens"),
    ("points.example", ("https://points.example",), "https://points.example/v1/tokens"),
    ("POINTS.example", ("https://points.example/",), "https://points.example/v1/tokens"),
    ("points.example:8443", ("https://points.example:8443",), "https://points.example:8443/v1/tokens"),
    ("points.example", (), None),
    ("points.example:1", ("https://points.example",), None),
    ("127.0.0.1.evil.example", (), None),
    ("evil.example#127.0.0.1", (), None),
    ("127.0.0.1@evil.example", (), None),
    ("", (), None),
    ("[", (), None),
]


@pytest.mark.parametrize(("host", "origins", "expected"), ADDRESSES)
def test_a_request_is_for_this_node_or_for_none(host, origins, expected):
    def compute():
        return compute_target_url(scheme="http", host=host, target="/v1/tokens", origins=origins)

    if expected is None:
        with pytest.raises(Refused, match="SIGNATURE_INVALID"):
            compute()
    else:
        assert compute() == expected
