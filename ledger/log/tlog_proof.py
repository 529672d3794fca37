"""A proof that stands alone in a file: C2SP tlog-proof.

The index of a leaf, the hashes that lead from it to the root, and the signed checkpoint with its
cosignatures, as lines of text. Together with the leaf and a policy this is checked offline, for as long as
anybody keeps it.

What the leaf says is not part of it, and the extra line is carried without being believed: nothing signs it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.errors import Refused, Unverified
from ledger.log.merkle import HASH_BYTES, SIZE_MAX, verify_inclusion
from ledger.log.note import Checkpoint, decode_base64, encode_base64, split_note
from ledger.log.policy import Policy, verify_checkpoint

HEADER: Final = "c2sp.org/tlog-proof@v1"
HASHES_MAX: Final = 63
"""The longest path in a tree of the largest size a checkpoint may state."""
EXTRA_BYTES_MAX: Final = 65_536

_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,18})")


class TlogProof(NamedTuple):
    """The leaf's place in the log, the path to the root, and the checkpoint that states the root."""

    leaf_index: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None


def format_tlog_proof(
    *, index: int, hashes: Sequence[bytes], checkpoint: str, extra: bytes | None = None
) -> str:
    """The proof as the text of a ``.tlog-proof`` file; ``checkpoint`` is the whole signed note."""
    lines = [HEADER]
    if extra is not None:
        lines.append(f"extra {encode_base64(extra)}")
    lines += [f"index {index}", *map(encode_base64, hashes), ""]
    text = "\n".join(lines) + "\n" + checkpoint
    if parse_tlog_proof(text) != (index, tuple(hashes), checkpoint, extra):
        raise Refused("TLOG_PROOF_MALFORMED", reason="does not read back as the same proof")
    return text


def parse_tlog_proof(text: str) -> TlogProof:
    """What the file holds, in its one spelling; nothing is verified yet.

    Raises `Unverified`: ``TLOG_PROOF_MALFORMED``, or ``NOTE_MALFORMED`` for the checkpoint in it.
    """
    # The first empty line ends the path; neither the lines before it nor the checkpoint's text begin with
    # one.
    head, border, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not border or lines[0] != HEADER:
        raise Unverified("TLOG_PROOF_MALFORMED", reason="not a tlog-proof of version 1", line=lines[0][:60])
    extra: bytes | None = None
    if len(lines) > 1 and lines[1].startswith("extra "):
        extra = decode_base64(lines.pop(1).removeprefix("extra "))
        if extra is None or len(extra) > EXTRA_BYTES_MAX:
            raise Unverified("TLOG_PROOF_MALFORMED", reason="the extra line")
    found = _INDEX.fullmatch(lines[1]) if len(lines) > 1 else None
    if found is None or int(found[1]) >= SIZE_MAX:
        raise Unverified("TLOG_PROOF_MALFORMED", reason="the index line")
    hashes = [decode_base64(line) for line in lines[2 : HASHES_MAX + 3]]
    path = tuple(each for each in hashes if each is not None and len(each) == HASH_BYTES)
    if len(path) != len(lines) - 2 or len(path) > HASHES_MAX:
        raise Unverified("TLOG_PROOF_MALFORMED", reason="the path", lines=len(lines) - 2)
    split_note(checkpoint)
    return TlogProof(int(found[1]), path, checkpoint, extra)


def verify_tlog_proof(text: str, *, leaf: bytes, policy: Policy) -> tuple[TlogProof, Checkpoint]:
    """The leaf with the hash ``leaf`` is in a log the policy believes, at the index the proof says.

    Raises `Unverified` as `parse_tlog_proof`, `verify_checkpoint` and `verify_inclusion` do, in that order.
    """
    proof = parse_tlog_proof(text)
    checkpoint = verify_checkpoint(policy, proof.checkpoint)
    verify_inclusion(
        leaf=leaf, index=proof.leaf_index, size=checkpoint.size, proof=proof.hashes, root=checkpoint.root
    )
    return proof, checkpoint
