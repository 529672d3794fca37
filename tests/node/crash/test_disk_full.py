"""A full disk: what cannot be written is not acknowledged, the node stops, and the next start is right."""

from __future__ import annotations

import pytest

from tests.node.crash.conftest import OFTEN, RARELY
from tests.node.crash.dying import DONE


@pytest.mark.parametrize("settings", [OFTEN, RARELY], ids=["while folding too", "while appending"])
@pytest.mark.parametrize("room", [200_000, 800_000], ids=["early", "late"])
def test_a_full_disk_stops_the_node_and_loses_nothing_acknowledged(mortuary, room, settings):
    mortuary.start(file_bytes_max=room, settings=settings, count=200)
    assert mortuary.wait() == DONE, mortuary.log
    *lines, end = mortuary.diary
    assert end == {"end": False}, "the node says itself that it is not ready"
    refused = [line["refused"] for line in lines if "refused" in line]
    # Each of the senders had one transaction on its way, and hears that it may come again.
    assert refused == ["STOPPING"] * 4
    assert "disk" in mortuary.log or "I/O" in mortuary.log
    assert any("outcomes" in line for line in lines)
    mortuary.bury(count=200)
