"""The whole audit of one ledger, in steps that can be ticked off.

 (1) the genesis is one, and hashes to the chain string (to the pinned one, where one is given); (2) the
 checkpoint is signed by a log key that may sign for a tree of its size, which the log itself says, and as the
 given policy asks, over that chain; (3) every leaf is
 stored, and hashes to what every stored hash tile says, level by level; (4) the leaves of the checkpoint's
 size have the checkpoint's root, so what is signed is what is stored; (5) every block follows the one before,
 and executed again from its transactions comes out byte for byte the same:
     signatures, clocks, ids, consents, rules, outcomes, balances, totals;
 (6) full sums over the replayed state hold; (7) of a data directory also every stored record, look-up row and
 block's place is the replayed one, and its copies of
     genesis and policy are those of the log.

The first leaf that fails is named. Leaves after the newest stored checkpoint (a node that is running, or was
cut off, has signed for them only in memory) go through (3) and (5) and are counted apart. What cannot be seen
from one copy is not claimed: that the log was not cut back to an older checkpoint, or shown to others
differently, is for whoever keeps an earlier checkpoint, or witnesses.

Several processes take the same steps together (`node.audit.together`). If they all find everything as in a
good ledger, that is the verdict; whatever else they find, one process goes through the steps in their order
and says what it is.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from time import perf_counter
from typing import Final, NamedTuple

from ledger.errors import InvalidBlock, InvariantBroken, Refused, Unverified
from ledger.executor import make_tables
from ledger.genesis import Origin
from ledger.log.note import Checkpoint, parse_checkpoint, split_note
from ledger.log.policy import Policy, format_policy, verify_checkpoint
from ledger.policy_chain import derive_policy
from ledger.state import State
from ledger.transaction import KEY_TABLE, RegisteredKey
from node.audit.crew import Crew
from node.audit.hashes import HashedLeaves
from node.audit.invariants import verify_invariants
from node.audit.preparing import Irregular, Prepared
from node.audit.replay import Replay
from node.audit.report import FirstBad, Report
from node.audit.signatures import SignatureChecker
from node.audit.signers import SignerCheck
from node.audit.sources import LeafSource
from node.audit.stored import StoredComparison, StoredViews
from node.audit.tasks import Opening, Terms
from node.audit.together import BundleTree, LaterJudge, OptimisticReplay, PreparedBlocks

Progress = Callable[[int, int], None]
"""Called with how many leaves are verified, and of how many."""


class Expected(NamedTuple):
    """What the auditor brings along instead of believing the log."""

    chain: str | None = None
    """The pinned chain string."""
    policy: Policy | None = None
    """Whose signatures make a checkpoint believable; without one the genesis says."""
    genesis: tuple[bytes, ...] | None = None
    """A data directory's copy of the genesis leaves."""
    policy_copy: bytes | None = None
    """Its copy of the policy of epoch 0."""


WORTH_SHARING = 20_000
"""A log with fewer leaves is verified before other processes have started."""
_FINDINGS: Final = (InvalidBlock, Unverified, Refused, InvariantBroken)


def verify_ledger(
    source: LeafSource,
    *,
    expected: Expected = Expected(),  # noqa: B008 - a NamedTuple of None
    stored: StoredViews | None = None,
    opening: Opening | None = None,
    processes: int = 1,
    progress: Progress = lambda _done, _total: None,
) -> Report:
    """What the audit found, which does not depend on how many processes look for it.

    ``opening`` lets each of them read the source itself. Raises only where the audit could not be run
    (`SourceUnavailable`).
    """
    started = perf_counter()
    with _collector_paused():
        report: Report | None = None
        if processes > 1:
            audit = _Audit(source, expected=expected, stored=stored, progress=progress)
            # Whatever was found, and wherever: it is found again in its order, one step after the other.
            with suppress(*_FINDINGS, Irregular):
                if audit.run_together(opening, workers=processes - 1):
                    report = audit.report
            del audit
        if report is None:
            audit = _Audit(source, expected=expected, stored=stored, progress=progress)
            report = audit.report
            try:
                audit.run(is_alone=processes == 1)
            except _FINDINGS as error:
                report.first_bad = FirstBad.of(error)
    report.finish(seconds=perf_counter() - started)
    return report


class _Audit:
    """One run. What was found so far stands in the report, also when a step fails."""

    def __init__(
        self, source: LeafSource, *, expected: Expected, stored: StoredViews | None, progress: Progress
    ) -> None:
        self._source = source
        self._expected = expected
        self._stored = stored
        self._progress = progress
        self.report = Report()

    def run(self, *, is_alone: bool) -> None:
        """All steps; the checkpoint is read first and believed last."""
        note, claimed = self._read_checkpoint()
        size = self._read_size(claimed)
        # A log may have grown since its checkpoint was stored. One that has shrunk is told by what is
        # missing.
        leaves = HashedLeaves(
            self._source,
            size=size,
            signed_size=claimed.size,
            has_partial_tiles=self._source.has_partial_tiles,
            progress=lambda done: self._progress(done, size),
        )
        # (3) runs inside the iteration: no leaf is handed on before its hash was compared.
        replay = Replay.begin(leaves)
        self._check_origin(replay.origin, claimed)
        self._check_checkpoint(note, replay.origin)
        comparison = self._compare_stored(replay, claimed.size)
        with nullcontext() if is_alone else SignatureChecker() as checker:
            if checker is not None:
                replay.blocks = checker.read_ahead(
                    replay.blocks, chain=replay.origin.chain, find_public=partial(_find_public, replay.state)
                )
            self._replay(replay, comparison)
        self._check_root(leaves.signed_root, claimed)
        self._finish(replay, comparison, tiles=leaves.tiles)

    def run_together(self, opening: Opening | None, *, workers: int) -> bool:
        """All steps, with (3) and the signatures of (5) in worker processes; False where it is not worth it.

        Raises `Irregular` or a finding, and either says no more than that something is not as it has to
        be.
        """
        source = self._source
        note, claimed = self._read_checkpoint()
        size = self._read_size(claimed)
        if size < WORTH_SHARING:
            return False
        beginning = HashedLeaves(
            source, size=size, signed_size=claimed.size, has_partial_tiles=source.has_partial_tiles
        )
        judge = LaterJudge()
        replay = OptimisticReplay.begin(beginning, judge=judge)
        self._check_origin(replay.origin, claimed)
        self._check_checkpoint(note, replay.origin)
        comparison = self._compare_stored(replay, claimed.size)
        tree = BundleTree(source, size=size, signed_size=claimed.size)
        terms = Terms(
            size=size,
            signed_size=claimed.size,
            has_partial_tiles=source.has_partial_tiles,
            opening=opening,
        )

        def take(prepared: Prepared) -> None:
            tree.extend(prepared)
            self._progress(tree.leaves, size)

        with Crew(source, terms, workers=workers) as crew:
            blocks = PreparedBlocks(crew.read_prepared(), genesis_size=replay.size, judge=judge, take=take)
            replay.blocks, replay.judge, replay.ask = iter(blocks), judge, crew.ask
            self._replay(replay, comparison)
            tree.finish(has_partial_tiles=source.has_partial_tiles)
            self._check_root(tree.signed_root, claimed)
            self._finish(replay, comparison, tiles=tree.tiles)
            crew.finish()
        return True

    def _read_checkpoint(self) -> tuple[str, Checkpoint]:
        """The newest checkpoint, and what it claims."""
        note = self._source.read_checkpoint()
        if not note:
            raise Unverified("CHECKPOINT_MISSING")
        claimed = parse_checkpoint(split_note(note)[0])
        self.report.chain = claimed.origin
        return note, claimed

    def _read_size(self, claimed: Checkpoint) -> int:
        stored = self._source.read_size()
        size = claimed.size if stored is None else max(stored, claimed.size)
        self.report.unsigned_leaves = size - claimed.size
        return size

    def _check_origin(self, origin: Origin, claimed: Checkpoint) -> None:
        """(1) Everything that says which chain this is says the same."""
        self.report.chain = origin.chain
        for chain in (self._expected.chain, claimed.origin):
            if chain is not None and chain != origin.chain:
                raise InvalidBlock("WRONG_CHAIN", expected=chain, found=origin.chain, index=0)
        copy = self._expected.genesis
        if copy is not None and copy != origin.leaves:
            pairs = zip(copy, origin.leaves, strict=False)
            index = next((at for at, (one, other) in enumerate(pairs) if one != other), len(copy))
            raise InvalidBlock(
                "GENESIS_COPY_DIFFERS", expected="the log's genesis", found="another", index=index
            )

    def _check_checkpoint(self, note: str, origin: Origin) -> None:
        """(2) The checkpoint is signed as the policy asks."""
        own = derive_policy(origin)
        copy = self._expected.policy_copy
        if copy is not None and copy != format_policy(own):
            raise Unverified("POLICY_COPY_DIFFERS", expected=format_policy(own).decode(), found=repr(copy))
        if self._expected.policy is not None:
            verify_checkpoint(self._expected.policy, note)
        self._signer = SignerCheck(note, origin)

    def _compare_stored(self, replay: Replay, signed_size: int) -> StoredComparison | None:
        if self._stored is None:
            return None
        if self._stored.read_note_size() != signed_size:
            raise Unverified("CHECKPOINT_SIZE", expected=signed_size, found=self._stored.read_note_size())
        comparison = StoredComparison(
            self._stored,
            state=replay.state,
            tables=make_tables(replay.rulebook),
            retention=replay.rulebook.retention,
            utc_offset_minutes=replay.origin.settings.utc_offset_minutes,
        )
        comparison.begin(replay.size)
        return comparison

    def _replay(self, replay: Replay, comparison: StoredComparison | None) -> None:
        """(5) and, on the way, (7); and with the policies known, the rest of (2)."""
        report = self.report
        report.size = replay.size
        for block in replay:
            head = block.executed.head
            report.size, report.height = head.size, head.height
            report.operations, report.transactions = head.entries, head.transactions
            self._signer.take(block)
            if comparison is not None:
                comparison.take(block)
        self._signer.finish()

    def _finish(self, replay: Replay, comparison: StoredComparison | None, *, tiles: int) -> None:
        """(6), and what is left of (7)."""
        verify_invariants(replay.state)
        if comparison is not None:
            comparison.finish(replay.size, tiles)
            self.report.records, self.report.rows = comparison.records, comparison.rows

    def _check_root(self, root: bytes | None, claimed: Checkpoint) -> None:
        """(4) What is signed is what is stored."""
        if root != claimed.root:
            found = None if root is None else root.hex()
            raise Unverified("CHECKPOINT_ROOT", size=claimed.size, expected=claimed.root.hex(), found=found)


def _find_public(state: State, key: str) -> str | None:
    """The public key that this id stands for at the end of the last replayed block."""
    record: RegisteredKey | None = state.get_current(KEY_TABLE, key)
    return None if record is None else record.public


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Millions of records and no cycles: looking for garbage would only cost time."""
    was_enabled = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()
