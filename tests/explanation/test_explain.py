"""The whole of it, from Python: kinds of networks, hostile texts, files."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_rnnlm as krl
from keras_rnnlm.errors import InputError
from keras_rnnlm.explanation.looking import Attention, CacheWeights
from keras_rnnlm.explanation.page import data
from keras_rnnlm.models.folder import parameter_count
from keras_rnnlm.scoring.cache import CacheSettings
from keras_rnnlm.scoring.ensemble import weights_hash
from keras_rnnlm.scoring.tuned import Line, Tuned
from tests.explanation.models import TEXT, characters, words

HOSTILE = (
    '</script><img src=x onerror=alert(1)> & "quotes" \u2028 <!-- \\u003c @DATA@ $x$'
)


def explained(lm: krl.LanguageModel, text: str = TEXT, **options: Any) -> Any:
    given = {"tokens": 12, "sample": 200, "reach": 4, **options}
    return krl.explain(lm, text, **given)


def embedded(page: str) -> Any:
    """What the page's script reads."""
    begin = page.index('id="data">') + len('id="data">')
    return json.loads(page[begin : page.index("</script>", begin)])


@pytest.fixture(scope="module")
def found() -> Any:
    return explained(characters())


def test_the_same_figures_from_python_as_json_and_in_the_page(found: Any) -> None:
    told = found.to_json()
    assert embedded(found.page()) == json.loads(json.dumps(told, allow_nan=False))
    assert told["text"]["shown"] == 12 and told["text"]["measured"] == 200
    nats = [token["nats"] for token in told["tokens"]]
    assert nats == pytest.approx(found.surprisal.nats.tolist(), abs=1e-4)
    assert told["loss"]["nats"] == pytest.approx(float(np.mean(nats)), abs=1e-3)
    assert [len(token["alternatives"]) for token in told["tokens"]] == [5] * 12
    assert len(told["gates"]) == 2 and told["memory"] and told["probes"]["probes"]
    assert "completeness" in str(found) and "goes on" in str(found)


def test_the_page_asks_for_nothing_and_holds_no_markup(found: Any) -> None:
    page = explained(words(HOSTILE), HOSTILE, text_name=HOSTILE).page()
    assert page.count("<script") == 2 and page.count("</script>") == 2
    assert "<img" not in page and "onerror=alert(1)>" not in page
    assert embedded(page)["text"]["name"] == HOSTILE
    page = found.page()
    for address in ("http:", "https:", "//", "src=", "url(", "@import"):
        told = page.replace("http://www.w3.org/2000/svg", "")
        body = told[: told.index('id="data">')]
        assert address not in body, address
    assert "default-src 'none'" in page


def test_data_that_stands_in_a_script() -> None:
    figures = {"a": "</script><!--&\u2028\u2029@DATA@"}
    assert json.loads(data(figures)) == figures
    assert not set(data(figures)) & set("<>&\u2028\u2029")


@pytest.mark.parametrize(
    ("arguments", "said", "has"),
    [
        ({"cell": "simple_rnn"}, "names none", {"gates"}),
        (
            {"cell": "min_gru", "attention": 5, "layers": 1},
            "No cache",
            {"gates", "attention"},
        ),
        pytest.param(
            {"network": "transformer", "heads": 2, "context": 8, "layers": 1},
            "no recurrent layers",
            {"attention"},
            marks=pytest.mark.slow,
        ),
        ({"network": "convolutional", "kernel_width": 3}, "no attention", set()),
    ],
)
def test_what_a_model_has_not_is_said(
    arguments: dict[str, Any], said: str, has: set[str]
) -> None:
    found = explained(characters(**arguments))
    assert any(said in sentence for sentence in found.missing)
    assert bool(found.gates) == ("gates" in has)
    assert bool(found.attention) == ("attention" in has)
    assert found.probes.found and found.memory is not None
    for layer in found.attention:
        sums = layer.weights.sum(axis=2) + layer.further
        np.testing.assert_allclose(sums, 1, atol=1e-5)
        assert layer.weights[:, 0, 0] == pytest.approx(1)  # there was nothing else
    assert embedded(found.page())["missing"] == list(found.missing)


def test_weights_of_a_tuned_cache() -> None:
    lm = characters()
    settings = CacheSettings(window=6, theta=0.4)
    line = Line("cache", cache=settings, weights={"model": 0.8, "cache": 0.2})
    lm.tuned = Tuned((line,), weights_hash(lm.network))
    found = explained(lm, reach=20)
    cache = found.cache
    assert cache is not None and cache.share == 0.2 and cache.settings == settings
    sums = cache.weights.sum(axis=1) + cache.further
    np.testing.assert_allclose(sums[1:], 1, atol=1e-6)
    assert not cache.weights[:, 6:].any()  # beyond the window
    ids = lm.tokenizer.encode(TEXT[:12])
    for t in range(1, 12):
        came = sum(
            cache.weights[t, back]
            for back in range(min(t, 6))
            if ids[t - 1 - back] == ids[t]
        )
        assert cache.probabilities[t] == pytest.approx(came, abs=1e-9)
    assert explained(lm, cache=CacheSettings(theta=0.0)).cache.share is None


def test_a_line_and_one_token() -> None:
    found = explained(words("a b c"), "a", tokens=1)
    assert found.surprisal.tokens == ["a"]
    assert found.attribution.gradients.shape == (1, 1)
    assert found.memory is None and not found.probes.found
    assert embedded(found.page())["memory"] is None


def test_weights_are_counted_as_info_counts_them() -> None:
    lm = words("a b c", output="sampled")
    lm.network.allocate_state(3, training=False)  # as `fit` and `evaluate` do
    found = explained(lm, "a", tokens=1)
    assert found.model["weights"] == parameter_count(lm.network)


def test_files(found: Any, tmp_path: Path) -> None:
    page, *pictures = found.save(tmp_path / "report.html", png=True)
    assert page.read_text(encoding="utf-8") == found.page()
    assert [path.name for path in pictures] == [
        f"report-{name}.png"
        for name in (
            "surprisal",
            "attribution",
            "gates",
            "units",
            "memory",
            "calibration",
        )
    ]
    for path in pictures:
        assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    (figures,) = found.save(str(tmp_path / "report.json"))
    assert json.loads(figures.read_text(encoding="utf-8")) == json.loads(
        json.dumps(found.to_json())
    )
    for wrong, why in (
        ("report.txt", "ends in .html or .json"),
        ("nowhere/report.html", "a folder that exists"),
    ):
        with pytest.raises(InputError, match=why):
            found.save(tmp_path / wrong)


def test_pictures_of_attention_and_of_a_cache(found: Any, tmp_path: Path) -> None:
    heads, once = np.full((2, 12, 4), 0.25), np.zeros(12)
    layer = Attention(heads, np.zeros((2, 12)))
    cache = CacheWeights(CacheSettings(), None, heads[0], once, once)
    both = replace(found, attention=(layer, layer), cache=cache)
    written = both.save(tmp_path / "report.html", png=True)
    assert [path.name for path in written[3:5]] == [
        "report-attention.png",
        "report-cache.png",
    ]
    for path in written[3:5]:
        assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_half_of_a_surrogate_pair_is_written(tmp_path: Path) -> None:
    found = explained(characters(), "it \ud800 is $x$ \x00\x07 \u202e more")
    found.save(tmp_path / "report.html", png=True)
    assert (tmp_path / "report.html").read_bytes().decode("utf-8")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"tokens": 0}, "1 to 2000 tokens"),
        ({"tokens": 2001}, "1 to 2000 tokens"),
        ({"sample": 0}, "1 token or more"),
        ({"reach": 0}, "1 token or more"),
        ({"baseline": "none"}, "Expected the baseline"),
    ],
)
def test_numbers_out_of_their_range(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        explained(characters(), **options)


def test_progress_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    explained(characters(), progress=lambda *what: told.append(what))
    last = {what: (done, total) for what, done, total in told}
    assert set(last) == {"reading", "attributing", "forgetting"}
    assert all(done == total for done, total in last.values())
