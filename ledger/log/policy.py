"""Whose word about the log is enough: C2SP tlog-policy files, and checkpoints held against them.

A policy names the logs that are believed, the witnesses that are known, groups of them with a threshold each,
and one quorum. A checkpoint is good when a listed log signed it under its own origin and the quorum cosigned
it.

A policy says nothing about time: how old a cosignature may be, and from which epoch a policy counts, is
decided where policies are chained. Only plain Ed25519 keys are read for logs and only cosignature/v1 keys for
witnesses; a file with other types is refused whole, since half a policy would be a weaker one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from ledger.errors import Refused, Unverified
from ledger.log.note import (
    COSIGNATURE_V1,
    ED25519,
    Checkpoint,
    OpenedNote,
    VerifierKey,
    decode_vkey,
    encode_vkey,
    open_note,
    parse_checkpoint,
    split_note,
)

POLICY_BYTES_MAX: Final = 262_144
LINES_MAX: Final = 1_024
"""The specification asks for 32 logs, witnesses and groups at the least."""
NO_QUORUM: Final = "none"
"""The predefined name of the quorum that nobody has to cosign for."""

_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_BLANK: Final = re.compile("[ \t]+")
_THRESHOLD: Final = re.compile("[1-9][0-9]{0,3}")


class Log(NamedTuple):
    """A log that is believed. The key's name is the log's origin."""

    key: VerifierKey
    url: str | None = None


class Witness(NamedTuple):
    """A witness, under the name by which this file's groups and quorum mean it."""

    name: str
    key: VerifierKey
    url: str | None = None


class Group(NamedTuple):
    """Counts as having cosigned when at least ``threshold`` of its members have."""

    name: str
    threshold: int
    members: tuple[str, ...]


class Policy(NamedTuple):
    """Everything a policy file says. Groups stand after the witnesses and groups they name."""

    logs: tuple[Log, ...]
    witnesses: tuple[Witness, ...]
    groups: tuple[Group, ...]
    quorum: str

    @classmethod
    def for_log(cls, key: VerifierKey) -> Policy:
        """One log, and nobody who has to cosign: epoch 0 of a solo chain."""
        return cls.for_logs([key])

    @classmethod
    def for_logs(cls, keys: Iterable[VerifierKey]) -> Policy:
        """Any of these, and nobody who has to cosign: epoch 0 of a chain with validators."""
        return cls(tuple(map(Log, keys)), (), (), NO_QUORUM)


def parse_policy(data: bytes) -> Policy:
    """The policy in the file, or nothing of it.

    Raises `Refused`: ``POLICY_MALFORMED`` with the line, ``VKEY_MALFORMED``, ``KEY_REFUSED``.
    """
    # Octets above 0x7F are opaque to the specification. Surrogate escapes keep each one apart from every
    # other.
    text = data.decode("utf-8", "surrogateescape")
    lines = text.split("\n")
    if len(data) > POLICY_BYTES_MAX or len(lines) > LINES_MAX or _CONTROL.search(text):
        raise Refused("POLICY_MALFORMED", reason="too long, or with control characters", bytes=len(data))
    # A file whose last line was cut short may have lost members of a group, and so say less than was meant.
    if lines.pop():
        raise Refused("POLICY_MALFORMED", reason="the last line does not end in a line feed")
    reader = _Reader()
    for number, line in enumerate(lines, start=1):
        words = [word for word in _BLANK.split(line) if word]
        if words and not words[0].startswith("#"):
            reader.read(number, words)
    return reader.finish()


def format_policy(policy: Policy) -> bytes:
    """The file that says this policy: logs, witnesses, groups, quorum, in the order given."""
    lines = [["log", encode_vkey(log.key), log.url or ""] for log in policy.logs]
    lines += [["witness", each.name, encode_vkey(each.key), each.url or ""] for each in policy.witnesses]
    lines += [["group", group.name, str(group.threshold), *group.members] for group in policy.groups]
    lines.append(["quorum", policy.quorum])
    text = "".join(" ".join(filter(None, words)) + "\n" for words in lines)
    data = text.encode("utf-8", "surrogateescape")
    # Whatever a caller put together must read back as the same policy, or it is not written.
    if parse_policy(data) != policy:
        raise Refused("POLICY_MALFORMED", reason="does not read back as the same policy")
    return data


def verify_checkpoint(policy: Policy, note_text: str) -> Checkpoint:
    """What the note states, once a listed log has signed it and the quorum has cosigned it.

    Raises `Unverified`, in this order: ``NOTE_MALFORMED``, ``CHECKPOINT_MALFORMED``, ``LOG_UNKNOWN`` (no
    listed log has this origin), ``SIGNATURE_INVALID`` (a line of a known key does not verify),
    ``LOG_SIGNATURE_MISSING``, ``QUORUM_NOT_MET``.
    """
    checkpoint = parse_checkpoint(split_note(note_text)[0])
    # Only the keys of the log that the first line names count: another log's key signs nothing here.
    logs = [log.key for log in policy.logs if log.key.name == checkpoint.origin]
    if not logs:
        raise Unverified("LOG_UNKNOWN", origin=checkpoint.origin)
    opened = _open(note_text, [*logs, *(witness.key for witness in policy.witnesses)], checkpoint)
    signed = {signature.key for signature in opened.signatures}
    if signed.isdisjoint(logs):
        raise Unverified("LOG_SIGNATURE_MISSING", origin=checkpoint.origin)
    cosigned = {witness.name for witness in policy.witnesses if witness.key in signed}
    if not is_quorum(policy, cosigned):
        raise Unverified("QUORUM_NOT_MET", quorum=policy.quorum, cosigned=sorted(cosigned))
    return checkpoint


def is_quorum(policy: Policy, cosigned: set[str]) -> bool:
    """Whether the witnesses of these names are enough."""
    if policy.quorum == NO_QUORUM:
        return True
    met = set(cosigned)
    # Groups name only what stands before them, so one pass in order is enough.
    for group in policy.groups:
        if sum(member in met for member in group.members) >= group.threshold:
            met.add(group.name)
    return policy.quorum in met


def _open(note_text: str, keys: list[VerifierKey], checkpoint: Checkpoint) -> OpenedNote:
    try:
        return open_note(note_text, keys)
    except Unverified as error:
        if error.code != "NOTE_UNSIGNED":
            raise
        raise Unverified("LOG_SIGNATURE_MISSING", origin=checkpoint.origin) from None


class _Reader:
    """The lines of a policy file taken in one after the other."""

    def __init__(self) -> None:
        self._logs: list[Log] = []
        self._witnesses: list[Witness] = []
        self._groups: list[Group] = []
        self._defined: set[str] = set()
        self._members: set[str] = set()
        self._quorum: str | None = None

    def read(self, number: int, words: list[str]) -> None:
        """Take in one line that is neither empty nor a comment."""
        match words:
            case ["log", vkey, *url] if len(url) <= 1:
                self._read_log(number, vkey, url)
            case ["witness", name, vkey, *url] if len(url) <= 1:
                self._read_witness(number, name, vkey, url)
            case ["group", name, threshold, *members] if members:
                self._read_group(number, name, threshold, members)
            case ["quorum", name]:
                if self._quorum is not None:
                    raise _malformed(number, reason="a second quorum")
                if name != NO_QUORUM and name not in self._defined:
                    raise _malformed(number, reason="not defined on a line before", name=name)
                self._quorum = name
            case _:
                raise _malformed(number, reason="not a line of a policy", words=words[:3])

    def finish(self) -> Policy:
        """The policy, now that all lines are read."""
        if self._quorum is None:
            raise Refused("POLICY_MALFORMED", reason="no quorum")
        return Policy(tuple(self._logs), tuple(self._witnesses), tuple(self._groups), self._quorum)

    def _read_log(self, number: int, vkey: str, url: list[str]) -> None:
        key = decode_vkey(vkey)
        if key.kind != ED25519:
            raise _malformed(number, reason="not a log's key", kind=key.kind)
        if any(log.key.public == key.public for log in self._logs):
            raise _malformed(number, reason="this log's public key is listed already")
        self._logs.append(Log(key, *url))

    def _read_witness(self, number: int, name: str, vkey: str, url: list[str]) -> None:
        key = decode_vkey(vkey)
        if key.kind != COSIGNATURE_V1:
            raise _malformed(number, reason="not a cosigner's key", kind=key.kind)
        if any(witness.key.public == key.public for witness in self._witnesses):
            raise _malformed(number, reason="this witness's public key is listed already")
        self._define(number, name)
        self._witnesses.append(Witness(name, key, *url))

    def _read_group(self, number: int, name: str, threshold: str, members: list[str]) -> None:
        for member in members:
            if member not in self._defined:
                raise _malformed(number, reason="not defined on a line before", name=member)
            # Once only, in all groups together: nobody may count twice towards a quorum.
            if member in self._members:
                raise _malformed(number, reason="a member of a group already", name=member)
            self._members.add(member)
        if threshold in ("all", "any"):
            count = len(members) if threshold == "all" else 1
        elif _THRESHOLD.fullmatch(threshold) and int(threshold) <= len(members):
            count = int(threshold)
        else:
            raise _malformed(number, reason="not a threshold for its members", threshold=threshold)
        self._define(number, name)
        self._groups.append(Group(name, count, tuple(members)))

    def _define(self, number: int, name: str) -> None:
        if name == NO_QUORUM or name in self._defined:
            raise _malformed(number, reason="the name is taken", name=name)
        self._defined.add(name)


def _malformed(number: int, **facts: object) -> Refused:
    return Refused("POLICY_MALFORMED", line=number, **facts)
