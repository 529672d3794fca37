"""The auditor's verifier: it re-executes the whole history and believes nothing the node says about it.

- `sources`: where leaves, tiles and the checkpoint are read from;
- `hashes`: leaves against the hash tree as stored;
- `recorded`: leaves grouped into blocks and transactions as they claim to belong together;
- `signatures`: a second process that checks signatures ahead;
- `replay`: leaves against what the rules make of the transactions in them;
- `invariants`: full sums over the replayed state;
- `stored`: a data directory's records and look-ups against the replayed ones;
- `report`: what is said in the end;
- `verify`: all of it in numbered steps, and the report.

It imports the core and the contracts, nothing of the node. What it needs to read is said by its own
protocols.
"""
