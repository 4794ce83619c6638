"""The negative log-likelihood of every token of many sequences that begin alike.

The hypotheses of an n-best list differ in a few words, so most of their prefixes are
common to several. They are merged into a prefix tree, those of many utterances side by
side, and the tree is walked level by level: a call takes the next few hundred prefixes
of a length, fetches the states of the prefixes one token shorter from a pool on the
device, takes one step, and looks up the probabilities of every token that follows
somewhere. So each distinct prefix costs one step and one softmax, however many
hypotheses share it, and since there is no scan over time the products are as wide as
the batch.

States stay on the device, in two pools of constant shape: of the level above and of
this one. Calls have a few constant shapes, since each shape is compiled once.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_rnnlm.layers.kernels.softmax import Softmax, choose
from keras_rnnlm.models.compiled import compiled_once
from keras_rnnlm.scoring.checks import check_ids, check_nats
from keras_rnnlm.scoring.layout import LOGITS_BYTES
from keras_rnnlm.scoring.prefix_tree import PrefixTree

Ids = NDArray[np.integer]
Nats = NDArray[np.float32]

# Prefixes in a call, and a call's cost in prefixes, which decides between them.
ROWS = (32, 128, 512)
_CALL_COST = 16
# Both pools together; a single list that needs more gets more.
POOL_BYTES = 256 << 20
_SMALL_POOL = 512  # where states are so small that as many fit in
# Bounds the table of ids from which a tree is made.
_TABLE = 1 << 23


def score_lists(
    network: keras.Model, lists: Iterable[Sequence[Ids]]
) -> Iterator[list[Nats]]:
    """Score lists of sequences, each from a zero state, in order, in bounded memory.

    The result is that of scoring each sequence alone, beyond the rounding of float32
    (1e-5 nats a token). Prefixes are shared within a list and between neighbouring
    lists.

    Args:
        network: An `RNNLM`, or any model with its `initial_state`, `hidden` and
            `logits`.
        lists: For each utterance its hypotheses: ids (tokens,), the first of which is
            given and not predicted.

    Yields:
        For each list, for each of its sequences: float32 (tokens - 1,), the negative
        natural-log probability of each token but the first; (0,) for none.

    Raises:
        InputError: If a probability is not a number, or an id is not in the network's
            vocabulary.
    """
    state_bytes = 4 * sum(
        int(np.prod(array.shape))
        for array in keras.tree.flatten(network.initial_state(1))
    )
    most = max(min(_SMALL_POOL, ROWS[0]), POOL_BYTES // (2 * state_bytes))
    for group in _groups(lists, most):
        scorer = _GroupScorer(network, [ids for one in group for ids in one], most)
        scores = iter(scorer.score())
        for one in group:
            yield [next(scores) for _ in one]


def _groups(lists: Iterable[Sequence[Ids]], most: int) -> Iterator[list[Sequence[Ids]]]:
    """Gather lists that are scored together: at most so many sequences, or one list."""
    group: list[Sequence[Ids]] = []
    sequences = longest = 0
    for one in lists:
        length = max((len(ids) for ids in one), default=0)
        total = sequences + len(one)
        if group and (total > most or total * max(longest, length) > _TABLE):
            yield group
            group, sequences, longest = [], 0, 0
        group.append(one)
        sequences += len(one)
        longest = max(longest, length)
    if group:
        yield group


class _GroupScorer:
    """Walks the tree of a group of sequences, level by level."""

    def __init__(self, network: keras.Model, sequences: list[Ids], most: int) -> None:
        self._sequences = sequences
        check_ids(network.vocabulary_size, *sequences)
        self._tree = PrefixTree.of(sequences)
        self._advance = compiled_once(network, _advance, donated=(1,))
        logits_bytes = 4 * network.vocabulary_size
        # Calls are wide where logits and states, those of a Transformer say, let them.
        self._rows = [
            r for r in ROWS if r <= most and r * logits_bytes <= LOGITS_BYTES
        ] or [ROWS[0]]
        size = self._pool_size(most)
        self._above = network.initial_state(size)
        self._here = network.initial_state(size)

    def _pool_size(self, most: int) -> int:
        """Return the rows of a pool: all nodes of a level, and a call's padding."""
        levels = self._tree.levels[1:]
        widest = max((len(np.unique(level.parents)) for level in levels), default=0)
        sizes = [min(_SMALL_POOL, most), most]
        while sizes[-1] < widest:
            sizes.append(2 * sizes[-1])
        return min(size for size in sizes if size >= widest) + self._rows[-1]

    def score(self) -> list[Nats]:
        """Return the nats of every sequence, without its first token."""
        tree = self._tree
        nats = np.zeros(tree.places.shape, np.float32)
        slots = np.zeros(1, np.int64)  # the nodes of the level above that have states
        waiting: list[tuple[int, list[tuple[int, Any]]]] = []
        for depth in range(1, len(tree.levels)):
            # The nodes here are scored by the prefixes one token shorter that have
            # any: those are the rows.
            inner, rows = np.unique(tree.levels[depth].parents, return_inverse=True)
            shorter = tree.levels[depth - 1]
            parents = np.searchsorted(slots, shorter.parents[inner])
            calls = self._level(
                depth == 1,
                parents.astype(np.int32),
                shorter.tokens[inner],
                rows,
                tree.levels[depth].tokens,
            )
            waiting.append((depth, calls))
            slots = inner
            self._above, self._here = self._here, self._above
        # Read only now, so that no call waits for the one before to come back.
        for depth, calls in waiting:
            found = np.concatenate(
                [ops.convert_to_numpy(result)[:count] for count, result in calls]
            )
            places = tree.places[:, depth]
            nats[:, depth] = np.where(places >= 0, found[places], 0.0)
        check_nats(nats)
        return [
            row[1 : max(len(ids), 1)].copy()
            for ids, row in zip(self._sequences, nats, strict=True)
        ]

    def _level(
        self,
        first: bool,
        parents: NDArray[np.int32],
        tokens: NDArray[np.int32],
        edge_rows: NDArray[np.int64],
        edge_tokens: NDArray[np.int32],
    ) -> list[tuple[int, Any]]:
        """Step all prefixes of one length; fill the pool of this level.

        Args:
            first: Whether there is no level above: states are zero.
            parents: (rows,) places in the pool above.
            tokens: (rows,) the token that each prefix ends with.
            edge_rows: (edges,) never decreasing, which row is followed
            edge_tokens: (edges,) by which token.

        Returns:
            For each call the number of edges it scored, and their nats on the device.
        """
        calls = []
        done = 0
        while done < len(edge_rows):
            low = int(edge_rows[done])
            count = self._choose(len(tokens) - low)
            edges = max(2 * count, ROWS[-1])
            # A row whose edges do not all fit is stepped again by the next call.
            stop = min(done + edges, int(np.searchsorted(edge_rows, low + count)))
            rows = slice(low, int(edge_rows[stop - 1]) + 1)
            followed, followers = edge_rows[done:stop] - low, edge_tokens[done:stop]
            _, firsts = np.unique(followed, return_index=True)
            result, self._here = self._advance(
                self._above,
                self._here,
                _padded(parents[rows], count),
                _padded(tokens[rows], count),
                np.array(first),
                np.array(low, np.int32),
                _padded(followers[firsts], count),
                _padded(followed.astype(np.int32), edges),
                _padded(followers, edges),
            )
            calls.append((stop - done, result))
            done = stop
        return calls

    def _choose(self, left: int) -> int:
        """Choose the number of rows that wastes least."""
        return max(self._rows, key=lambda rows: min(left, rows) / (rows + _CALL_COST))


def _padded(values: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    padded = np.zeros(size, np.int32)
    padded[: len(values)] = values
    return padded


def _advance(
    network: keras.Model,
    above: Any,
    here: Any,
    parents: Any,
    tokens: Any,
    first: Any,
    low: Any,
    one_token: Any,
    edge_rows: Any,
    edge_tokens: Any,
) -> tuple[Any, Any]:
    """Step some prefixes of one length; this runs inside the compiled function.

    Args:
        network: The network.
        above: The pool of states of the level above, arrays (P, ...).
        here: The pool of this level.
        parents: int32 (R,), where in `above` each prefix goes on.
        tokens: int32 (R,), by which token.
        first: bool (), whether states are zero instead.
        low: int32 (), where in `here` the first of the new states belongs.
        one_token: int32 (R,), a token that follows each prefix somewhere.
        edge_rows: int32 (E,), which of the prefixes is followed
        edge_tokens: int32 (E,), by which token.

    Returns:
        nats (E,) of the tokens that follow, and the pool of this level.
    """

    def fetch(pool: Any) -> Any:
        state = ops.take(pool, parents, axis=0)
        return ops.where(first, ops.zeros_like(state), state)

    def keep(pool: Any, state: Any) -> Any:
        start = (low,) + (0,) * (len(pool.shape) - 1)
        return ops.slice_update(pool, start, state)

    state = keras.tree.map_structure(fetch, above)
    hidden, state = network.hidden(ops.expand_dims(tokens, 1), state)
    here = keras.tree.map_structure(keep, here, state)
    logits = network.logits(hidden)[:, 0]  # (R, V)
    # One softmax for a prefix, however many tokens follow it: what they differ by in
    # nats, they differ by in logits.
    softmax = Softmax(choose("float32"), "float32")
    nats, _ = softmax.nats(logits, None, one_token)
    size = logits.shape[-1]
    logits = ops.reshape(logits, (-1,))
    one = ops.take(
        logits, ops.arange(tokens.shape[0], dtype="int32") * size + one_token
    )
    further = ops.take(logits, edge_rows * size + edge_tokens)
    return ops.take(nats, edge_rows) - (further - ops.take(one, edge_rows)), here
