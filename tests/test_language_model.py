import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import keras_rnnlm as krl
from keras_rnnlm.data.text import TextFile, find_files
from keras_rnnlm.errors import ConfigError, FolderError, InputError
from keras_rnnlm.language_model import LanguageModel, load
from tests.conftest import needs_compiler, only_on
from tests.scoring.texts import (
    compiled_step,
    shared_network,
    small_network,
    step_by_step,
)

TRAINED = ["the cat sat on the mat", "the dog saw a cat", "birds sang", "the end"]
KINDS = ["word", "char"]


def language_model(kind: str = "word", protocol: str | None = None) -> LanguageModel:
    corpus = krl.Corpus.from_texts(TRAINED, tokenizer=kind)
    network = shared_network(corpus.vocabulary_size)
    return LanguageModel(network, corpus.tokenizer, protocol)


@pytest.fixture(scope="module", params=KINDS)
def lm(request: pytest.FixtureRequest) -> LanguageModel:
    return language_model(request.param)


def after(lm: LanguageModel, prompt: str) -> np.ndarray:
    """Probabilities after a prompt, token by token."""
    ids = lm.tokenizer.encode(prompt, final=False).tolist()
    if lm.tokenizer.start_id is not None or not ids:
        ids = [lm.tokenizer.line_end_id, *ids]
    step, state = compiled_step(lm.network), lm.network.initial_state(1)
    for token in ids:
        log_probs, state = step(np.array([token], np.int32), state)
    return np.exp(keras.ops.convert_to_numpy(log_probs)[0].astype(np.float64))


@pytest.mark.parametrize("prompt", ["the cat", "", "the zebra", "the cat sat " * 25])
def test_predict_next_gives_the_likeliest_tokens(
    lm: LanguageModel, prompt: str
) -> None:
    wanted = after(lm, prompt)
    found = lm.predict_next(prompt, k=4)
    order = np.argsort(-wanted)[:4]
    assert [token for token, _ in found] == [lm.tokenizer.tokens[i] for i in order]
    np.testing.assert_allclose([p for _, p in found], wanted[order], rtol=1e-4)
    everything = lm.predict_next(prompt, k=10_000)
    assert len(everything) == lm.tokenizer.vocabulary_size
    assert sum(p for _, p in everything) == pytest.approx(1, abs=1e-5)


def test_score_nbest_gives_each_hypothesis_its_score(lm: LanguageModel) -> None:
    lists = [["the cat sat", "the cat saw"], [], ["a zebra"]]
    found = list(lm.score_nbest(lists))
    assert [[score.text for score in scores] for scores in found] == lists
    for score in (score for scores in found for score in scores):
        assert score.total == pytest.approx(lm.score(score.text).total, abs=1e-4)


def test_score_is_the_sum_over_a_line_and_its_end(lm: LanguageModel) -> None:
    text = "the cat saw a zebra"
    ids = np.append(lm.tokenizer.line_end_id, lm.tokenizer.encode(text + "\n"))
    nats, _ = step_by_step(lm.network, ids, 1, len(ids))
    score = lm.score(text)
    assert score.total == pytest.approx(-nats.sum(), abs=1e-4)
    assert lm.score(text + "\n").total == score.total
    both = list(lm.score_lines([text, "the"], batch_size=1))
    assert both[0].total == pytest.approx(score.total, abs=1e-4)
    assert both[1].text == "the"


def test_an_empty_line_is_its_line_end(lm: LanguageModel) -> None:
    score = lm.score("")
    assert score.ids.tolist() == [lm.tokenizer.line_end_id]
    line_end = lm.tokenizer.tokens[lm.tokenizer.line_end_id or 0]
    wanted = dict(lm.predict_next("", k=10_000))[line_end]
    assert math.exp(score.total) == pytest.approx(wanted, rel=1e-4)


def test_evaluate_takes_encoded_text_paths_and_files(
    lm: LanguageModel, tmp_path: Path
) -> None:
    one, two = tmp_path / "a.txt", tmp_path / "b.txt"
    one.write_text("the cat sat\n", encoding="utf-8")
    two.write_text("the dog\na bird\n", encoding="utf-8")
    corpus = krl.Corpus.from_files(one, valid=two, tokenizer=lm.tokenizer)
    assert corpus.valid is not None
    by_path = lm.evaluate(str(two))
    assert by_path.nats == lm.evaluate(corpus.valid).nats
    assert by_path.nats == lm.evaluate(TextFile(two)).nats
    folder = lm.evaluate(tmp_path)
    assert folder.tokens == lm.evaluate([one, two]).tokens
    assert folder.tokens == lm.evaluate([one, *find_files([two])]).tokens
    # Each file begins after a line end from a zero state, alone or in company.
    both = lm.evaluate(one).nats + by_path.nats
    assert folder.nats == pytest.approx(both, rel=1e-6)
    unit = {"word": "word", "char": "character"}[lm.tokenizer.kind]
    assert by_path.token == unit
    with pytest.raises(InputError):
        lm.evaluate(tmp_path / "absent.txt")


def test_evaluate_decodes_as_asked(lm: LanguageModel, tmp_path: Path) -> None:
    file = tmp_path / "latin.txt"
    file.write_bytes("the café\n".encode("latin-1"))
    report = lm.evaluate(file, encoding="latin-1")
    assert (report.bytes, report.characters) == (9, 9)


def test_the_protocol_is_the_stored_one_unless_given(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("the cat sat\nthe dog\n", encoding="utf-8")
    lm = language_model(protocol="window:4")
    assert lm.evaluate(file).protocol == "window:4"
    assert lm.evaluate(file, protocol="sentence").protocol == "sentence"
    assert language_model().evaluate(file).protocol == "carry"
    with pytest.raises(ConfigError, match="Did you mean 'window'"):
        language_model(protocol="windw:4")


def test_generate_goes_on_from_the_prompt(lm: LanguageModel) -> None:
    text = lm.generate("the cat", tokens=5, seed=1)
    assert isinstance(text, str)
    assert text == lm.generate("the cat", tokens=5, seed=1)
    texts = lm.generate("the cat", tokens=5, seed=1, n=3)
    assert isinstance(texts, list)
    assert len(texts) == 3
    greedy = [lm.generate("the", tokens=3, temperature=0, seed=s) for s in (1, 2)]
    assert greedy[0] == greedy[1]


def test_a_saved_model_is_loaded_as_it_was(lm: LanguageModel, tmp_path: Path) -> None:
    folder = lm.save(tmp_path / "model")
    again = load(folder)
    assert krl.load is load
    assert again.protocol == lm.protocol
    text = "the dog saw a zebra"
    assert again.score(text).ids.tolist() == lm.score(text).ids.tolist()
    assert again.score(text).total == pytest.approx(lm.score(text).total, abs=1e-5)
    again.protocol = "window:9"
    again.save(folder)
    assert load(folder).protocol == "window:9"
    with pytest.raises(FolderError):
        load(tmp_path / "nothing")


def test_a_network_in_16_bits_is_evaluated_in_32() -> None:
    lm = language_model()
    lm = LanguageModel(small_network(lm.tokenizer.vocabulary_size), lm.tokenizer)
    config = {**lm.network.get_config(), "dtype": "mixed_bfloat16"}
    mixed = krl.RNNLM.from_config(config)
    for seed in (1, 2):  # the copy follows the weights
        weights = small_network(lm.tokenizer.vocabulary_size, seed=seed).get_weights()
        mixed.set_weights(weights)
        lm.network.set_weights(weights)
        found = LanguageModel(mixed, lm.tokenizer).score("the cat sat").total
        assert found == lm.score("the cat sat").total


def test_the_copy_in_32_bits_is_made_anew_only_for_other_weights() -> None:
    only_on("jax")
    lm = language_model()
    config = {**lm.network.get_config(), "dtype": "mixed_bfloat16"}
    lm = LanguageModel(krl.RNNLM.from_config(config), lm.tokenizer)

    def arrays() -> list[Any]:
        found = lm.exact_network("test").trainable_variables
        return [variable.value for variable in found]

    first = arrays()
    assert all(old is new for old, new in zip(first, arrays(), strict=True))
    lm.network.set_weights([2 * weight for weight in lm.network.get_weights()])
    assert not any(old is new for old, new in zip(first, arrays(), strict=True))
    copy = lm.exact_network("test")
    copy.set_weights([0 * weight for weight in copy.get_weights()])  # does no harm
    own = [variable.value for variable in lm.network.trainable_variables]
    for array, weight in zip(arrays(), own, strict=True):
        np.testing.assert_array_equal(array, weight)


def test_a_foreign_tokenizer_is_refused() -> None:
    lm = language_model()
    with pytest.raises(InputError, match="received one for 7"):
        LanguageModel(small_network(7), lm.tokenizer)


def test_no_k_below_one() -> None:
    with pytest.raises(InputError, match="k of 1 or more"):
        language_model().predict_next("the", k=0)


def test_a_quantized_model_generates_and_scores() -> None:
    only_on("jax")
    needs_compiler()
    lm = language_model()
    for weights in ("int8", "bfloat16"):
        small = lm.quantize(weights)
        assert small.score("the cat sat").total == pytest.approx(
            lm.score("the cat sat").total, rel=0.05
        )
        assert small.predict_next("the", k=2)
        assert small.generate("the", tokens=9, seed=1) == small.generate(
            "the", tokens=9, seed=1
        )
    with pytest.raises(InputError, match="own weights to save, received .* bfloat16"):
        small.save("nowhere")
    with pytest.raises(InputError, match="n-best"):
        small.score_nbest([["the cat"]])
    with pytest.raises(ConfigError, match="received 'int3'"):
        lm.quantize("int3")
