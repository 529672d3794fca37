"""Every change of an answer is found, whatever it changes, and nothing of it is trusted."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from contracts.messages import Earn, Enrol
from ledger.log.note import parse_checkpoint, split_note
from merchant_sdk import Unverified
from tests.merchant_sdk.genesis import get_system_time
from tests.merchant_sdk.notary import MEMBERS, believe


def flip(text: str, place: int) -> str:
    """Another character of base64 at that place, and never the same bits."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    # Four bits away: so far that the spare bits of a last character cannot hide it.
    index = letters.find(text[place])
    return text[:place] + letters[(index + 16) % 52] + text[place + 1 :]


Edit = Callable[[dict[str, Any]], Any]


def list_edits(told: dict[str, Any]) -> list[tuple[str, Edit]]:
    """Every field changed in many ways, one change at a time."""
    return [
        *list_field_edits(told),
        *(edit for name in ("proof", "consistency") for edit in list_hash_edits(name, told[name])),
        *(edit for number, each in enumerate(told["outcomes"]) for edit in list_outcome_edits(number, each)),
        *list_note_edits(told["checkpoint"]),
    ]


def put(name: str, value: Any) -> tuple[str, Edit]:
    return f"{name} is {str(value)[:200]}", lambda told: told.update({name: value})


def list_field_edits(told: dict[str, Any]) -> Iterator[tuple[str, Edit]]:
    for name in told:
        yield f"{name} is missing", lambda it, name=name: it.pop(name)
        yield f"{name} is misspelt", lambda it, name=name: it.update({name.upper(): it.pop(name)})
        for other in (None, True, -1, 2**60, "x", [], {}, [1], 1.5):
            yield put(name, other)
    for name in ("height", "index", "time"):
        for step in (-2, -1, 1, 2, 256):
            yield put(name, told[name] + step)


def list_hash_edits(name: str, hashes: list[str]) -> Iterator[tuple[str, Edit]]:
    for number, text in enumerate(hashes):
        before, after = hashes[:number], hashes[number + 1 :]
        for place in range(0, 43, 3):
            yield put(name, [*before, flip(text, place), *after])
        yield put(name, [*before, *after])
        yield put(name, [*before, text, text, *after])
    yield put(name, [*hashes[::-1], "A" * 43])


def list_outcome_edits(number: int, outcome: dict[str, Any]) -> Iterator[tuple[str, Edit]]:
    for other in ({"code": "OK"}, {**outcome, "balance": 10**6}, {**outcome, "code": "LOT_LIMIT"}):
        if other != outcome:
            yield (
                f"outcome {number} is {other}",
                lambda it, other=other: it["outcomes"].__setitem__(number, other),
            )
    yield f"outcome {number} left out", lambda it: it["outcomes"].pop(number)
    yield f"outcome {number} twice", lambda it: it["outcomes"].insert(0, it["outcomes"][number])


def list_note_edits(note: str) -> Iterator[tuple[str, Edit]]:
    for place, character in enumerate(note):
        yield put("checkpoint", note[:place] + ("x" if character != "x" else "y") + note[place + 1 :])


async def test_every_change_of_an_answer_is_found(notary):
    member = MEMBERS[7]
    await notary.send([Enrol(member=member), Enrol(member=MEMBERS[8])], 1)
    seen = notary.node.checkpoint()
    for _ in range(4):
        await notary.grow()
    size = parse_checkpoint(split_note(seen)[0]).size
    messages = [
        Earn(amount=5, member=member, occurred_at=get_system_time(), program="none", reference="A-1"),
        Earn(amount=6, member=member, occurred_at=get_system_time(), program="none", reference="A-2"),
    ]
    data = await notary.send(messages, size, "transact")
    told = msgspec.json.decode(data)
    assert len(told["proof"]) >= 2
    assert len(told["consistency"]) >= 3
    assert believe(notary.trust(seen), notary, data, size) is None
    believed = []
    edits = list_edits(told)
    for name, edit in edits:
        changed = copy.deepcopy(told)
        edit(changed)
        trust = notary.trust(seen)
        try:
            believe(trust, notary, msgspec.json.encode(changed), size)
            believed.append(name)
        except Unverified:
            # And what was refused is not trusted either.
            assert trust.note == seen, name
    assert believed == []
    assert len(edits) > 500


async def test_answers_that_are_no_answers_are_refused(notary):
    trust = notary.trust()
    await notary.grow()
    for data in (
        b"",
        b"{}",
        b"null",
        b"[" * 200_000,
        b"\xff\xfe",
        b'{"checkpoint":"\\ud800"}',
        b"<html></html>",
    ):
        with pytest.raises(Unverified, match="ANSWER_MALFORMED"):
            trust.prove(notary.transaction, data)


async def test_another_transactions_answer_does_not_stand_in(notary):
    trust = notary.trust()
    first = await notary.send([Enrol(member=MEMBERS[1])], trust.trusted_size)
    await notary.send([Enrol(member=MEMBERS[1])], trust.trusted_size)
    with pytest.raises(Unverified, match="ROOT_MISMATCH"):
        trust.prove(notary.transaction, first)
