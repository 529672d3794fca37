"""The API page: every route described once, and shown without anything from another host.

The page's script and style come from this node, and its content policy lets nothing else in: the one inline
script is let through by its own hash. How problems look is said here too, so that each route names only its
codes.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any, Final

import msgspec
from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from starlette.responses import HTMLResponse, Response

from ledger.errors import Refused
from node.api.answers import CodeAnswer, ProblemAnswer
from node.api.limits import UNCOUNTED
from node.api.parameters import ASKED
from node.api.problems import CODES, MEDIA_TYPE, make_problem

TITLE: Final = "Commonpoint"
STATIC: Final = "/docs/static"
DESCRIPTION: Final = """
A cross-merchant points ledger, over HTTP. Everything signed travels as the exact bytes that were signed; an
answer is a claim, and what makes it true is the proof beside it.

Errors are RFC 9457 problems with a stable `code`. What you may not see and what does not exist give the same
answer, `404 NOT_FOUND`. Reads take `min_height` and name the `height` they answer for.
"""
_INLINE: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def describe(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The problem responses of a route, by status, with an example for each code."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        status = CODES[code].status
        response = by_status.setdefault(
            status,
            {
                "description": "",
                "content": {
                    MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemAnswer"}, "examples": {}}
                },
            },
        )
        response["description"] = "; ".join(filter(None, [response["description"], f"`{code}`"]))
        response["content"][MEDIA_TYPE]["examples"][code] = {
            "summary": CODES[code].title,
            "value": msgspec.json.decode(make_problem(code).body),
        }
    return by_status


router = APIRouter(tags=["operating"])
_PAGE: Final = bytes(
    get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=f"{TITLE}: the HTTP API",
        swagger_js_url=f"{STATIC}/swagger-ui-bundle.js",
        swagger_css_url=f"{STATIC}/swagger-ui.css",
        swagger_favicon_url=f"{STATIC}/favicon.png",
        swagger_ui_parameters={"validatorUrl": None, "syntaxHighlight": False},
    ).body
)


@router.get("/docs", include_in_schema=False)
async def show_page() -> HTMLResponse:
    """The API page."""
    headers = {
        "content-security-policy": make_content_policy(_PAGE),
        "referrer-policy": "no-referrer",
        "x-frame-options": "DENY",
    }
    return HTMLResponse(_PAGE, headers=headers)


@router.get(
    "/problems/{code}", response_model=CodeAnswer, dependencies=ASKED, responses=describe("NOT_FOUND")
)
async def get_code(code: str) -> Response:
    """What a problem's code means, and whether to send again. A problem's `type` leads here. Anyone."""
    kind = CODES.get(code)
    if kind is None:
        raise Refused("NOT_FOUND")
    told = {"advice": kind.advice, "code": code, "status": kind.status, "title": kind.title}
    return Response(msgspec.json.encode(told), media_type="application/json")


def make_content_policy(page: bytes) -> str:
    """Everything from this node and nothing from elsewhere; of inline scripts, those that are in the page."""
    hashes = [base64.b64encode(hashlib.sha256(script).digest()).decode() for script in _INLINE.findall(page)]
    scripts = " ".join(["'self'", *(f"'sha256-{each}'" for each in hashes)])
    # The page's own style sheet draws its icons from data addresses, and its script sets style attributes.
    return (
        f"default-src 'self'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def make_description(app: FastAPI, *, further: dict[str, dict[str, Any]], version: str) -> dict[str, Any]:
    """The OpenAPI description of all routes, ``further`` ones included, with our problems for errors."""
    told = get_openapi(
        title=TITLE,
        version=version,
        description=DESCRIPTION,
        routes=app.routes,
        license_info={"name": "Apache-2.0"},
    )
    for path, operations in further.items():
        told["paths"].setdefault(path, {}).update(operations)
    for path, operations in told["paths"].items():
        for operation in operations.values():
            # What FastAPI would answer to a bad parameter, we answer as BAD_REQUEST.
            operation["responses"].pop("422", None)
            operation["responses"].setdefault("400", describe("BAD_REQUEST")[400])
            if path not in UNCOUNTED:
                operation["responses"].setdefault("429", describe("BUSY")[429])
    schemas = told["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["ProblemAnswer"] = ProblemAnswer.model_json_schema()
    told["paths"] = dict(sorted(told["paths"].items()))
    return told
