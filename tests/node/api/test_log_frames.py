"""Entry bundles as frames: the short way from memory says what the long one says, and refuses nothing by
itself.
"""

from __future__ import annotations

import httpx2
import pytest
import zstandard

from ledger.log.tiles import TILE_WIDTH, decode_bundle, entries_path, tile_path
from node.storage.newest import NewestRows
from tests.contracts.cast import FRESH
from tests.node.api.desk import Desk, list_widths


def unpack(answer: httpx2.Response) -> bytes:
    """What every one of the frames holds, by an unpacker that is not the client's."""
    with zstandard.ZstdDecompressor().stream_reader(answer.content, read_across_frames=True) as stream:
        return stream.read(-1)


async def fetch(client: httpx2.AsyncClient, path: str, **headers: str) -> httpx2.Response:
    """The answer, with the very bytes that came."""
    async with client.stream("GET", path, headers=headers) as answer:
        answer._content = b"".join([part async for part in answer.aiter_raw()])
        return answer


async def test_a_bundle_is_the_same_packed_or_not_from_memory_or_from_the_disk(grown):
    """And under the same headers, but for those that say that it is packed."""
    size = grown.core.head.size
    log = grown.core._chain.store.log
    auth = grown.asks("follower")
    places = list_widths(size)
    # Where the blocks end, so no row has to be cut.
    ends = [block + 1 for block, _, _ in log.list_blocks()]
    places += [divmod(end, TILE_WIDTH) for end in ends if end % TILE_WIDTH]
    async with grown.client() as client:
        for index, width in places:
            path = "/" + entries_path(index, width)
            plain = await fetch(client, path, **auth, **{"accept-encoding": "gzip"})
            assert plain.status_code == 200
            assert "content-encoding" not in plain.headers
            for is_forgotten in (False, True, False):
                if is_forgotten:
                    log.newest = NewestRows()
                packed = await fetch(client, path, **auth, **{"accept-encoding": "gzip, ZSTD"})
                assert packed.headers["content-encoding"] == "zstd"
                assert unpack(packed) == plain.content
                assert log.newest.find(index, width)
                alike = ("cache-control", "content-type", "vary", "x-content-type-options")
                assert [packed.headers[name] for name in alike] == [plain.headers[name] for name in alike]
                assert plain.headers["vary"] == "accept-encoding"


async def test_a_bundle_that_ends_within_a_row_is_sent_as_it_is(grown):
    last, width = divmod(grown.core.head.size, TILE_WIDTH)
    async with grown.client() as client:
        path = "/" + entries_path(last, width - 1)
        answer = await fetch(client, path, **grown.asks("auditor"), **{"accept-encoding": "zstd"})
        assert "content-encoding" not in answer.headers
        assert len(decode_bundle(answer.content)) == width - 1


@pytest.mark.parametrize("accepted", ["", "identity", "zstd;q=0", "zstd;q=0.5, gzip", "*", "zstd2"])
async def test_who_does_not_plainly_ask_for_frames_gets_none(grown, accepted):
    async with grown.client() as client:
        answer = await fetch(
            client, "/" + entries_path(0), **grown.asks("auditor"), **{"accept-encoding": accepted}
        )
        assert "content-encoding" not in answer.headers
        assert len(decode_bundle(answer.content)) == TILE_WIDTH


async def test_the_short_way_refuses_as_the_long_one_does(grown):
    """Whether what is asked for is in memory makes no difference to who may have it, or how it is asked."""
    path, size = "/" + entries_path(0), grown.core.head.size
    last, width = divmod(size, TILE_WIDTH)
    good = grown.asks("follower")
    asked = [
        ("GET", path, {}),
        ("GET", path, grown.asks("operator")),
        ("GET", path, grown.asks(f"participant:{FRESH}")),
        ("GET", path, {"authorization": "Bearer x.y"}),
        ("GET", path, {"authorization": good["authorization"] + "x"}),
        ("GET", path + "?size=1", good),
        ("POST", path, good),
        ("HEAD", path, good),
        ("GET", path + "/", good),
        ("GET", path.replace("000", "0"), good),
        ("GET", "/" + entries_path(last, width + 1), good),
        ("GET", "/" + entries_path(last), good),
    ]
    async with grown.client() as client:
        assert (await client.get(path, headers={**good, "accept-encoding": "zstd"})).status_code == 200
        for method, where, headers in asked:
            found = []
            for encoding in ("zstd", "identity"):
                answer = await client.request(method, where, headers={**headers, "accept-encoding": encoding})
                kept = {name: value for name, value in answer.headers.items() if name != "date"}
                found.append((answer.status_code, kept, answer.content))
            assert found[0] == found[1], (method, where)
            assert 400 <= found[0][0] < 500


def ask_short_way(desk: Desk, path: str, *headers: tuple[bytes, bytes], method: str = "GET"):
    """What the rim is given for this request; None where it is to go the way of all others."""
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}
    return desk.app._find_file(scope)


async def test_the_short_way_is_for_what_is_in_memory_and_for_nothing_else(grown):
    path = "/" + entries_path(0)
    token = (b"authorization", grown.asks("follower")["authorization"].encode())
    frames = (b"accept-encoding", b"zstd, gzip")
    async with grown.client() as client:
        await client.get(path, headers={**grown.asks("follower"), "accept-encoding": "zstd"})
    assert ask_short_way(grown, path, token, frames).status_code == 200
    assert ask_short_way(grown, path, token) is None
    assert ask_short_way(grown, path, frames) is None
    assert ask_short_way(grown, path, token, token, frames) is None
    assert ask_short_way(grown, path, token, frames, (b"content-length", b"1")) is None
    assert ask_short_way(grown, path, token, frames, method="HEAD") is None
    assert ask_short_way(grown, "/" + tile_path(0, 0), token, frames) is None
    grown.core._chain.store.log.newest = NewestRows()
    assert ask_short_way(grown, path, token, frames) is None


async def test_both_ways_are_counted_as_one_route(grown):
    def count() -> float:
        labels = {"method": "GET", "route": "/tile/entries/{place:path}", "status": "200"}
        site = grown.app._api.state.site
        return site.metrics.registry.get_sample_value("commonpoint_http_requests_total", labels) or 0

    async with grown.client() as client:
        before = count()
        for encoding in ("zstd", "zstd", "identity"):
            headers = {**grown.asks("follower"), "accept-encoding": encoding}
            await client.get("/" + entries_path(0), headers=headers)
    assert count() - before == 3
