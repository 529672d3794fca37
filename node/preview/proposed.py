"""Actions as people write them down: a file of JSON or TOML, or parameters given by name and value.

A file is a list of actions, or an object whose `actions` is one; each action as docs/spec/governance.md lists
them, its `@type` spelled so or as `type`. Nothing is guessed: an unknown field or a value out of its form is
refused, before anything is signed.

    [[actions]]
    type = "set_parameter"
    parameter = "commission_basis_points"
    value = 300
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from contracts.messages.actions import Action, ChangeParameter
from ledger.errors import Refused

Actions = Annotated[list[Action], Meta(min_length=1, max_length=16)]


def read_actions(data: bytes, *, is_toml: bool) -> list[Action]:
    """The actions in a file's bytes. Raises `Refused` ``ACTIONS_MALFORMED`` with what is wrong."""
    try:
        found: Any = tomllib.loads(data.decode()) if is_toml else msgspec.json.decode(data)
        if isinstance(found, dict):
            found = found.get("actions")
        if not isinstance(found, list):
            raise Refused("ACTIONS_MALFORMED", reason="a list of actions is wanted, or `actions` with one")
        return msgspec.convert([_name_type(each) for each in found], Actions)
    except (msgspec.MsgspecError, tomllib.TOMLDecodeError, UnicodeError, RecursionError) as error:
        raise Refused("ACTIONS_MALFORMED", reason=str(error)[:200]) from None


def make_parameter_actions(settings: Sequence[str]) -> list[Action]:
    """One action for each ``name=value``. Raises `Refused` ``ACTIONS_MALFORMED``."""
    actions: list[Action] = []
    for setting in settings:
        name, _, value = setting.partition("=")
        if not (value.isascii() and value.isdigit()):
            raise Refused("ACTIONS_MALFORMED", reason=f"{setting!r} is not name=value with a whole number")
        try:
            actions.append(
                msgspec.convert(
                    {"@type": "set_parameter", "parameter": name, "value": int(value)}, ChangeParameter
                )
            )
        except msgspec.ValidationError as error:
            raise Refused("ACTIONS_MALFORMED", reason=f"{setting!r}: {error}") from None
    return actions


def _name_type(action: Any) -> Any:
    """The action with its type under the name it has on the wire."""
    if isinstance(action, dict) and "type" in action and "@type" not in action:
        return {"@type" if name == "type" else name: value for name, value in action.items()}
    return action
