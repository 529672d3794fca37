"""A follower: a node that copies a log from whoever has it, believes none of them, and executes every block
itself.

    sources ─▶ verified tiles ─▶ catching up (execute, compare, store) ─▶ chain ─▶ core ─▶ API

What it serves it has found right, leaf by leaf, and says so with a cosignature of its own under the log's
checkpoint. It makes no block and takes no transaction. It needs from others nothing but the static files of
C2SP tlog-tiles, so any node, mirror or copy on a disk will do.
"""
