"""The log: an append-only Merkle tree whose signed checkpoints anybody can hold against each other.

- `merkle`: hashes, roots and the three proofs (inclusion, consistency, range);
- `tiles`: the tree as C2SP tlog-tiles, and the growing tree at its right edge;
- `note`: C2SP signed notes, checkpoints and cosignatures;
- `policy`: which log and which witnesses are believed (C2SP tlog-policy);
- `tlog_proof`: a proof that stands alone in a file (C2SP tlog-proof).

Nothing here knows what a leaf says, and nothing here reads or writes a file.
"""
