"""Requests signed with a ledger key: RFC 9421, Ed25519, each signature good once.

A request for a token is signed under the label `commonpoint` over its method, its target address and the
digest of its body, with the time, a nonce and the chain's name among the parameters. So it is worth nothing
for another body, another node, another chain, a minute later, or a second time.

The signature itself is checked under the ledger's own pinned rule (`ledger.keys`), and which key may sign for
whom is asked of a callback: this module knows neither state nor routes.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from threading import Lock
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageVerifier,
    HTTPSignatureAlgorithm,
    HTTPSignatureKeyResolver,
    InvalidSignature,
)

from ledger.errors import InvariantBroken, Refused
from ledger.keys import is_valid_signature

LABEL: Final = "commonpoint"
COVERED: Final = ("@method", "@target-uri", "content-digest")
CREATED_SECONDS: Final = 60
"""How far `created` may lie from this node's clock, either way."""
NONCES_MAX: Final = 65_536
"""Nonces remembered in all, and of one key below: memory that nobody can make grow."""
NONCES_PER_KEY_MAX: Final = 256
_SIGNATURE_HEADER_CHARACTERS_MAX: Final = 2_048
_NONCE: Final = re.compile(r"\A[A-Za-z0-9_-]{16,64}\Z")
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_KEY_ID: Final = re.compile(r"\A[0-9a-f]{16}\Z")

FindKey = Callable[[str], bytes]
"""``find_key(key_id)``: the 32 bytes of the key that may sign. Raises `Refused`."""


class SignedRequest(NamedTuple):
    """A request as it arrived."""

    method: str
    url: str
    """As the client addressed it."""
    headers: Headers
    body: bytes


class Headers:
    """Header lines in the order they came: what the verifying library asks for."""

    def __init__(self, lines: Sequence[tuple[str, str]]) -> None:
        self._lines = tuple(lines)

    def items(self) -> Sequence[tuple[str, str]]:
        """Every line, repeated names included."""
        return self._lines


class _PinnedEd25519(HTTPSignatureAlgorithm):
    """`ed25519` under the ledger's pinned rule, from raw public keys."""

    algorithm_id = "ed25519"

    def __init__(self, public_key: Any = None, private_key: Any = None) -> None:  # noqa: ARG002
        self._public: bytes = public_key

    def sign(self, message: bytes) -> bytes:
        """A node checks requests and signs none: asking it to is a fault of ours."""
        raise InvariantBroken("NODE_SIGNS_NO_REQUESTS", bytes=len(message))

    def verify(self, signature: bytes, message: bytes) -> None:
        """The signature holds, or `InvalidSignature`."""
        if not is_valid_signature(public=self._public, text=message, signature=signature):
            raise InvalidSignature("The signature does not verify")


class _KeyFinder(HTTPSignatureKeyResolver):
    """Asks the state for the key that a signature names, and remembers why there was none."""

    def __init__(self, find_key: FindKey) -> None:
        self._find_key = find_key
        self.refusal: Refused | None = None

    def resolve_public_key(self, key_id: str) -> bytes | None:
        """The raw key, or None with `refusal` set."""
        if _KEY_ID.match(key_id) is None:
            self.refusal = Refused("UNKNOWN_KEY")
            return None
        try:
            return self._find_key(key_id)
        except Refused as refusal:
            self.refusal = refusal
            return None


class _Verifier(HTTPMessageVerifier):
    """The library's verifier on the node's clock instead of the machine's."""

    now_seconds: int = 0

    def validate_created_and_expires(
        self,
        sig_input: Any,
        max_age: timedelta | None = None,  # noqa: ARG002 - our own bound is narrower
    ) -> None:
        """`created` is there and about now, and `expires`, where there is one, is not past."""
        created = sig_input.params.get("created")
        if type(created) is not int or abs(created - self.now_seconds) > CREATED_SECONDS:
            raise InvalidSignature("created is missing or too far from now")
        expires = sig_input.params.get("expires")
        if expires is not None and (type(expires) is not int or expires < self.now_seconds):
            raise InvalidSignature("expired")


class NonceWindow:
    """The nonces of the last two minutes, bounded in all and for each key."""

    def __init__(self) -> None:
        self._order: deque[tuple[int, str, str]] = deque()
        self._known: dict[str, set[str]] = {}
        self._lock = Lock()

    def use(self, key_id: str, nonce: str, *, now_seconds: int) -> None:
        """The nonce is spent. Raises `Refused`: ``NONCE_USED``, or ``BUSY`` where no more can be remembered.

        Forgetting early to make room would let a captured request in a second time, so a full window waits
        instead.
        """
        with self._lock:
            # A signature from the edge of the future is good for twice the span.
            while self._order and self._order[0][0] < now_seconds - 2 * CREATED_SECONDS:
                _, old_key, old_nonce = self._order.popleft()
                nonces = self._known[old_key]
                nonces.discard(old_nonce)
                if not nonces:
                    del self._known[old_key]
            nonces = self._known.get(key_id, set())
            if nonce in nonces:
                raise Refused("NONCE_USED", key=key_id)
            if len(self._order) >= NONCES_MAX or len(nonces) >= NONCES_PER_KEY_MAX:
                raise Refused("BUSY", key=key_id, reason="too many tokens asked for in two minutes")
            self._known.setdefault(key_id, nonces).add(nonce)
            self._order.append((now_seconds, key_id, nonce))


def compute_target_url(*, scheme: str, host: str, target: str, origins: Sequence[str]) -> str:
    """The address a client used, where it is one of this node's own. Raises `Refused` ``SIGNATURE_INVALID``.

    Whoever could choose the name freely could pass a request that was signed for their own server on to this
    one. So the name is one the operator gave, or loopback. Behind a proxy that speaks TLS the operator's
    address also gives the scheme.
    """
    for origin in origins:
        if urlsplit(origin).netloc.lower() == host.lower():
            return origin.rstrip("/") + target
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        name = None
    if name not in _LOOPBACK:
        raise Refused("SIGNATURE_INVALID", reason="addressed to another host", host=host[:100])
    return f"{scheme}://{host}{target}"


def verify_request(
    request: SignedRequest, *, chain: str, now_seconds: int, find_key: FindKey, nonces: NonceWindow
) -> str:
    """The id of the key that signed this request, for the first time.

    Raises `Refused`: ``SIGNATURE_INVALID``, whatever ``find_key`` says of the key, ``NONCE_USED`` or
    ``BUSY``.
    """
    for name, value in request.headers.items():
        is_signature = name.lower() in ("signature", "signature-input", "content-digest")
        if is_signature and (len(value) > _SIGNATURE_HEADER_CHARACTERS_MAX or not value.isascii()):
            raise Refused("SIGNATURE_INVALID", reason=f"{name} is too long or not ASCII")
    keys = _KeyFinder(find_key)
    verifier = _Verifier(signature_algorithm=_PinnedEd25519, key_resolver=keys)
    verifier.now_seconds = now_seconds
    try:
        results = verifier.verify(
            request, expect_tag=chain, expect_label=LABEL, require_components=COVERED, body=request.body
        )
    except (HTTPMessageSignaturesException, ValueError, TypeError, KeyError, RecursionError) as error:
        if keys.refusal is not None:
            raise keys.refusal from None
        raise Refused("SIGNATURE_INVALID", reason=str(error)[:200]) from None
    parameters = results[0].parameters
    nonce = results[0].nonce
    if nonce is None or _NONCE.match(nonce) is None:
        raise Refused("SIGNATURE_INVALID", reason="the nonce is missing or not 16 to 64 of A-Z a-z 0-9 _ -")
    key_id = str(parameters["keyid"])
    nonces.use(key_id, nonce, now_seconds=now_seconds)
    return key_id
