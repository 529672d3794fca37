"""The log as files.

Whoever mirrors them gets the very tree that the checkpoint signs, and no more than they may.
"""

from __future__ import annotations

from ledger.log.merkle import HASH_BYTES, compute_leaf_hashes, compute_parents, compute_root
from ledger.log.note import decode_vkey, open_note, parse_checkpoint
from ledger.log.tiles import TILE_WIDTH, decode_bundle, entries_path, tile_path
from tests.contracts.cast import FRESH, member_id
from tests.node.api.desk import code_of, list_widths

FOREVER = "max-age=31536000, immutable"


async def test_the_tiles_are_the_tree_that_the_checkpoint_signs(grown):
    async with grown.client() as client:
        answer = await client.get("/checkpoint")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        checkpoint = parse_checkpoint(open_note(answer.text, [decode_vkey(grown.core.vkey)]).body)
        rows: list[list[bytes]] = []
        count = checkpoint.size
        while count:
            row: list[bytes] = []
            for index, width in list_widths(count):
                tile = await client.get("/" + tile_path(len(rows), index, width))
                assert tile.status_code == 200
                assert tile.headers["content-type"] == "application/octet-stream"
                is_full = width == TILE_WIDTH
                assert tile.headers["cache-control"] == f"public, {FOREVER if is_full else 'max-age=60'}"
                assert len(tile.content) == width * HASH_BYTES
                row += [tile.content[at : at + HASH_BYTES] for at in range(0, len(tile.content), HASH_BYTES)]
            rows.append(row)
            count //= TILE_WIDTH
        assert len(rows) == 2
        leaves = []
        for index, width in list_widths(checkpoint.size):
            bundle = await client.get("/" + entries_path(index, width), headers=grown.asks("follower"))
            assert bundle.headers["content-type"] == "application/octet-stream"
            assert bundle.headers["cache-control"].startswith("private, ")
            leaves += decode_bundle(bundle.content)
    assert len(leaves) == checkpoint.size
    assert compute_leaf_hashes(leaves) == rows[0]
    assert compute_root(rows[0]) == checkpoint.root
    above = rows[0]
    for _ in range(8):
        above = compute_parents(above)
    assert rows[1] == above


async def test_every_partial_width_up_to_the_tree_is_served(grown):
    size = grown.core.head.size
    last, width = divmod(size, TILE_WIDTH)
    async with grown.client() as client:
        for each in (1, 2, width - 1, width):
            tile = await client.get("/" + tile_path(0, last, each))
            bundle = await client.get("/" + entries_path(last, each), headers=grown.asks("auditor"))
            assert len(tile.content) == each * HASH_BYTES
            assert compute_leaf_hashes(decode_bundle(bundle.content)) == [
                tile.content[at : at + HASH_BYTES] for at in range(0, len(tile.content), HASH_BYTES)
            ]


async def test_beyond_the_tree_there_is_nothing(grown):
    size = grown.core.head.size
    last, width = divmod(size, TILE_WIDTH)
    beyond = [
        tile_path(0, last, width + 1),
        tile_path(0, last),
        tile_path(0, last + 1, 1),
        tile_path(0, 10**9),
    ]
    beyond += [
        tile_path(1, 0),
        tile_path(1, 0, last + 1),
        tile_path(2, 0, 1),
        tile_path(63, 0, 1),
        tile_path(0, 2**62),
    ]
    beyond += [
        entries_path(last, width + 1),
        entries_path(last),
        entries_path(last + 1, 1),
        entries_path(2**62),
    ]
    async with grown.client() as client:
        for path in beyond:
            answer = await client.get(f"/{path}", headers=grown.asks("auditor"))
            assert (answer.status_code, code_of(answer)) == (404, "NOT_FOUND"), path


async def test_bundles_are_for_those_who_replay(grown):
    async with grown.client() as client:
        path = "/" + entries_path(0)
        assert (await client.get(path)).status_code == 401
        for role in ("auditor", "follower"):
            assert (await client.get(path, headers=grown.asks(role))).status_code == 200
        for role in ("operator", f"participant:{FRESH}", f"member:{member_id(1)}"):
            assert code_of(await client.get(path, headers=grown.asks(role))) == "NOT_FOUND"
