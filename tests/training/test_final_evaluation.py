"""How the end of a run is evaluated, and what is said of its time."""

from types import SimpleNamespace
from typing import Any

import pytest

from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.training.final_evaluation import (
    CARRIED_IN_A_MINUTE,
    FinalEvaluation,
    protocol_of_run,
)
from keras_rnnlm.training.run import notes_of_time
from keras_rnnlm.training.schedules import ClockPace, StepPace
from keras_rnnlm.training.train import schedule_of


def corpus(characters: int, lines: int = 1) -> Corpus:
    return Corpus.from_texts(
        ["abc " * 50], valid=["abcd" * (characters // 4)] * lines, tokenizer="char"
    )


def test_long_texts_of_short_runs_are_read_in_lanes() -> None:
    long = corpus(CARRIED_IN_A_MINUTE)
    assert protocol_of_run(long, Settings(minutes=0.9)) == "lanes:64"
    assert protocol_of_run(long, Settings(minutes=1.1)) is None
    assert protocol_of_run(long, Settings(max_steps=10)) is None
    given = Settings(minutes=0.9, protocol="carry")
    assert protocol_of_run(long, given) == "carry"
    lines = Settings(minutes=0.9, mode="sentence")
    assert protocol_of_run(long, lines) == "sentence"


def test_the_figures_have_that_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = []
    monkeypatch.setattr(
        "keras_rnnlm.training.final_evaluation.LanguageModel",
        lambda network, tokenizer, protocol: found.append(protocol),
    )
    text = corpus(CARRIED_IN_A_MINUTE)
    for minutes in (0.9, 1.1):
        final = FinalEvaluation(text, Settings(minutes=minutes))
        with pytest.raises(AttributeError):
            final.evaluate(None, lambda: None)  # type: ignore[arg-type]
    assert found == ["lanes:64", None]


def test_a_replay_has_the_protocol_of_the_run_that_it_repeats() -> None:
    settings = Settings(minutes=0.9)
    report: dict[str, Any] = {
        "settings": settings.to_dict(),
        "schedule": {"steps": 1, "knots": []},
        "valid": {"protocol": "lanes:64"},
        "test": None,
    }
    repeated, schedule = schedule_of(report)
    assert repeated.minutes is None
    text = corpus(CARRIED_IN_A_MINUTE)
    assert protocol_of_run(text, repeated) is None
    assert FinalEvaluation(text, repeated, schedule["protocol"])._protocol == "lanes:64"
    # Of texts of two sizes that were read by their size.
    report["test"] = {"protocol": "carry"}
    assert "protocol" not in schedule_of(report)[1]
    assert "protocol" not in report["schedule"]


def notes(text: Corpus, deadline: float, begun: float | None) -> str:
    run: Any = SimpleNamespace(corpus=text, settings=Settings(minutes=0.9))
    return " ".join(notes_of_time(run, ClockPace(deadline), begun))


def test_what_is_said_of_the_time() -> None:
    short, long = corpus(400), corpus(CARRIED_IN_A_MINUTE)
    assert notes(short, 50.0, 20.0) == ""
    assert "protocol lanes:64" in notes(long, 50.0, 20.0)
    assert "Only 9% of the 0.9 minutes are left" in notes(short, 25.0, 20.0)
    assert "Only 0% of" in notes(short, 20.0, 25.0)
    assert notes(short, 20.0, None) == ""  # a run that is gone on with
    run: Any = SimpleNamespace(corpus=long, settings=Settings(max_steps=9))
    assert notes_of_time(run, StepPace(9), 0.0) == []
