import pytest

from keras_rnnlm.errors import ConfigError, InputError
from keras_rnnlm.scoring.additions import Additions, make_lines, system_lines
from keras_rnnlm.scoring.cache import CacheSettings
from keras_rnnlm.scoring.learning import DynamicSettings
from keras_rnnlm.scoring.tuned import Line, Tuned

TUNED = Tuned(
    (
        Line("temperature", 1.1),
        Line("dynamic", 1.05, DynamicSettings(0.2)),
        Line(
            "cache",
            1.05,
            DynamicSettings(0.2),
            CacheSettings(100, 0.5),
            weights={"model": 0.7, "cache": 0.3},
        ),
    ),
    "hash",
)


def test_each_line_has_one_thing_more() -> None:
    asked = Additions(1.2, True, True, 4, ["member:a", "member:b"], True)
    lines = make_lines(asked)
    assert [line.name for line in lines] == [
        "temperature",
        "dynamic",
        "mc_dropout",
        "ensemble",
        "cache",
        "ngram",
    ]
    assert [len(line.weights) for line in lines] == [1, 1, 2, 4, 5, 6]
    assert [line.dynamic is not None for line in lines] == [False] + 5 * [True]
    assert [line.passes for line in lines] == [0, 0, 4, 4, 4, 4]
    assert [line.cache is not None for line in lines] == 4 * [False] + 2 * [True]
    assert lines[-1].weights == pytest.approx(
        {
            **dict.fromkeys(["model", "mc_dropout", "member:a", "member:b"], 0.175),
            "cache": 0.1,
            "ngram": 0.2,
        }
    )


def test_thinned_networks_stand_for_the_plain_one() -> None:
    (line,) = make_lines(Additions(passes=3))
    assert line.weights == {"mc_dropout": 1.0}


def test_settings_that_were_searched_come_before_defaults() -> None:
    lines = make_lines(Additions(dynamic=True, cache=True), TUNED)
    assert lines[0].dynamic == DynamicSettings(0.2)
    assert lines[1].cache == CacheSettings(100, 0.5)
    assert lines[1].weights == {"model": 0.7, "cache": 0.3}
    given = Additions(dynamic=DynamicSettings(9.0), cache=True, weights={"cache": 0.5})
    lines = make_lines(given, TUNED)
    assert lines[0].dynamic == DynamicSettings(9.0)
    assert lines[1].weights == {"model": 0.5, "cache": 0.5}


def test_weights_of_what_is_not_there() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'cache'"):
        make_lines(Additions(cache=True, weights={"cahce": 0.1}))
    with pytest.raises(ConfigError, match="below 1"):
        make_lines(Additions(cache=True, weights={"cache": 1.5}))
    weights = {"cache": 0.6, "ngram": 0.7}
    with pytest.raises(ConfigError, match="leave the model a share"):
        make_lines(Additions(cache=True, ngram=True, weights=weights))


def test_a_system_has_to_be_searched_first() -> None:
    assert system_lines(TUNED) == list(TUNED.lines)
    with pytest.raises(InputError, match="tune-evaluation"):
        system_lines(None)


def test_lines_survive_json_and_refuse_nonsense() -> None:
    for line in TUNED.lines:
        assert Line.from_dict(line.to_dict()) == line
    for wrong in (
        {"name": "dinamic"},
        {"name": "cache", "weights": {"model": 0.5}},
        {"name": "cache", "weights": {"modell": 1.0}},
        {"name": "cache", "weights": [1.0]},
        {"name": "temperature", "temperature": -1.0, "weights": {"model": 1.0}},
        {"name": "dynamic", "dynamic": {"rat": 1}, "weights": {"model": 1.0}},
        {"name": "dynamic", "colour": 1, "weights": {"model": 1.0}},
        {"name": "gate", "gate": {"matrix": "no"}, "weights": {"model": 1.0}},
    ):
        with pytest.raises(ConfigError):
            Line.from_dict(wrong)
