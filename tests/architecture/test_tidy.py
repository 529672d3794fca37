"""The style guide as a test: sizes, names, docstrings, and what may not be written at all.

Each check is a function from one file to the breaches in it. Every check is also shown a file that breaks
it and nothing else, so a check that has gone blind is found. What the import linter, ruff and mypy can say
is left to them; the stricter rules of the pure core are in test_purity.py.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

MODULE_LINES_MAX = 300
FUNCTION_LINES_MAX = 70
LINE_CHARACTERS_MAX = 110

PACKAGES = ("ledger", "contracts", "node", "merchant_sdk")
PURE = ("ledger", "contracts")
VAGUE_MODULES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc", "stuff", "lib"}
VAGUE_WORDS = {"manager", "helper", "helpers", "util", "utils", "misc", "stuff", "impl"}
HTTP_VERBS = {"get", "post", "put", "patch", "delete", "head", "websocket", "api_route", "exception_handler"}
# Spelled in halves, so that this file keeps its own rule.
DEFERRED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
MACHINE_PATH = re.compile(r"(?<![\w.:/-])(?:/(?:work|root|home|Users)/\w|[A-Z]:\\Users)")

Definition = ast.FunctionDef | ast.AsyncFunctionDef


def functions_of(source) -> Iterator[Definition]:
    return (node for node in ast.walk(source.tree) if isinstance(node, Definition))


def breach(source, line: int, what: str) -> str:
    return f"{source.path}:{line}: {what}"


def modules_are_short(source) -> Iterator[str]:
    lines = len(source.text.splitlines())
    if lines > MODULE_LINES_MAX:
        yield breach(source, lines, f"{lines} lines, more than {MODULE_LINES_MAX}: it is asking for a noun")


def functions_are_short(source) -> Iterator[str]:
    for function in functions_of(source):
        lines = function.end_lineno - function.lineno + 1
        if ast.get_docstring(function) is not None:
            lines -= function.body[0].end_lineno - function.body[0].lineno + 1
        if lines > FUNCTION_LINES_MAX:
            told = f"{function.name} has {lines} lines without its docstring, more than {FUNCTION_LINES_MAX}"
            yield breach(source, function.lineno, told)


def lines_are_short(source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), start=1):
        if len(line) > LINE_CHARACTERS_MAX:
            yield breach(source, number, f"{len(line)} characters, more than {LINE_CHARACTERS_MAX}")


def validation_survives_optimisation(source) -> Iterator[str]:
    if source.room == "tests":
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assert):
            yield breach(source, node.lineno, "assert vanishes under -O: raise what the caller can act on")


def names_in(expression: ast.expr | None) -> set[str]:
    return {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)} if expression else set()


def does_nothing(statement: ast.stmt) -> bool:
    silent = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return silent or isinstance(statement, ast.Pass | ast.Continue)


def is_suppress(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress")


def exceptions_are_answered(source) -> Iterator[str]:
    """No bare except, no handler that does nothing, no blanket suppress; in the core no blanket except."""
    if source.room == "tests":
        return
    blanket = {"Exception", "BaseException"}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                yield breach(source, node.lineno, "bare except: name what is expected")
            elif all(does_nothing(statement) for statement in node.body):
                yield breach(source, node.lineno, "an exception is swallowed: answer or suppress it by name")
            elif source.room in PURE and names_in(node.type) & blanket:
                yield breach(source, node.lineno, "the core expects nothing but what it names")
        elif is_suppress(node) and any(names_in(argument) & blanket for argument in node.args):
            yield breach(source, node.lineno, "suppress names what is expected, never everything")


def is_route(function: Definition) -> bool:
    called = [decorator.func for decorator in function.decorator_list if isinstance(decorator, ast.Call)]
    return any(isinstance(func, ast.Attribute) and func.attr in HTTP_VERBS for func in called)


def needs_docstring(node: ast.AST) -> bool:
    if isinstance(node, ast.ClassDef):
        return not node.name.startswith("_")
    if not isinstance(node, Definition) or node.name.startswith("_"):
        return False
    decorators = {ast.unparse(decorator).rsplit(".", 1)[-1] for decorator in node.decorator_list}
    return not decorators & {"overload", "override", "setter"}


def public_things_are_told(source) -> Iterator[str]:
    """Every module, public class, public function and method, and every HTTP route wherever it stands."""
    if source.room not in PACKAGES:
        return
    if ast.get_docstring(source.tree) is None:
        yield breach(source, 1, "the module does not say its rule or duty")
    waiting: list[ast.Module | ast.ClassDef] = [source.tree]
    while waiting:
        for node in waiting.pop().body:
            if needs_docstring(node) and ast.get_docstring(node) is None:
                yield breach(source, node.lineno, f"{node.name} has no docstring")
            if isinstance(node, ast.ClassDef) and needs_docstring(node):
                waiting.append(node)
    for function in functions_of(source):
        if is_route(function) and ast.get_docstring(function) is None:
            yield breach(source, function.lineno, f"the route {function.name} has no docstring, so no page")


def words_of(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", name)}


def names_say_something(source) -> Iterator[str]:
    vague = VAGUE_MODULES & {part.removesuffix(".py") for part in source.path.split("/")}
    if vague:
        yield breach(source, 1, f"{', '.join(sorted(vague))} says nothing about what is inside")
    for node in ast.walk(source.tree):
        if isinstance(node, Definition | ast.ClassDef) and words_of(node.name) & VAGUE_WORDS:
            yield breach(source, node.lineno, f"{node.name}: a name that would fit anything")


def nothing_is_deferred(source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), start=1):
        if found := DEFERRED.search(line):
            yield breach(source, number, f"{found[0]}: open an issue instead")


def no_machine_is_named(source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), start=1):
        if found := MACHINE_PATH.search(line):
            yield breach(source, number, f"a path of one machine: {found[0]}…")


PYTHON_CHECKS = [
    modules_are_short,
    functions_are_short,
    validation_survives_optimisation,
    exceptions_are_answered,
    public_things_are_told,
    names_say_something,
]
TEXT_CHECKS = [nothing_is_deferred, no_machine_is_named]


@pytest.mark.parametrize("check", PYTHON_CHECKS)
def test_python_is_tidy(check, every_module):
    assert every_module
    breaches = [found for source in every_module for found in check(source)]
    assert not breaches, "\n".join(breaches)


@pytest.mark.parametrize("check", TEXT_CHECKS)
def test_every_text_is_tidy(check, every_file):
    assert every_file
    breaches = [found for source in every_file for found in check(source)]
    assert not breaches, "\n".join(breaches)


def test_lines_of_code_are_short(every_file):
    code = [source for source in every_file if source.is_python or source.text.startswith("#!")]
    breaches = [found for source in code for found in lines_are_short(source)]
    assert not breaches, "\n".join(breaches)


TOLD = '"""Told."""\n'
#   check, path, a file that breaks it
BREACHES = [
    (modules_are_short, "ledger/long.py", "\n" * 301),
    (functions_are_short, "ledger/long.py", "def long():\n" + "    step()\n" * 70),
    (lines_are_short, "scripts/long", "#!/bin/sh\n" + "x" * 111),
    (validation_survives_optimisation, "node/check.py", "assert True"),
    (exceptions_are_answered, "node/bare.py", "try:\n    step()\nexcept:\n    raise"),
    (exceptions_are_answered, "node/swallow.py", "try:\n    step()\nexcept KeyError:\n    pass"),
    (exceptions_are_answered, "node/skip.py", "for x in y:\n  try:\n    x()\n  except (A, B):\n    continue"),
    (exceptions_are_answered, "node/say.py", "try:\n    step()\nexcept KeyError:\n    'never mind'"),
    (exceptions_are_answered, "node/suppress.py", "with contextlib.suppress(Exception):\n    step()"),
    (exceptions_are_answered, "ledger/all.py", "try:\n    step()\nexcept Exception:\n    answer()"),
    (exceptions_are_answered, "contracts/all.py", "try:\n    x()\nexcept (A, BaseException):\n    y()"),
    (public_things_are_told, "ledger/silent.py", "x = 1"),
    (public_things_are_told, "ledger/silent.py", TOLD + "def public(): ..."),
    (public_things_are_told, "ledger/silent.py", TOLD + "class Public: ..."),
    (public_things_are_told, "node/silent.py", TOLD + f"class A:\n    {TOLD}    async def b(self): ..."),
    (public_things_are_told, "node/api/x.py", TOLD + "def _f(app):\n  @app.get('/')\n  def _route(): ..."),
    (names_say_something, "ledger/utils.py", TOLD),
    (names_say_something, "node/common/thing.py", TOLD),
    (names_say_something, "node/thing.py", "class KeyManager: ..."),
    (names_say_something, "node/thing.py", "def _parse_helper(): ..."),
    (nothing_is_deferred, "docs/x.md", "one day. TO" + "DO: say more"),
    (no_machine_is_named, "docs/x.md", "it lies in /ro" + "ot/somewhere"),
    (no_machine_is_named, "docs/x.md", "`/ho" + "me/anna/points`"),
]


@pytest.mark.parametrize(("check", "path", "text"), BREACHES)
def test_each_check_can_fail(check, path, text, make_source):
    source = make_source(path=path, text=text)
    assert len(list(check(source))) == 1
    others = [other for other in (*PYTHON_CHECKS, *TEXT_CHECKS) if other is not check]
    if source.is_python and check is not public_things_are_told:
        others.remove(public_things_are_told)
    assert [found for other in others if source.is_python for found in other(source)] == []


def test_every_check_is_shown_a_breach():
    assert {*PYTHON_CHECKS, *TEXT_CHECKS, lines_are_short} == {check for check, _, _ in BREACHES}


def test_what_is_allowed_is_allowed(make_source):
    text = TOLD + (
        "def long():\n" + f'    """{"told" * 9}\n' + "\n" * 90 + '    """\n' + "    step()\n" * 69 + "\n"
        "try:\n    step()\nexcept KeyError:\n    raise\n"
        "with suppress(KeyError):\n    step()\n"
        "# the proof leads to /root of the tree: inclusion/root/hash, GET /v1/home/page\n"
    )
    source = make_source(path="node/fine.py", text=text.replace("/root of", "root of"))
    assert [found for check in (*PYTHON_CHECKS, *TEXT_CHECKS) for found in check(source)] == []
