"""The application that CometBFT asks: the same executor, log and checkpoints as in a ledger with one
sequencer.

    FinalizeBlock   execute and hash; nothing is durable     → one result a transaction, the log's root
    Commit          append, commit, sync, sign               → and whoever waits is answered
    Info            where the durable log stands             → so a crash anywhere comes to the same root

The app hash is the root of our log, and an engine's block that adds no leaf does not change it: so an idle
chain makes no blocks. A ledger's height is not the engine's, which stands in each block leaf.

One thread answers, one thing at a time, and so makes the blocks. What happened is told to whoever listens;
nothing here waits for anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, Protocol

from ledger.codec import encode
from ledger.errors import InvariantBroken, Refused
from ledger.executor import ExecutedBlock
from ledger.log.tiles import FullTile
from ledger.transaction import Transaction
from node.chain import ChainKeeper
from node.engine.cometbft.beginning import Beginning, make_beginning
from node.engine.cometbft.engine_height import EngineHeight
from node.engine.cometbft.generated import abci_pb2 as abci
from node.engine.cometbft.injected import TIME_START, WAKE_START, read_time, read_wake
from node.engine.cometbft.known import KnownTransactions
from node.engine.cometbft.proposals import Proposals
from node.engine.cometbft.validator_updates import list_updates
from node.engine.standing import get_engine

OK: Final = 0
REFUSED: Final = 1
"""It changed nothing and left no leaf: clock, keys or its id turned it down, or nobody can read it."""
REPEATED: Final = 2
"""It was taken before; the first answer stands."""
CODESPACE: Final = "commonpoint"
_NO_SNAPSHOT: Final = abci.ResponseOfferSnapshot.REJECT
_DUE_SECONDS: Final = 5.0
"""For so long it is remembered whether work is due."""


class Listener(Protocol):
    """Who is told what the application did."""

    def note_connected(self) -> int:
        """CometBFT has begun to ask: the height at which it has voted before."""
        ...

    def note_refused(self, transaction: Transaction, refusal: Refused) -> None:
        """It was not let into CometBFT's mempool."""
        ...

    def note_misbehaviour(self, facts: Sequence[dict[str, Any]]) -> None:
        """Validators were caught signing twice."""
        ...

    def note_committed(
        self, block: ExecutedBlock, transactions: Sequence[Transaction], seconds: float
    ) -> None:
        """The block is durable, whether or not it has leaves."""
        ...


@dataclass
class _InHand:
    """A decided block that is executed and not committed yet."""

    engine_height: int
    block: ExecutedBlock
    transactions: list[Transaction]
    data: Sequence[bytes]
    tiles: list[FullTile]
    answer: abci.ResponseFinalizeBlock
    seconds: float


class Application:
    """Answers CometBFT's requests. For one thread."""

    def __init__(
        self,
        chain: ChainKeeper,
        *,
        known: KnownTransactions,
        height: EngineHeight,
        clock: Callable[[], int],
        listener: Listener,
        beginning: Beginning | None = None,
    ) -> None:
        self._chain = chain
        self._beginning = beginning or make_beginning(chain.origin.chain, get_engine(chain.reader))
        self._known = known
        self._height = height
        self._clock = clock
        self._listener = listener
        self._proposals = Proposals(known, clock=clock)
        self._in_hand: _InHand | None = None
        self._due: tuple[int, float, bool] = (-1, 0.0, False)
        self._answers: dict[str, Callable[[Any], Any]] = {
            "echo": lambda request: abci.ResponseEcho(message=request.message),
            "info": self._info,
            "init_chain": self._init_chain,
            "check_tx": self._check_tx,
            "prepare_proposal": self._prepare_proposal,
            "process_proposal": self._process_proposal,
            "finalize_block": self._finalize_block,
            "commit": self._commit,
            "query": self._query,
            # State comes from the log's tiles, never through CometBFT.
            "list_snapshots": lambda _request: abci.ResponseListSnapshots(),
            "offer_snapshot": lambda _request: abci.ResponseOfferSnapshot(result=_NO_SNAPSHOT),
        }

    def answer(self, request: abci.Request) -> abci.Response:
        """What CometBFT is to hear. Raises where the node cannot go on."""
        name = request.WhichOneof("value")
        handle = self._answers.get(name or "")
        if handle is None:
            raise InvariantBroken("ABCI_UNEXPECTED", request=name)
        return abci.Response(**{str(name): handle(getattr(request, str(name)))})

    @property
    def is_between_blocks(self) -> bool:
        """Whether no decided block waits to be committed."""
        return self._in_hand is None

    @property
    def engine_height(self) -> int:
        """Of the last block that was committed."""
        return self._height.value

    def is_work_due(self) -> bool:
        """Whether a block of nothing would have something to do."""
        if self._in_hand is not None:
            return False
        engine_height, at, found = self._due
        if engine_height != self._height.value or monotonic() - at > _DUE_SECONDS:
            executor = self._chain.executor
            block = executor.execute_block([], time=max(self._clock(), executor.head.time))
            found = not block.is_empty
            if found:
                executor.state.roll_back()
            self._due = self._height.value, monotonic(), found
        return found

    def close(self) -> None:
        """A block that was decided and not committed is forgotten: CometBFT will show it again."""
        if self._in_hand is not None and not self._in_hand.block.is_empty:
            self._chain.executor.state.roll_back()
        self._in_hand = None

    def _info(self, _request: abci.RequestInfo) -> abci.ResponseInfo:
        self._proposals.begin_again(self._listener.note_connected())
        # Without the block in hand, where there is one: CometBFT was started again and shows it once more.
        return abci.ResponseInfo(
            data=CODESPACE,
            app_version=1,
            last_block_height=self._height.committed,
            last_block_app_hash=self._chain.compute_root(self._chain.executor.head.size),
        )

    def _init_chain(self, request: abci.RequestInitChain) -> abci.ResponseInitChain:
        expected = self._beginning.chain_id
        if request.chain_id != expected:
            raise InvariantBroken("ENGINE_OF_ANOTHER_CHAIN", expected=expected, found=request.chain_id)
        return abci.ResponseInitChain(app_hash=self._chain.compute_root())

    def _check_tx(self, request: abci.RequestCheckTx) -> abci.ResponseCheckTx:
        data = request.tx
        if data.startswith(WAKE_START):
            is_wanted = read_wake(data) == self._height.value + 1 and self.is_work_due()
            return abci.ResponseCheckTx(code=OK if is_wanted else REFUSED, codespace=CODESPACE)
        try:
            transaction = self._known.read(data)
        except Refused as error:
            return abci.ResponseCheckTx(code=REFUSED, log=error.code, codespace=CODESPACE)
        header = transaction.header
        taken = self._chain.find_transaction(header.sender, header.id)
        if taken is not None and taken[0] == header.digest:
            return abci.ResponseCheckTx(code=REPEATED, codespace=CODESPACE)
        refusal = self._find_refusal(transaction) if taken is None else Refused("ID_CONFLICT", id=header.id)
        if refusal is None:
            return abci.ResponseCheckTx(code=OK)
        self._listener.note_refused(transaction, refusal)
        return abci.ResponseCheckTx(code=REFUSED, log=refusal.code, codespace=CODESPACE)

    def _find_refusal(self, transaction: Transaction) -> Refused | None:
        try:
            self._chain.check_intake(transaction, time=self._clock())
        except Refused as refusal:
            return refusal
        return None

    def _prepare_proposal(self, request: abci.RequestPrepareProposal) -> abci.ResponsePrepareProposal:
        head_time = self._chain.executor.head.time
        chosen = self._proposals.prepare(request.txs, bytes_max=request.max_tx_bytes, head_time=head_time)
        return abci.ResponsePrepareProposal(txs=chosen)

    def _process_proposal(self, request: abci.RequestProcessProposal) -> abci.ResponseProcessProposal:
        is_good = self._proposals.is_acceptable(
            request.txs,
            block_hash=request.hash,
            engine_height=request.height,
            head_time=self._chain.executor.head.time,
        )
        kinds = abci.ResponseProcessProposal
        return kinds(status=kinds.ACCEPT if is_good else kinds.REJECT)

    def _finalize_block(self, request: abci.RequestFinalizeBlock) -> abci.ResponseFinalizeBlock:
        if self._in_hand is not None and self._in_hand.engine_height == request.height:
            # CometBFT was started again between this and Commit. What is decided at a height is one block.
            return self._in_hand.answer
        if self._in_hand is not None or request.height != self._height.value + 1:
            raise InvariantBroken("ENGINE_HEIGHT", expected=self._height.value + 1, found=request.height)
        started = monotonic()
        data: list[bytes] = list(request.txs)
        time = read_time(data)
        if time is None:
            raise InvariantBroken("BLOCK_WITHOUT_TIME", engine_height=request.height)
        if request.misbehavior:
            self._listener.note_misbehaviour([_describe(each) for each in request.misbehavior])
        read = [self._read(each) for each in data]
        transactions = [each for each in read if each is not None]
        state = self._chain.executor.state
        validators = self._beginning.find_validators(state)
        block = self._chain.executor.execute_block(transactions, time=time, engine_height=request.height)
        updates = list_updates(validators, self._beginning.find_validators(state))
        tiles = [] if block.is_empty else self._chain.hash_block(block)
        answers = iter(block.answers)
        results: list[abci.ExecTxResult] = []
        for raw, transaction in zip(data, read, strict=True):
            if transaction is None:
                results.append(abci.ExecTxResult(code=OK if raw.startswith(TIME_START) else REFUSED))
                continue
            answer = next(answers)
            if answer.is_repeat:
                results.append(abci.ExecTxResult(code=REPEATED))
            elif answer.refusal is not None:
                results.append(abci.ExecTxResult(code=REFUSED))
            else:
                results.append(abci.ExecTxResult(code=OK, data=str(answer.index).encode()))
        response = abci.ResponseFinalizeBlock(
            tx_results=results, validator_updates=updates, app_hash=self._chain.compute_root()
        )
        self._in_hand = _InHand(
            request.height, block, transactions, data, tiles, response, monotonic() - started
        )
        return response

    def _commit(self, _request: abci.RequestCommit) -> abci.ResponseCommit:
        in_hand = self._in_hand
        if in_hand is None:
            raise InvariantBroken("COMMIT_WITHOUT_BLOCK", engine_height=self._height.value)
        started = monotonic()
        block = in_hand.block
        if block.is_empty:
            self._height.keep(in_hand.engine_height, size=block.head.size)
        else:
            self._chain.commit(block, in_hand.transactions, in_hand.tiles)
            self._height.move_on(in_hand.engine_height)
        self._in_hand = None
        seconds = in_hand.seconds + monotonic() - started
        self._listener.note_committed(block, in_hand.transactions, seconds)
        for data in in_hand.data:
            self._known.forget(data)
        self._chain.check_rulebook()
        self._chain.fold_if_due()
        return abci.ResponseCommit()

    def _query(self, request: abci.RequestQuery) -> abci.ResponseQuery:
        if request.path != "/head":
            return abci.ResponseQuery(code=REFUSED, codespace=CODESPACE, log="NOT_FOUND")
        head = self._chain.head
        told = {"height": head.height, "size": head.size, "time": head.time}
        return abci.ResponseQuery(value=encode(told), height=self._height.value)

    def _read(self, data: bytes) -> Transaction | None:
        """A transaction of a decided block; None for what is none, as on every other node."""
        if data.startswith((TIME_START, WAKE_START)):
            return None
        try:
            return self._known.read(data)
        except Refused:
            return None


def _describe(found: abci.Misbehavior) -> dict[str, Any]:
    return {
        "kind": abci.MisbehaviorType.Name(found.type).lower(),
        "engine_height": found.height,
        "validator": found.validator.address.hex(),
        "power": found.validator.power,
    }
