"""An operator's ledger as a process, with followers, and nothing left behind: as in the followers' tests."""

from __future__ import annotations

from tests.node.follower.conftest import founded, leader

__all__ = ["founded", "leader"]
