"""Before a node signs anything: its head is no older than what its witnesses have cosigned, and is of the
same history.

A node restored from an old backup knows less than the world has seen of it. If it went on from there, its
next checkpoint would be a second history, and its own signatures would prove that against it. So each witness
is asked for the checkpoint it cosigned last, and the newest note that this folder has kept is looked at too.
A witness that cannot be reached is said and not waited for: it cosigns no second history anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import httpx2
import structlog

from ledger.errors import CommonpointError, Unverified
from ledger.log.note import Checkpoint, VerifierKey, open_note, parse_checkpoint
from ledger.log.policy import Policy
from node.storage.atomic import read_file
from node.witness.desk import hash_origin
from node.witnessing.gathering import WITNESSED_FILE

log = structlog.get_logger()
_TIMEOUT_SECONDS: Final = 5.0
_NOTE_BYTES_MAX: Final = 1_000_000
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

    def __call__(self, size: int, compute_root: ComputeRoot) -> None:
        """The stored log of so many leaves may be signed over. Raises `HeadRefused`."""
        for who, seen in self._list_seen():
            if seen.size > size:
                raise HeadRefused("HEAD_BEHIND_WITNESSES", size=size, seen=seen.size, witness=who)
            if seen.size and compute_root(seen.size) != seen.root:
                raise HeadRefused("HEAD_DIFFERS_FROM_WITNESSES", size=size, seen=seen.size, witness=who)

    def _list_seen(self) -> Iterator[tuple[str, Checkpoint]]:
        policy = self._policy
        if policy is None:
            return
        kept = read_file(self._directory / WITNESSED_FILE)
        logs = [entry.key for entry in policy.logs if entry.key.name == self._chain]
        if kept is not None:
            yield from self._read("this folder", kept, logs)
        for witness in policy.witnesses:
            if witness.url is None:
                continue
            data = _ask(f"{witness.url.rstrip('/')}/{hash_origin(self._chain)}/checkpoint", witness.name)
            if data is not None:
                yield from self._read(witness.name, data, [witness.key])

    def _read(self, who: str, data: bytes, keys: list[VerifierKey]) -> Iterator[tuple[str, Checkpoint]]:
        """The checkpoint in a note that one of these keys signed; what is none says nothing."""
        try:
            checkpoint = parse_checkpoint(open_note(data.decode("utf-8", "replace"), keys).body)
        except Unverified as error:
            log.warning("a witness shows no checkpoint of its own", witness=who, error=str(error))
            return
        if checkpoint.origin == self._chain:
            yield who, checkpoint


def _ask(url: str, name: str) -> bytes | None:
    """What is shown there, or None."""
    try:
        response = httpx2.get(url, timeout=_TIMEOUT_SECONDS, follow_redirects=False)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        log.warning("a witness was not reached", witness=name, error=str(error) or type(error).__name__)
        return None
    if response.status_code == httpx2.codes.OK and len(response.content) <= _NOTE_BYTES_MAX:
        data: bytes = response.content
        return data
    if response.status_code != httpx2.codes.NOT_FOUND:
        log.warning("a witness did not answer", witness=name, status=response.status_code)
    return None
