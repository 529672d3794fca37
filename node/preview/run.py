"""One preview: the log is replayed and held against itself, and from a height on a fork is replayed with it.

 (1) The checkpoint is the chain's own, signed by a log key that may sign for a tree of its size; (2) every
 leaf is stored and is the one of the hash tree; (3) every block, executed again, comes out byte for byte the
 same: that is the base, so what is compared is what happened; (4) before the first block asked for, the state
 is copied and the actions are put on the copy's agenda; (5) from there on each recorded block is executed in
 both, and outcomes are compared; (6) the checkpoint's root is that of the leaves, a proposal that was asked
 for by name is the one that the replay made, and the fork's own full sums hold.

Signatures are checked once, in the base. Nothing is written anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter

from contracts.mechanics.governance_records import PROPOSAL, ProposalRecord
from contracts.messages.actions import Action
from ledger.codec import to_base64url
from ledger.errors import InvalidBlock, Unverified
from ledger.log.note import Checkpoint, parse_checkpoint, split_note
from ledger.state import State
from ledger.transaction import KEY_TABLE, RegisteredKey
from node.audit.hashes import HashedLeaves
from node.audit.invariants import verify_invariants
from node.audit.replay import Replay
from node.audit.signatures import SignatureChecker
from node.audit.signers import SignerCheck
from node.audit.sources import LeafSource
from node.preview.figures import NOTHING, Fees, read_figures, read_flows
from node.preview.flips import Flips
from node.preview.fork import Fork, RememberingJudge
from node.preview.report import Impact, Preview
from node.preview.span import Beginning, NoPreview, find_first_height, find_proposal
from node.process import pause_garbage_collector

Progress = Callable[[int, int], None]
"""Called with how many leaves are replayed, and of how many."""


def preview(
    source: LeafSource,
    *,
    proposal: str | None = None,
    actions: Sequence[Action] = (),
    beginning: Beginning = Beginning(),  # noqa: B008 - a NamedTuple of None
    chain: str | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Preview:
    """What the actions, or those of a proposal of this ledger, would have changed.

    Raises `NoPreview`, `SourceUnavailable`, and what an audit finds: `InvalidBlock`, `Unverified`.
    """
    started = perf_counter()
    note = source.read_checkpoint()
    if not note:
        raise Unverified("CHECKPOINT_MISSING")
    claimed = parse_checkpoint(split_note(note)[0])
    stored = source.read_size()
    size = claimed.size if stored is None else max(stored, claimed.size)
    if proposal is not None:
        actions = find_proposal(source, size, proposal).actions
    first_height = find_first_height(source, size, beginning)
    with pause_garbage_collector():
        return _Run(source, claimed=claimed, size=size, progress=progress).run(
            note,
            chain=claimed.origin if chain is None else chain,
            proposal=proposal,
            actions=list(actions),
            first_height=first_height,
            started=started,
        )


class _Run:
    """The replay and its fork."""

    def __init__(self, source: LeafSource, *, claimed: Checkpoint, size: int, progress: Progress) -> None:
        self._claimed = claimed
        self._leaves = HashedLeaves(
            source,
            size=size,
            signed_size=claimed.size,
            has_partial_tiles=source.has_partial_tiles,
            progress=lambda done: progress(done, size),
        )
        self._judge = RememberingJudge()
        self._replay = Replay.begin(self._leaves, judge=self._judge)

    def run(
        self,
        note: str,
        *,
        chain: str,
        proposal: str | None,
        actions: list[Action],
        first_height: int,
        started: float,
    ) -> Preview:
        """The steps of the module's docstring."""
        replay, claimed = self._replay, self._claimed
        for named in (chain, claimed.origin):
            if named != replay.origin.chain:
                raise InvalidBlock("WRONG_CHAIN", expected=named, found=replay.origin.chain, index=0)
        signer = SignerCheck(note, replay.origin)
        with SignatureChecker() as checker:
            replay.blocks = checker.read_ahead(
                replay.blocks, chain=replay.origin.chain, find_public=partial(_find_public, replay.state)
            )
            blocks = iter(replay)
            while replay.head.height + 1 < first_height:
                earlier = next(blocks, None)
                if earlier is None:
                    raise NoPreview("NOTHING_TO_REPLAY", first=first_height, newest=replay.head.height)
                signer.take(earlier)
                self._judge.forget()
            before = read_flows(replay.state)
            fork = Fork(replay.state, origin=replay.origin, actions=actions, judge=self._judge)
            operator = replay.origin.settings.operator
            fees, fork_fees = Fees(operator), Fees(operator)
            flips = Flips(fork.proposal)
            for block in blocks:
                signer.take(block)
                executed = fork.execute(block)
                flips.take(block, executed)
                fees.take(block, block.executed.answers)
                fork_fees.take(block, executed.answers)
                self._judge.forget()
        flips.finish()
        signer.finish()
        self._check_end(proposal, actions, fork.state)
        height = replay.head.height
        base = read_figures(replay.state, before=before, fees=fees, height=height)
        proposed = read_figures(fork.state, before=before, fees=fork_fees, height=height)
        return Preview(
            actions=actions,
            altered=dict(flips.altered),
            chain=replay.origin.chain,
            compared=flips.compared,
            enactment=flips.enactment,
            first_height=first_height,
            flips=flips.groups,
            impacts=[
                Impact(name, base.get(name, NOTHING), proposed.get(name, NOTHING))
                for name in sorted(base.keys() | proposed.keys())
            ],
            last_height=height,
            operations=replay.head.entries,
            proposal=proposal,
            root=to_base64url(claimed.root),
            seconds=perf_counter() - started,
            signed_size=claimed.size,
            size=replay.size,
        )

    def _check_end(self, proposal: str | None, actions: list[Action], forked: State) -> None:
        """(6) What was read is what is signed and what was asked for, and the fork adds up."""
        root = self._leaves.signed_root
        if root != self._claimed.root:
            found = None if root is None else root.hex()
            raise Unverified(
                "CHECKPOINT_ROOT", size=self._claimed.size, expected=self._claimed.root.hex(), found=found
            )
        if proposal is not None:
            made: ProposalRecord | None = self._replay.state.get_current(PROPOSAL, proposal)
            if made is None or list(made.actions) != actions:
                raise Unverified("PROPOSAL_DIFFERS", proposal=proposal)
        verify_invariants(forked)


def _find_public(state: State, key: str) -> str | None:
    """The public key that this id stands for at the end of the last replayed block."""
    record: RegisteredKey | None = state.get_current(KEY_TABLE, key)
    return None if record is None else record.public
