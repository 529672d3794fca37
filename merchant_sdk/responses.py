"""What a server may say, and what we make of it: the body, within bounds, and whether it settles anything.

Three endings of an attempt: an answer, a refusal that a node surely spoke, and everything else (`Failed`),
which is where the care is. A refusal is a problem document (RFC 9457) whose code and status are a node's; a
gateway's page is none, whatever its status. And whether bytes may have been taken is never guessed in our
favour.

A server gets no more of us than an answer needs: so many bytes, no compression, no redirects, no cookies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from merchant_sdk.errors import CommonpointError, NotFound, NotSent, RefusedByNode

if TYPE_CHECKING:
    import httpx2

LOOPBACK: Final = ("http://127.", "http://localhost", "http://[::1]")
ANSWER_BYTES_MAX: Final = 64 * 2**20
"""Twice what 8,192 outcomes with 64 lots each can take."""
PROBLEM_BYTES_MAX: Final = 2**16
PROBLEM_TEXT_MAX: Final = 500
RETRY_AFTER_SECONDS_MAX: Final = 30.0
NOTHING_TAKEN: Final = frozenset({"ENGINE_SWITCHED", "NOT_READY", "STORAGE_LOW"})
"""A node that follows, that handed over to validators, or whose disk is nearly full: it says 503 before it
looks at taking anything.
"""
_KEEPALIVE_SECONDS: Final = 4.0
"""Below the five seconds after which common servers close an idle connection: a request must not meet the
closing.
"""
_PROBLEM: Final = msgspec.json.Decoder(dict[str, Any])
_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_OUR_FIELDS: Final = frozenset({"type", "title", "status", "detail", "code", "instance"})


class Failed(Exception):
    """One attempt did not bring an answer that settles the matter."""

    def __init__(
        self,
        detail: str,
        *,
        may_be_taken: bool,
        refusal: RefusedByNode | None = None,
        wait_seconds: float = 0.0,
        passes_on: bool = False,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.may_be_taken = may_be_taken
        """The node may have taken what was sent."""
        self.has_left = True
        """Bytes of the request left for some node."""
        self.refusal = refusal
        self.wait_seconds = wait_seconds
        """What the node asked for, or 0."""
        self.passes_on = passes_on
        """Another address may well answer, and is asked at once."""

    @classmethod
    def of_one_behind(cls, url: str, refusal: RefusedByNode) -> Failed:
        """A node that does not know the tree that was proven to us: it took nothing, and may catch up."""
        told = RefusedByNode("NOT_YET", status=503, detail="this node is behind", facts=refusal.facts)
        return cls(f"{url}: {refusal}", may_be_taken=False, refusal=told, passes_on=True)


class Unreachable(Failed):
    """An address at which nothing could be asked: no byte of the request left for it."""

    def __init__(self, detail: str, *, refusal: RefusedByNode | None = None) -> None:
        super().__init__(detail, may_be_taken=False, refusal=refusal, passes_on=True)
        self.has_left = False


def open_client(urls: Sequence[str], http: httpx2.AsyncBaseTransport | None) -> httpx2.AsyncClient:
    """A client that gives servers nothing beyond the request."""
    from http.cookiejar import DefaultCookiePolicy  # noqa: PLC0415

    import httpx2  # noqa: PLC0415  # a tenth of a second, so not before something is sent

    client = httpx2.AsyncClient(
        transport=http,
        # Where no address is https, loading the certificates would only take time.
        verify=not all(url.startswith("http://") for url in urls),
        # A node on this machine is never behind a proxy.
        trust_env=not all(url.startswith(LOOPBACK) for url in urls),
        limits=httpx2.Limits(max_keepalive_connections=32, keepalive_expiry=_KEEPALIVE_SECONDS),
        headers={"accept-encoding": "identity"},
        follow_redirects=False,
    )
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


async def read_body(response: httpx2.Response) -> bytes:
    """The body as it came. Raises `Failed` where it is more than an answer can be, or packed."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise Failed("a packed answer, which was not asked for", may_be_taken=True)
    if response.is_stream_consumed:
        return response.content
    limit = ANSWER_BYTES_MAX if response.is_success else PROBLEM_BYTES_MAX
    data = bytearray()
    async for piece in response.aiter_raw():
        data += piece
        if len(data) > limit:
            raise Failed(f"an answer of more than {limit} bytes", may_be_taken=True)
    return bytes(data)


def judge(status: int, headers: Mapping[str, str], body: bytes) -> Failed | RefusedByNode:
    """The refusal, or a failed attempt where nothing is settled or the same again may end otherwise."""
    refusal, is_spoken = _read_problem(status, body)
    asked = headers.get("retry-after", "")
    wait_seconds = min(float(asked), RETRY_AFTER_SECONDS_MAX) if asked.isdecimal() else 0.0
    # A fault, or something on the way that is no node, does not say what became of the request.
    is_open = not is_spoken or not 400 <= status < 500 or status == 408 or (status == 409 and asked != "")
    if is_open or status == 429:
        is_turned_away = is_spoken and status == 503 and refusal.code in NOTHING_TAKEN
        return Failed(
            str(refusal),
            may_be_taken=is_open and not is_turned_away,
            refusal=refusal,
            wait_seconds=wait_seconds,
            passes_on=is_turned_away or (is_spoken and status == 503 and refusal.code == "NOT_YET"),
        )
    return refusal


def read_problem(status: int, body: bytes) -> RefusedByNode:
    """The typed error of a problem document, or of whatever else came with a status of failure."""
    return _read_problem(status, body)[0]


def _read_problem(status: int, body: bytes) -> tuple[RefusedByNode, bool]:
    """The error, and whether a node spoke it: a document with a code, of the status it came with."""
    try:
        problem = _PROBLEM.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        problem = {}
    found = problem.get("code")
    code = found if isinstance(found, str) and _CODE.fullmatch(found) else None
    is_spoken = code is not None and problem.get("status", status) == status
    detail = problem.get("detail") or problem.get("title")
    # That something does not exist is for a node to say, not for a gateway that lost its way.
    error = (NotFound if status == 404 and is_spoken else RefusedByNode)(
        code or f"HTTP_{status}",
        status=status,
        detail=detail[:PROBLEM_TEXT_MAX] if isinstance(detail, str) else "",
        facts={name: value for name, value in problem.items() if name not in _OUR_FIELDS},
    )
    return error, is_spoken


def tell_of(url: str, error: CommonpointError) -> str:
    """What kept us from an address, which is named once."""
    told = error.detail if isinstance(error, NotSent) else str(error)
    return told if told.startswith(f"{url}: ") else f"{url}: {told}"


def tell(url: str, error: Exception) -> str:
    """What went wrong at an address."""
    return f"{url}: {type(error).__name__} {error}".strip()[:500]
