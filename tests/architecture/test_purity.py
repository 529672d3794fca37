"""The core is pure: ledger/ and contracts/ read no clock, no disk, no network, and know whole numbers only.

Whatever is not named as pure is taken to be impure: a new import is allowed here, by name and with a thought,
or not at all. That includes everything whose answer may differ between two machines or two runs, because
replicas that decide differently part for ever: floats, true division, `hash` (it is salted), a set's order.
"""

from __future__ import annotations

import ast

import pytest

PURE = ("ledger", "contracts")
PURE_MODULES = {
    "__future__",
    "abc",
    "base64",
    "binascii",
    "bisect",
    "collections",
    "contextlib",
    "copy",
    "dataclasses",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "hmac",
    "itertools",
    "operator",
    "re",
    "struct",
    "types",
    "typing",
    # third parties: typed messages, and the one Ed25519 that the pinned rule names
    "msgspec",
    "nacl",
    "typing_extensions",
    # ourselves
    "contracts",
    "ledger",
}
# What looks pure by its module and is not.
IMPURE_NAMES = {"nacl.utils", "nacl.utils.random", "contextlib.chdir", "hashlib.file_digest"}
IMPURE_CALLS = {
    "breakpoint": "stops",
    "compile": "runs text",
    "complex": "is a float twice",
    "eval": "runs text",
    "exec": "runs text",
    "float": "is not exact",
    "hash": "is salted anew in every process",
    "id": "differs in every process",
    "input": "reads the terminal",
    "open": "touches the disk",
    "print": "writes to the terminal",
    "round": "rounds to even, which no rule of ours says",
    "__import__": "imports what nobody checks",
}


def imported_names(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def imports_are_pure(node):
    for name in imported_names(node):
        if name.split(".", 1)[0] not in PURE_MODULES:
            yield f"imports {name}, which is not known to be pure"
        if name in IMPURE_NAMES:
            yield f"imports {name}, which is not pure"


def calls_are_pure(node):
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
        yield f"{node.func.id}() {IMPURE_CALLS[node.func.id]}"


def numbers_are_whole(node):
    if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
        yield f"{node.value!r} is a float"
    if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
        yield "true division: use // and say who gets the remainder"
    if isinstance(node, ast.Name) and node.id == "float" and isinstance(node.ctx, ast.Load):
        yield "float is not a type of ours"


def is_set(node):
    called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None
    return isinstance(node, ast.Set | ast.SetComp) or called in {"set", "frozenset"}


def order_is_said(node):
    if isinstance(node, ast.For | ast.comprehension) and is_set(node.iter):
        yield "walks a set, whose order is nobody's: sort it"


CHECKS = [imports_are_pure, calls_are_pure, numbers_are_whole, order_is_said]


def breaches_in(source, check):
    for node in ast.walk(source.tree):
        for found in check(node):
            line = getattr(node, "lineno", None) or node.iter.lineno
            yield f"{source.path}:{line}: {found}"


@pytest.mark.parametrize("check", CHECKS)
def test_the_core_is_pure(check, every_module):
    core = [source for source in every_module if source.room in PURE]
    assert {source.room for source in core} == set(PURE)
    breaches = [found for source in core for found in breaches_in(source, check)]
    assert not breaches, "\n".join(breaches)


#   check, code that breaks it
BREACHES = [
    (imports_are_pure, "import time"),
    (imports_are_pure, "import os.path"),
    (imports_are_pure, "from datetime import date"),
    (imports_are_pure, "def later():\n    import random"),
    (imports_are_pure, "import sqlalchemy as sa"),
    (imports_are_pure, "from nacl.utils import random"),
    (imports_are_pure, "from nacl import utils"),
    (imports_are_pure, "import node.api"),
    (calls_are_pure, "open('x')"),
    (calls_are_pure, "{1: hash(key)}"),
    (calls_are_pure, "round(1)"),
    (numbers_are_whole, "rate = 0.01"),
    (numbers_are_whole, "rate = points * 1e3"),
    (numbers_are_whole, "half = points / 2"),
    (numbers_are_whole, "points /= 2"),
    (numbers_are_whole, "def f(rate: float): ..."),
    (order_is_said, "for name in {a, b}: ..."),
    (order_is_said, "[name for name in set(names)]"),
]


@pytest.mark.parametrize(("check", "code"), BREACHES)
def test_each_check_can_fail(check, code, make_source):
    source = make_source(path="ledger/impure.py", text=code)
    assert len(list(breaches_in(source, check))) == 1
    assert [found for other in CHECKS if other is not check for found in breaches_in(source, other)] == []


def test_every_check_is_shown_a_breach():
    assert set(CHECKS) == {check for check, _ in BREACHES}


def test_what_is_allowed_is_allowed(make_source):
    code = "import hashlib\nfrom ledger.codec import encode\nthird = points // 3\n'a/b'\nheader.id\n"
    source = make_source(path="contracts/pure.py", text=code + "for name in sorted({a, b}): ...\n")
    assert [found for check in CHECKS for found in breaches_in(source, check)] == []
