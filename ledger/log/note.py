"""What the log says about itself, signed: C2SP signed-note, tlog-checkpoint and tlog-cosignature.

A note is a text and the signatures under it; each line names who signed. A checkpoint is a note whose text is
the log's origin, its size and its root; the log's key name is the origin, which for us is the chain. A
cosignature is another party's line under the same text, with the second at which it signed.

Lines of unknown keys are left aside, as the specification demands. A line of a known key that does not verify
spoils the whole note. Two kinds of keys are read: Ed25519 (0x01), for logs, and timestamped Ed25519
cosignatures (0x04), for witnesses; both under the rule of `ledger.keys`. Extension lines are carried and mean
nothing. Whether a timestamp is too old or in the future is not decided here: there is no clock.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from ledger.errors import Refused, Unverified
from ledger.keys import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, Signer, check_public_key, is_valid_signature
from ledger.log.merkle import HASH_BYTES, SIZE_MAX

ED25519: Final = 0x01
"""Signature type of a log's key: plain Ed25519 over the note's text."""
COSIGNATURE_V1: Final = 0x04
"""Signature type of a witness's key: Ed25519 over the text and the second of signing."""

NOTE_CHARACTERS_MAX: Final = 1_000_000
NOTE_SIGNATURES_MAX: Final = 100
TIME_SECONDS_MAX: Final = 2**63 - 1

_DASH: Final = "\u2014 "
# Unicode's White_Space, spelled out so that the answer does not change with a Python release.
_SPACES: Final = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
_CONTROL: Final = re.compile("[\x00-\x09\x0b-\x1f]")
_VKEY: Final = re.compile(r"(?P<name>[^+]+)\+(?P<id>[0-9a-f]{8})\+(?P<key>[A-Za-z0-9+/=]+)")
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")


class VerifierKey(NamedTuple):
    """A public key as notes know it: by a name, a signature type and 32 bytes."""

    name: str
    kind: int
    public: bytes

    @classmethod
    def for_log(cls, origin: str, public: bytes) -> VerifierKey:
        """The key of a log, which is named as its origin."""
        return cls(origin, ED25519, public)

    @property
    def note_id(self) -> bytes:
        """The four bytes that stand before each of its signatures, beside the name."""
        text = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return hashlib.sha256(text).digest()[:4]


class NoteSignature(NamedTuple):
    """A line under a note that verified; a cosignature also says the second at which it was made."""

    key: VerifierKey
    time_seconds: int | None


class OpenedNote(NamedTuple):
    """The text, final line feed included, and the lines of known keys, each of which verified."""

    body: str
    signatures: tuple[NoteSignature, ...]


class Checkpoint(NamedTuple):
    """The log named ``origin`` has ``size`` leaves under ``root``."""

    origin: str
    size: int
    root: bytes


def encode_base64(data: bytes) -> str:
    """Base64 with padding (RFC 4648 section 4), as all C2SP texts spell bytes."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes | None:
    """The bytes, or None unless the text is their one spelling: padded, with no spare bits set."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return data if encode_base64(data) == text else None


def is_key_name(name: str) -> bool:
    """Whether notes can carry the name: not empty, valid UTF-8, no spaces, no plus, no control characters."""
    return bool(name) and "+" not in name and _is_note_text(name) and not _SPACES.search(name)


def encode_vkey(key: VerifierKey) -> str:
    """The key in one line, as clients and Go's ``note.NewVerifier`` read it: ``name+id+base64``."""
    return f"{key.name}+{key.note_id.hex()}+{encode_base64(bytes([key.kind]) + key.public)}"


def decode_vkey(text: str) -> VerifierKey:
    """The key that the line spells, fit to verify with.

    Raises `Refused`: ``VKEY_MALFORMED``, or ``KEY_REFUSED`` as `check_public_key` does.
    """
    found = _VKEY.fullmatch(text)
    raw = None if found is None else decode_base64(found["key"])
    if found is None or not raw or not is_key_name(found["name"]):
        raise Refused("VKEY_MALFORMED", vkey=text[:200])
    key = VerifierKey(found["name"], raw[0], raw[1:])
    if key.kind not in (ED25519, COSIGNATURE_V1) or len(key.public) != PUBLIC_KEY_BYTES:
        raise Refused("VKEY_MALFORMED", reason="not an Ed25519 key of type 1 or 4", vkey=text[:200])
    check_public_key(key.public)
    if key.note_id.hex() != found["id"]:
        raise Refused("VKEY_MALFORMED", expected=key.note_id.hex(), found=found["id"])
    return key


def sign_note(body: str, *, name: str, signer: Signer) -> str:
    """A note of this text under one plain Ed25519 signature."""
    if not (body.endswith("\n") and _is_note_text(body)):
        raise Refused("NOTE_MALFORMED", reason="the text ends in a line feed and holds no control characters")
    if not is_key_name(name):
        raise Refused("NOTE_MALFORMED", name=name)
    key = VerifierKey(name, ED25519, signer.public)
    return f"{body}\n{_format_line(key, signer.sign(body.encode()))}"


def split_note(text: str) -> tuple[str, list[tuple[str, bytes]]]:
    """The text of a note, and for each line under it the name and the bytes (id, then signature).

    Nothing has been verified yet. Raises `Unverified` ``NOTE_MALFORMED``.
    """
    if len(text) > NOTE_CHARACTERS_MAX or not _is_note_text(text):
        raise Unverified("NOTE_MALFORMED", reason="too long, not UTF-8, or with control characters")
    # The text is what stands before the last empty line: it may hold empty lines itself.
    border = text.rfind("\n\n")
    if border < 0 or not text.endswith("\n"):
        raise Unverified("NOTE_MALFORMED", reason="no signatures under the text")
    lines = text[border + 2 : -1].split("\n")
    if len(lines) > NOTE_SIGNATURES_MAX:
        raise Unverified("NOTE_MALFORMED", signatures=len(lines), signatures_max=NOTE_SIGNATURES_MAX)
    return text[: border + 1], [_parse_line(line) for line in lines]


def open_note(text: str, keys: Iterable[VerifierKey]) -> OpenedNote:
    """The note's text, signed by at least one of ``keys``.

    Raises `Unverified`: ``NOTE_MALFORMED``, ``SIGNATURE_INVALID`` (a line of a known key), ``NOTE_UNSIGNED``
    (no line of any known key).
    """
    known: dict[tuple[str, bytes], VerifierKey] = {}
    for key in keys:
        if known.setdefault((key.name, key.note_id), key) != key:
            raise Refused("VKEY_AMBIGUOUS", name=key.name, id=key.note_id.hex())
    body, lines = split_note(text)
    signed = body.encode()
    verified: dict[VerifierKey, NoteSignature] = {}
    for name, raw in lines:
        found = known.get((name, raw[:4]))
        if found is not None:
            verified.setdefault(found, _verify_line(found, signed, raw[4:]))
    if not verified:
        raise Unverified("NOTE_UNSIGNED", names=[name for name, _ in lines][:10])
    return OpenedNote(body, tuple(verified.values()))


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """The checkpoint as the text of a note: three lines, no extensions."""
    origin, size, root = checkpoint
    if not is_key_name(origin) or not 0 <= size <= SIZE_MAX or len(root) != HASH_BYTES:
        raise Refused("CHECKPOINT_MALFORMED", origin=origin, size=size, root=root.hex())
    return f"{origin}\n{size}\n{encode_base64(root)}\n"


def parse_checkpoint(body: str) -> Checkpoint:
    """What the text of a note says as a checkpoint. Extension lines, if any, are not looked at.

    Raises `Unverified` ``CHECKPOINT_MALFORMED``.
    """
    lines = body.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]) or not _is_note_text(body):
        raise Unverified("CHECKPOINT_MALFORMED", reason="not three or more full lines", lines=len(lines) - 1)
    origin, size, root = lines[0], lines[1], decode_base64(lines[2])
    if not _DECIMAL.fullmatch(size) or int(size) > SIZE_MAX:
        raise Unverified("CHECKPOINT_MALFORMED", size=size[:40])
    if root is None or len(root) != HASH_BYTES:
        raise Unverified("CHECKPOINT_MALFORMED", root=lines[2][:60])
    return Checkpoint(origin, int(size), root)


def sign_checkpoint(*, origin: str, size: int, root: bytes, signer: Signer) -> str:
    """The signed checkpoint as it is served: a note under the log's key, whose name is the origin."""
    return sign_note(format_checkpoint(Checkpoint(origin, size, root)), name=origin, signer=signer)


def cosign(*, body: str, name: str, time_seconds: int, signer: Signer) -> str:
    """The line with which ``name`` states that it saw this checkpoint extend the last one it saw.

    Which statement it is follows from the key alone; that it is true is for the caller to have checked.
    """
    parse_checkpoint(body)
    if not is_key_name(name) or not 0 <= time_seconds <= TIME_SECONDS_MAX:
        raise Refused("NOTE_MALFORMED", name=name, time_seconds=time_seconds)
    key = VerifierKey(name, COSIGNATURE_V1, signer.public)
    signature = signer.sign(_cosigned_text(body.encode(), time_seconds))
    return _format_line(key, time_seconds.to_bytes(8, "big") + signature)


def add_signature_lines(text: str, lines: str) -> str:
    """The note with these lines under it as well; what is not a well-formed note then is refused."""
    both = text + lines
    split_note(both)
    return both


def verify_cosignature(text: str, *, key: VerifierKey) -> int:
    """The note carries the cosignature of ``key``; answers the second at which it was made.

    Raises `Unverified` as `open_note` does.
    """
    time_seconds = open_note(text, [key]).signatures[0].time_seconds
    if time_seconds is None:
        raise Refused("VKEY_MALFORMED", reason="not a cosigner's key", name=key.name)
    return time_seconds


def _verify_line(key: VerifierKey, signed: bytes, raw: bytes) -> NoteSignature:
    time_seconds: int | None = None
    if key.kind == COSIGNATURE_V1:
        time_seconds, raw = int.from_bytes(raw[:8], "big"), raw[8:]
        signed = _cosigned_text(signed, time_seconds)
    fits = len(raw) == SIGNATURE_BYTES and (time_seconds or 0) <= TIME_SECONDS_MAX
    if not (fits and is_valid_signature(public=key.public, text=signed, signature=raw)):
        raise Unverified("SIGNATURE_INVALID", name=key.name, id=key.note_id.hex())
    return NoteSignature(key, time_seconds)


def _cosigned_text(body: bytes, time_seconds: int) -> bytes:
    return b"cosignature/v1\ntime %d\n%b" % (time_seconds, body)


def _format_line(key: VerifierKey, signature: bytes) -> str:
    return f"{_DASH}{key.name} {encode_base64(key.note_id + signature)}\n"


def _parse_line(line: str) -> tuple[str, bytes]:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    raw = decode_base64(encoded)
    if not (line.startswith(_DASH) and space and is_key_name(name)) or raw is None or len(raw) < 5:
        raise Unverified("NOTE_MALFORMED", line=line[:100])
    return name, raw


def _is_note_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return not _CONTROL.search(text)
