"""A witness: it has seen one history of each log it knows, says so under checkpoints, and never sees another.

    request ─▶ protocol (what was asked) ─▶ desk (what may be said, kept before it is signed) ─▶ app

It follows C2SP tlog-witness and stands alone: it needs no ledger, reads no entry, and executes nothing. That
a log keeps its own rules is the statement of a follower, under another key and another name.
"""
