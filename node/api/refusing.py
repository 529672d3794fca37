"""What is raised inside the app, said as a problem (RFC 9457): a refusal with its code, a fault with a number
that stands in the log as well.

What each code means, and its status, stands in `node.api.problems`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ledger.errors import CommonpointError, Refused, Rejected
from node.api.problems import Problem, describe_error, make_problem
from node.metrics import Metrics

_STATUS_CODES: Final = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 413: "TOO_LARGE"}


def refuse_with_problems(api: FastAPI, metrics: Metrics) -> None:
    """Whatever is raised inside becomes a problem."""

    async def answer_refusal(_request: Request, error: Exception) -> Response:
        refusal, headers = _find_refusal(error)
        metrics.count_refusal(refusal.code)
        return _make_response(describe_error(refusal), headers)

    for kind in (Refused, Rejected, RequestValidationError, HTTPException):
        api.add_exception_handler(kind, answer_refusal)
    # Starlette answers with this and raises on; the rim logs what it was.
    api.add_exception_handler(Exception, _answer_fault)


async def _answer_fault(request: Request, _error: Exception) -> Response:
    incident = request.scope.setdefault("commonpoint.incident", secrets.token_hex(4))
    return _make_response(make_problem("INTERNAL", {"incident": incident}), {})


def _find_refusal(error: Exception) -> tuple[CommonpointError, Mapping[str, str]]:
    """The refusal that an error of the framework or of ours is, with headers that belong to it."""
    if isinstance(error, RequestValidationError):
        return _read_validation(error), {}
    if isinstance(error, HTTPException):
        code = _STATUS_CODES.get(error.status_code, "BAD_REQUEST")
        return Refused(code), error.headers or {}
    if isinstance(error, CommonpointError):
        return error, {}
    raise error


def _read_validation(error: RequestValidationError) -> Refused:
    """A bad id in the path is one that does not exist; any other parameter is named, but not repeated."""
    places = [place["loc"] for place in error.errors()]
    if any(place[0] == "path" for place in places):
        return Refused("NOT_FOUND")
    first = error.errors()[0]
    name = str(first["loc"][1]) if len(first["loc"]) > 1 else str(first["loc"][0])
    return Refused("BAD_REQUEST", parameter=name, reason=str(first["msg"]))


def _make_response(problem: Problem, headers: Mapping[str, str]) -> Response:
    response = Response(problem.body, status_code=problem.status)
    response.raw_headers = [
        *problem.headers,
        *((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()),
    ]
    return response
