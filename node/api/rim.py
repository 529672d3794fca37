"""The rim: what every request passes first and every answer last.

Here a path no route could have is turned away, the hot routes take their short cuts, refusals become
problems, faults become a 500 that tells nothing but a number to look for in the log, and all of it is
counted.

A broken promise of ours (`InvariantBroken`) met while reading is answered like any fault, and whoever runs
the node is told: it stops rather than go on wrong.
"""

from __future__ import annotations

import re
import secrets
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger.errors import InvariantBroken, Refused
from node.api.bodies import Disconnected, drain
from node.api.problems import Problem, describe_error, make_problem
from node.metrics import Metrics

QUERY_BYTES_MAX: Final = 2_048
_PATH: Final = re.compile(r"/[A-Za-z0-9._:/-]{0,1023}")
_NOSNIFF: Final = (b"x-content-type-options", b"nosniff")

log = structlog.get_logger("commonpoint.api")


class RequestLimits(Protocol):
    """What limits requests that are no submissions."""

    def count_request(self, scope: Scope) -> Awaitable[None] | None:
        """One more is counted; or will be, where that has to be asked elsewhere. Raises `Refused` ``BUSY``,
        or the awaitable does.
        """
        ...


class Rim:
    """The outermost ASGI app."""

    def __init__(
        self,
        api: ASGIApp,
        *,
        submission_path: str,
        submission: ASGIApp,
        find_file: Callable[[Scope], ASGIApp | None],
        metrics: Metrics,
        limits: RequestLimits,
        on_broken: Callable[[InvariantBroken], None] | None,
    ) -> None:
        self._api = api
        self._submission_path = submission_path
        self._submission = submission
        self._find_file = find_file
        self._metrics = metrics
        self._limits = limits
        self._on_broken = on_broken

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Every HTTP request gets one answer; the process's own lifespan is passed on."""
        if scope["type"] != "http":
            await self._api(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0
        is_whole = False

        async def receive_watched() -> Message:
            nonlocal is_whole
            message = await receive()
            is_whole = not message.get("more_body", False)
            return message

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], _NOSNIFF]
            elif status == 413 and not is_whole and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await drain(receive)
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        try:
            await self._answer(scope, receive_watched, send_counted)
        except Disconnected:
            status = 499
        except Refused as refusal:
            self._metrics.count_refusal(refusal.code)
            await send_problem(describe_error(refusal), send_counted)
        except Exception as error:  # noqa: BLE001 - the last resort: the asker hears 500, the log hears why
            incident = self._log(scope, error)
            if not status:
                await send_problem(make_problem("INTERNAL", {"incident": incident}), send_counted)
        self._metrics.count_answer(
            method=scope["method"] if scope["method"] in _METHODS else "other",
            route=_get_route(scope, self._submission_path),
            status=status,
            seconds=time.perf_counter() - started,
        )

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path == self._submission_path and scope["method"] == "POST":
            await self._submission(scope, receive, send)
            return
        counting = self._limits.count_request(scope)
        if counting is not None:
            await counting
        # No id and no route has other characters, so nothing stranger reaches a router, a file system or a
        # log.
        if _PATH.fullmatch(path) is None:
            raise Refused("NOT_FOUND")
        if len(scope["query_string"]) > QUERY_BYTES_MAX:
            raise Refused("BAD_REQUEST", reason="the query is too long", allowed=QUERY_BYTES_MAX)
        answer = self._find_file(scope) or self._api
        await answer(scope, receive, send)

    def _log(self, scope: Scope, error: Exception) -> str:
        """The fault is in the log under a number, which is all that the asker gets to know."""
        incident: str = scope.setdefault("commonpoint.incident", secrets.token_hex(4))
        route = _get_route(scope, self._submission_path)
        # As plain text: a traceback that is drawn with the values in it would carry members' points and our
        # keys.
        trace = "".join(traceback.format_exception(error))
        log.error("unexpected fault", incident=incident, method=scope["method"], route=route, traceback=trace)
        if isinstance(error, InvariantBroken) and self._on_broken is not None:
            self._on_broken(error)
        return incident


_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


def _get_route(scope: Scope, submission_path: str) -> str:
    """The route as the description writes it, never the path as it was asked."""
    if scope["path"] == submission_path:
        return submission_path
    route: Any = scope.get("route")
    path = getattr(route, "path", None)
    return path if isinstance(path, str) and path else "none"


async def send_problem(problem: Problem, send: Send) -> None:
    """The problem is the answer."""
    await send({"type": "http.response.start", "status": problem.status, "headers": list(problem.headers)})
    await send({"type": "http.response.body", "body": problem.body})
