"""Before a node signs anything: its head is no older than what its witnesses have cosigned, and is of the
same history.

A node restored from an old backup knows less than the world has seen of it. If it went on from there, its
next checkpoint would be a second history, and its own signatures would prove that against it. So each witness
is asked for the checkpoint it cosigned last, each that follows for its head, and the newest note that this
folder has kept is looked at too: those of the folder's own list, and of every policy the log has enacted.
A witness that cannot be reached is said and not waited for: it cosigns no second history anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import structlog

from ledger.errors import CommonpointError, Unverified
from ledger.log.note import (
    NOTE_CHARACTERS_MAX,
    Checkpoint,
    VerifierKey,
    open_note,
    parse_checkpoint,
    split_note,
)
from ledger.log.policy import Policy, parse_policy
from node.audit.sources import HttpSource, SourceUnavailable
from node.storage.atomic import read_file
from node.witness.desk import hash_origin
from node.witnessing.gathering import WITNESSED_FILE

log = structlog.get_logger()
_TIMEOUT_SECONDS: Final = 5.0
_ADVICE: Final = {
    "HEAD_BEHIND_WITNESSES": (
        "Nothing was signed. This folder is older than what was seen of the log: it may be a backup. Restore "
        "a newer one; or copy the log from a follower (commonpoint node --follow) and start from that. What "
        "came after this backup stands with followers and in merchants' receipts."
    ),
    "HEAD_DIFFERS_FROM_WITNESSES": (
        "Nothing was signed. A witness has cosigned another history under this log's key: find out who else "
        "signs with keys/log.pem, and compare with a follower before anything is started."
    ),
}

ComputeRoot = Callable[[int], bytes]
"""The root over the first so many leaves that are stored."""


class HeadRefused(CommonpointError):
    """The node must not sign on: ``HEAD_BEHIND_WITNESSES``, ``HEAD_DIFFERS_FROM_WITNESSES``."""

    @property
    def advice(self) -> str | None:
        """How to go on."""
        return _ADVICE.get(self.code)


class HeadCheck:
    """What was seen of a log elsewhere, to hold its head against."""

    def __init__(self, chain: str, policy: Policy | None, directory: Path) -> None:
        self._chain = chain
        self._policy = policy
        self._directory = directory

    def __call__(self, size: int, compute_root: ComputeRoot, enacted: Sequence[str] = ()) -> None:
        """The stored log of so many leaves, which has enacted these policies, may be signed over. Raises
        `HeadRefused`.
        """
        listed = [] if self._policy is None else [self._policy]
        for who, seen in self._list_seen([*listed, *(parse_policy(each.encode()) for each in enacted)]):
            if seen.size > size:
                raise HeadRefused("HEAD_BEHIND_WITNESSES", size=size, seen=seen.size, witness=who)
            if seen.size and compute_root(seen.size) != seen.root:
                raise HeadRefused("HEAD_DIFFERS_FROM_WITNESSES", size=size, seen=seen.size, witness=who)

    def _list_seen(self, policies: Sequence[Policy]) -> Iterator[tuple[str, Checkpoint]]:
        kept = read_file(self._directory / WITNESSED_FILE)
        if kept is not None:
            yield from self._read_kept(kept)
        witnesses = (each for policy in policies for each in policy.witnesses if each.url is not None)
        # What a witness has cosigned when it was asked to, and the head of one that follows.
        paths = (f"{hash_origin(self._chain)}/checkpoint", "checkpoint")
        for name, url, key in dict.fromkeys((each.name, each.url, each.key) for each in witnesses):
            for data in _ask(url or "", paths, name):
                yield from self._read(name, data, [key])

    def _read_kept(self, data: bytes) -> Iterator[tuple[str, Checkpoint]]:
        """What this node wrote itself: whose keys stand under it, policies may have changed since."""
        try:
            checkpoint = parse_checkpoint(split_note(data.decode("utf-8", "replace"))[0])
        except Unverified as error:
            log.warning("the newest witnessed checkpoint that was kept does not read", error=str(error))
            return
        if checkpoint.origin == self._chain:
            yield "this folder", checkpoint

    def _read(self, who: str, data: bytes, keys: list[VerifierKey]) -> Iterator[tuple[str, Checkpoint]]:
        """The checkpoint in a note that one of these keys signed; what is none says nothing."""
        try:
            checkpoint = parse_checkpoint(open_note(data.decode("utf-8", "replace"), keys).body)
        except Unverified as error:
            log.warning("a witness shows no checkpoint of its own", witness=who, error=str(error))
            return
        if checkpoint.origin == self._chain:
            yield who, checkpoint


def _ask(url: str, paths: Sequence[str], name: str) -> Iterator[bytes]:
    """What is shown there under these paths."""
    source = HttpSource(url, timeout_seconds=_TIMEOUT_SECONDS, body_seconds=_TIMEOUT_SECONDS)
    try:
        for path in paths:
            data = source.fetch(path, NOTE_CHARACTERS_MAX)
            if data is not None:
                yield data
    except SourceUnavailable as error:
        log.warning("a witness was not reached", witness=name, error=str(error))
    finally:
        source.close()
