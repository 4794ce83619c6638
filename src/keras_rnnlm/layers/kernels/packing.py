"""Weights laid out for a processor that reads them once a token.

The layout is that of `native/packed.h` and the same for every processor: the columns of
a matrix in blocks of 16, three or four blocks side by side as a panel, each panel row
after row, so that a thread reads its share from front to back. What belongs together
stands together: a unit's gates are in one panel, and the rows for the input and for the
hidden state follow each other.

int8 weights have a scale a column, the largest of its weights being 127. What a column
is multiplied with becomes bytes as it comes, with a scale a vector.
"""

import mmap
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# In the order of their numbers in the plan.
WEIGHTS = ("float32", "bfloat16", "int8")
CELLS = ("simple_rnn", "lstm", "gru")

BLOCK = 16
BLOCKS = {"simple_rnn": 4, "lstm": 4, "gru": 3}
GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}
_GROUP = {"float32": 1, "bfloat16": 2, "int8": 4}
_LINE = 64
_HUGE_PAGE = 2 << 20


@dataclass(frozen=True)
class Layer:
    """A recurrent layer's weights as Keras has them.

    Attributes:
        kernel: (inputs, gates x units).
        recurrent: (units, gates x units).
        bias: (1, gates x units), or (2, gates x units) with one for the hidden state.
    """

    kernel: Floats
    recurrent: Floats
    bias: Floats


@dataclass(frozen=True, eq=False)
class Packed:
    """A whole network in one piece of memory.

    Attributes:
        plan: int64, what stands where; `native/decoder.h` reads it.
        memory: uint8, all weights.
        weights: "float32", "bfloat16" or "int8".
        cell: "simple_rnn", "lstm" or "gru".
        layers: Number of recurrent layers.
        units: Width of each.
        vocabulary: Number of tokens.
        bytes_per_token: What one row's step reads of the memory.
    """

    plan: NDArray[np.int64]
    memory: NDArray[np.uint8]
    weights: str
    cell: str
    layers: int
    units: int
    vocabulary: int
    bytes_per_token: int

    @property
    def state_shape(self) -> tuple[int, int, int]:
        """(layers, arrays a layer, units)."""
        return self.layers, 2 if self.cell == "lstm" else 1, self.units


def pack(
    embedding: Floats,
    layers: Sequence[Layer],
    projection: Floats | None,
    output: Floats,
    output_bias: Floats,
    cell: str,
    weights: str,
) -> Packed:
    """Pack a network.

    With a vocabulary no larger than the embedding is wide, the first layer's input
    matrix gives way to its products with all embeddings, in float32 whatever the
    weights: of them a step reads one row instead of a matrix. They take no more memory
    than a float32 matrix, up to twice that of bfloat16 and four times that of int8.

    Args:
        embedding: (V, D).
        layers: At least one, all of the same width.
        projection: (units, P), or None.
        output: (P or units, V).
        output_bias: (V,).
        cell: One of `CELLS`.
        weights: One of `WEIGHTS`.
    """
    arena = _Arena()
    vocabulary, width = embedding.shape
    gates, units = GATES[cell], layers[0].recurrent.shape[0]
    looked_up = vocabulary <= width
    table = rows = scales = -1
    stride = 0
    if looked_up:
        products = embedding @ layers[0].kernel
        table = arena.add(_by_units(products, gates, BLOCKS[cell]))
    else:
        padded = _padded(embedding, 1, BLOCK)
        values, found = _encoded(np.ascontiguousarray(padded.T), weights)
        rows, stride = arena.add(np.ascontiguousarray(values.T)), padded.shape[1]
        scales = arena.add(found)
    plans: list[list[int]] = []
    for i, layer in enumerate(layers):
        kernel = layer.kernel[:0] if looked_up and i == 0 else layer.kernel
        parts = [
            _by_units(matrix, gates, BLOCKS[cell])
            for matrix in (kernel, layer.recurrent)
        ]
        biases = [_by_units(row[None], gates, BLOCKS[cell])[0] for row in layer.bias]
        plans.append(arena.product(parts, biases, BLOCKS[cell], weights))
    if projection is not None:
        parts = [_padded(projection, 1, 4 * BLOCK)]
        plans.append(arena.product(parts, [], 4, weights))
    bias = _padded(output_bias[None], 1, 4 * BLOCK)[0]
    parts = [_padded(output, 1, 4 * BLOCK)]
    plans.append(arena.product(parts, [bias], 4, weights))
    read = arena.product_bytes
    header = [
        WEIGHTS.index(weights),
        CELLS.index(cell),
        len(layers),
        units,
        width,
        vocabulary,
        rows,
        stride,
        scales,
        table,
        int(projection is not None),
        read,
    ]
    return Packed(
        plan=np.array(header + [n for plan in plans for n in plan], np.int64),
        memory=arena.memory(),
        weights=weights,
        cell=cell,
        layers=len(layers),
        units=units,
        vocabulary=vocabulary,
        bytes_per_token=read,
    )


def panels(matrix: NDArray[Any], blocks: int, weights: str) -> NDArray[Any]:
    """Return a padded matrix (depth, columns) as (panels, depth x columns a panel)."""
    group, columns = _GROUP[weights], blocks * BLOCK
    depth, count = matrix.shape[0], matrix.shape[1] // columns
    cut = matrix.reshape(depth // group, group, count, columns)
    turned = np.ascontiguousarray(cut.transpose(2, 0, 3, 1))
    return turned.reshape(count, depth * columns)


def quantize(matrix: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Return int8 weights and a scale a column, whose product is nearly the matrix."""
    scales = (np.abs(matrix).max(axis=0, initial=0.0) / np.float32(127)).astype("f4")
    # A column with what is no number has a scale that says so, and zeros.
    sound = np.isfinite(scales)
    safe = np.where(sound & (scales > 0), scales, np.float32(1))
    return np.rint(np.where(sound, matrix, 0) / safe).astype(np.int8), scales


def to_bfloat16(values: Floats) -> NDArray[np.uint16]:
    """Round to the nearest bfloat16, ties to even; finite values."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> 16) & np.uint32(1))
    return (rounded >> 16).astype(np.uint16)


def _encoded(matrix: Floats, weights: str) -> tuple[NDArray[Any], Floats | None]:
    """Return the weights of a matrix (depth, columns) and the scales of its columns."""
    if weights == "int8":
        return quantize(matrix)
    if weights == "bfloat16":
        return to_bfloat16(matrix), None
    return np.asarray(matrix, np.float32), None


def _by_units(matrix: Floats, gates: int, blocks: int) -> Floats:
    """Order columns (depth, gates x units) so that a unit's gates share a panel."""
    depth = matrix.shape[0]
    together = BLOCK * (blocks // gates)
    apart = matrix.reshape(depth, gates, matrix.shape[1] // gates)
    apart = _padded(apart, 2, together)
    cut = apart.reshape(depth, gates, apart.shape[2] // together, together)
    turned = np.ascontiguousarray(cut.transpose(0, 2, 1, 3))
    return turned.reshape(depth, gates * apart.shape[2])


def _padded(array: Floats, axis: int, multiple: int) -> Floats:
    """Add zeros at the end of an axis, up to a multiple."""
    width = [(0, 0)] * array.ndim
    width[axis] = (0, -array.shape[axis] % multiple)
    return np.pad(array, width)


@dataclass
class _Arena:
    """Arrays that will stand in one piece of memory, each at a cache line's start."""

    arrays: list[NDArray[Any]] = field(default_factory=list)
    size: int = 0
    product_bytes: int = 0

    def add(self, array: NDArray[Any] | None) -> int:
        """Return the place of an array, in bytes; -1 for None."""
        if array is None:
            return -1
        place = self.size
        self.arrays.append(array)
        self.size += -(-array.nbytes // _LINE) * _LINE
        return place

    def product(
        self,
        parts: Sequence[Floats],
        biases: Sequence[Floats],
        blocks: int,
        weights: str,
    ) -> list[int]:
        """Add a product: matrices above each other; return its piece of the plan."""
        before, depths, scales, corrections = self.size, [0, 0], [-1, -1], [-1, -1]
        stacked = []
        for i, part in enumerate(parts):
            values, found = _encoded(_padded(part, 0, 4), weights)
            depths[i] = values.shape[0]
            stacked.append(panels(values, blocks, weights))
            scales[i] = self.add(found)
            if found is not None:
                total = values.astype(np.int32).sum(axis=0, dtype=np.int32)
                corrections[i] = self.add(np.int32(-128) * total)
        places = [self.add(bias) for bias in biases] + [-1, -1]
        together = np.concatenate(stacked, axis=1)
        place = self.add(together)
        self.product_bytes += self.size - before
        return [
            place,
            together.shape[0],
            blocks,
            *depths,
            *scales,
            *corrections,
            *places[:2],
        ]

    def memory(self) -> NDArray[np.uint8]:
        """Return all arrays in one piece, zeros between them."""
        memory = _allocate(self.size)
        place = 0
        for array in self.arrays:
            content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
            memory[place : place + content.size] = content
            place += -(-content.size // _LINE) * _LINE
        return memory


def _allocate(size: int) -> NDArray[np.uint8]:
    """Return zeros in large pages where there are some.

    A token reads all of the memory: with pages of 4 KB the processor looks up
    thousands of addresses a token.
    """
    if sys.platform != "linux":
        return np.zeros(size + _LINE, np.uint8)[:size]
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    pages = mmap.mmap(-1, size + 2 * _HUGE_PAGE, flags=private)
    with suppress(OSError, AttributeError):  # advice, which a kernel may not know
        pages.madvise(mmap.MADV_HUGEPAGE)
    whole = np.frombuffer(pages, np.uint8)
    start = -whole.ctypes.data % _HUGE_PAGE
    return whole[start : start + size]
