"""A model after an example: by learning from it, or by a cache that it fills."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.store import encode_texts
from keras_rnnlm.errors import ConfigError, FolderError, InputError
from keras_rnnlm.language_model import LanguageModel, load
from keras_rnnlm.models.cache_network import CacheNetwork
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.models.weights import weight_arrays
from keras_rnnlm.scoring.cache import CacheSettings
from keras_rnnlm.scoring.ensemble import weights_hash
from keras_rnnlm.scoring.learning import DynamicSettings
from keras_rnnlm.scoring.ngram import NGramModel
from keras_rnnlm.scoring.scorer import score_segments
from keras_rnnlm.scoring.tuned import Line, Tuned

LINES = ["a b c d", "d c b a", "a a b b c"]
EXAMPLE = "c a c a c a d d\n"


@pytest.fixture
def lm() -> LanguageModel:
    tokenizer = Corpus.from_texts(LINES, tokenizer="word").tokenizer
    network = RNNLM(tokenizer.vocabulary_size, units=8, layers=1, seed=0)
    return LanguageModel(network, tokenizer)


def test_learning_is_gradient_descent_on_the_example(lm: LanguageModel) -> None:
    before = weight_arrays(lm.network)
    ids = np.append(lm.tokenizer.start_id, lm.tokenizer.encode(EXAMPLE))
    learnt = lm.learn_from(EXAMPLE, DynamicSettings(rate=0.3, segment=len(ids) - 1))
    after = weight_arrays(learnt.network)
    for name, array in weight_arrays(lm.network).items():
        np.testing.assert_array_equal(
            array, before[name]
        )  # the model itself is as it was

    def loss(network: RNNLM) -> float:
        rows, _ = network.step(ids[None, :-1], network.initial_state(1))
        rows = keras.ops.convert_to_numpy(rows)[0].astype(np.float64)
        return float(-rows[np.arange(len(ids) - 1), ids[1:]].mean())

    # One step of gradient descent: the change is minus the rate times a gradient, which
    # differences of the loss give.
    name, place = "output.bias", 3
    network = RNNLM.from_config(lm.network.get_config())
    from keras_rnnlm.models.weights import assign_weights

    moved = []
    for shift in (1e-2, -1e-2):
        arrays = {n: a.copy() for n, a in before.items()}
        arrays[name][place] += shift
        assign_weights(network, arrays)
        moved.append(loss(network))
    gradient = (moved[0] - moved[1]) / 2e-2
    assert after[name][place] - before[name][place] == pytest.approx(
        -0.3 * gradient, rel=1e-2
    )
    assert learnt.score(EXAMPLE.strip()).total > lm.score(EXAMPLE.strip()).total


def test_several_segments_and_a_short_last_one(lm: LanguageModel) -> None:
    learnt = lm.learn_from(EXAMPLE * 3, DynamicSettings(rate=0.2, segment=4))
    assert learnt.score(EXAMPLE.strip()).total > lm.score(EXAMPLE.strip()).total
    assert learnt.generate("a", tokens=5, seed=0)


def test_a_cache_makes_words_of_the_example_likelier(lm: LanguageModel) -> None:
    cached = lm.with_cache(EXAMPLE, CacheSettings(50, 0.5), weight=0.4)
    plain = dict(lm.predict_next("b", k=9))
    found = dict(cached.predict_next("b", k=9))
    assert found["c"] > plain["c"] and found["<unk>"] < plain["<unk>"]
    assert sum(found.values()) == pytest.approx(1, abs=1e-5)
    assert cached.generate("b", tokens=6, seed=1) == cached.generate(
        "b", tokens=6, seed=1
    )
    first, second = (list(cached.score_lines(["c a c", "d"] * n))[-1] for n in (1, 4))
    assert first.total == pytest.approx(second.total, abs=1e-5)
    with pytest.raises(InputError, match="without a cache to save"):
        cached.save("nowhere")


def test_a_line_after_the_example_begins_behind_one_line_end(
    lm: LanguageModel,
) -> None:
    plain = CacheNetwork(lm.network, 50, 0.5, 0.4)
    ids = np.append(lm.tokenizer.start_id, lm.tokenizer.encode(EXAMPLE + "d c\n"))
    whole = score_segments(plain, ids, np.array([1]), np.array([len(ids)]))
    for example in (EXAMPLE, EXAMPLE.rstrip()):
        cached = lm.with_cache(example, CacheSettings(50, 0.5), weight=0.4)
        found = cached.score("d c").log_probabilities
        np.testing.assert_allclose(found, -whole.nats[-3:], atol=3e-5)


def test_settings_that_were_searched_serve_after_an_example(lm: LanguageModel) -> None:
    dynamic, cache = DynamicSettings(rate=0.01, segment=6), CacheSettings(9, 0.7)
    weights = {"model": 0.7, "cache": 0.3}
    lines = (
        Line("dynamic", dynamic=dynamic),
        Line("cache", dynamic=dynamic, cache=cache, weights=weights),
    )
    lm.tuned = Tuned(lines, weights_hash(lm.network))
    text = encode_texts(LINES, lm.tokenizer)
    learnt = lm.learn_from(EXAMPLE)
    found = learnt.evaluate_additions(text, dynamic=True, cache=True)
    assert tuple(each.line for each in found) == lines
    cached = learnt.with_cache(EXAMPLE).network
    assert isinstance(cached, CacheNetwork)
    assert (cached.window, cached.theta) == (9, 0.7)

    # The system is of the weights before, and what is saved is of those after.
    with pytest.raises(InputError, match="received one after an example"):
        learnt.evaluate_additions(text, system=True)
    with pytest.raises(ConfigError, match="received also temperature, cache"):
        lm.evaluate_additions(text, system=True, temperature=0.9, cache=True)
    assert learnt.tuned is None
    learnt.tuned = None
    (plain,) = learnt.evaluate_additions(text, dynamic=True)
    assert plain.line.dynamic == DynamicSettings()


def test_a_member_twice_is_refused(lm: LanguageModel) -> None:
    text = encode_texts(LINES, lm.tokenizer)
    other = LanguageModel(
        RNNLM(lm.tokenizer.vocabulary_size, units=8, layers=1, seed=1), lm.tokenizer
    )
    with pytest.raises(InputError, match=r"twice \(members 1 and 3\)"):
        lm.evaluate_additions(text, ensemble=[other, lm, other])


def test_a_search_that_fails_takes_no_settings_away(lm: LanguageModel) -> None:
    lm.tuned = Tuned((Line("temperature", 1.1),), weights_hash(lm.network))
    before = lm.tuned
    with pytest.raises(InputError, match="at least one token to predict"):
        lm.tune_evaluation(encode_texts([""], lm.tokenizer))
    assert lm.tuned is before


def test_settings_of_an_earlier_model_do_not_stay_in_a_folder(
    lm: LanguageModel, tmp_path: Path
) -> None:
    text = encode_texts(LINES, lm.tokenizer)
    ngram = NGramModel.fit(text, lm.tokenizer.vocabulary_size, 2)
    lm.tuned = Tuned(
        (Line("temperature", 1.1),), weights_hash(lm.network), ngram_source=ngram
    )
    other = LanguageModel(
        RNNLM(lm.tokenizer.vocabulary_size, units=8, layers=1, seed=1), lm.tokenizer
    )
    folder = tmp_path / "model"
    for given_up in (True, False):
        lm.save(folder)
        again = load(folder)
        assert again.tuned is not None and (folder / "ngram.arpa").is_file()
        again.save(folder)
        assert load(folder).tuned is not None
        if given_up:
            again.tuned = None
            again.save(folder)
        else:
            other.save(folder)
        assert load(folder).tuned is None
        names = {path.name for path in folder.iterdir()}
        assert not names & {"evaluation.json", "ngram.arpa"}
        manifest = json.loads((folder / "manifest.json").read_text())
        assert set(manifest["sha256"]) == names - {"manifest.json"}


def test_a_stored_ngram_model_is_read_when_it_is_asked_for(
    lm: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = encode_texts(LINES, lm.tokenizer)
    ngram = NGramModel.fit(text, lm.tokenizer.vocabulary_size, 2)
    mixed = Line("ngram", weights={"model": 0.5, "ngram": 0.5})
    lm.tuned = Tuned((mixed,), weights_hash(lm.network), ngram_source=ngram)
    folder = lm.save(tmp_path / "model")
    content = (folder / "ngram.arpa").read_bytes()

    def read(*given: object) -> None:
        pytest.fail("the n-gram model was read")

    again = load(folder)
    with monkeypatch.context() as patch:
        patch.setattr(NGramModel, "read_arpa", read)
        again.evaluate_additions(text, temperature=1.2)
        again.learn_from(EXAMPLE)
        kept = again.save(tmp_path / "kept")
        again.save(folder)
    assert (kept / "ngram.arpa").read_bytes() == content
    for saved in (again, load(kept), load(folder)):
        (found,) = saved.evaluate_additions(text, system=True)
        (wanted,) = lm.evaluate_additions(text, system=True)
        assert found.perplexity == pytest.approx(wanted.perplexity, rel=1e-5)

    damaged = load(folder)
    (folder / "ngram.arpa").write_bytes(content.replace(b"ngram 1", b"ngram 3"))
    assert damaged.tuned is not None  # which needs none of it
    for use in (
        lambda: damaged.evaluate_additions(text, system=True),
        lambda: damaged.save(folder),
    ):
        with pytest.raises(FolderError, match=r"ngram\.arpa' is damaged"):
            use()
    (folder / "ngram.arpa").unlink()
    with pytest.raises(FolderError, match=r"ngram\.arpa' cannot be read"):
        load(folder).evaluate_additions(text, system=True)


def test_damaged_settings_are_not_saved_as_sound_ones(
    lm: LanguageModel, tmp_path: Path
) -> None:
    lm.tuned = Tuned((Line("temperature", 1.1),), weights_hash(lm.network))
    folder = lm.save(tmp_path / "model")
    path = folder / "evaluation.json"
    path.write_text(path.read_text().replace("1.1", "1.7"))
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    for target in (folder, tmp_path / "other"):
        with pytest.raises(FolderError, match="damaged"):
            load(folder).save(target)
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before
    assert not (tmp_path / "other").exists()
    without = load(folder)
    without.tuned = None
    without.save(folder)
    assert load(folder).tuned is None


def test_settings_are_found_from_another_working_folder(
    lm: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm.tuned = Tuned((Line("temperature", 1.1),), weights_hash(lm.network))
    lm.save(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    again = load("model")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert again.tuned is not None and again.tuned.lines == lm.tuned.lines


def test_what_cannot_be_an_example(lm: LanguageModel) -> None:
    with pytest.raises(InputError, match="something to predict"):
        lm.learn_from("")
    with pytest.raises(InputError, match="scale of gradients"):
        lm.learn_from(EXAMPLE, DynamicSettings(scaled=True))
    with pytest.raises(InputError, match="the rate 3e\\+38 is too high"):
        lm.learn_from(EXAMPLE * 30, DynamicSettings(rate=3e38, segment=1))
