"""The README's example is run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


def test_the_ten_lines_of_the_readme_run(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A stranger who copies the example gets points, a balance, a debt and a receipt."""
    (example,) = re.findall(r"```python\n(.*?)```", (repository / "README.md").read_text(), re.DOTALL)
    lines = [line for line in example.splitlines() if line.strip() and not line.startswith(("from", "with"))]
    assert len(lines) <= 10
    exec(compile(example, "README.md", "exec"), {})
    told = capsys.readouterr().out
    assert "45 points earned" in told
    assert "15 left; ['fresh owes petrol 297000', 'fresh owes alliance 3000']" in told
    assert "checks offline" in told
