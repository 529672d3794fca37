"""Trust in the model: whose signatures under the log are enough, and whose engines decide the next block.

A policy file is read here once more, from the pages of C2SP alone: tlog-policy for its lines, signed-note for
verifier keys. Which epoch judges a checkpoint, and so which log keys may sign it, follows from the heights at
which policies were enacted (docs/spec/ledger.md, "Trust policies in a chain").
"""

from __future__ import annotations

import base64
import re
from hashlib import sha256
from typing import Any, NamedTuple

from tests.properties.model_state import Block, State, reject
from tests.properties.model_values import is_fit_key, spell, unspell

Action = dict[str, Any]
LOG, WITNESS = 1, 4
"""Signature types of signed-note: a log's key, a cosigner's."""


class Engine(NamedTuple):
    """How the validators' engine began."""

    name: str
    height: int
    time: int
    validators: tuple[tuple[str, int, str], ...]


class Validators(NamedTuple):
    """Who decides the next block, and since which height."""

    height: int
    validators: tuple[tuple[str, int, str], ...]


class Trust(NamedTuple):
    """A policy that was enacted."""

    height: int
    policy: str


def set_validators(state: State, block: Block, action: Action) -> None:
    if "engine" not in state.engines:
        reject("ENGINE_IS_SOLO")
    state.engines["validators"] = Validators(block.height, check_set(state, action["validators"]))


def switch_engine(state: State, block: Block, action: Action) -> None:
    if "engine" in state.engines:
        reject("ENGINE_SWITCHED")
    rows = check_set(state, action["validators"])
    state.engines["engine"] = Engine(action["engine"], block.height, block.time, rows)
    state.engines["validators"] = Validators(block.height, rows)


def check_set(state: State, validators: list[dict[str, Any]]) -> tuple[tuple[str, int, str], ...]:
    """The rows of a set in which nobody is twice, everybody takes part, and every key is one."""
    rows = tuple((each["participant"], each["power"], each["public"]) for each in validators)
    names, keys = [row[0] for row in rows], [row[2] for row in rows]
    if names != sorted(set(names)) or len(set(keys)) < len(keys):
        reject("VALIDATORS_MALFORMED")
    if any(name not in state.participants or name in state.removed for name in names):
        reject("PARTICIPANT_UNKNOWN")
    if not all(is_fit_key(key) for key in keys):
        reject("KEY_REFUSED")
    return rows


def set_trust_policy(state: State, block: Block, action: Action) -> None:
    if find_keys_in(action["policy"], chain=block.chain) is None:
        reject("POLICY_MALFORMED")
    state.policies_of_trust[len(state.policies_of_trust) + 1] = Trust(block.height, action["policy"])


def find_log_keys(state: State, *, chain: str, height: int) -> set[str]:
    """The public keys of which one signs the checkpoint after this height: the block that enacts a policy is
    the last under the one before, and of several that one block enacts the last alone judges anything.
    """
    earlier = [trust.policy for trust in state.policies_of_trust.values() if trust.height < height]
    if not earlier:
        return {state.standing["log_key"]}
    return find_keys_in(earlier[-1], chain=chain) or set()


def find_keys_in(text: str, *, chain: str) -> set[str] | None:
    """The public keys of this chain's log in a policy file; None where it is none, or lists none of them."""
    lines = text.split("\n")
    if lines.pop() or re.search("[\x00-\x08\x0b-\x1f\x7f]", text):
        return None
    keys: dict[int, dict[str, str]] = {LOG: {}, WITNESS: {}}
    names: set[str] = set()
    members: list[str] = []
    quorums: list[str] = []
    for line in lines:
        words = line.replace("\t", " ").split(" ")
        words = [word for word in words if word]
        if not words or words[0].startswith("#"):
            continue
        kind, *said = words
        if kind == "log" and len(said) in (1, 2):
            is_good = add_key(keys[LOG], said[0], LOG)
        elif kind == "witness" and len(said) in (2, 3):
            is_good = add_key(keys[WITNESS], said[1], WITNESS) and define(names, said[0])
        elif kind == "group" and len(said) >= 3:
            known = names.copy()
            members += said[2:]
            is_once = len(set(members)) == len(members) and known.issuperset(said[2:])
            is_good = is_once and is_threshold(said[1], len(said) - 2) and define(names, said[0])
        elif kind == "quorum" and len(said) == 1:
            quorums += said
            is_good = said[0] in names | {"none"}
        else:
            is_good = False
        if not is_good:
            return None
    found = {public for public, name in keys[LOG].items() if name == chain}
    return found if len(quorums) == 1 and found else None


def define(names: set[str], name: str) -> bool:
    """Witnesses and groups have one space of names, in which `none` is taken."""
    is_new = name != "none" and name not in names
    names.add(name)
    return is_new


def is_threshold(word: str, members: int) -> bool:
    return word in ("all", "any", *map(str, range(1, members + 1)))


def add_key(keys: dict[str, str], vkey: str, kind: int) -> bool:
    """Whether it is a verifier key of this type that the file has not yet, under whatever name."""
    found = read_vkey(vkey)
    if found is None or found[1] != kind or found[2] in keys:
        return False
    keys[found[2]] = found[0]
    return True


def read_vkey(vkey: str) -> tuple[str, int, str] | None:
    """Name, type and public key of ``name+hash+key``, where the hash is theirs and the key is fit."""
    words = vkey.split("+", 2)
    if len(words) != 3 or not words[0]:
        return None
    try:
        data = base64.b64decode(words[2], validate=True)
    except ValueError:
        return None
    public = spell(data[1:])
    is_spelled = base64.b64encode(data).decode() == words[2]
    if not is_spelled or len(data) != 33 or make_vkey(words[0], public, data[0]) != vkey:
        return None
    return (words[0], data[0], public) if is_fit_key(public) else None


def make_vkey(name: str, public: str, kind: int = LOG) -> str:
    """The verifier key of C2SP signed-note: name, key hash, type and the Ed25519 key."""
    key = bytes([kind]) + (unspell(public) or b"")
    key_hash = sha256(name.encode() + b"\n" + key).digest()[:4]
    return f"{name}+{key_hash.hex()}+{base64.b64encode(key).decode()}"
