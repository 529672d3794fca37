"""What a witness may say, and that it says it once.

For each log, known by its origin, the newest checkpoint that was cosigned is kept. A submission is held
against it and, where it continues it, replaces it on the disk before anything is signed; both under one lock,
so that of two submissions at one size the second finds what the first has left. Whoever hears of a
cosignature can therefore count on it: after a crash the witness knows at least what it has told anybody.

The checks and their order are those of C2SP tlog-witness: 400, 404, 403, 400, 409, 422, 200.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final

import structlog

from ledger.codec import encode
from ledger.errors import CommonpointError, InvariantBroken, Refused, Unverified
from ledger.keys import Signer
from ledger.log.merkle import EMPTY_ROOT, verify_consistency
from ledger.log.note import (
    ED25519,
    Checkpoint,
    VerifierKey,
    add_signature_lines,
    cosign,
    open_note,
    parse_checkpoint,
    split_note,
)
from node.storage.atomic import read_file, replace_file
from node.witness.protocol import SIZE_TYPE, Reply, Submission, parse_submission

log = structlog.get_logger()
LOGS_FOLDER: Final = "logs"
Step = Callable[[str], None]


class WitnessDesk:
    """One witness: a name, a key, the logs it knows, and what it has seen of each. Any thread."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        signer: Signer,
        logs: Iterable[VerifierKey],
        clock: Callable[[], int],
        on_step: Step = lambda _step: None,
    ) -> None:
        """``clock`` tells POSIX seconds. Raises `InvariantBroken` where what was kept cannot be read."""
        self._folder = folder / LOGS_FOLDER
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._name = name
        self._signer = signer
        self._clock = clock
        self._on_step = on_step
        self._keys: dict[str, list[VerifierKey]] = {}
        for key in logs:
            if key.kind != ED25519:
                raise Refused("VKEY_MALFORMED", reason="not a log's key", name=key.name)
            self._keys.setdefault(key.name, []).append(key)
        self._locks = {origin: threading.Lock() for origin in self._keys}
        self._seen = {origin: self._read_seen(origin) for origin in self._keys}
        self._served: dict[str, str] = {}
        for origin in self._keys:
            self._read_served(origin)

    def add_checkpoint(self, data: bytes) -> Reply:
        """The answer to a submission; a cosignature only for what continues everything seen before."""
        try:
            submission = parse_submission(data)
        except Refused as refusal:
            return Reply(400, f"{refusal.facts['reason']}\n")
        origin, size, _ = submission.checkpoint
        if origin not in self._keys:
            return Reply(404, "this log is not known here\n")
        try:
            body = open_note(submission.note, self._keys[origin]).body
        except Unverified as error:
            return Reply(403, f"{error.code}\n")
        if submission.old > size:
            return Reply(400, "the old size is above the checkpoint's\n")
        with self._locks[origin]:
            return self._decide(submission, body)

    def read_checkpoint(self, origin_hash: str) -> str | None:
        """The newest checkpoint of a log under our cosignature, or None where there is none."""
        return self._served.get(origin_hash)

    def _decide(self, submission: Submission, body: str) -> Reply:
        """The answer, where the log has signed. Under the log's lock."""
        checkpoint = submission.checkpoint
        seen = self._seen[checkpoint.origin]
        if submission.old != seen.size:
            return Reply(409, f"{seen.size}\n", SIZE_TYPE)
        try:
            # Between equal sizes the roots have to be the same, so an empty tree has the empty root.
            verify_consistency(
                old=seen.size,
                old_root=seen.root,
                new=checkpoint.size,
                new_root=checkpoint.root,
                proof=submission.proof,
            )
        except Unverified as error:
            self._keep_evidence(submission, seen)
            log.warning("a checkpoint does not continue", origin=checkpoint.origin, error=str(error))
            return Reply(422, f"{error.code}\n")
        path = self._get_path(checkpoint.origin)
        replace_file(path, submission.note.encode())
        self._seen[checkpoint.origin] = checkpoint
        self._on_step("kept")
        line = cosign(body=body, name=self._name, time_seconds=self._clock(), signer=self._signer)
        self._on_step("signed")
        # Only the log's own lines: those of others are theirs to hand out.
        lines = _pick_lines(submission.note, body, self._keys[checkpoint.origin])
        note = add_signature_lines(f"{body}\n{lines}", line)
        replace_file(path.with_suffix(".cosigned"), note.encode())
        self._served[path.stem] = note
        return Reply(200, line)

    def _keep_evidence(self, submission: Submission, seen: Checkpoint) -> None:
        """Two trees of one size, both signed by the log, show by themselves that it forked. The first such
        pair is kept. A proof that does not hold shows nothing: anybody can spoil one.
        """
        path = self._get_path(seen.origin)
        kept = path.with_suffix(".evidence")
        if submission.checkpoint.size == seen.size > 0 and not kept.exists():
            notes = [(read_file(path) or b"").decode(), submission.note]
            replace_file(kept, encode({"chain": seen.origin, "notes": notes}) + b"\n")

    def _read_seen(self, origin: str) -> Checkpoint:
        data = read_file(self._get_path(origin))
        if data is None:
            return Checkpoint(origin, 0, EMPTY_ROOT)
        try:
            seen = parse_checkpoint(split_note(data.decode())[0])
        except (CommonpointError, UnicodeError) as error:
            raise InvariantBroken("WITNESS_RECORD", origin=origin, reason=str(error)) from None
        if seen.origin != origin:
            raise InvariantBroken("WITNESS_RECORD", origin=origin, found=seen.origin)
        return seen

    def _read_served(self, origin: str) -> None:
        path = self._get_path(origin)
        data = read_file(path.with_suffix(".cosigned"))
        if data is not None:
            self._served[path.stem] = data.decode()

    def _get_path(self, origin: str) -> Path:
        return self._folder / f"{hash_origin(origin)}.note"


def hash_origin(origin: str) -> str:
    """Under which name a witness shows a log's checkpoint: an origin may hold any character."""
    return sha256(origin.encode()).hexdigest()


def _pick_lines(note: str, body: str, keys: list[VerifierKey]) -> str:
    """The lines under the note that these keys made."""
    known = {(key.name, key.note_id) for key in keys}
    lines = note[len(body) + 1 :].splitlines(keepends=True)
    parsed = split_note(note)[1]
    return "".join(line for line, (name, raw) in zip(lines, parsed, strict=True) if (name, raw[:4]) in known)
