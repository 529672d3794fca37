"""A fork of a replayed history: the state as it stood, and from there on the same transactions under what was
decided.

What was decided is enacted as a ledger does it: a proposal that has passed stands on the fork's agenda, and
its first block enacts it before anything else. Then each recorded block is executed at its recorded time, and
afterwards the fork stands where the log stands: height, size and hashes are the log's, so that announced
heights, quotes and indexes mean what they meant.

Two things that people signed at the time named what they saw, and would be dead for that alone. So pars that
are set keep the quote height of those they replace, and a countersignature is taken for one of the fork's own
statement of that window. Everything else that the history holds is answered as the rules answer it.

Work that a block does by itself is done in recorded blocks only: between two of them nobody made another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from contracts.mechanics.governance_records import AGENDA, PROPOSAL, Agenda, ProposalRecord
from contracts.mechanics.government import get_government
from contracts.mechanics.records import SERIES, Pars, Series
from contracts.mechanics.settlement_records import WINDOW, WindowRecord
from contracts.mechanics.terms import get_pars
from contracts.messages import Countersign, Enact
from contracts.messages.actions import Action, SetRulebook
from contracts.rulebook import RULEBOOKS
from ledger.codec import encode, sha256
from ledger.executor import HEAD_KEY, HEAD_TABLE, ExecutedBlock, Executor, Head, make_tables
from ledger.genesis import Origin
from ledger.keys import SignatureCheck, SignatureJudge, SignedText
from ledger.rule import BlockContext, DueWork, Rulebook
from ledger.state import State, StateView
from ledger.transaction import Transaction
from node.audit.replay import ReplayedBlock
from node.preview.span import NoPreview

FindDue = Callable[[StateView, BlockContext], Iterable[DueWork]]


class RememberingJudge:
    """A `SignatureJudge` that looks once and remembers, so that a fork does not look again.

    Whoever goes on to another block says `forget`.
    """

    wants_notice = False

    def __init__(self) -> None:
        self._check = SignatureCheck()
        self._known: dict[SignedText, bool] = {}

    def expect(self, signed: Sequence[SignedText]) -> None:
        """Nothing is done ahead."""

    def is_valid(self, signed: SignedText) -> bool:
        """As `SignatureCheck`."""
        known = self._known.get(signed)
        if known is None:
            known = self._known[signed] = self._check.is_valid(signed)
        return known

    def forget(self) -> None:
        """What was asked about so far will not be asked again."""
        self._known.clear()

    def close(self) -> None:
        """There is nothing to let go of."""


class Fork:
    """The state after a block, copied, and the history from there on as it would have been."""

    def __init__(
        self,
        state: State,
        *,
        origin: Origin,
        actions: Sequence[Action],
        judge: SignatureJudge,
        rulebooks: Mapping[int, Rulebook] = RULEBOOKS,
    ) -> None:
        _check_versions(actions, rulebooks)
        self.proposal = _make_name(actions)
        """Under which the fork enacts the actions: no proposal of the history has this name."""
        adapted = {
            version: rulebook._replace(due=partial(_find_due, rulebook.due, self.proposal))
            for version, rulebook in rulebooks.items()
        }
        tables = make_tables(next(iter(rulebooks.values())))
        self.state = copy_state(state, tables)
        self._base = state
        self._executor = Executor(state=self.state, origin=origin, rulebooks=adapted, judge=judge)
        if actions:
            head = self._executor.head
            block = self._executor.context(time=head.time)
            _put_on_agenda(self.state, self.proposal, tuple(actions), block=block)
            # The enactment is a leaf that the log does not hold: what follows it keeps its index.
            self._put_head(replace(head, size=head.size - 1))

    def execute(self, block: ReplayedBlock) -> ExecutedBlock:
        """What becomes of a recorded block here. The fork then stands where the log does."""
        closing = block.recorded.closing
        executed = self._executor.execute_block(
            [self._adapt(each) for each in block.recorded.transactions],
            time=closing.time,
            engine_height=closing.engine_height,
        )
        if not executed.is_empty:
            self.state.commit()
        self._put_head(block.executed.head)
        return executed

    def _put_head(self, head: Head) -> None:
        """The fork stands where the log does, whatever leaves of its own it has made."""
        self.state.begin()
        self.state.put(HEAD_TABLE, HEAD_KEY, head)
        self.state.commit()

    def _adapt(self, transaction: Transaction) -> Transaction:
        """The transaction, its countersignatures of a window's statement taken for the fork's own of it."""
        if not any(isinstance(message, Countersign) for message in transaction.messages):
            return transaction
        adapted = Transaction(
            header=transaction.header,
            messages=[self._take_statement(message) for message in transaction.messages],
            message_bytes=transaction.message_bytes,
            signature=transaction.signature,
        )
        # Digest and signature are those of what was signed, and were found good there.
        adapted.take_vetting(transaction.message_hashes, verified_by=transaction.verified_by)
        return adapted

    def _take_statement(self, message: Any) -> Any:
        if not isinstance(message, Countersign):
            return message
        key = f"{message.window:06d}"
        seen: WindowRecord | None = self._base.get_current(WINDOW, key)
        own: WindowRecord | None = self.state.get_current(WINDOW, key)
        if seen is None or own is None or message.statement != seen.statement:
            return message
        return replace(message, statement=own.statement)


def copy_state(state: State, tables: Iterable[str]) -> State:
    """A second state with the same records; each goes its own way from here on."""
    copied = State(tables)
    copied.begin()
    for table in tables:
        for key, record in state.list_records(table):
            copied.put(table, key, record)
    copied.commit()
    return copied


def _check_versions(actions: Sequence[Action], rulebooks: Mapping[int, Rulebook]) -> None:
    for action in actions:
        if isinstance(action, SetRulebook) and action.version not in rulebooks:
            raise NoPreview("RULEBOOK_UNKNOWN", known=sorted(rulebooks), version=action.version)


def _make_name(actions: Sequence[Action]) -> str:
    """A proposal's name that follows from its actions, as nobody else would make one."""
    return f"preview:{sha256(encode(list(actions))).hex()[:32]}"


def _put_on_agenda(state: State, proposal: str, actions: tuple[Action, ...], *, block: BlockContext) -> None:
    """The actions have passed, and this block enacts them."""
    height = block.height
    agenda: Agenda = state.get_current(AGENDA, AGENDA) or Agenda((), 0, ())
    record = ProposalRecord(
        actions=actions,
        approve_basis_points=10_000,
        configuration=get_government(state, block).configuration,
        effective_height=height,
        enacts_at=height,
        expires=block.time,
        index=0,
        no=(),
        notice_heights=0,
        proposer=block.operator,
        state="passed",
        yes=(),
    )
    passed = tuple(sorted((*agenda.passed, (height, proposal))))
    state.begin()
    state.put(PROPOSAL, proposal, record)
    state.put(AGENDA, AGENDA, replace(agenda, passed=passed))
    state.commit()


def _find_due(find_due: FindDue, proposal: str, state: StateView, block: BlockContext) -> Iterator[DueWork]:
    """The rulebook's own due work, with quotes kept alive through the enactment of the preview's proposal."""
    for work in find_due(state, block):
        message = work.message
        if isinstance(message, Enact) and message.proposal == proposal:
            changes = [
                (table, key, _keep_quote_height(state.get(table, key), record, block.height))
                if table == SERIES and record is not None
                else (table, key, record)
                for table, key, record in work.decision.changes
            ]
            yield DueWork(message, replace(work.decision, changes=changes))
        else:
            yield work


def _keep_quote_height(before: Series | None, after: Series, height: int) -> Series:
    """The series whose pars of this height hold since those that they replace did."""
    if before is None:
        return after
    since = get_pars(before, height=height).height
    moved = tuple(
        Pars(since, pars.accrue, pars.redeem) if pars.height == height else pars for pars in after.pars
    )
    return replace(after, pars=moved)
