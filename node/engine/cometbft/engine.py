"""The engine of one validator: CometBFT beside it, the application that CometBFT asks, and those who wait for
answers.

What is submitted here goes to CometBFT's mempool, and is answered when a block with it is durable here,
whoever proposed that block. The engine stops for good at the first fault that is not the asker's, and where
the others have come to another root than it has; CometBFT that dies is started again, and nobody notices but
by the time it takes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

from contracts.mechanics.governance_records import ValidatorSet
from ledger.errors import InvariantBroken, Refused
from ledger.executor import ExecutedBlock, Head
from ledger.log.note import encode_base64
from ledger.transaction import Transaction, TransactionDecoder
from node.chain import ChainKeeper
from node.engine.answering import refuse, tell_answer, tell_failure, tell_stopped
from node.engine.cometbft.application import Application
from node.engine.cometbft.beginning import read_beginning
from node.engine.cometbft.broadcasting import Broadcaster
from node.engine.cometbft.child import LOG_FILE, Child
from node.engine.cometbft.engine_height import EngineHeight
from node.engine.cometbft.halting import SaidFile
from node.engine.cometbft.home import HOME_FOLDER, read_voted_height
from node.engine.cometbft.injected import encode_wake
from node.engine.cometbft.known import KnownTransactions
from node.engine.cometbft.membership import Membership
from node.engine.cometbft.misbehaviour import Misbehaviour
from node.engine.cometbft.reaching import Reach
from node.engine.cometbft.server import Server
from node.engine.cometbft.unfinished import remove_unfinished
from node.engine.standing import get_engine
from node.mempool import Mempool

APP_SOCKET: Final = "app.sock"
SETTINGS_FILE: Final = "config/config.toml"
RPC_SOCKET: Final = "rpc.sock"
_LOOK_SECONDS: Final = 0.5
_QUIET_SECONDS: Final = 1.0
"""After so long without a question of CometBFT's, what is unfolded is folded."""
_IDLE_SECONDS: Final = 0.05
_DUE_WORK_SECONDS: Final = 20.0
"""How often an idle chain looks for work that has fallen due."""
_ANSWER_SECONDS: Final = 3.0
"""So long a node that stops waits for blocks with what it was given."""


class CometEngine:
    """Blocks as a set of validators decides them."""

    def __init__(
        self,
        chain: ChainKeeper,
        mempool: Mempool,
        *,
        directory: Path,
        program: Path,
        clock: Callable[[], int],
        on_failure: Callable[[], None],
        on_block: Callable[[float, ExecutedBlock], None],
    ) -> None:
        self._chain = chain
        self._mempool = mempool
        self._on_failure = on_failure
        self._on_block = on_block
        self._home = directory / HOME_FOLDER
        app, rpc = self._home / APP_SOCKET, self._home / RPC_SOCKET
        self._server = Server(app)
        beginning = read_beginning(self._home, chain=chain.origin.chain, engine=get_engine(chain.reader))
        decoder = TransactionDecoder(chain.executor.rulebook.message_type)
        self._known = KnownTransactions(decoder, chain=chain.origin.chain)
        height = EngineHeight(
            self._home, chain.store.log, before=beginning.height, first=beginning.engine_height
        )
        self._application = Application(
            chain,
            known=self._known,
            height=height,
            clock=clock,
            listener=self,
            beginning=beginning,
        )
        self._broadcaster = Broadcaster(
            mempool,
            rpc=rpc,
            known=self._known,
            get_last_block=lambda: self._last_block,
            on_failure=self._fail,
        )
        self._child = Child(
            program,
            self._home,
            app=app,
            rpc=rpc,
            prepare=lambda: remove_unfinished(self._home, has_blocks=height.committed > 0),
            on_started=self._broadcaster.send_again,
        )
        self._reach = Reach(
            self._home / SETTINGS_FILE,
            rpc,
            count_validators=lambda: _count(beginning.find_validators(chain.reader)),
            get_last_block=lambda: self._last_block,
            start_again=self._child.start_again,
        )
        self._said = SaidFile(self._home / LOG_FILE)
        self._membership = Membership(chain, self._home)
        self._misbehaviour = Misbehaviour(self._home)
        self._stopping = threading.Event()
        self._failing = threading.Lock()
        self._last_block = self._last_asked = self._looked = self._looked_for_work = monotonic()
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """CometBFT runs, and blocks are made as it decides them."""
        self._server.start()
        self._thread.start()
        self._child.start()
        self._broadcaster.start()
        self._reach.start()

    @property
    def is_open(self) -> bool:
        """Whether what is submitted will be answered."""
        return self.failure is None and not self._stopping.is_set() and not self._membership.is_silent

    @property
    def is_at_rest(self) -> bool:
        """Whether this node signs nothing now: it was not voted in yet, or was voted out."""
        return self.failure is None and self._membership.is_silent

    @property
    def misbehaviour(self) -> int:
        """How often a validator was caught signing two blocks of one height."""
        return self._misbehaviour.count

    def find_rest(self) -> str | None:
        """Why nothing would be decided now of what is sent here, as far as CometBFT can be seen."""
        return self._reach.find_rest(monotonic())

    @property
    def child_pid(self) -> int | None:
        """Of CometBFT's process, while it runs."""
        return self._child.pid

    @property
    def engine_height(self) -> int:
        """Of the last block that was committed."""
        return self._application.engine_height

    def cut(self, time: int) -> Head:
        """Nobody tells validators when to make a block."""
        raise InvariantBroken("NOT_TOLD_WHEN", time=time)

    def close_intake(self) -> None:
        """What waits is told to come again, and nothing more is taken."""
        refusal = Refused("STOPPING")
        refuse(self._mempool.close(refusal), refusal)

    def stop(self) -> None:
        """Intake closes; what is with CometBFT is answered if its block comes soon; all of it is folded."""
        self.close_intake()
        end = monotonic() + _ANSWER_SECONDS
        while self.failure is None and self._mempool.in_hand and monotonic() < end:
            sleep(_IDLE_SECONDS)
        self._stopping.set()
        self._reach.stop()
        self._broadcaster.stop()
        # While it is still answered, CometBFT ends in order.
        self._child.stop()
        if self._thread.is_alive():
            self._thread.join()
        refusal = Refused("STOPPING")
        refuse(self._mempool.give_up_block(), refusal)
        self._application.close()
        if self.failure is None:
            self._chain.fold_all()

    def note_connected(self) -> int:
        """CometBFT has begun to ask: the height at which it has voted before."""
        self._broadcaster.send_again()
        return read_voted_height(self._home)

    def note_refused(self, transaction: Transaction, refusal: Refused) -> None:
        """Whoever submitted it here is told; unless it may be with other validators from before, where a
        block may still take it.
        """
        header = transaction.header
        if (header.sender, header.id) in self._broadcaster.resent:
            return
        waiting = self._mempool.settle(transaction)
        if waiting is not None:
            refuse([waiting], refusal)

    def note_misbehaviour(self, facts: Sequence[dict[str, Any]]) -> None:
        """It is told in the log and kept in a file."""
        self._misbehaviour.note(facts)

    def note_committed(
        self, block: ExecutedBlock, transactions: Sequence[Transaction], seconds: float
    ) -> None:
        """Whoever waits here for one of these transactions is answered."""
        self._last_block = monotonic()
        if not block.is_empty:
            self._on_block(seconds, block)
        for transaction, answer in zip(transactions, block.answers, strict=True):
            waiting = self._mempool.settle(transaction)
            if waiting is not None:
                tell_answer(waiting, answer, block=block, chain=self._chain)
        self._membership.check(self._application.engine_height)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set() or self._child.pid is not None:
                asked = self._server.next(_LOOK_SECONDS)
                if asked is not None:
                    connection, request = asked
                    is_flush = request.HasField("flush")
                    self._server.answer(connection, None if is_flush else self._application.answer(request))
                    self._last_asked = monotonic()
                self._look_around()
        except BaseException as error:  # noqa: BLE001 - the thread's last act is to stop the node and say why
            self._fail(error)
        finally:
            self._server.close()

    def _look_around(self) -> None:
        """Now and then: who waited too long is told so, and a quiet moment is used."""
        now = monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        self._check_goes_on()
        self._let_expire()
        idle_seconds = now - self._last_block
        # Each transaction is asked about on its way to a block. What were folded between two blocks of a busy
        # ledger would be written once more after the next.
        if not self._application.is_between_blocks or now - self._last_asked < _QUIET_SECONDS:
            return
        self._chain.fold_when_idle()
        if idle_seconds > _DUE_WORK_SECONDS and now - self._looked_for_work > _DUE_WORK_SECONDS:
            self._looked_for_work = now
            if self._application.is_work_due():
                self._broadcaster.call(encode_wake(self._application.engine_height + 1))

    def _check_goes_on(self) -> None:
        """CometBFT has not given up. Raises `InvariantBroken` ``BLOCK_DIFFERS`` or ``ENGINE_FAILED``."""
        halt = None if self._stopping.is_set() else self._said.find_halt()
        if halt is None:
            return
        head = self._chain.head
        where = {"engine_height": self._application.engine_height, "height": head.height, "size": head.size}
        if halt.decided is None:
            raise InvariantBroken("ENGINE_FAILED", said=halt.said, **where)
        root, decided = self._chain.compute_root(head.size), halt.decided
        raise InvariantBroken(
            "BLOCK_DIFFERS", decided=encode_base64(decided), root=encode_base64(root), **where
        )

    def _let_expire(self) -> None:
        """Whoever waits for what no block can take any more is told so."""
        head = self._chain.head.time
        for waiting in self._mempool.in_hand:
            not_after = waiting.transaction.header.not_after
            if not_after < head and self._mempool.settle(waiting.transaction) is not None:
                refuse([waiting], Refused("EXPIRED", not_after=not_after, time=head))

    def _fail(self, error: BaseException) -> None:
        """The engine has stopped for good. Nobody is left waiting, whatever else may fail."""
        with self._failing:
            if self.failure is not None:
                return
            self.failure = error
        tell_stopped(self._mempool)
        try:
            tell_failure(error)
        finally:
            # On a thread of its own: whoever is told may well stop the engine, and so wait for this one.
            threading.Thread(target=self._on_failure, name="engine-failure", daemon=True).start()


def _count(validators: ValidatorSet | None) -> int:
    return 0 if validators is None else len(validators.validators)
