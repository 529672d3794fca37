"""One witness as a log's node meets it: submit a checkpoint, learn what the witness has seen, hand over a
proof from there, and take nothing for a cosignature that does not verify.

C2SP tlog-witness leaves it to the log to know what the witness saw last. It is remembered here while the
node runs; a 409 says it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import httpx2

from ledger.errors import CommonpointError, Unverified
from ledger.log.note import Checkpoint, VerifierKey, add_signature_lines, open_note, split_note
from node.witness.protocol import SIZE_TYPE, format_submission, parse_size

Prove = Callable[[int, int], Sequence[bytes]]
"""The consistency proof between two sizes of the log, the older first and above nothing."""
_TIMEOUT_SECONDS: Final = 10.0
_ATTEMPTS_MAX: Final = 3
_REPLY_CHARACTERS_MAX: Final = 65_536


class WitnessRefused(CommonpointError):
    """The witness did not cosign. ``code`` says what to think of it:

    ``WITNESS_AHEAD`` it has seen more of this log than there is; ``WITNESS_DISAGREES`` it has seen another
    log (422); ``WITNESS_UNREACHABLE``; ``WITNESS_ANSWERED`` anything else, with its status.
    """


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
            response = self._post(format_submission(old=old, proof=proof, note=note))
            if response.status_code == httpx2.codes.OK:
                lines = self._check_lines(note, response.text)
                self._seen = checkpoint.size
                return lines
            size = parse_size(response.text[:_REPLY_CHARACTERS_MAX])
            is_told = response.headers.get("content-type", "").split(";")[0].strip() == SIZE_TYPE
            if response.status_code != httpx2.codes.CONFLICT or size is None or not is_told or size == old:
                raise self._refuse(response)
            # It has seen another size than we thought: from there on, then.
            self._seen = size
        raise WitnessRefused("WITNESS_ANSWERED", name=self.key.name, status=409, attempts=_ATTEMPTS_MAX)

    def _post(self, body: bytes) -> httpx2.Response:
        try:
            return self._client.post(self._url, content=body, headers={"content-type": "text/plain"})
        except httpx2.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise WitnessRefused("WITNESS_UNREACHABLE", name=self.key.name, reason=reason) from None

    def _refuse(self, response: httpx2.Response) -> WitnessRefused:
        code = "WITNESS_ANSWERED"
        if response.status_code == httpx2.codes.UNPROCESSABLE_CONTENT:
            code = "WITNESS_DISAGREES"
        told = response.text[:200].strip()
        return WitnessRefused(code, name=self.key.name, status=response.status_code, told=told)

    def _check_lines(self, note: str, reply: str) -> str:
        """Those lines of the answer that this witness's key made; lines of keys we do not know are let go."""
        try:
            body, _ = split_note(note)
            both = add_signature_lines(f"{body}\n", reply[:_REPLY_CHARACTERS_MAX])
            signatures = open_note(both, [self.key]).signatures
            parsed = split_note(both)[1]
        except Unverified as error:
            raise WitnessRefused("WITNESS_ANSWERED", name=self.key.name, reason=str(error)) from None
        if not signatures[0].time_seconds:
            raise WitnessRefused("WITNESS_ANSWERED", name=self.key.name, reason="no time in the cosignature")
        lines = reply.splitlines(keepends=True)
        own = (self.key.name, self.key.note_id)
        return next(line for line, (name, raw) in zip(lines, parsed, strict=True) if (name, raw[:4]) == own)
