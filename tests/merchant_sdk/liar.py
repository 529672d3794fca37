"""A real node whose answers are changed on the way: by the bit, by the field, by what was true once.

Everything is drawn from one seed, so that what was found once is found again.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import httpx2
import msgspec

from ledger.keys import SeedSigner
from ledger.log.note import parse_checkpoint, sign_checkpoint, split_note

WRONG: list[Any] = [
    None, True, False, -1, 0, 1, 2**31, 2**53, 2**63, 2**64, 10**400, 1.5, -0.0, "", "x", "OK", "0", [], {},
    [[]], [1], {"x": 1}, "\u0000", "\u202e", "é" * 50, "A" * 43, "m_" + "0" * 26, "A" * 5_000,
]  # fmt: skip
CODES = ["OK", "ALREADY_DONE", "INSUFFICIENT_POINTS", "SOMETHING_NEW", "", "ok"]
SPELLINGS = [
    "{0}.0",
    "{0}e0",
    "0{0}",
    "-{0}",
    "+{0}",
    '"{0}"',
    "{0}0",
    " {0} ",
    "{0}.00000000000001",
    "1e400",
]
STRANGER = SeedSigner(b"somebody else's key, 32 bytes...")


class Liar(httpx2.AsyncBaseTransport):
    """The way to a node. The next answer to a path that begins so is changed by ``lie``; others are kept."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self.target = ""
        self.lie: Callable[[bytes], tuple[int, dict[str, str], bytes]] | None = None
        self.kept: dict[str, list[bytes]] = {}
        """What was truly answered, by kind."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.raw_path.decode()
        response = await self._node.handle_async_request(request)
        data = await response.aread()
        kind = f"{request.method} {path}"
        if self.lie is None or not kind.startswith(self.target):
            if response.status_code == 200:
                kept = self.kept.setdefault(sort(kind), [])
                kept.append(data)
                del kept[:-20]
            return httpx2.Response(response.status_code, headers=response.headers, content=data)
        lie, self.lie = self.lie, None
        status, headers, data = lie(data)
        return httpx2.Response(status, headers=headers, content=data)


def sort(kind: str) -> str:
    """The kind of a question, whatever it asks about."""
    for prefix in (
        "POST /v1/transactions",
        "GET /v1/transactions",
        "GET /v1/receipts",
        "GET /v1/consistency",
    ):
        if kind.startswith(prefix):
            return prefix
    if kind.startswith("GET /v1/members"):
        return "history" if "/history" in kind else "balances"
    return kind.partition("?")[0]


class Lies:
    """Ways to change an answer, drawn from one seed."""

    def __init__(self, seed: int, kept: dict[str, list[bytes]], notes: list[str]) -> None:
        self.rng = random.Random(seed)
        self._kept = kept
        self._notes = notes

    def draw(self, kind: str) -> Callable[[bytes], tuple[int, dict[str, str], bytes]]:
        """One lie, and now and then two on top of each other."""

        def lie(data: bytes) -> tuple[int, dict[str, str], bytes]:
            for _ in range(self.rng.choice((1, 1, 1, 2))):
                ways = [self.change_bytes, self.change_field, self.change_field, self.change_text]
                way = self.rng.choice([*ways, self.replay, self.change_note])
                data = way(kind, data)
            if self.rng.random() < 0.03:
                return self.rng.choice((201, 204, 302, 400, 404, 429, 500, 503)), {}, data
            if self.rng.random() < 0.03:
                return 200, {"content-type": "text/html"}, data
            return 200, {"content-type": "application/json"}, data

        return lie

    def change_bytes(self, _kind: str, data: bytes) -> bytes:
        rng = self.rng
        if not data:
            return rng.randbytes(20)
        start = rng.randrange(len(data))
        end = min(len(data), start + rng.choice((1, 1, 2, 8, 64, 1000)))
        piece = data[start:end]
        place = rng.randrange(len(data))
        return rng.choice(
            [
                data[:start] + bytes([data[start] ^ (1 << rng.randrange(8))]) + data[start + 1 :],
                data[:start] + bytes([data[start] ^ (1 << rng.randrange(8))]) + data[start + 1 :],
                data[:start] + data[end:],
                data[:start] + piece + data[start:],
                data[:start],
                data[:place] + piece + data[place:],
                data[:start] + rng.randbytes(len(piece)) + data[end:],
                data + piece,
                b"",
                b"[" * 200_000,
                b'{"a":' * 100_000,
                data.replace(b"{", b"{" * 500, 1),
            ]
        )

    def change_field(self, _kind: str, data: bytes) -> bytes:
        try:
            told = msgspec.json.decode(data)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return data
        places = list_places(told)
        if not places:
            return msgspec.json.encode(self.rng.choice(WRONG))
        box, key = self.rng.choice(places)
        rng, value = self.rng, box[key]
        match rng.randrange(8):
            case 0:
                del box[key]
            case 1:
                other, name = rng.choice(places)
                box[key], other[name] = other[name], value
                if is_round(told):
                    box[key] = None
            case 2 if isinstance(box, list):
                box.insert(rng.randrange(len(box) + 1), value)
            case 3 if isinstance(box, dict):
                box["unheard-of"] = value
            case 4 if isinstance(value, int):
                box[key] = value + rng.choice((-(2**32), -1, 1, 256, 10**9))
            case 5 if isinstance(value, str) and value:
                at = rng.randrange(len(value))
                box[key] = value[:at] + rng.choice("AzZ09_-/=+\n \u00e9") + value[at + 1 :]
            case 6 if key == "code":
                box[key] = rng.choice(CODES)
            case 7 if isinstance(value, list):
                rng.shuffle(value)
            case _:
                box[key] = rng.choice(WRONG)
        return encode(told)

    def change_text(self, _kind: str, data: bytes) -> bytes:
        """Spellings that a decoder of the same JSON would never see."""
        text = data.decode("utf-8", "surrogateescape")
        rng = self.rng
        numbers = [at for at, letter in enumerate(text) if letter.isdigit() and text[at - 1 : at] in ":,["]
        names = [at for at, letter in enumerate(text) if letter == "{"]
        if numbers and rng.random() < 0.5:
            at = rng.choice(numbers)
            end = at
            while end < len(text) and text[end].isdigit():
                end += 1
            changed = text[:at] + rng.choice(SPELLINGS).format(text[at:end]) + text[end:]
        elif names:
            # The same name twice: which of the two counts?
            at = rng.choice(names) + 1
            double = rng.choice(
                ['"code":"OK",', '"index":7,', '"points":999,', '"checkpoint":"x",', '"x":"\\ud800",']
            )
            changed = text[:at] + double + text[at:]
        else:
            changed = text.upper()
        return changed.encode("utf-8", "surrogateescape")

    def replay(self, kind: str, data: bytes) -> bytes:
        """Something that was truly said once, here or elsewhere."""
        own = self._kept.get(kind, [])
        if own and self.rng.random() < 0.7:
            return self.rng.choice(own)
        return self.rng.choice(self.rng.choice(list(self._kept.values()))) if self._kept else data

    def change_note(self, _kind: str, data: bytes) -> bytes:
        """Another checkpoint where one stands: stale, by a stranger, of another log, with lines too many."""
        rng = self.rng
        text = data.decode("utf-8", "replace")
        note = rng.choice(self._notes)
        checkpoint = parse_checkpoint(split_note(note)[0])
        forged = rng.choice(
            [
                note,
                sign_checkpoint(
                    origin=checkpoint.origin, size=checkpoint.size, root=checkpoint.root, signer=STRANGER
                ),
                sign_checkpoint(
                    origin="elsewhere/" + "0" * 32,
                    size=checkpoint.size,
                    root=checkpoint.root,
                    signer=STRANGER,
                ),
                sign_checkpoint(
                    origin=checkpoint.origin, size=checkpoint.size + 5, root=bytes(32), signer=STRANGER
                ),
                note + "— somebody AAAA\n",
                note.replace("\n\n", "\nextension\n\n"),
                note + note,
                note.rstrip("\n"),
                note.replace("\n", "\r\n"),
            ]
        )
        if text.startswith(checkpoint.origin):
            return forged.encode()
        try:
            told = msgspec.json.decode(data)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return data
        if isinstance(told, dict):
            for name in ("checkpoint", "proof"):
                if isinstance(told.get(name), str):
                    told[name] = (
                        forged if name == "checkpoint" else told[name].partition("\n\n")[0] + "\n\n" + forged
                    )
        return encode(told)


def list_places(told: Any) -> list[tuple[Any, Any]]:
    """Every place in an answer: its box, and its key there."""
    found: list[tuple[Any, Any]] = []
    boxes = [told]
    while boxes:
        box = boxes.pop()
        items = box.items() if isinstance(box, dict) else enumerate(box) if isinstance(box, list) else ()
        for key, value in list(items):
            found.append((box, key))
            boxes.append(value)
    return found


def is_round(told: Any, above: tuple[int, ...] = ()) -> bool:
    """Whether a box stands in itself after two places were swapped."""
    if id(told) in above:
        return True
    inner = told.values() if isinstance(told, dict) else told if isinstance(told, list) else ()
    return any(is_round(each, (*above, id(told))) for each in inner)


def encode(told: Any) -> bytes:
    """As JSON, with numbers that no encoder of ours would write."""
    return json.dumps(told).encode()
