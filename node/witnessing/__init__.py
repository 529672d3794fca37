"""The log's side of witnesses: its node submits each new checkpoint and gathers cosignatures until a policy
is met.

Which witnesses, where they are, and how many are enough stands in one C2SP tlog-policy file in the node's
data directory. Nothing waits for a witness: blocks are answered as ever, and what was gathered is shown when
it is there.
"""
