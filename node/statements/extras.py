"""What PDF and Parquet need and a node does not: the extra `statements`, asked for by name where missing."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from node.keystore import Unusable

EXTRA: Final = "commonpoint[statements]"
_FONT_PACKAGE: Final = "cvttf_NotoSansCJK_Regular"


def load(module: str) -> Any:
    """The module of this name. Raises `Unusable` ``EXTRA_MISSING``."""
    try:
        return import_module(module)
    except ModuleNotFoundError:
        raise _missing(module) from None


def find_font_folder() -> Path:
    """Where the font is that Chinese pages are set in. Raises `Unusable` ``EXTRA_MISSING``."""
    found = find_spec(_FONT_PACKAGE)
    if found is None or found.origin is None:
        raise _missing(_FONT_PACKAGE)
    return Path(found.origin).parent


def _missing(module: str) -> Unusable:
    advice = f"Install what this format needs: pip install '{EXTRA}'"
    return Unusable("EXTRA_MISSING", advice=advice, module=module)
