"""Audits of a data directory, as the command line runs them."""

from __future__ import annotations

from node import auditing


def audit(directory, **how):
    return auditing.audit_data_dir(
        directory, **{"policy": None, "chain": None, "progress": lambda _done, _total: None, **how}
    )


def found_in(directory):
    """(index, check) of what the audit found first."""
    report = audit(directory)
    assert not report.is_good
    return report.first_bad.index, report.first_bad.check
