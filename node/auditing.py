"""Where an audit is put together: the verifier, which knows nothing of a node, and what it reads.

    data directory ─▶ snapshot ─▶ audit            URL ─▶ tiles over HTTP ─▶ audit

Nothing of a running node is used, no key is needed, and nothing is written.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ledger.errors import InvalidBlock
from ledger.log.policy import Policy
from node.audit.report import FirstBad, Report
from node.audit.sources import HttpSource
from node.audit.verify import Expected, Progress, verify_ledger
from node.config import find_database, read_public_files
from node.storage.snapshot import Snapshot


def audit_data_dir(
    directory: Path, *, policy: Policy | None, chain: str | None, processes: int = 1, progress: Progress
) -> Report:
    """The audit of a data directory, in use or not. Raises `Unusable` or `SourceUnavailable`."""
    files = read_public_files(directory)
    expected = Expected(chain=chain, policy=policy, genesis=files.genesis, policy_copy=files.policy)
    try:
        snapshot = Snapshot(find_database(directory))
    except InvalidBlock as error:
        return Report(first_bad=FirstBad.of(error), is_finished=True)
    with snapshot:
        return verify_ledger(
            snapshot,
            expected=expected,
            stored=snapshot,
            opening=partial(Snapshot, find_database(directory)),
            processes=processes,
            progress=progress,
        )


def audit_url(
    url: str,
    *,
    token: str | None,
    policy: Policy | None,
    chain: str | None,
    processes: int = 1,
    progress: Progress,
) -> Report:
    """The audit of a log that is served. Raises `SourceUnavailable` where it cannot be read."""
    with HttpSource(url, token) as source:
        return verify_ledger(
            source, expected=Expected(chain=chain, policy=policy), processes=processes, progress=progress
        )
