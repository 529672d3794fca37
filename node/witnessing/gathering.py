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
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import structlog

from ledger.errors import CommonpointError
from ledger.log.note import Checkpoint, VerifierKey, add_signature_lines, parse_checkpoint, split_note
from ledger.log.policy import NO_QUORUM, Policy, parse_policy
from node.keystore import Unusable
from node.storage.atomic import read_file, replace_file
from node.witnessing.aims import Aim, is_met
from node.witnessing.client import WitnessClient, WitnessRefused

log = structlog.get_logger()
WITNESSES_FILE: Final = "witnesses.txt"
WITNESSED_FILE: Final = "witnessed.note"
POLL_SECONDS: Final = 0.5
ANSWERS_SECONDS: Final = 15.0
"""So long a round waits for all of them together. Who answers later is asked again once that has ended."""
AGAIN_SECONDS: Final = 10.0
"""So long after a round that did not meet the quorum the same checkpoint is submitted again."""
WITNESSES_MAX: Final = 64
"""So many are asked side by side; the others when one of them has answered."""
_SERIOUS: Final = frozenset({"WITNESS_AHEAD", "WITNESS_DISAGREES"})


Place = tuple[str, VerifierKey]
"""A witness: where, and which key."""


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


class Aiming(Protocol):
    """Who says what to gather for: `node.witnessing.aims`, or one policy for ever."""

    def choose(self) -> Aim:
        """The next aim."""
        ...

    def take(self, aim: Aim, note: str) -> bool:
        """Whether the aim is met by this note, which is the same with more lines."""
        ...


class OnePolicy:
    """The newest checkpoint, and one policy."""

    def __init__(self, core: WitnessedLog, policy: Policy) -> None:
        self._core = core
        self._policy = policy

    def choose(self) -> Aim:
        """The newest checkpoint, and the policy."""
        return Aim(self._core.checkpoint, self._policy)

    def take(self, aim: Aim, note: str) -> bool:
        """Whether the policy is satisfied."""
        return is_met(aim.policy, note)


class Gatherer:
    """Asks the witnesses of each aim. `start` begins a thread; without it `gather` is one round."""

    def __init__(self, core: WitnessedLog, aims: Aiming, directory: Path) -> None:
        self._core = core
        self._aims = aims
        self._path = directory / WITNESSED_FILE
        self._clients: dict[Place, WitnessClient] = {}
        self._pool = ThreadPoolExecutor(WITNESSES_MAX, thread_name_prefix="witness")
        self._asked: dict[Place, Future[str]] = {}
        """What each was asked last."""
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
        self._pool.shutdown(wait=False, cancel_futures=True)
        # Whoever is still being listened to is cut off.
        for client in self._clients.values():
            client.close()

    def gather(self) -> Round:
        """Every witness of the policy for it is asked to cosign the checkpoint whose turn it is."""
        aim = self._aims.choose()
        note = aim.note
        checkpoint = parse_checkpoint(split_note(note)[0])
        body, _ = split_note(note)
        self._know(aim.policy)
        clients = list(self._clients.values())
        if not clients and aim.policy.quorum == NO_QUORUM:
            self._done = body
            return Round(checkpoint, note, is_met=True, refusals=[])
        asked = self._ask_all(checkpoint, note)
        refusals: list[WitnessRefused] = []
        known = {(name, raw[:4]) for name, raw in split_note(note)[1]}
        for client, answer in zip(clients, asked, strict=True):
            try:
                line = self._take(client, answer)
            except WitnessRefused as refusal:
                refusals.append(refusal)
                self._tell(client, refusal)
                continue
            self._told.pop(client.key.name, None)
            if (client.key.name, client.key.note_id) not in known:
                note = add_signature_lines(note, line)
        is_met = self._aims.take(aim, note)
        if is_met:
            # First on the disk: what was shown as witnessed is so after a crash, too.
            replace_file(self._path, note.encode())
            self.on_met(checkpoint, note)
            # What handed over may have to satisfy the policy that it handed over to as well.
            self._done = None if aim.hands_over else body
        self._core.add_cosignatures(note)
        return Round(checkpoint, note, is_met, refusals)

    def _ask_all(self, checkpoint: Checkpoint, note: str) -> list[Future[str] | None]:
        """What each answers, once all have or time is up; None for one that is busy with an earlier round."""
        asked: list[Future[str] | None] = []
        for place, client in self._clients.items():
            earlier = self._asked.get(place)
            if earlier is not None and not earlier.done():
                asked.append(None)
                continue
            answer = self._pool.submit(client.submit, checkpoint, note, prove=self._core.prove_consistency)
            self._asked[place] = answer
            asked.append(answer)
        wait_for([answer for answer in asked if answer is not None], timeout=ANSWERS_SECONDS)
        return asked

    def _know(self, policy: Policy) -> None:
        """Whoever this policy lists with an address is asked, and nobody else any more."""
        places = [(each.url, each.key) for each in policy.witnesses if each.url]
        for place in [each for each in self._clients if each not in places]:
            self._asked.pop(place, None)
            self._clients.pop(place).close()
        for url, key in places:
            if (url, key) not in self._clients:
                self._clients[url, key] = WitnessClient(url, key)

    @staticmethod
    def _take(client: WitnessClient, answer: Future[str] | None) -> str:
        """The line, where it came in time. Raises `WitnessRefused`."""
        if answer is None or not answer.done():
            raise WitnessRefused("WITNESS_UNREACHABLE", name=client.key.name, reason="still answering")
        return answer.result()

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
