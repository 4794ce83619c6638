"""Text that goes on from a prompt, drawn from the model a token at a time.

Three layers, each of which can be replaced by itself: `next_tokens` runs the network
and draws tokens, all rows side by side; a `_Writer` for each row turns its tokens into
text; `stream` and `generate` join the two.
"""

import weakref
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_rnnlm.data.tokenizers import Tokenizer, WordTokenizer
from keras_rnnlm.errors import InputError
from keras_rnnlm.generation.samplers import Sampler, draw, normalize, random_streams
from keras_rnnlm.generation.stops import StopWatch
from keras_rnnlm.models.compiled import compiled

Ids = NDArray[np.int32]

# A long prompt is read in pieces of these lengths, so that few shapes are compiled; the
# few tokens that are left go through the call that generation makes anyway.
CHUNKS = (256, 64, 16)


def generate(
    network: keras.Model,
    tokenizer: Tokenizer,
    prompt: str = "",
    tokens: int = 100,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    repetition_penalty: float = 1.0,
    stop: str | Sequence[str] = (),
    seed: int | None = None,
    n: int = 1,
    allow_unk: bool = False,
) -> list[str]:
    """Return n texts that go on from the prompt; see `stream` for the arguments.

    Returns:
        n strings, without the prompt: `prompt + text` is the whole.
    """
    texts = [""] * n
    for row, piece in stream(
        network,
        tokenizer,
        prompt,
        tokens,
        temperature,
        top_k,
        top_p,
        repetition_penalty,
        stop,
        seed,
        n,
        allow_unk,
    ):
        texts[row] += piece
    return texts


def stream(
    network: keras.Model,
    tokenizer: Tokenizer,
    prompt: str = "",
    tokens: int = 100,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    repetition_penalty: float = 1.0,
    stop: str | Sequence[str] = (),
    seed: int | None = None,
    n: int = 1,
    allow_unk: bool = False,
) -> Iterator[tuple[int, str]]:
    """Write n texts that go on from the prompt, and hand them out as they are made.

    A token is drawn from the model's distribution after these changes, in this order:
    `<unk>` is excluded, repetition penalty, temperature, top-k, top-p.

    The state is zero before the prompt. A tokenizer with line ends (word, bpe, unigram)
    begins with `<eos>`, as if a line had just ended; a generated `<eos>` is written as
    a line end and generation goes on. A character model without a prompt begins as
    after a line end. Words and characters of the prompt that the model doesn't know are
    read as `<unk>` (`unknown_in_prompt` lists them). Models of byte pieces can write
    bytes that are no character, and end in the middle of one: such bytes are left out.

    Args:
        network: An `RNNLM`, or any model with its `initial_state` and `step`.
        tokenizer: The one the network was trained with.
        prompt: The text to go on from.
        tokens: Number of tokens to write for each text, line ends included.
        temperature: 0 takes the likeliest token each time (of equally likely ones the
            lowest id); 1 draws from the model's own distribution.
        top_k: Draw from the k likeliest tokens only.
        top_p: Draw from the smallest set of likeliest tokens whose probability reaches
            this (Holtzman et al. 2020).
        repetition_penalty: Above 1, a token is less likely once it stands in the prompt
            or in what the row has written, however far back; see
            `samplers.penalize_repetition` (Keskar et al. 2019).
        stop: A text ends before the first of these strings that it completes. The
            prompt isn't searched.
        seed: The same seed gives the same texts; None gives others each time. Text r
            depends on the seed and r, not on n (up to the rounding of float32, which
            may differ between batch sizes).
        n: Number of texts, drawn side by side.
        allow_unk: Whether `<unk>` may be written. It stands for any rare word and
            reads badly, though in some corpora (Penn Treebank) it is a word of the
            text.

    Returns:
        An iterator of (row, piece): pieces of text, never empty, never half a
        character, never a part of a stop string.

    Raises:
        InputError: An argument is out of its range, or there is nothing to begin from.
    """
    if n < 1:
        raise InputError(
            f"Expected n of at least 1, received {n}: ask for one text or more."
        )
    if tokens < 1:
        raise InputError(
            f"Expected tokens of at least 1, received {tokens}: ask for one or more."
        )
    unk = tokenizer.unk_id
    banned = () if allow_unk or unk is None else (unk,)
    sampler = Sampler(temperature, top_k, top_p, repetition_penalty, banned)
    streams = random_streams(seed, n)
    ids = np.asarray(tokenizer.encode(prompt, final=False), np.int32)
    start = _start(tokenizer, ids)
    writers = [_Writer(tokenizer, prompt, stop) for _ in range(n)]
    drawn = next_tokens(network, start, ids, sampler, streams)
    return _write(islice(drawn, tokens), writers)


def unknown_in_prompt(tokenizer: Tokenizer, prompt: str) -> list[str]:
    """Return the words or characters of a prompt that are read as `<unk>`.

    Each is named once, in the order of appearance.
    """
    _, unknown = tokenizer.encode_with_oov(prompt, final=False)
    parts: Sequence[str] = prompt
    if isinstance(tokenizer, WordTokenizer):
        parts = tokenizer.words(prompt)
    return list(dict.fromkeys(parts[position] for position in unknown))


def next_tokens(
    network: keras.Model,
    start: Sequence[int],
    prompt: Ids,
    sampler: Sampler,
    streams: Sequence[np.random.Generator],
) -> Iterator[Ids]:
    """Draw tokens after the prompt without end, a row for each random stream.

    The prompt is read once, in a row of its own; then one compiled call of the network
    is made for each token. The state goes in and comes out as a value.

    Args:
        network: An `RNNLM`, or any model with its `initial_state` and `step`.
        start: Ids that are read before the prompt and count as no repetition.
        prompt: Ids (T,); with `start`, at least one.
        sampler: Shapes the distribution.
        streams: n random streams.

    Yields:
        Token ids (n,).
    """
    rows = len(streams)
    step = _compiled(network)[1]
    values, state = _read(network, np.append(start, prompt), rows)
    seen = np.zeros(values.shape, np.bool_)
    seen[:, prompt] = True
    while True:
        ids = draw(sampler(values, seen), streams)
        yield ids
        seen[np.arange(rows), ids] = True
        log_probs, state = step(ids, state)
        values = ops.convert_to_numpy(log_probs)


def next_log_probabilities(
    network: keras.Model, tokenizer: Tokenizer, prompt: str = ""
) -> NDArray[np.float64]:
    """Return what the network expects after a prompt.

    Args:
        network: An `RNNLM`, or any model with its `initial_state` and `step`.
        tokenizer: The one the network was trained with.
        prompt: The text before, read as `stream` reads it.

    Returns:
        (V,) natural-log probabilities of the next token.

    Raises:
        InputError: There is nothing to begin from.
    """
    ids = np.asarray(tokenizer.encode(prompt, final=False), np.int32)
    log_probs, _ = _read(network, np.append(_start(tokenizer, ids), ids), 1)
    result: NDArray[np.float64] = normalize(log_probs)[0]
    return result


def _read(network: keras.Model, context: Ids, rows: int) -> tuple[Any, Any]:
    """Read tokens (T,), at least one, in a row of its own; then repeat it.

    Returns:
        Log-probabilities (rows, V) of the next token and the state of `rows` rows.
    """
    read, step = _compiled(network)
    state, left = network.initial_state(1), context.astype(np.int32)
    for size in CHUNKS:
        # At least one token stays, for the call whose prediction is used.
        while len(left) > size:
            state, left = read(left[None, :size], state), left[size:]
    state = keras.tree.map_structure(lambda value: ops.repeat(value, rows, 0), state)
    for token in left:
        log_probs, state = step(np.full(rows, token, np.int32), state)
    return ops.convert_to_numpy(log_probs), state


def _start(tokenizer: Tokenizer, prompt: Ids) -> tuple[int, ...]:
    """What is read before the prompt."""
    if tokenizer.start_id is not None:
        return (tokenizer.start_id,)
    if prompt.size:
        return ()
    if tokenizer.line_end_id is None:
        raise InputError(
            "Expected a prompt: this model was trained on characters without a line "
            "end, so there is no place to begin from. Give the first character or more."
        )
    return (tokenizer.line_end_id,)


class _Writer:
    """The text of one row: whole characters, up to a stop string."""

    def __init__(
        self, tokenizer: Tokenizer, prompt: str, stop: str | Sequence[str]
    ) -> None:
        """Begin after the prompt, which itself is not written."""
        self._watch = StopWatch(stop)
        self._decoder = tokenizer.decoder()
        # Whether a space comes before a word depends on what stands before it.
        for token in tokenizer.encode(prompt, final=False):
            self._decoder.push(int(token))
        # A prompt of words that ends in a space has the one before the first word.
        self._spaced = tokenizer.kind == "word" and prompt.endswith(" ")
        self._bytes = tokenizer.kind in ("bpe", "unigram")

    @property
    def stopped(self) -> bool:
        """Whether a stop string has ended the text."""
        return self._watch.stopped

    def push(self, token: int) -> str:
        """Return the text that is certain once this token has come."""
        text = self._decoder.push(token)
        if self._spaced:
            text, self._spaced = text.removeprefix(" "), False
        if self._bytes:
            text = text.replace("\ufffd", "")
        return self._watch.push(text)

    def flush(self) -> str:
        """Return the rest, at the end of the tokens."""
        # All that the decoder may still hold is the beginning of a character.
        return self._watch.flush()


def _write(
    drawn: Iterator[Ids], writers: Sequence[_Writer]
) -> Iterator[tuple[int, str]]:
    """Yield the pieces of text of all rows until each has ended."""
    for ids in drawn:
        for row, writer in enumerate(writers):
            if not writer.stopped and (piece := writer.push(int(ids[row]))):
                yield row, piece
        if all(writer.stopped for writer in writers):
            return
    for row, writer in enumerate(writers):
        if piece := writer.flush():
            yield row, piece


Call = Callable[..., Any]

# Two compiled functions a network, kept for as long as the network lives.
_functions: "weakref.WeakKeyDictionary[keras.Model, tuple[Call, Call]]"
_functions = weakref.WeakKeyDictionary()


def _compiled(network: keras.Model) -> tuple[Call, Call]:
    """Return compiled `(tokens, state) -> state` and `-> (log_probs, state)`."""
    if network not in _functions:
        # A proxy, since a function that held the network itself would keep its own
        # key in the dictionary alive.
        proxy = weakref.proxy(network)

        def read(tokens: Any, state: Any) -> Any:
            # The unused probabilities are left out when this is compiled.
            return proxy.step(tokens, state)[1]

        def step(tokens: Any, state: Any) -> Any:
            return proxy.step(tokens, state)

        _functions[network] = compiled(proxy, read), compiled(proxy, step)
    return _functions[network]
