"""The auditor's verifier: it re-executes the whole history and believes nothing the node says about it.

- `sources`: where leaves, tiles and the checkpoint are read from;
- `hashes`: leaves against the hash tree as stored;
- `recorded`: leaves grouped into blocks and transactions as they claim to belong together;
- `signatures`: a second process that checks signatures ahead, where all is gone through step by step;
- `replay`: leaves against what the rules make of the transactions in them;
- `together`: the same by several processes, of which one executes;
- `crew`, `worker`, `tasks`, `preparing`: the others, and what they do ahead of it;
- `invariants`: full sums over the replayed state;
- `stored`, `records`, `lookups`: what a data directory keeps beside its log against the replayed;
- `report`: what is said in the end;
- `verify`: all of it in numbered steps, and the report.

It imports the core and the contracts, nothing of the node. What it needs to read is said by its own
protocols.
"""
