"""Requests to one node: JSON and files, with a bearer token, asked again while the node says that it is busy.

What a node says is only ever a claim; whoever asked checks it. A request that may be repeated is repeated a
few times where the node is busy or cannot be reached for a moment: reads change nothing, and a transaction's
bytes are taken once however often they arrive. Redirects are not followed: they would carry the token to
whomever the answer names.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx2
import msgspec

from ledger.errors import CommonpointError
from node.audit.sources import SourceUnavailable, read_body

ATTEMPTS_MAX: Final = 5
BUSY_ATTEMPTS_MAX: Final = 100
"""A node that asks us to wait is well, and we are in no hurry."""
_FIRST_WAIT_SECONDS: Final = 0.25
_WAIT_SECONDS_MAX: Final = 30.0
_TIMEOUT_SECONDS: Final = 60.0
_ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
_AGAIN: Final = frozenset({httpx2.codes.TOO_MANY_REQUESTS, httpx2.codes.SERVICE_UNAVAILABLE})
_UNKNOWN: Final = "NODE_ANSWERED"

AskToken = Callable[["Connection"], str]
"""Makes a fresh token; called when one is first needed, and once more when one has run out."""


_ADVICE: Final = {
    "EXPIRED": "This machine's clock and the node's differ: set it right, and run this again.",
    "KEY_NOT_VALID": "The key was revoked: name a folder with the one in use.",
    "NOT_AFTER_TOO_FAR": "This machine's clock and the node's differ: set it right, and run this again.",
    "SIGNATURE_INVALID": "Use the address by which the node knows itself: loopback, or one of its --origin.",
    "UNKNOWN_KEY": "The key is not this participant's on this ledger: check --keys and --participant.",
    "WRONG_PURPOSE": "The key's purpose does not cover this: name a folder with the right ones.",
}


class NodeRefused(CommonpointError):
    """The node answered, and said no."""

    @property
    def advice(self) -> str | None:
        """What can be done about it."""
        return _ADVICE.get(self.code)


class Connection:
    """One node's address, and what it takes to be let in."""

    def __init__(self, url: str, *, token: str | None = None, ask_token: AskToken | None = None) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._ask_token = ask_token
        self._client = httpx2.Client(
            headers={"Accept-Encoding": "gzip"}, timeout=_TIMEOUT_SECONDS, follow_redirects=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """The sockets are closed."""
        self._client.close()

    def get_json(self, *path: str | int, **query: str | int) -> Any:
        """What is answered under this path, or None where nothing is that the asker may see.

        Raises `NodeRefused` or `SourceUnavailable`.
        """
        body = self.get_file(make_path(*path), params=query)
        if body is None:
            return None
        try:
            return msgspec.json.decode(body)
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise SourceUnavailable("SOURCE_ANSWERED", url=self.url, reason=str(error)[:200]) from None

    def get_file(self, path: str, *, params: dict[str, str | int] | None = None) -> bytes | None:
        """The body under this path, or None where nothing is that the asker may see."""
        try:
            return self._ask("GET", path, params=params)
        except NodeRefused as refusal:
            if refusal.facts.get("status") == httpx2.codes.NOT_FOUND:
                return None
            if refusal.code == "TOKEN_INVALID":
                if self._renew():
                    return self.get_file(path, params=params)
                raise SourceUnavailable("TOKEN_REFUSED", url=self.url) from None
            if refusal.code == "UNAUTHENTICATED":
                raise SourceUnavailable("ENTRIES_WITHHELD", url=self.url) from None
            raise

    def post(self, path: str, body: bytes, *, headers: dict[str, str] | None = None, **query: int) -> bytes:
        """The answer to ``body``, which may safely arrive more than once."""
        return self._ask("POST", path, params=dict(query), body=body, headers=headers, is_signed=True)

    def _renew(self) -> bool:
        """A fresh token is at hand, where one can be asked for."""
        if self._ask_token is None:
            return False
        # No third one: a node that does not take what it just gave has another reason.
        self._token, self._ask_token = self._ask_token(self), None
        return True

    def _ask(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str | int] | dict[str, int] | None = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        is_signed: bool = False,
    ) -> bytes:
        if not is_signed and self._token is None and self._ask_token is not None:
            self._token = self._ask_token(self)
        sent = dict(headers or {})
        if not is_signed and self._token is not None:
            sent["Authorization"] = f"Bearer {self._token}"
        wait, failures = _FIRST_WAIT_SECONDS, 0
        for _ in range(BUSY_ATTEMPTS_MAX):
            try:
                with self._client.stream(
                    method, f"{self.url}/{path}", params=params or None, content=body, headers=sent
                ) as response:
                    answer = read_body(response, _ANSWER_BYTES_MAX)
            except (httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
                raise SourceUnavailable("URL_INVALID", url=self.url, reason=str(error)) from None
            except httpx2.HTTPError as error:
                failures += 1
                if failures == ATTEMPTS_MAX:
                    reason = str(error) or type(error).__name__
                    raise SourceUnavailable("SOURCE_UNREACHABLE", url=self.url, reason=reason) from None
            else:
                if response.status_code == httpx2.codes.OK:
                    return self._check_size(answer)
                failures += response.status_code != httpx2.codes.TOO_MANY_REQUESTS
                if response.status_code not in _AGAIN or failures == ATTEMPTS_MAX:
                    raise _read_refusal(response.status_code, answer)
                wait = max(wait, _read_retry_after(response))
            time.sleep(min(wait, _WAIT_SECONDS_MAX))
            wait *= 2
        raise SourceUnavailable("SOURCE_BUSY", url=self.url, attempts=BUSY_ATTEMPTS_MAX)

    def _check_size(self, body: bytes) -> bytes:
        if len(body) > _ANSWER_BYTES_MAX:
            raise SourceUnavailable("SOURCE_ANSWERED", url=self.url, reason="more than any answer")
        return body


def make_path(*parts: str | int) -> str:
    """The path of these parts, none of which can end another."""
    return "/".join(quote(str(part), safe="") for part in parts)


def _read_refusal(status: int, answer: bytes) -> NodeRefused:
    """The problem the node told, or that it told none."""
    try:
        told = msgspec.json.decode(answer)
    except (msgspec.MsgspecError, UnicodeError):
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("code"), str):
        told = {"code": _UNKNOWN}
    facts = {name: value for name, value in told.items() if name not in ("code", "status", "title", "type")}
    return NodeRefused(told["code"], status=status, **facts)


def _read_retry_after(response: httpx2.Response) -> float:
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0
