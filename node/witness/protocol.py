"""What is sent to a witness and what it answers, as C2SP tlog-witness spells them.

A request is a line with the old size, the hashes of a consistency proof, an empty line, and the checkpoint.
Nothing is verified here; both sides, the witness and the log that asks it, use the same two functions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.errors import Refused, Unverified
from ledger.log.merkle import HASH_BYTES, SIZE_MAX
from ledger.log.note import Checkpoint, decode_base64, encode_base64, parse_checkpoint, split_note

PROOF_LINES_MAX: Final = 63
REQUEST_BYTES_MAX: Final = 65_536
"""Far above what a proof and a note with its cosignatures take."""
SIZE_TYPE: Final = "text/x.tlog.size"
TEXT_TYPE: Final = "text/plain; charset=utf-8"

_OLD: Final = re.compile(r"old (0|[1-9][0-9]{0,18})")


class Submission(NamedTuple):
    """A checkpoint that is submitted, and how it is said to continue the tree of ``old`` leaves."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: Checkpoint
    note: str


class Reply(NamedTuple):
    """What is answered: an HTTP status, a body, and what it is."""

    status: int
    body: str
    media_type: str = TEXT_TYPE


def format_submission(*, old: int, proof: Sequence[bytes], note: str) -> bytes:
    """The body of a request."""
    lines = [f"old {old}", *map(encode_base64, proof), ""]
    return ("\n".join(lines) + "\n" + note).encode()


def parse_submission(data: bytes) -> Submission:
    """What the body of a request says, in its one spelling. Raises `Refused` ``BAD_REQUEST``."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Refused("BAD_REQUEST", reason="not UTF-8") from None
    head, border, note = text.partition("\n\n")
    lines = head.split("\n")
    found = _OLD.fullmatch(lines[0])
    if not border or found is None or int(found[1]) > SIZE_MAX:
        raise Refused("BAD_REQUEST", reason="the old size line")
    if len(lines) - 1 > PROOF_LINES_MAX:
        raise Refused("BAD_REQUEST", reason="more lines than a proof has", allowed=PROOF_LINES_MAX)
    proof = [decode_base64(line) for line in lines[1:]]
    if any(each is None or len(each) != HASH_BYTES for each in proof):
        raise Refused("BAD_REQUEST", reason="a proof line")
    try:
        checkpoint = parse_checkpoint(split_note(note)[0])
    except Unverified as error:
        raise Refused("BAD_REQUEST", reason=str(error)) from None
    return Submission(int(found[1]), tuple(each for each in proof if each is not None), checkpoint, note)


def parse_size(body: str) -> int | None:
    """The size in the body of a 409, or None where that is no size."""
    text = body.removesuffix("\n")
    found = _OLD.fullmatch(f"old {text}") if body.endswith("\n") else None
    return None if found is None else int(found[1])
