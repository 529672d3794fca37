"""The core of Commonpoint: bytes, keys, log, postings, state, executor.

Nothing in this package reads a clock, a disk, a socket or the environment: bytes and integers in, bytes and
integers (or one of the errors in `ledger.errors`) out. That is what lets a stranger re-execute the history.
"""
