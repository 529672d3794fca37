"""Gathering: whenever the log has a new checkpoint, each witness of the policy is asked to cosign it, and
what they say stands under it from then on.

    DIR/witnesses.txt     a C2SP tlog-policy: this log, its witnesses with their addresses, and the quorum
    DIR/witnessed.note    the newest checkpoint that met the quorum

Witnesses are asked side by side and waited for no longer than a few seconds. While they answer the log may
go on; the next round is about the checkpoint of then. A witness that has seen more of this log than there
is, or another log, is reported for what it is: the node may have been restored from an old backup.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import structlog

from ledger.errors import CommonpointError, Unverified
from ledger.log.note import Checkpoint, add_signature_lines, parse_checkpoint, split_note
from ledger.log.policy import Policy, parse_policy, verify_checkpoint
from node.keystore import Unusable
from node.storage.atomic import read_file, replace_file
from node.witnessing.client import WitnessClient, WitnessRefused

log = structlog.get_logger()
WITNESSES_FILE: Final = "witnesses.txt"
WITNESSED_FILE: Final = "witnessed.note"
POLL_SECONDS: Final = 0.5
AGAIN_SECONDS: Final = 10.0
"""So long after a round that did not meet the quorum the same checkpoint is submitted again."""
_SERIOUS: Final = frozenset({"WITNESS_AHEAD", "WITNESS_DISAGREES"})


class WitnessedLog(Protocol):
    """What gathering needs of a node's core."""

    @property
    def checkpoint(self) -> str:
        """The newest signed checkpoint."""
        ...

    def prove_consistency(self, old: int, new: int) -> Sequence[bytes]:
        """A consistency proof between two sizes."""
        ...

    def add_cosignatures(self, note: str) -> None:
        """This note is shown in the place of the same checkpoint with fewer lines."""
        ...


class Round(NamedTuple):
    """What came of asking every witness once."""

    checkpoint: Checkpoint
    note: str
    is_met: bool
    """Whether the quorum cosigned."""
    refusals: list[WitnessRefused]


def read_witnesses(directory: Path, *, chain: str) -> Policy | None:
    """The policy in a data directory, or None where nobody is to be asked. Raises `Refused` or `Unusable`."""
    data = read_file(directory / WITNESSES_FILE)
    if data is None:
        return None
    policy = parse_policy(data)
    if not any(entry.key.name == chain for entry in policy.logs):
        advice = "Name this log in it: its verifier key is in policy.txt."
        raise Unusable("POLICY_OF_ANOTHER_LOG", advice=advice, path=str(directory / WITNESSES_FILE))
    return policy


class Gatherer:
    """Asks the witnesses of one policy. `start` begins a thread; without it `gather` is one round."""

    def __init__(self, core: WitnessedLog, policy: Policy, directory: Path) -> None:
        self._core = core
        self._policy = policy
        self._path = directory / WITNESSED_FILE
        self._clients = [WitnessClient(each.url, each.key) for each in policy.witnesses if each.url]
        self._pool = ThreadPoolExecutor(max(1, len(self._clients)), thread_name_prefix="witness")
        self._stopping = threading.Event()
        self._done: str | None = None
        """The text of the checkpoint that needs no further round."""
        self._told: dict[str, str] = {}
        self.on_met: Callable[[Checkpoint, str], None] = lambda _checkpoint, _note: None
        """Called with each checkpoint that met the quorum, and its note."""
        self._thread = threading.Thread(target=self._run, name="witnessing", daemon=True)

    def start(self) -> None:
        """Each new checkpoint is submitted from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Nobody is asked any more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for client in self._clients:
            client.close()

    def gather(self) -> Round:
        """Every witness is asked to cosign the newest checkpoint."""
        note = self._core.checkpoint
        checkpoint = parse_checkpoint(split_note(note)[0])
        body, _ = split_note(note)
        asked = [
            self._pool.submit(client.submit, checkpoint, note, prove=self._core.prove_consistency)
            for client in self._clients
        ]
        refusals: list[WitnessRefused] = []
        known = {(name, raw[:4]) for name, raw in split_note(note)[1]}
        for client, answer in zip(self._clients, asked, strict=True):
            try:
                line = answer.result()
            except WitnessRefused as refusal:
                refusals.append(refusal)
                self._tell(client, refusal)
                continue
            self._told.pop(client.key.name, None)
            if (client.key.name, client.key.note_id) not in known:
                note = add_signature_lines(note, line)
        try:
            verify_checkpoint(self._policy, note)
            is_met = True
        except Unverified:
            is_met = False
        if is_met:
            # First on the disk: what was shown as witnessed is so after a crash, too.
            replace_file(self._path, note.encode())
            self.on_met(checkpoint, note)
            self._done = body
        self._core.add_cosignatures(note)
        return Round(checkpoint, note, is_met, refusals)

    def _tell(self, client: WitnessClient, refusal: WitnessRefused) -> None:
        """Once for each reason: a witness that is down for a day is one line."""
        if self._told.get(client.key.name) == refusal.code:
            return
        self._told[client.key.name] = refusal.code
        say = log.critical if refusal.code in _SERIOUS else log.warning
        say("a witness did not cosign", error=str(refusal), witness=client.key.name)

    def _run(self) -> None:
        pause = POLL_SECONDS
        while not self._stopping.wait(pause):
            pause = POLL_SECONDS
            body, _ = split_note(self._core.checkpoint)
            if body == self._done:
                continue
            try:
                if not self.gather().is_met:
                    pause = self._wait_for_news(body)
            except CommonpointError as error:
                log.warning("gathering cosignatures failed", error=str(error))
                pause = AGAIN_SECONDS

    def _wait_for_news(self, body: str) -> float:
        """Until there is a new checkpoint, or it is time to ask about this one again."""
        waited = 0.0
        while waited < AGAIN_SECONDS and not self._stopping.wait(POLL_SECONDS):
            waited += POLL_SECONDS
            if split_note(self._core.checkpoint)[0] != body:
                break
        return 0.0
