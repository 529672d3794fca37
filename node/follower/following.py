"""Following: ask the sources for their checkpoints, believe one that the log's key has signed and that
continues what was seen before, and go there.

A checkpoint that does not continue ours ends the following, for good: both notes, each signed by the log,
are kept as evidence. So does a block that does not come out the same; it is named by index and height. A
source that is down, behind or wrong ends nothing: another is asked, or the same again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog

from ledger.codec import encode
from ledger.errors import CommonpointError, InvalidBlock, InvariantBroken, Unverified
from ledger.executor import ExecutedBlock
from ledger.log.merkle import compute_consistency_proof, verify_consistency
from ledger.log.note import NOTE_CHARACTERS_MAX
from ledger.log.policy import Policy, verify_checkpoint
from node.audit.sources import SourceUnavailable
from node.follower.catching_up import WORTH_SHARING, catch_up, catch_up_together
from node.follower.chain import FollowedChain, Target
from node.follower.short import SHORT_LEAVES_MAX, read_short
from node.follower.sources import Source, Sources
from node.follower.verified import VerifiedLog
from node.storage.atomic import replace_file

log = structlog.get_logger()
POLL_SECONDS: Final = 0.5
_EVIDENCE_FILE: Final = "evidence-{size}.json"


class Diverged(CommonpointError):
    """What was read is signed, and is not what executing it makes, or not what was signed before."""

    @property
    def advice(self) -> str:
        """What can be done about it."""
        if self.code == "LOG_FORKED":
            return "The file holds two notes that one log must not have signed both: show it to the alliance."
        return (
            "Either this program or the log's goes by other rules than it should: compare versions, and ask"
            " another node of the alliance. Nothing that differs was stored."
        )


class Follower:
    """One thread that keeps a chain where its sources are."""

    def __init__(
        self, chain: FollowedChain, sources: Sources, *, policy: Policy, poll_seconds: float = POLL_SECONDS
    ) -> None:
        self.chain = chain
        self.sources = sources
        self.failure: CommonpointError | None = None
        self.on_block: Callable[[float, ExecutedBlock], None] = lambda _seconds, _block: None
        self.on_shown: Callable[[], None] = lambda: None
        """Called when readers see a new head."""
        self.on_failure: Callable[[], None] = lambda: None
        self._policy = policy
        self._poll_seconds = poll_seconds
        self._stopping = threading.Event()
        self._silent: set[str] = set()
        """Sources of which it was said already that they give no checkpoint."""
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    @property
    def is_following(self) -> bool:
        """Whether the head goes on when the sources' does."""
        return self.failure is None and not self._stopping.is_set() and self._thread.is_alive()

    def start(self) -> None:
        """From here on the head goes on by itself."""
        self._thread.start()

    def stop(self) -> None:
        """The block in hand is finished; what was stored is folded."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        if self.failure is None:
            self.chain.fold_all()
        self.sources.close()

    def begin(self, *, workers: int, is_stopping: Callable[[], bool]) -> None:
        """The chain is where the sources are, for the first time since it was opened; ``workers`` processes
        help where that is far.

        Raises `Diverged`, `SourceUnavailable` where nobody has what is missing, and `Irregular` or others
        where several processes found something: then the chain is opened anew and asked without them.
        """
        target = self.chain.target
        if target is not None and not self.chain.has_arrived():
            # What was believed before the last stop is reached first: its signer is held to it.
            self._go(target, workers=workers, is_stopping=is_stopping)
        newest = self.find_target()
        if newest is not None and not is_stopping():
            self._go(newest, workers=workers, is_stopping=is_stopping)

    def find_target(self) -> Target | None:
        """The largest signed checkpoint of all sources that is ahead of ours, or says more about it."""
        found: Target | None = None
        for source in self.sources.row:
            target = self._read_target(source)
            if target is not None and (found is None or target.checkpoint.size > found.checkpoint.size):
                found = target
        if found is not None and self.chain.target is not None:
            ours = self.chain.target
            if found.checkpoint.size < ours.checkpoint.size or found.note == ours.note:
                return None
        return found

    def _read_target(self, source: Source) -> Target | None:
        try:
            note = (source.read("checkpoint", NOTE_CHARACTERS_MAX) or b"").decode("utf-8", "replace")
            target = Target(verify_checkpoint(self._policy, note), note)
        except (SourceUnavailable, Unverified) as error:
            if source.name not in self._silent:
                self.sources.put_last(source, path="checkpoint", reason=str(error))
                self._silent.add(source.name)
            return None
        self._silent.discard(source.name)
        size = target.checkpoint.size
        if size <= self.chain.size and self.chain.get_root(size) != target.checkpoint.root:
            raise self._diverge("LOG_FORKED", target, reason=f"{source.name} shows another tree of this size")
        return target

    def _go(self, target: Target, *, workers: int, is_stopping: Callable[[], bool]) -> None:
        """Execute up to this checkpoint. Raises `Diverged`."""
        chain = self.chain
        size = target.checkpoint.size
        if size == chain.size:
            # Nothing new is in the log; others may have cosigned meanwhile.
            chain.aim(target)
            chain.show_head()
            return
        if size - chain.size <= SHORT_LEAVES_MAX and self._go_short(target, is_stopping=is_stopping):
            self.on_shown()
            return
        verified = VerifiedLog(self.sources, target.checkpoint)
        try:
            self._check_continues(verified, target)
            chain.aim(target)
            if workers and size - chain.size >= WORTH_SHARING:
                catch_up_together(chain, verified, workers=workers, is_stopping=is_stopping)
            else:
                catch_up(chain, verified, is_stopping=is_stopping, on_block=self.on_block)
        except InvalidBlock as error:
            raise self._name_block(error) from None
        finally:
            verified.close()
        self.on_shown()

    def _go_short(self, target: Target, *, is_stopping: Callable[[], bool]) -> bool:
        """The same over a short stretch; False where the first source does not give it right at once."""
        chain = self.chain
        source = self.sources.row[0]
        leaves = read_short(source, target.checkpoint, first=chain.size, node=chain.get_node)
        if leaves is None:
            return False
        chain.aim(target)
        try:
            catch_up(chain, leaves, is_stopping=is_stopping, on_block=self.on_block)
        except InvalidBlock as error:
            raise self._name_block(error) from None
        return True

    def _name_block(self, error: InvalidBlock) -> Diverged:
        return Diverged(error.check, height=self.chain.executor.head.height + 1, **error.facts)

    def _check_continues(self, verified: VerifiedLog, target: Target) -> None:
        """The target's tree begins with ours."""
        old, new = self.chain.size, target.checkpoint.size
        try:
            verify_consistency(
                old=old,
                old_root=self.chain.get_root(old),
                new=new,
                new_root=target.checkpoint.root,
                proof=compute_consistency_proof(old=old, new=new, node=verified.node),
            )
        except Unverified as error:
            raise self._diverge("LOG_FORKED", target, reason=str(error)) from None

    def _diverge(self, code: str, target: Target, *, reason: str) -> Diverged:
        """Two checkpoints, both signed by the log, of which one cannot continue the other."""
        size = target.checkpoint.size
        path = self.chain.folder / _EVIDENCE_FILE.format(size=size)
        ours = self.chain.target
        notes = [target.note] if ours is None else [ours.note, target.note]
        replace_file(path, encode({"chain": self.chain.origin.chain, "notes": notes}) + b"\n")
        return Diverged(code, size=size, reason=reason, evidence=str(path))

    def _run(self) -> None:
        try:
            while not self._stopping.wait(self._poll_seconds):
                try:
                    target = self.find_target()
                    if target is not None:
                        self._go(target, workers=0, is_stopping=self._stopping.is_set)
                except SourceUnavailable as error:
                    log.warning("no source has what comes next", error=str(error))
                self.chain.fold_when_idle()
        except BaseException as error:  # noqa: BLE001 - the thread's last act is to stop the node and say why
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        facts = error.facts if isinstance(error, CommonpointError) else {}
        self.failure = error if isinstance(error, CommonpointError) else InvariantBroken("FOLLOWER_STOPPED")
        told = {f"fact_{name}": str(value) for name, value in facts.items()}
        try:
            log.critical("following has ended", error=str(error), **told)
        finally:
            threading.Thread(target=self.on_failure, name="follower-failure", daemon=True).start()
