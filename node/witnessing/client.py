"""One witness as a log's node meets it: submit a checkpoint, learn what the witness has seen, hand over a
proof from there, and take nothing for a cosignature that does not verify.

C2SP tlog-witness leaves it to the log to know what the witness saw last. It is remembered here while the
node runs; a 409 says it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final, NamedTuple

import httpx2

from ledger.errors import CommonpointError, Unverified
from ledger.log.note import Checkpoint, VerifierKey, add_signature_lines, open_note, split_note
from node.witness.protocol import SIZE_TYPE, format_submission, parse_size

Prove = Callable[[int, int], Sequence[bytes]]
"""The consistency proof between two sizes of the log, the older first and above nothing."""
_TIMEOUT_SECONDS: Final = 10.0
"""For every wait, and for an answer as a whole: one that comes byte by byte holds nobody up."""
_ATTEMPTS_MAX: Final = 3
_REPLY_BYTES_MAX: Final = 65_536


class WitnessRefused(CommonpointError):
    """The witness did not cosign. ``code`` says what to think of it:

    ``WITNESS_AHEAD`` it has seen more of this log than there is; ``WITNESS_DISAGREES`` it has seen another
    log (422); ``WITNESS_UNREACHABLE``; ``WITNESS_ANSWERED`` anything else, with its status.
    """


class _Answer(NamedTuple):
    """What was heard."""

    status: int
    kind: str
    """The media type, without parameters."""
    body: str
    """Bytes that are no UTF-8 stand in it as lone surrogates, which no note can hold."""
    is_whole: bool
    """Whether it ended within the bytes that any answer takes."""


class WitnessClient:
    """The witness of this key under this URL. For one thread."""

    def __init__(self, url: str, key: VerifierKey) -> None:
        self.key = key
        self._url = f"{url.rstrip('/')}/add-checkpoint"
        self._client = httpx2.Client(timeout=_TIMEOUT_SECONDS, follow_redirects=False)
        self._seen = 0
        """The size of the checkpoint that it cosigned last, as far as is known."""

    def close(self) -> None:
        """The connection is closed."""
        self._client.close()

    def submit(self, checkpoint: Checkpoint, note: str, *, prove: Prove) -> str:
        """The witness's signature lines under this note, verified. Raises `WitnessRefused`."""
        for _ in range(_ATTEMPTS_MAX):
            old = self._seen
            if old > checkpoint.size:
                raise WitnessRefused("WITNESS_AHEAD", name=self.key.name, seen=old, size=checkpoint.size)
            proof = prove(old, checkpoint.size) if 0 < old < checkpoint.size else ()
            answer = self._post(format_submission(old=old, proof=proof, note=note))
            if answer.status == httpx2.codes.OK:
                lines = self._check_lines(note, answer)
                self._seen = checkpoint.size
                return lines
            size = parse_size(answer.body)
            is_told = answer.status == httpx2.codes.CONFLICT and answer.kind == SIZE_TYPE
            if not is_told or size is None or size == old:
                raise self._refuse(answer)
            # It has seen another size than we thought: from there on, then.
            self._seen = size
        raise WitnessRefused("WITNESS_ANSWERED", name=self.key.name, status=409, attempts=_ATTEMPTS_MAX)

    def _post(self, body: bytes) -> _Answer:
        # Read as it is sent: what would be unpacked has no size that could be known before.
        headers = {"content-type": "text/plain", "accept-encoding": "identity"}
        end = monotonic() + _TIMEOUT_SECONDS
        data = bytearray()
        try:
            with self._client.stream("POST", self._url, content=body, headers=headers) as response:
                for part in response.iter_raw():
                    data += part
                    if len(data) > _REPLY_BYTES_MAX:
                        break
                    if monotonic() > end:
                        raise httpx2.ReadTimeout("the answer does not end")
        except httpx2.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise WitnessRefused("WITNESS_UNREACHABLE", name=self.key.name, reason=reason) from None
        kind = response.headers.get("content-type", "").split(";")[0].strip()
        is_whole = len(data) <= _REPLY_BYTES_MAX
        text = bytes(data[:_REPLY_BYTES_MAX]).decode("utf-8", "surrogateescape")
        return _Answer(response.status_code, kind, text, is_whole)

    def _refuse(self, answer: _Answer) -> WitnessRefused:
        code = "WITNESS_ANSWERED"
        if answer.status == httpx2.codes.UNPROCESSABLE_CONTENT:
            code = "WITNESS_DISAGREES"
        told = answer.body[:200].strip().encode("utf-8", "replace").decode()
        return WitnessRefused(code, name=self.key.name, status=answer.status, told=told)

    def _check_lines(self, note: str, answer: _Answer) -> str:
        """Those lines of the answer that this witness's key made; lines of keys we do not know are let go."""
        reply = answer.body
        if not answer.is_whole:
            reason = f"more than {_REPLY_BYTES_MAX} bytes"
            raise WitnessRefused("WITNESS_ANSWERED", name=self.key.name, reason=reason)
        try:
            body, _ = split_note(note)
            both = add_signature_lines(f"{body}\n", reply)
            opened = open_note(both, [self.key])
            parsed = split_note(both)[1]
        except Unverified as error:
            raise WitnessRefused("WITNESS_ANSWERED", name=self.key.name, reason=str(error)) from None
        if opened.body != body:
            # An empty line in the answer would make what stands before it part of what was signed.
            raise WitnessRefused("WITNESS_ANSWERED", name=self.key.name, reason="not signature lines alone")
        if not opened.signatures[0].time_seconds:
            raise WitnessRefused("WITNESS_ANSWERED", name=self.key.name, reason="no time in the cosignature")
        lines = reply.removesuffix("\n").split("\n")
        own = (self.key.name, self.key.note_id)
        return next(
            f"{line}\n" for line, (name, raw) in zip(lines, parsed, strict=True) if (name, raw[:4]) == own
        )
