"""Reads a QR symbol as ISO/IEC 18004 lays it out: an oracle that shares no code with the one that draws.

It knows alphanumeric segments and mends nothing: a symbol with a single wrong module gives another text.
"""

from __future__ import annotations

from collections.abc import Sequence

ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
FORMAT_MASK = 0b101010000010010
LEVELS = {0b01: "L", 0b00: "M", 0b11: "Q", 0b10: "H"}
MASKS = (
    lambda i, j: (i + j) % 2 == 0,
    lambda i, _: i % 2 == 0,
    lambda _, j: j % 3 == 0,
    lambda i, j: (i + j) % 3 == 0,
    lambda i, j: (i // 2 + j // 3) % 2 == 0,
    lambda i, j: i * j % 2 + i * j % 3 == 0,
    lambda i, j: (i * j % 2 + i * j % 3) % 2 == 0,
    lambda i, j: ((i + j) % 2 + i * j % 3) % 2 == 0,
)
# Table 9, by level and version: error correction codewords a block, and how many blocks.
CORRECTION = {
    "L": (7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28, 28, 28, 30, 30, 26,
          28, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30),
    "M": (10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26, 26, 28, 28, 28, 28,
          28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28),
    "Q": (13, 22, 18, 26, 18, 24, 18, 22, 20, 24, 28, 26, 24, 20, 30, 24, 28, 28, 26, 30, 28, 30, 30, 30, 30,
          28, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30),
    "H": (17, 28, 22, 16, 22, 28, 26, 26, 24, 28, 24, 28, 22, 24, 24, 30, 28, 28, 26, 28, 30, 24, 30, 30, 30,
          30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30),
}  # fmt: skip
BLOCKS = {
    "L": (1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8, 8, 9, 9, 10, 12, 12, 12, 13, 14, 15, 16,
          17, 18, 19, 19, 20, 21, 22, 24, 25),
    "M": (1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16, 17, 17, 18, 20, 21, 23, 25, 26,
          28, 29, 31, 33, 35, 37, 38, 40, 43, 45, 47, 49),
    "Q": (1, 1, 2, 2, 4, 4, 6, 6, 8, 8, 8, 10, 12, 16, 12, 17, 16, 18, 21, 20, 23, 23, 25, 27, 29, 34, 34, 35,
          38, 40, 43, 45, 48, 51, 53, 56, 59, 62, 65, 68),
    "H": (1, 1, 2, 4, 4, 4, 5, 6, 8, 8, 11, 11, 16, 16, 18, 16, 19, 21, 25, 25, 25, 34, 30, 32, 35, 37, 40,
          42, 45, 48, 51, 54, 57, 60, 63, 66, 70, 74, 77, 81),
}  # fmt: skip


def list_alignment(version: int) -> list[int]:
    """The rows and columns on which alignment patterns are centred."""
    if version == 1:
        return []
    count = version // 7 + 2
    last = 4 * version + 10
    step = 26 if version == 32 else (4 * version + 2 * count + 1) // (2 * count - 2) * 2
    return [6, *(last - step * place for place in reversed(range(count - 1)))]


def find_function_modules(size: int, version: int) -> list[list[bool]]:
    """Which modules carry no data: finders, timing, alignment, format and version."""
    taken = [[False] * size for _ in range(size)]

    def cover(rows: range, columns: range) -> None:
        for row in rows:
            for column in columns:
                taken[row][column] = True

    cover(range(9), range(9))
    cover(range(9), range(size - 8, size))
    cover(range(size - 8, size), range(9))
    cover(range(6, 7), range(size))
    cover(range(size), range(6, 7))
    centres = list_alignment(version)
    for row in centres:
        for column in centres:
            if (row, column) not in {(6, 6), (6, centres[-1]), (centres[-1], 6)}:
                cover(range(row - 2, row + 3), range(column - 2, column + 3))
    if version >= 7:
        cover(range(6), range(size - 11, size - 8))
        cover(range(size - 11, size - 8), range(6))
    return taken


def read_codewords(modules: Sequence[Sequence[bool]], version: int, mask: int) -> list[int]:
    """The codewords as they are placed: two columns at a time from the right, up and down in turn."""
    size = len(modules)
    taken = find_function_modules(size, version)
    bits = []
    is_up = True
    for right in (column for column in range(size - 1, 0, -2)):
        # The vertical timing pattern is left out of the pairs.
        pair = right if right > 6 else right - 1
        for step in range(size):
            row = size - 1 - step if is_up else step
            bits += [
                modules[row][column] ^ MASKS[mask](row, column)
                for column in (pair, pair - 1)
                if column >= 0 and not taken[row][column]
            ]
        is_up = not is_up
    return [int("".join("01"[bit] for bit in bits[i : i + 8]), 2) for i in range(0, len(bits) - 7, 8)]


def gather_data(codewords: list[int], version: int, level: str) -> list[int]:
    """The data codewords in order: blocks are interleaved, the short ones first."""
    blocks = BLOCKS[level][version - 1]
    correction = CORRECTION[level][version - 1]
    short, longer = divmod(len(codewords), blocks)
    lengths = [short - correction + (number >= blocks - longer) for number in range(blocks)]
    found: list[list[int]] = [[] for _ in range(blocks)]
    stream = iter(codewords)
    for place in range(max(lengths)):
        for number, length in enumerate(lengths):
            if place < length:
                found[number].append(next(stream))
    return [each for block in found for each in block]


def read_qr(modules: Sequence[Sequence[bool]]) -> str:
    """The text of the symbol's one alphanumeric segment."""
    size = len(modules)
    version = (size - 17) // 4
    row = [modules[8][column] for column in (0, 1, 2, 3, 4, 5, 7, 8)]
    row += [modules[line][8] for line in (7, 5, 4, 3, 2, 1, 0)]
    told = int("".join("01"[bit] for bit in row), 2) ^ FORMAT_MASK
    level, mask = LEVELS[told >> 13], told >> 10 & 7
    data = gather_data(read_codewords(modules, version, mask), version, level)
    bits = "".join(f"{each:08b}" for each in data)
    if bits[:4] != "0010":
        raise ValueError(f"mode {bits[:4]}")
    width = 9 if version < 10 else 11 if version < 27 else 13
    count, place = int(bits[4 : 4 + width], 2), 4 + width
    text = ""
    while len(text) < count:
        if count - len(text) == 1:
            text += ALPHANUMERIC[int(bits[place : place + 6], 2)]
        else:
            high, low = divmod(int(bits[place : place + 11], 2), 45)
            text += ALPHANUMERIC[high] + ALPHANUMERIC[low]
            place += 11
    return text
