import gc
import weakref
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_rnnlm.data.text import find_files
from keras_rnnlm.data.tokenizers import Tokenizer, train_tokenizer
from keras_rnnlm.errors import InputError
from keras_rnnlm.generation import reading
from keras_rnnlm.generation.generator import (
    generate,
    next_log_probabilities,
    next_tokens,
    stream,
    unknown_in_prompt,
)
from keras_rnnlm.generation.prompt import going_on
from keras_rnnlm.generation.samplers import Sampler, random_streams
from keras_rnnlm.models.rnn_lm import RNNLM
from tests.conftest import only_on

SCRIPT_STEPS = 64


class Scripted(keras.Model):
    """A network that says one script over and over, whatever it reads.

    Its state is the number of tokens read; `context` of them come before the script.
    """

    def __init__(self, script: Sequence[int], vocabulary: int, context: int) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary
        self.script = self.add_weight(
            shape=(SCRIPT_STEPS,), dtype="int32", trainable=False, name="script"
        )
        self.context = self.add_weight(
            shape=(), dtype="int32", trainable=False, name="context"
        )
        self.built = True
        self.say(script, context)

    def say(self, script: Sequence[int], context: int) -> None:
        self.script.assign(np.resize(np.array(script, np.int32), SCRIPT_STEPS))
        self.context.assign(context)

    def initial_state(self, batch_size: int) -> Any:
        return ((ops.zeros((batch_size, 1), "int32"),),)

    def step(self, tokens: Any, state: Any) -> Any:
        ((read,),) = state
        read = read + (1 if len(tokens.shape) == 1 else tokens.shape[1])
        place = ops.mod(read[:, 0] - self.context, SCRIPT_STEPS)
        logits = 50.0 * ops.one_hot(
            ops.take(self.script, place), self.vocabulary_size, dtype="float32"
        )
        return ops.log_softmax(logits), ((read,),)


def a_tokenizer(folder: Path, text: str, kind: str, **options: Any) -> Tokenizer:
    path = folder / f"{kind}.txt"
    path.write_text(text, encoding="utf-8")
    return train_tokenizer(find_files([path]), kind, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("texts")


@pytest.fixture(scope="module")
def words(folder: Path, english_text: str) -> Tokenizer:
    return a_tokenizer(folder, english_text, "word", minimum_count=2)


@pytest.fixture(scope="module")
def characters(folder: Path, english_text: str) -> Tokenizer:
    return a_tokenizer(folder, english_text, "char")


@pytest.fixture(scope="module")
def bytes_(folder: Path, chinese_text: str) -> Tokenizer:
    return a_tokenizer(folder, chinese_text, "bpe", vocabulary_size=400)


@pytest.fixture(scope="module")
def english_bytes(folder: Path, english_text: str) -> Tokenizer:
    return a_tokenizer(folder, english_text, "bpe", vocabulary_size=400)


@pytest.fixture(scope="module")
def network(words: Tokenizer) -> RNNLM:
    """A network whose untrained predictions differ enough to be told apart."""
    network = RNNLM(words.vocabulary_size, units=12, layers=2, seed=1)
    network.set_weights([5 * weight for weight in network.get_weights()])
    return network


@pytest.fixture(scope="module")
def networks(
    network: RNNLM, characters: Tokenizer, bytes_: Tokenizer
) -> dict[str, RNNLM]:
    """An untrained network for each kind of tokenizer."""
    others = {
        tokenizer.kind: RNNLM(
            tokenizer.vocabulary_size, "gru", units=8, layers=1, seed=0
        )
        for tokenizer in (characters, bytes_)
    }
    return {"word": network, **others}


def a_script(tokenizer: Tokenizer, text: str, prompt: str = "") -> Scripted:
    """A network that writes `text` after `prompt`."""
    before = len(tokenizer.encode(prompt, final=False))
    context = before + (1 if tokenizer.start_id is not None or not before else 0)
    script = tokenizer.encode(text, final=False)
    return Scripted(script.tolist(), tokenizer.vocabulary_size, context)


# -- the network's side -----------------------------------------------------------


@pytest.mark.parametrize("length", [0, 3, 4, 8, 49])
def test_prompt_read_in_chunks_equals_one_token_at_a_time(
    network: RNNLM, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Shorter ones than in earnest: a step that is not compiled takes its time.
    monkeypatch.setattr(reading, "PIECES", (32, 8, 4))
    prompt = np.random.default_rng(length).integers(
        0, network.vocabulary_size, length, dtype=np.int32
    )
    drawn = next_tokens(network, (0,), prompt, Sampler(0), random_streams(0, 1))
    result = [int(ids[0]) for ids in islice(drawn, 5)]

    state, written, ids = network.initial_state(1), [], [0, *prompt.tolist()]
    for _ in range(5):
        for token in ids:
            log_probs, state = network.step(np.array([token], np.int32), state)
        ids = [int(ops.convert_to_numpy(log_probs)[0].argmax())]
        written += ids
    assert result == written


def test_next_log_probabilities_are_those_after_the_prompt(
    network: RNNLM, words: Tokenizer
) -> None:
    result = next_log_probabilities(network, words, "the old")
    context = [words.start_id, *words.encode("the old", final=False)]
    ids = np.array([context], np.int32)
    log_probs, _ = network.step(ids, network.initial_state(1))
    expected = ops.convert_to_numpy(log_probs)[0, -1]
    np.testing.assert_allclose(result, expected, atol=1e-4)
    np.testing.assert_allclose(np.exp(result).sum(), 1, rtol=1e-12)


def test_rows_do_not_depend_on_their_number(network: RNNLM, words: Tokenizer) -> None:
    one, three, eight = (
        generate(network, words, "the", tokens=25, seed=11, n=n) for n in (1, 3, 8)
    )
    assert eight[:3] == three
    assert three[:1] == one
    assert len(set(eight)) == 8


def test_seed_decides(network: RNNLM, words: Tokenizer) -> None:
    texts = [generate(network, words, tokens=20, seed=seed) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert generate(network, words, tokens=20) != generate(network, words, tokens=20)


def test_compiles_few_shapes_and_never_again(
    words: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_on("jax", "tensorflow")
    monkeypatch.setenv("RNNLM_NATIVE", "off")
    fresh = RNNLM(words.vocabulary_size, "gru", units=4, layers=1)
    traced = []
    step = fresh.step

    def counted(tokens: Any, state: Any) -> Any:
        traced.append(tuple(tokens.shape))
        return step(tokens, state)

    monkeypatch.setattr(fresh, "step", counted)
    for length in (0, 1, 5, 300, 301, 90, 16):
        prompt = np.zeros(length, np.int32)
        drawn = next_tokens(fresh, (0,), prompt, Sampler(), random_streams(0, 2))
        list(islice(drawn, 30))
    assert sorted(traced) == [(1, 16), (1, 64), (1, 256), (2,)]
    # Other settings of the sampler are none of the network's business.
    generate(fresh, words, temperature=0.5, top_k=3, top_p=0.9, n=2, seed=0)
    assert len(traced) == 4


def test_uses_the_current_weights(network: RNNLM, words: Tokenizer) -> None:
    fresh = RNNLM.from_config(network.get_config())
    fresh.set_weights(network.get_weights())
    before = generate(fresh, words, tokens=20, temperature=0)
    fresh.set_weights([-weight for weight in fresh.get_weights()])
    assert generate(fresh, words, tokens=20, temperature=0) != before
    fresh.set_weights(network.get_weights())
    assert generate(fresh, words, tokens=20, temperature=0) == before


def test_network_is_not_kept_alive(network: RNNLM, words: Tokenizer) -> None:
    fresh = RNNLM.from_config(network.get_config())
    generate(fresh, words, tokens=2)
    watched = weakref.ref(fresh)
    del fresh
    gc.collect()
    assert watched() is None


def test_damaged_weights_are_said(network: RNNLM, words: Tokenizer) -> None:
    fresh = RNNLM.from_config(network.get_config())
    fresh.set_weights([weight * np.nan for weight in fresh.get_weights()])
    with pytest.raises(InputError, match="not finite numbers"):
        generate(fresh, words)


def test_what_was_seen_is_the_prompt_and_what_the_row_wrote() -> None:
    seen_sets: list[list[set[int]]] = []

    class Recording(Sampler):
        def __call__(self, log_probs: Any, seen: Any) -> Any:
            seen_sets.append([set(np.flatnonzero(row).tolist()) for row in seen])
            return super().__call__(log_probs, seen)

    network = Scripted([3], vocabulary=8, context=3)
    # So hot that rows go different ways.
    sampler = Recording(temperature=1e9)
    prompt = np.array([5, 6], np.int32)
    drawn = next_tokens(network, (0,), prompt, sampler, random_streams(0, 2))
    written = [ids.tolist() for ids in islice(drawn, 6)]
    for step in range(6):
        for row in range(2):
            wrote = {ids[row] for ids in written[:step]}
            assert seen_sets[step][row] == {5, 6} | wrote


# -- the text's side --------------------------------------------------------------


@pytest.mark.parametrize("stop", [(), ("the", "e a")])
@pytest.mark.parametrize("kind", ["words", "characters", "bytes_"])
def test_streamed_pieces_join_to_the_generated_texts(
    kind: str,
    stop: tuple[str, ...],
    networks: dict[str, RNNLM],
    request: pytest.FixtureRequest,
) -> None:
    tokenizer = request.getfixturevalue(kind)
    network = networks[tokenizer.kind]
    arguments: dict[str, Any] = {"tokens": 30, "seed": 5, "n": 3, "stop": stop}
    texts = ["", "", ""]
    for row, piece in stream(network, tokenizer, "the", **arguments):
        assert piece
        texts[row] += piece
    assert texts == generate(network, tokenizer, "the", **arguments)
    assert not any(string in text for string in stop for text in texts)


@pytest.mark.parametrize(("prompt", "first"), [("the", " the"), ("the ", "the")])
def test_words_follow_the_prompt_after_one_space(
    words: Tokenizer, prompt: str, first: str
) -> None:
    network = a_script(words, "the old", prompt)
    pieces = [piece for _, piece in stream(network, words, prompt, tokens=2)]
    assert pieces == [first, " old"]


def test_pieces_bring_the_space_that_ends_a_prompt(bytes_: Tokenizer) -> None:
    """What is read is the prompt without it: no space alone stands before a word."""
    network = a_script(bytes_, " old", "the")
    tokens = len(bytes_.encode(" old", final=False))
    for prompt, written in (("the", " old"), ("the ", "old")):
        pieces = [piece for _, piece in stream(network, bytes_, prompt, tokens=tokens)]
        assert "".join(pieces) == written
    one, other = (
        next_log_probabilities(network, bytes_, prompt) for prompt in ("the", "the ")
    )
    assert (one == other).all()


def test_the_first_piece_begins_a_word_where_a_space_was_the_last(
    english_bytes: Tokenizer,
) -> None:
    """Else it would be shown as "the s" and read as "thes"."""
    network = a_script(english_bytes, "s old", "the")
    tokens = len(english_bytes.encode("s old", final=False))
    (text,) = generate(network, english_bytes, "the", tokens=tokens, temperature=0)
    assert text == "s old"
    (text,) = generate(network, english_bytes, "the ", tokens=tokens, temperature=0)
    assert not text.startswith("s") and text.endswith(" old")


def test_which_pieces_go_on_with_a_word(
    english_bytes: Tokenizer, words: Tokenizer
) -> None:
    first, spaced = (
        int(english_bytes.encode(text, final=False)[0]) for text in ("s", " old")
    )
    excluded = going_on(english_bytes, "the ")
    assert first in excluded
    assert spaced not in excluded and english_bytes.eos_id not in excluded
    for prompt in ("", " ", "the", "the  ", "the\n ", "the\n"):
        assert going_on(english_bytes, prompt) == ()
    assert going_on(words, "the ") == ()


def test_a_model_without_spaces_goes_on_after_one(bytes_: Tokenizer) -> None:
    """A line end and bytes it never saw are all that begins with white space."""
    assert going_on(bytes_, "灯 ") == ()
    network = a_script(bytes_, "光照", "灯")
    tokens = len(bytes_.encode("光照", final=False))
    assert generate(network, bytes_, "灯 ", tokens=tokens, temperature=0) == ["光照"]


def test_line_end_is_written_and_generation_goes_on(words: Tokenizer) -> None:
    network = a_script(words, "the\nold\n")
    assert generate(network, words, tokens=4) == ["the\nold\n"]
    assert generate(network, words, tokens=5) == ["the\nold\nthe"]


def test_prompt_that_ends_a_line(words: Tokenizer) -> None:
    network = a_script(words, "old", "the\n")
    assert generate(network, words, "the\n", tokens=1) == ["old"]


def test_unk_is_not_written_unless_allowed(words: Tokenizer) -> None:
    assert words.unk_id is not None
    network = Scripted([words.unk_id], words.vocabulary_size, context=1)
    (text,) = generate(network, words, tokens=5, seed=0)
    assert "<unk>" not in text
    (text,) = generate(network, words, tokens=2, seed=0, allow_unk=True)
    assert text == "<unk> <unk>"


def test_stop_string_across_tokens(characters: Tokenizer) -> None:
    network = a_script(characters, "the cat sat")
    pieces = list(stream(network, characters, tokens=11, stop=["cat"]))
    assert pieces == [(0, "t"), (0, "h"), (0, "e"), (0, " ")]
    # What was held back as a possible stop string comes at the end if it is none.
    assert generate(network, characters, tokens=6, stop="cat") == ["the ca"]


def test_stopped_rows_fall_silent_and_others_go_on(
    network: RNNLM, words: Tokenizer
) -> None:
    free = generate(network, words, tokens=30, seed=2, n=4)
    stopped = generate(network, words, tokens=30, seed=2, n=4, stop="\n")
    assert stopped == [text.split("\n")[0] for text in free]


def test_character_model_begins_after_a_line_end(
    characters: Tokenizer, networks: dict[str, RNNLM]
) -> None:
    network = networks["char"]
    bare = generate(network, characters, tokens=30, seed=0)
    assert bare == generate(network, characters, "\n", tokens=30, seed=0)


def test_character_model_without_line_ends_asks_for_a_prompt(folder: Path) -> None:
    tokenizer = a_tokenizer(folder, "abcabc" * 50, "char")
    network = Scripted([1], tokenizer.vocabulary_size, context=1)
    with pytest.raises(InputError, match="Expected a prompt"):
        generate(network, tokenizer)
    assert len(generate(network, tokenizer, "a", tokens=5)[0]) == 5


def test_bytes_that_are_no_character_are_left_out(bytes_: Tokenizer) -> None:
    start, end = (bytes_.encode(text, final=False) for text in ("😀", "a"))
    network = Scripted([start[0], *end], bytes_.vocabulary_size, context=1)
    assert len(start) == 4
    assert generate(network, bytes_, tokens=5, temperature=0) == ["aa"]


# Characters of one to four bytes, most of them unknown to any merge.
some_text = st.text(
    st.sampled_from("春江花月夜，。a é😀👩🏽‍🚀")
    | st.characters(exclude_categories=["Cs", "Cc"]),
    min_size=1,
    max_size=12,
)


@pytest.fixture(scope="module")
def byte_script(bytes_: Tokenizer) -> Scripted:
    return Scripted([0], bytes_.vocabulary_size, context=1)


@given(text=some_text, tokens=st.integers(1, 40))
@settings(deadline=None, max_examples=60)
def test_half_a_character_is_never_written(
    bytes_: Tokenizer, byte_script: Scripted, text: str, tokens: int
) -> None:
    ids = bytes_.encode(text, final=False).tolist()[:SCRIPT_STEPS]
    byte_script.say(ids, 1)
    pieces = [
        piece
        for _, piece in stream(
            byte_script, bytes_, tokens=min(tokens, len(ids)), temperature=0
        )
    ]
    assert text.startswith("".join(pieces))
    if tokens >= len(ids) < SCRIPT_STEPS:
        assert "".join(pieces) == text


# -- arguments --------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {"n": 0},
        {"tokens": 0},
        {"temperature": -1.0},
        {"top_k": 0},
        {"top_p": 1.5},
        {"repetition_penalty": -2.0},
        {"stop": [""]},
        {"seed": -3},
    ],
)
def test_arguments_out_of_range_are_refused_at_once(
    network: RNNLM, words: Tokenizer, arguments: dict[str, Any]
) -> None:
    # By the call itself, not when the first piece is asked for.
    with pytest.raises(InputError, match="^Expected .* received "):
        stream(network, words, **arguments)
    with pytest.raises(InputError):
        generate(network, words, **arguments)


def test_unknown_words_and_characters_of_a_prompt(
    words: Tokenizer, characters: Tokenizer, bytes_: Tokenizer
) -> None:
    assert unknown_in_prompt(words, "the zyx the\nqqq zyx") == ["zyx", "qqq"]
    assert unknown_in_prompt(words, "the") == []
    assert unknown_in_prompt(words, "the <eos> the") == ["<eos>"]
    assert unknown_in_prompt(characters, "the 猫 the 猫.") == ["猫"]
    assert unknown_in_prompt(bytes_, "the 猫 😀") == []


def test_unknown_words_of_a_prompt_are_read(network: RNNLM, words: Tokenizer) -> None:
    first, second = (
        generate(network, words, prompt, tokens=10, seed=0)
        for prompt in ("the zyx", "the qqq")
    )
    assert first == second
