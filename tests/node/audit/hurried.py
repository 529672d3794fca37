"""Audits by several processes, of logs that would be too small for it."""

from __future__ import annotations

import msgspec

from node.audit import crew, verify
from node.audit.verify import Expected, verify_ledger


def hurry(monkeypatch):
    """No log is too small, and a group is a bundle: the history has several."""
    monkeypatch.setattr(verify, "WORTH_SHARING", 0)
    monkeypatch.setattr(crew, "GROUP_BUNDLES", 1)
    monkeypatch.setattr(crew, "LOT", 8)


def look_quickly(log, *, workers=1, **how):
    """The quick way alone. Raises where anything is not as in a good ledger."""
    attempt = verify._Audit(
        log, expected=Expected(), stored=how.get("stored"), progress=lambda _done, _total: None
    )
    assert attempt.run_together(how.get("opening"), workers=workers)
    return attempt.report


def find(log, **how):
    """The report as a machine reads it, without what a clock says."""
    told = msgspec.json.decode(verify_ledger(log, **how).to_json())
    del told["seconds"], told["operations_per_second"]
    return told
