"""What is gathered for: which checkpoint, whose cosignatures, and when they are enough.

As a rule that is the newest checkpoint, and the alliance's policy for its size. Two things change it.

*A later policy was enacted.* Clients believe it only under a checkpoint that satisfies the one before. So
that quorum is gathered first, and for nothing else meanwhile. Where the log's key stays, any checkpoint from
the enactment on will do, and the newest is taken. Where it changes there is one alone: that over the very
block of the enactment, the last that the old key may sign. It is kept on the disk until the old quorum has
cosigned it, for a witness that has seen a larger tree cosigns no smaller one.

*The data directory has a list of its own* (``witnesses.txt``): its witnesses are asked besides, it says where
those are that the policy lists without an address, and it is what has to be met as long as the alliance has
no quorum.

    DIR/handover.note    the checkpoint that is held on to, with the lines that it has so far
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import structlog

from ledger.enactments import Enacted
from ledger.errors import CommonpointError, Unverified
from ledger.log.note import Checkpoint, parse_checkpoint, split_note
from ledger.log.policy import NO_QUORUM, Policy, Witness, parse_policy, verify_checkpoint
from ledger.policy_chain import derive_policy, drop_quorum
from node.policies import Ledger, PolicyKeeper, find_epoch_of, list_texts
from node.storage.atomic import read_file, replace_file

log = structlog.get_logger()
HANDOVER_FILE: Final = "handover.note"


class GoverningCore(Ledger, Protocol):
    """What is asked of a node's core."""

    @property
    def policies(self) -> PolicyKeeper:
        """The trust policies of this ledger."""
        ...


class Aim(NamedTuple):
    """A checkpoint, and the policy that it has to satisfy."""

    note: str
    policy: Policy
    hands_over: bool = False
    """It is for the policy before the next."""


class Aims:
    """Says what to gather for next. For one thread, but for `hold`."""

    def __init__(self, core: GoverningCore, listed: Policy | None, directory: Path) -> None:
        self._core = core
        self._listed = listed
        self._path = directory / HANDOVER_FILE
        self._lost = -1

    def hold(self, note: str) -> None:
        """A checkpoint that may be the last of a key that was retired is on the disk while it is awaited."""
        pending = self._find_pending()
        if pending is not None and _read_size(note) == pending.above and read_file(self._path) is None:
            replace_file(self._path, note.encode())

    def choose(self) -> Aim:
        """The next aim."""
        newest = self._core.checkpoint
        pending = self._find_pending()
        if pending is not None:
            before = self._find_before()
            self.hold(newest)
            kept = read_file(self._path)
            held = [] if kept is None else [kept.decode("utf-8", "replace")]
            for note in (newest, *held):
                if _may_hand_over(note, before, pending):
                    return Aim(note, self._complete(before), hands_over=True)
            if self._lost != pending.above:
                self._lost = pending.above
                log.critical("no checkpoint can hand over to the next policy any more", size=pending.above)
        return Aim(newest, self._complete(self._find_judge(newest)))

    def take(self, aim: Aim, note: str) -> bool:
        """Whether the aim is met by this note, which is the same with more lines."""
        if not aim.hands_over:
            return is_met(aim.policy, note)
        if self._core.policies.offer(note):
            self._path.unlink(missing_ok=True)
            return True
        kept = read_file(self._path)
        if kept is not None and split_note(kept.decode())[0] == split_note(note)[0]:
            replace_file(self._path, note.encode())
        return False

    def _find_pending(self) -> Enacted | None:
        """The next policy, where it was enacted and nothing hands over to it yet."""
        if not list_texts(self._core):
            return None
        keeper = self._core.policies
        known = len(keeper.list_steps())
        enacted = keeper.list_enacted()
        return enacted[known] if known < len(enacted) else None

    def _find_before(self) -> Policy:
        known = len(self._core.policies.list_steps())
        return self._get_policy(known)

    def _find_judge(self, note: str) -> Policy:
        return self._get_policy(find_epoch_of(self._core, note))

    def _get_policy(self, epoch: int) -> Policy:
        if not epoch:
            return derive_policy(self._core.origin)
        return parse_policy(list_texts(self._core)[epoch - 1].policy.encode())

    def _complete(self, policy: Policy) -> Policy:
        """The policy with what the directory's own list adds to it."""
        listed = self._listed
        if listed is None:
            return policy
        if policy.quorum == NO_QUORUM:
            return listed._replace(
                logs=(*policy.logs, *(each for each in listed.logs if each not in policy.logs))
            )
        urls = {each.key: each.url for each in listed.witnesses}
        known = {each.key for each in policy.witnesses}
        own = [each._replace(url=each.url or urls.get(each.key)) for each in policy.witnesses]
        # Under a name that no policy can have: no group of the alliance's counts them.
        others = [
            Witness(f"+{each.name}", each.key, each.url) for each in listed.witnesses if each.key not in known
        ]
        return policy._replace(witnesses=(*own, *others))


def is_met(policy: Policy, note: str) -> bool:
    """Whether the checkpoint satisfies the policy, quorum and all."""
    with suppress(Unverified):
        verify_checkpoint(policy, note)
        return True
    return False


def _may_hand_over(note: str, before: Policy, pending: Enacted) -> bool:
    """Whether the checkpoint can become what shows the next policy, once it is cosigned."""
    size = _read_size(note)
    judge = before
    if size > pending.above:
        kept = {log.key for log in parse_policy(pending.text.encode()).logs}
        judge = before._replace(logs=tuple(each for each in before.logs if each.key in kept))
    return size >= pending.above and is_met(drop_quorum(judge), note)


def _read_size(note: str) -> int:
    """The size that a note states; 0 for what is no checkpoint."""
    with suppress(CommonpointError):
        return _read(note).size
    return 0


def _read(note: str) -> Checkpoint:
    return parse_checkpoint(split_note(note)[0])
