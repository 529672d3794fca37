"""The worker processes of a follower that has a long way to go: those of an audit, which begin in the
middle of a log, read it by themselves, and whose lots are known.

Workers read bundles from one source, so that neither fetching nor hashing costs whoever executes. What they
make of it is held against the hash tiles here, root by root. Where a source gives something else, or nothing,
bundles are read here from then on: where it is told which file of whom it was, and another source is asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from ledger.keys import SignedText
from ledger.log.tiles import TILE_WIDTH
from node.audit.crew import LOT, Crew
from node.audit.preparing import ENTRY, Bundle, Prepared
from node.audit.tasks import Answer, CheckTask, PrepareTask, Task, Terms, read_bundles
from node.audit.together import LaterJudge, PreparedBlocks
from node.follower.verified import VerifiedLog


class TailCrew(Crew):
    """A crew that begins in the middle of a log, and knows which signatures are done."""

    def __init__(self, verified: VerifiedLog, *, workers: int, first: int) -> None:
        terms = Terms(
            size=verified.size,
            signed_size=verified.size,
            has_partial_tiles=True,
            opening=verified.opening,
            has_tiles=False,
        )
        super().__init__(verified, terms, workers=workers, first=first)
        self._verified = verified
        self._is_read_here = terms.opening is None
        self._again: deque[range] = deque()
        """What workers could not read right."""
        self._made = self._given = 0
        self._in_hand: dict[int, int] = {}

    def ask(self, questions: list[SignedText]) -> None:
        """As `Crew.ask`; lots are counted."""
        self._made += (len(self._questions) + len(questions)) // LOT
        super().ask(questions)

    def close_lot(self) -> int:
        """The number of the lot with which everything asked so far is asked."""
        if self._questions:
            self._lots.append(self._questions)
            self._questions = []
            self._made += 1
        return self._made

    def is_confirmed(self, lot: int) -> bool:
        """Whether this lot and those before it were found good."""
        if self._given < lot:
            return False
        in_hand = [
            self._in_hand[id(task)]
            for worker in self._workers
            for task in worker.tasks
            if isinstance(task, CheckTask)
        ]
        return min(in_hand, default=lot + 1) > lot

    def confirm_all(self) -> None:
        """Everything asked so far was found good. Raises `Irregular`."""
        lot = self.close_lot()
        while not self.is_confirmed(lot):
            self._hand_out()
            if self._answers.empty() and self._lots:
                self._check_lot()
            else:
                self._take_answer()

    def _choose_task(self) -> Task | None:
        if self._again:
            bundles = self._again.popleft()
            return PrepareTask(bundles, self._read(bundles))
        return super()._choose_task()

    def _read(self, bundles: range) -> list[Bundle] | None:
        return read_bundles(self._verified, bundles, self._terms) if self._is_read_here else None

    def _take_bundles(self, task: PrepareTask, answer: Answer) -> None:
        if task.given is None and not (isinstance(answer, Prepared) and self._is_right(task.bundles, answer)):
            self._is_read_here = True
            self._again.append(task.bundles)
            return
        super()._take_bundles(task, answer)

    def _is_right(self, bundles: range, prepared: Prepared) -> bool:
        """Whether these are the leaves of the signed tree."""
        full = min(bundles.stop, self._terms.size // TILE_WIDTH)
        roots = [self._verified.get_bundle_root(index) for index in range(bundles.start, full)]
        # The bundle at the right edge is not full, and has a tile instead.
        edge = [] if full == bundles.stop else self._verified.edge
        return prepared.roots == roots and prepared.edge == edge

    def _give_lot(self) -> Task | None:
        task = super()._give_lot()
        if task is not None:
            self._given += 1
            # A task's place in memory is another's only when it was answered.
            self._in_hand[id(task)] = self._given
        return task

    def _check_lot(self) -> None:
        super()._check_lot()
        self._given += 1


class TailBlocks(PreparedBlocks):
    """The blocks from a leaf in the middle of the first prepared group on."""

    def __init__(self, groups: Iterator[Prepared], *, first: int, height: int, judge: LaterJudge) -> None:
        self._groups = groups
        self._judge = judge
        self._take = lambda _prepared: None
        self._size = first
        self._height = height
        self._next_group()
        group = self._group
        self._at = first % TILE_WIDTH
        before = group.kinds[: self._at]
        self._entry = before.count(ENTRY)
        self._transactions = iter(group.transactions[before.count(b"t") :])
        self._blocks = iter(group.blocks[before.count(b"b") :])
