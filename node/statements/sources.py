"""Where a log is read for its statements: a node's data directory, a folder of tiles, or whoever serves them.

A folder of tiles is a mirror as any tool for C2SP tlog-tiles leaves it: `checkpoint`, `tile/entries/…` and
`tile/<L>/…`. It needs neither a node nor this program to have been made. Where the log has changed its keys,
what a node shows under `/v1/policies` belongs to it as the file `v1/policies`. Nothing that is read here is
believed; `node.statements.log` holds it against the signed tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from ledger.genesis import Origin
from ledger.log.note import NOTE_CHARACTERS_MAX
from ledger.log.tiles import TILE_BYTES, entries_path, tile_path
from ledger.policy_chain import PolicyChain
from ledger.policy_steps import SHOWN_BYTES_MAX, SHOWN_PATH, read_shown_steps
from node.audit.sources import BUNDLE_BYTES_MAX, HttpSource, LeafSource, SourceUnavailable
from node.audit.verify import Expected
from node.config import find_database, read_public_files
from node.storage.policies import prove_stored_policies
from node.storage.snapshot import Snapshot

CHECKPOINT_FILE: Final = "checkpoint"


class TileFolder:
    """A folder with a log's checkpoint, entry bundles and hash tiles, as an audit's `LeafSource`."""

    has_partial_tiles: Final = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read_checkpoint(self) -> str:
        """The checkpoint that was mirrored."""
        data = self._read(CHECKPOINT_FILE, NOTE_CHARACTERS_MAX)
        return "" if data is None else data.decode("utf-8", "replace")

    def read_size(self) -> int | None:
        """Not to be seen apart from the checkpoint."""
        return None

    def read_bundle(self, index: int, width: int) -> bytes | None:
        """The entry bundle."""
        return self._read(entries_path(index, width), BUNDLE_BYTES_MAX)

    def read_tile(self, level: int, index: int, width: int) -> bytes | None:
        """The hash tile."""
        return self._read(tile_path(level, index, width), TILE_BYTES)

    def read_policies(self, origin: Origin) -> PolicyChain:
        """The policies that were mirrored with it. Raises `Unverified`."""
        return _accept(origin, self._read(SHOWN_PATH, SHOWN_BYTES_MAX))

    def _read(self, path: str, bytes_max: int) -> bytes | None:
        """What stands in the file, as far as it can be what was asked for; None where there is none."""
        try:
            with (self._folder / path).open("rb") as file:
                return file.read(bytes_max + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise SourceUnavailable(
                "MIRROR_UNREADABLE", path=str(self._folder / path), reason=error.strerror
            ) from None


class OpenLog(NamedTuple):
    """A log to read, and what is known of it beforehand."""

    source: LeafSource
    expected: Expected
    read_policies: Callable[[Origin], PolicyChain]
    """What hands over from the genesis's policy to each later one."""


@contextmanager
def open_directory(directory: Path, *, chain: str | None) -> Iterator[OpenLog]:
    """The log in a folder, whichever of the two kinds it is.

    Raises `Unusable` where it is neither, `SourceUnavailable` or `InvalidBlock` where it cannot be read.
    """
    if (directory / CHECKPOINT_FILE).is_file():
        folder = TileFolder(directory)
        yield OpenLog(folder, Expected(chain=chain), folder.read_policies)
        return
    files = read_public_files(directory)
    expected = Expected(chain=chain, genesis=files.genesis, policy_copy=files.policy)
    with Snapshot(find_database(directory)) as snapshot:
        yield OpenLog(snapshot, expected, lambda origin: prove_stored_policies(snapshot, origin, directory))


@contextmanager
def open_url(url: str, *, token: str | None, chain: str | None) -> Iterator[OpenLog]:
    """The log that a node or a mirror serves. ``token`` may read entry bundles."""
    with HttpSource(url, token) as source:
        yield OpenLog(
            source,
            Expected(chain=chain),
            lambda origin: _accept(origin, source.fetch(SHOWN_PATH, SHOWN_BYTES_MAX)),
        )


def _accept(origin: Origin, shown: bytes | None) -> PolicyChain:
    chain = PolicyChain.of_origin(origin)
    chain.accept_all([] if shown is None else read_shown_steps(shown))
    return chain
