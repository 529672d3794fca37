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
from node.audit.sources import SourceUnavailable
from node.disk_space import DiskSpace
from node.follower.asking import Rounds
from node.follower.catching_up import WORTH_SHARING, catch_up, catch_up_together
from node.follower.chain import FollowedChain, Target
from node.follower.contradiction import Node, make_contradiction
from node.follower.policies import FollowedPolicies
from node.follower.short import SHORT_LEAVES_MAX, read_short
from node.follower.sources import Source, Sources
from node.follower.verified import VerifiedLog
from node.process import pause_garbage_collector
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
        self,
        chain: FollowedChain,
        sources: Sources,
        *,
        disk: DiskSpace | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self.chain = chain
        self.sources = sources
        self.disk = disk or DiskSpace()
        """Where it runs out of room, nothing more is fetched until there is some again."""
        self.failure: CommonpointError | None = None
        self.on_block: Callable[[float, ExecutedBlock], None] = lambda _seconds, _block: None
        self.on_shown: Callable[[], None] = lambda: None
        """Called when readers see a new head, or the same with more lines under it."""
        self.on_failure: Callable[[], None] = lambda: None
        self._policies = FollowedPolicies(chain)
        self._poll_seconds = poll_seconds
        self._stopping = threading.Event()
        self._rounds = Rounds(sources)
        self._is_full = False
        """Whether it was said that there is no room on the disk."""
        self._silent: set[str] = set()
        """Sources of which it was said already that they give no checkpoint, or none in time."""
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
        self._rounds.close()
        self.sources.close()

    def begin(self, *, workers: int, is_stopping: Callable[[], bool]) -> None:
        """The chain is where the sources are, for the first time since it was opened; ``workers`` processes
        help where that is far.

        Raises `Diverged`, `SourceUnavailable` where nobody has what is missing, and `Irregular` or others
        where several processes found something: then the chain is opened anew and asked without them.
        """
        self._advance(workers=workers, is_stopping=is_stopping)

    def _advance(self, *, workers: int, is_stopping: Callable[[], bool]) -> None:
        """As far as anybody's checkpoint and anybody's files lead. Raises as `begin`."""
        missing: SourceUnavailable | None = None
        for target in self.list_targets():
            if is_stopping() or target.checkpoint.size < self.chain.size:
                return
            try:
                self._go(target, workers=workers, is_stopping=is_stopping)
            except SourceUnavailable as error:
                # Whoever shows this checkpoint does not give what it stands for: others lead on, not as far.
                missing = missing or error
                if not self.chain.is_clean:
                    raise
            else:
                return
        if missing is not None:
            raise missing

    def list_targets(self) -> list[Target]:
        """Signed checkpoints that lead on from ours, or say more about it: the largest first."""
        chain = self.chain
        shown: dict[int, Target] = {}
        sizes: dict[str, int] = {}
        for source, answer in self._rounds.ask():
            target = self._read_target(source, answer)
            if target is not None:
                size = sizes[source.name] = target.checkpoint.size
                # Of two notes of one size the one that is new says more.
                if size not in shown or (chain.target and shown[size].note == chain.target.note):
                    shown[size] = target
        for name in self._rounds.list_slow():
            if name not in self._silent:
                self._silent.add(name)
                log.warning("source does not answer in time", source=name)
        self.sources.note_sizes(sizes)
        ours = chain.target
        if ours is not None:
            if not chain.has_arrived():
                # What was believed before and not reached yet: its signer is held to it.
                shown.setdefault(ours.checkpoint.size, ours)
            elif shown.get(ours.checkpoint.size, ours).note == ours.note:
                shown.pop(ours.checkpoint.size, None)
        return [shown[size] for size in sorted(shown, reverse=True) if size >= chain.size]

    def _read_target(self, source: Source, answer: str | CommonpointError) -> Target | None:
        try:
            if isinstance(answer, CommonpointError):
                raise answer
            target = Target(self._policies.open(answer, source), answer)
        except (SourceUnavailable, Unverified) as error:
            if source.name not in self._silent:
                self.sources.put_last(source, path="checkpoint", reason=str(error))
                self._silent.add(source.name)
            return None
        if source.name in self._silent:
            self._silent.discard(source.name)
            log.info("source answers again", source=source.name)
        size = target.checkpoint.size
        if size <= self.chain.size and self.chain.get_root(size) != target.checkpoint.root:
            reason = f"{source.name} shows another tree of this size"
            ours = self.chain.target
            if ours is not None and not self.chain.has_arrived():
                # Of a tree that is executed in part there is no proof; of what readers see there is.
                ours = self.chain.get_shown() or ours
            is_smaller = ours is not None and size <= ours.checkpoint.size <= self.chain.size
            node = self.chain.get_node if is_smaller else None
            raise self._diverge(target, ours=ours, node=node, reason=reason)
        return target

    def _go(self, target: Target, *, workers: int, is_stopping: Callable[[], bool]) -> None:
        """Execute up to this checkpoint, and know the policies of what was executed. Raises `Diverged`."""
        self._execute(target, workers=workers, is_stopping=is_stopping)
        self._policies.settle()

    def _execute(self, target: Target, *, workers: int, is_stopping: Callable[[], bool]) -> None:
        chain = self.chain
        size = target.checkpoint.size
        if size == chain.size:
            # Nothing new is in the log; others may have cosigned meanwhile.
            chain.aim(target)
            chain.show_head()
            self.on_shown()
            return
        # Another that was believed and not reached has to be held against this one, which takes its tiles.
        is_bound = chain.target is not None and chain.size < chain.target.checkpoint.size
        is_short = size - chain.size <= SHORT_LEAVES_MAX and not is_bound
        if is_short and self._go_short(target, is_stopping=is_stopping):
            self.on_shown()
            return
        verified = VerifiedLog(self.sources, target.checkpoint)
        try:
            self._check_continues(verified, target)
            chain.aim(target)
            if workers and size - chain.size >= WORTH_SHARING:
                with pause_garbage_collector():
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
        """The target's tree begins with ours, and with that of the checkpoint that we were on the way to."""
        chain, ours, new = self.chain, self.chain.target, target.checkpoint.size
        known = [(chain.size, chain.get_root(chain.size))]
        if ours is not None and chain.size < ours.checkpoint.size <= new:
            known.append((ours.checkpoint.size, ours.checkpoint.root))
        try:
            for old, root in known:
                proof = compute_consistency_proof(old=old, new=new, node=verified.node)
                verify_consistency(
                    old=old, old_root=root, new=new, new_root=target.checkpoint.root, proof=proof
                )
        except Unverified as error:
            if ours is not None and ours.checkpoint.size > new:
                ours = chain.get_shown()
            raise self._diverge(target, ours=ours, node=verified.node, reason=str(error)) from None

    def _diverge(self, theirs: Target, *, ours: Target | None, node: Node | None, reason: str) -> Diverged:
        """Two checkpoints, both signed by the log, of which one cannot continue the other; ``node`` is that
        of the larger tree.
        """
        size = theirs.checkpoint.size
        path = self.chain.folder / _EVIDENCE_FILE.format(size=size)
        if ours is None:
            # Nothing was shown yet but the genesis, which the chain string stands for.
            return Diverged("LOG_FORKED", size=size, reason=reason)
        policies = self._policies.list_steps([ours.note, theirs.note], self.sources.row)
        found = make_contradiction(self.chain.origin, ours, theirs, node=node, policies=policies)
        replace_file(path, encode(found) + b"\n")
        return Diverged("LOG_FORKED", size=size, reason=reason, evidence=str(path))

    def _is_pausing(self) -> bool:
        if self.disk.is_low and not self._is_full:
            log.warning("nothing more is fetched: the disk is nearly full", size=self.chain.size)
        self._is_full = self.disk.is_low
        return self._stopping.is_set() or self._is_full

    def _run(self) -> None:
        try:
            while not self._stopping.wait(self._poll_seconds):
                try:
                    self._advance(workers=0, is_stopping=self._is_pausing)
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
