"""The engine for a ledger that several organisations keep: CometBFT decides order, our executor does the
rest.

    submit ─▶ mempool ─▶ broadcaster ─▶ CometBFT ◀─▶ the other validators' CometBFT
                                           │ ABCI over a local socket
                                           ▼
    answer ◀─ chain (execute, append, commit, sign) ◀─ application

CometBFT is a program of its own and a child of the node. What it is told and what it asks goes through two
sockets in the data directory, which nobody but the node's owner can reach; only other validators speak with
it over a network.
"""
