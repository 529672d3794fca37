"""The specification and the code say the same: every code with its status, every route with its path."""

from __future__ import annotations

import re

from node.api.app import list_routes
from node.api.problems import CODES
from node.api.transactions import PATH

ROW = re.compile(r"^\| `([A-Z_]+)` \| (\d{3}) \|", re.MULTILINE)


def test_the_codes_of_the_specification_are_those_of_the_problems(repository):
    messages = (repository / "docs/spec/messages.md").read_text()
    rim = (repository / "docs/spec/api.md").read_text()
    refused = {code: int(status) for code, status in ROW.findall(messages)}
    told = {code: int(status) for code, status in ROW.findall(rim)}
    assert len(refused) >= 15
    assert refused | told == {code: kind.status for code, kind in CODES.items()}
    # The order of the codes is the order of the checks.
    assert [code for code in CODES if code in refused] == list(refused)


def test_the_routes_of_the_specification_are_those_of_the_app(repository):
    text = (repository / "docs/spec/api.md").read_text()
    named = re.sub(r"\[[^\]]*\]", "", " ".join(re.findall(r"`((?:GET |POST )?/[^`]*)`", text)))
    told = {path.split("?")[0] for path in re.findall(r"(?<!\S)/\S+", named)}
    routes = {route.path for route in list_routes()} | {PATH, "/openapi.json"}
    log = {"/tile/{L}/{N}", "/tile/entries/{N}"}
    routes = {path for path in routes if not path.startswith("/tile/")} | log
    assert told == routes
