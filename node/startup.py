"""How a node starts: from the last fold, through the rest of the log, to a head that its own checkpoint
vouches for.

1. A new database gets the genesis leaves and the records a ledger begins with. 2. A torn tail is cut back to
the last block leaf, never below the newest stored checkpoint. 3. The hash tree is restored from tiles and the
last leaves; it must have the stored checkpoint's root at its size, and after that the hashes of the leaves
themselves. 4. The log after the fold is re-executed; every leaf must come out the same, or the node does not
start. 5. What is then durable, read and executed is signed.

Intake opens only after all of it. No step repairs anything silently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog

from contracts.mechanics.governance_records import TRUST
from contracts.mechanics.log_keys import find_log_keys, list_policies
from contracts.rulebook import RULEBOOKS
from ledger.codec import to_base64url
from ledger.enactments import Enacted
from ledger.errors import InvariantBroken, Unverified
from ledger.executor import Executor, Head, apply_genesis, get_fleeting_tables, get_resident_tables
from ledger.genesis import Origin, read_genesis
from ledger.keys import SignatureJudge, Signer
from ledger.log import merkle
from ledger.log.note import VerifierKey, open_note, parse_checkpoint, split_note
from ledger.log.tiles import TILE_WIDTH, HashTree
from ledger.policy_chain import PolicyChain
from ledger.rule import Rulebook
from ledger.state import State
from ledger.versions import pick_rulebook
from node.audit.replay import Replay
from node.chain import ChainKeeper, Step
from node.checking import CheckerProcess
from node.enacted import Places, list_enacted
from node.fold_process import FoldApart
from node.folding import FoldWriter
from node.storage.lookups import LookupRows
from node.storage.place import Place
from node.storage.store import Store, open_store

log = structlog.get_logger()
CheckHead = Callable[[int, Callable[[int], bytes], Sequence[str]], None]
"""Raises where a log of this size, with these roots, must not be signed over; told with the policies that it
has enacted, as far as the last fold knows them.
"""
_Chain = TypeVar("_Chain", bound=ChainKeeper)


def open_chain(
    place: Place,
    *,
    genesis: Sequence[bytes],
    signer: Signer,
    on_step: Step = lambda _step: None,
    is_apart: bool = False,
    is_warm: bool = False,
    check_head: CheckHead = lambda *_told: None,
    make_chain: Callable[..., ChainKeeper] = ChainKeeper,
    is_certified: bool = False,
) -> ChainKeeper:
    """The chain that is kept there, made from ``genesis`` where there is none; with ``is_apart`` members'
    signatures are checked and folds written in processes of their own, which begin with the first work that
    is worth it, or at once where ``is_warm``. ``is_certified`` where others have agreed to the root after
    each block, and an engine asks this node for it before the next.

    Raises `InvalidBlock`, `InvariantBroken` or `Unverified` where log, checkpoint and re-execution do not
    agree.
    """
    origin = read_genesis(genesis)
    rulebook = pick_rulebook(RULEBOOKS, origin.settings.rulebook, height=1)
    with ExitStack() as undo:
        store = open_store(place, rulebook)
        undo.callback(store.close)
        judge = make_writer = None
        if is_apart:
            judge = CheckerProcess()
            undo.callback(judge.close)
            if is_warm:
                judge.warm_up()
        if is_apart and isinstance(place, Path):
            make_writer = partial(FoldApart, store, place, is_warm=is_warm)
        chain = load_chain_as(
            make_chain,
            store,
            origin=origin,
            signer=signer,
            on_step=on_step,
            judge=judge,
            make_writer=make_writer,
            is_certified=is_certified,
            check_head=check_head,
        )
        undo.callback(chain.close)
        chain.check_signer()
        undo.pop_all()
    return chain


def load_chain(store: Store, **how: Any) -> ChainKeeper:
    """The chain of a node that signs its own checkpoints: as `load_chain_as`."""
    return load_chain_as(ChainKeeper, store, **how)


def load_chain_as(
    make_chain: Callable[..., _Chain],
    store: Store,
    *,
    origin: Origin,
    signer: Signer,
    on_step: Step,
    rulebooks: Mapping[int, Rulebook] = RULEBOOKS,
    judge: SignatureJudge | None = None,
    make_writer: Callable[[int], FoldWriter] | None = None,
    vouched_size: int = 0,
    is_certified: bool = False,
    check_head: CheckHead = lambda *_told: None,
) -> _Chain:
    """The chain in this store, ready to go on; ``vouched_size`` leaves are vouched for by another checkpoint
    than the stored one; or, where it ``is_certified`` and this node's key may not sign, all by others.

    Raises `InvalidBlock` or `InvariantBroken` where it does not hold together, or goes on under a version of
    the rules that this program does not know.
    """
    rulebook = pick_rulebook(rulebooks, origin.settings.rulebook, height=1)
    # Before anything folded is read: an earlier process that died may have left a writer behind.
    claim = store.fold.claim()
    if store.log.size == 0:
        store.log.append_genesis(origin.leaves)
    found = store.log.read_leaves(0, len(origin.leaves))
    if tuple(found) != origin.leaves:
        raise InvariantBroken("GENESIS_DIFFERS", chain=origin.chain)
    note = store.log.read_note()
    torn = store.log.cut_torn_tail(genesis_size=len(origin.leaves), signed_size=note[0] if note else 0)
    if torn:
        log.warning("a torn tail was cut back to the last block", leaves=torn)
    store.fold.learn_last_days()
    state = State(
        store.tables,
        store.fold,
        resident=get_resident_tables(rulebook),
        fleeting=get_fleeting_tables(rulebook),
    )
    if store.fold.read_mark() is None:
        apply_genesis(state, origin, rulebook)
        store.fold.fold(size=len(origin.leaves), changes=state.commit().records, lookups=LookupRows())
    executor = Executor(state=state, origin=origin, rulebooks=rulebooks, judge=judge)
    # Without views a later policy is not known yet. Whether this node's own key may sign is judged once the
    # log is executed (`ChainKeeper.check_signer`).
    records = [record for _, record in state.list_remembered(TRUST)]
    if is_certified and signer.public not in find_log_keys(records, origin, height=executor.head.height):
        vouched_size = store.log.size
    signed_size = max(note[0] if note else len(origin.leaves), vouched_size)
    _check_fold(store, executor.head, origin, signed_size=signed_size)
    tree = _restore_tree(store)
    if note:
        _check_note(note[1], tree=tree, origin=origin)
    _check_unsigned(store, tree, first=note[0] if note else 0)
    chain = make_chain(
        store=store,
        origin=origin,
        executor=executor,
        tree=tree,
        signer=signer,
        note=note,
        on_step=on_step,
        writer=make_writer(claim) if make_writer is not None else None,
    )
    # Before anything is signed.
    check_head(tree.size, chain.compute_root, [record.policy for record in records])
    _replay_tail(chain, note=note[1] if note else None, own=signer.public)
    return chain


def _check_fold(store: Store, head: Head | None, origin: Origin, *, signed_size: int) -> None:
    """The fold stands for a size that the log has and a checkpoint covers, and for this log.

    The views are a file of their own: those of another log, or of a later copy of this one, are not believed.
    """
    mark = store.fold.read_mark()
    if head is None or mark != head.size:
        raise InvariantBroken("FOLD_MARK_DIFFERS", mark=mark, head=head)
    if head.size > store.log.size:
        raise InvariantBroken("LOG_BEHIND_FOLD", log=store.log.size, fold=head.size)
    if head.size > signed_size:
        raise InvariantBroken("FOLD_AHEAD_OF_CHECKPOINT", signed=signed_size, fold=head.size)
    last = to_base64url(merkle.leaf_hash(store.log.read_leaf(head.size - 1)))
    if head.previous != (last if head.height else origin.previous):
        raise InvariantBroken("FOLD_OF_ANOTHER_LOG", size=head.size, expected=last, found=head.previous)


def _restore_tree(store: Store) -> HashTree:
    """The tree over every leaf on disk."""
    size = store.log.size
    partial = store.log.read_leaves(size - size % TILE_WIDTH, size) if size % TILE_WIDTH else []
    return HashTree.restore(
        size=size,
        read_tile=store.log.read_full_tile,
        partial=merkle.compute_leaf_hashes(partial),
        cached_tiles=512,
    )


def _check_note(text: str, *, tree: HashTree, origin: Origin) -> None:
    """The stored checkpoint is this log's and the tree has its root at its size."""
    checkpoint = parse_checkpoint(split_note(text)[0])
    root = merkle.compute_subtree_root(first=0, end=checkpoint.size, node=tree.node)
    if checkpoint.origin != origin.chain or root != checkpoint.root:
        raise InvariantBroken(
            "CHECKPOINT_DIFFERS", size=checkpoint.size, expected=checkpoint.root.hex(), found=root.hex()
        )


def learn_own_policies(chain: ChainKeeper) -> PolicyChain:
    """Every policy that the chain has enacted, as far as it is executed."""
    return PolicyChain.of_origin(chain.origin).learn_all(list_own_enacted(chain))


def list_own_enacted(chain: ChainKeeper) -> list[Enacted]:
    """Where that was, epoch 1 first."""
    places = Places(
        origin=chain.origin,
        size=chain.executor.head.size,
        read_leaves=chain.store.log.read_leaves,
        find_block=chain.store.log.find_block,
        get_record=chain.reader.get,
    )
    return list_enacted(places, list_policies(chain.reader))


def _check_note_signer(chain: ChainKeeper, text: str, *, own: bytes) -> None:
    """The stored checkpoint is this node's own, or signed by a key that could sign for its tree.

    Raises `Unverified`. Before the log is executed nobody knows which keys those are: views may be gone, and
    keys have changed.
    """
    try:
        open_note(text, [VerifierKey.for_log(chain.origin.chain, own)])
    except Unverified as error:
        if error.code != "NOTE_UNSIGNED":
            raise
        learn_own_policies(chain).verify_signed(text)


def _check_unsigned(store: Store, tree: HashTree, *, first: int) -> None:
    """The leaves from ``first`` on, which no checkpoint vouches for yet, have the hashes of the tree."""
    for index, leaf in enumerate(_read_from(store, first), start=first):
        expected, found = tree.node(0, index), merkle.leaf_hash(leaf)
        if found != expected:
            raise InvariantBroken(
                "LEAF_HASH_DIFFERS", index=index, expected=expected.hex(), found=found.hex()
            )


def _replay_tail(chain: ChainKeeper, *, note: str | None, own: bytes) -> None:
    """Re-execute what was durable and not folded yet, and sign it."""
    store = chain.store
    first = chain.executor.head.size
    replay = Replay.resume(_read_from(store, first), origin=chain.origin, executor=chain.executor)
    for block in replay:
        chain.take_up(block.executed, block.recorded.transactions, block.changes)
        chain.check_rulebook()
        chain.fold_if_due()
    if note is not None:
        _check_note_signer(chain, note, own=own)
    chain.show_head()
    if chain.head.size > first:
        log.info("re-executed the log after the last fold", leaves=chain.head.size - first)
    chain.fold_all()


def _read_from(store: Store, first: int) -> Iterator[bytes]:
    """The leaves from ``first`` on, a few bundles at a time."""
    while first < store.log.size:
        end = min(store.log.size, first - first % TILE_WIDTH + 16 * TILE_WIDTH)
        yield from store.log.read_leaves(first, end)
        first = end
