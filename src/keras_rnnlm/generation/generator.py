"""Text that goes on from a prompt, drawn from the model a token at a time.

Three layers, each of which can be replaced by itself: `next_tokens` runs the network
and draws tokens, all rows side by side, in one of the loops of `loops.choose`; a
`Writer` for each row turns its tokens into text; `stream` and `generate` join the two.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.tokenizers import Tokenizer, WordTokenizer
from keras_rnnlm.data.word_tokenizer import shown_word
from keras_rnnlm.errors import InputError
from keras_rnnlm.generation.loops import FIRST, Network, choose, chunk_sizes
from keras_rnnlm.generation.prompt import going_on, read_part
from keras_rnnlm.generation.reading import read_context
from keras_rnnlm.generation.samplers import Sampler, normalize, random_streams
from keras_rnnlm.generation.writer import Writer, write
from keras_rnnlm.models.packed import packed_copy

Ids = NDArray[np.int32]


def generate(
    network: Network,
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
    network: Network,
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
    After a prompt that ends in a space a model of pieces does not begin with one that
    goes on with the word before that space, unless it knows no spaces before words.

    The state is zero before the prompt. A tokenizer with line ends (word, bpe, unigram)
    begins with `<eos>`, as if a line had just ended; a generated `<eos>` is written as
    a line end and generation goes on. A character model without a prompt begins as
    after a line end. Words and characters of the prompt that the model doesn't know are
    read as `<unk>` (`unknown_in_prompt` lists them). Models of byte pieces can write
    bytes that are no character, and end in the middle of one: such bytes are left out.

    Args:
        network: An `RNNLM`, a `PackedNetwork`, or any model with their
            `vocabulary_size`, `initial_state` and `step`.
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
    first = going_on(tokenizer, prompt)
    sampler = Sampler(temperature, top_k, top_p, repetition_penalty, banned, first)
    streams = random_streams(seed, n)
    ids = _ids_of(tokenizer, prompt)
    start = _start(tokenizer, ids)
    writers = [Writer(tokenizer, prompt, stop) for _ in range(n)]
    return write(next_tokens(network, start, ids, sampler, streams, tokens), writers)


def unknown_in_prompt(tokenizer: Tokenizer, prompt: str) -> list[str]:
    """Return the words or characters of a prompt that are read as `<unk>`.

    Each is named once, in the order of appearance.
    """
    _, unknown = tokenizer.encode_with_oov(prompt, final=False)
    parts: Sequence[str] = prompt
    if isinstance(tokenizer, WordTokenizer):
        parts = tokenizer.words(prompt)
    found = (shown_word(parts[position]) for position in unknown)
    return list(dict.fromkeys(found))


def next_tokens(
    network: Network,
    start: Sequence[int],
    prompt: Ids,
    sampler: Sampler,
    streams: Sequence[np.random.Generator],
    tokens: int | None = None,
) -> Iterator[Ids]:
    """Draw tokens after the prompt, a row for each random stream.

    The prompt is read once, in a row of its own. Tokens are drawn a chunk at a time
    where there is a loop that does so (`loops.choose`), and handed out one by one.

    Args:
        network: An `RNNLM`, a `PackedNetwork`, or any model with their
            `vocabulary_size`, `initial_state` and `step`.
        start: Ids that are read before the prompt and count as no repetition.
        prompt: Ids (T,); with `start`, at least one.
        sampler: Shapes the distribution.
        streams: n random streams.
        tokens: How many to draw; without end if absent. Streams may be used further.

    Yields:
        Token ids (n,).
    """
    seen = np.zeros((len(streams), network.vocabulary_size), np.bool_)
    seen[:, prompt] = True
    context = np.append(start, prompt).astype(np.int32)
    loop = choose(network, sampler)
    sizes = chunk_sizes(tokens, 1 if sampler.banned_first else FIRST)
    for block in loop.blocks(context, seen, sampler, streams, sizes):
        yield from block


def next_log_probabilities(
    network: Network, tokenizer: Tokenizer, prompt: str = ""
) -> NDArray[np.float64]:
    """Return what the network expects after a prompt.

    Args:
        network: As in `next_tokens`.
        tokenizer: The one the network was trained with.
        prompt: The text before, read as `stream` reads it.

    Returns:
        (V,) natural-log probabilities of the next token.

    Raises:
        InputError: There is nothing to begin from.
    """
    ids = _ids_of(tokenizer, prompt)
    context = np.append(_start(tokenizer, ids), ids).astype(np.int32)
    log_probs, _ = read_context(packed_copy(network) or network, context, 1)
    result: NDArray[np.float64] = normalize(log_probs)[0]
    return result


def _ids_of(tokenizer: Tokenizer, prompt: str) -> Ids:
    """What is read of a prompt."""
    read = read_part(tokenizer, prompt)
    return np.asarray(tokenizer.encode(read, final=False), np.int32)


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
