import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.errors import FolderError, InputError
from keras_rnnlm.fonts import DEFAULT, Fonts, fonts_for
from keras_rnnlm.models.ensemble_folder import ensemble_file
from keras_rnnlm.pictures import class_plots
from keras_rnnlm.pictures.class_plots import classes_plot, texts_of
from keras_rnnlm.pictures.classes import Class, by_frequency, by_position, counts_of
from keras_rnnlm.pictures.curves import curves_plot
from keras_rnnlm.pictures.runs import (
    Run,
    different_names,
    read_runs,
    time_series,
    with_members,
)
from keras_rnnlm.pictures.times import times_plot
from keras_rnnlm.search.trial_records import write_record
from tests.search.made import a_comparison
from tests.search.made_search import a_search
from tests.search.test_plot import is_picture
from tests.test_plots import a_run

FONTS = fonts_for(["abc"])


def write_run(folder: Path, rows: list[dict[str, Any]], loss: float | None) -> Path:
    folder.mkdir(parents=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "training.jsonl").write_text(text)
    if loss is not None:
        report = {"seconds": 99.0, "valid": {"loss": loss}}
        (folder / "report.json").write_text(json.dumps(report))
    return folder


def test_runs_are_read(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one" / "run", a_run(300, 3), 4.0)
    two = write_run(tmp_path / "two" / "run", a_run(200, 2), None)
    with (two / "training.jsonl").open("a") as stream:
        stream.write('{"event": "tra')  # it is being trained
    runs = read_runs([one, two])
    assert [run.name for run in runs] == ["one/run", "two/run"]
    assert len(runs[1].history) == 202
    first, second = time_series([one, two])
    assert len(first.points) == 4 and first.points[-1] == (99.0, math.exp(4.0))
    assert len(second.points) == 2
    (one / "training.jsonl").write_text("nonsense\n{}\n")
    with pytest.raises(FolderError, match="damaged in line 1"):
        read_runs([one])
    with pytest.raises(FolderError, match=r"has no training.jsonl"):
        read_runs([tmp_path])
    with pytest.raises(InputError, match="twice"):
        different_names([two, two])


def test_an_ensemble_stands_for_its_members(tmp_path: Path) -> None:
    folder = tmp_path / "several"
    write_run(folder / "member-1", a_run(300, 3), 4.0)
    write_run(folder / "member-2", a_run(200, 2), 4.5)
    (folder / "ensemble.json").write_bytes(ensemble_file([0, 1]))
    names = ["member-1", "member-2"]
    assert [run.name for run in read_runs([folder])] == names
    assert [each.name for each in time_series([folder])] == names
    other = write_run(tmp_path / "one", a_run(20, 1), 5.0)
    assert with_members([folder, other]) == [*(folder / n for n in names), other]


def test_curves(tmp_path: Path) -> None:
    runs = [Run(f"run{n}", tmp_path, a_run(200 + 50 * n, n)) for n in range(4)]
    runs.append(Run("empty", tmp_path, []))
    for count in (1, 5):
        curves_plot(runs[:count], tmp_path / "a.png", FONTS)
        assert is_picture(tmp_path / "a.png")
    curves_plot(runs[-1:] * 2, tmp_path / "b.png", FONTS)
    assert is_picture(tmp_path / "b.png")


def test_time_of_a_comparison(tmp_path: Path) -> None:
    folder = a_comparison(tmp_path).records.folder
    series = time_series([folder])
    assert {each.name for each in series} >= {"lstm-seed0", "ngram-seed0"}
    assert [each.kind for each in series if each.name == "ngram-seed0"] == ["level"]
    times_plot(series, tmp_path / "a.png", FONTS)
    assert is_picture(tmp_path / "a.png")
    times_plot([], tmp_path / "b.png", FONTS)
    assert is_picture(tmp_path / "b.png")


def test_runs_of_two_comparisons_are_told_apart(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("c1", "c2")]
    for folder in folders:
        folder.mkdir()
        a_comparison(folder)
    names = [each.name for each in time_series(folders)]
    assert len(set(names)) == len(names)
    assert {"c1, lstm-seed0", "c2, lstm-seed0"} <= set(names)


def test_time_of_a_search(tmp_path: Path) -> None:
    tuning = a_search(tmp_path)
    facts = {"plan": tuning.plan.to_dict()}
    (tmp_path / "tune.json").write_text(json.dumps(facts))
    for trial in tuning.trials:
        write_record(tmp_path, trial)
    write_run(tmp_path / "final" / "best", a_run(20, 1), 4.5)
    series = {each.kind: each for each in time_series([tmp_path])}
    assert len(time_series([tmp_path])) == 5
    best = [y for _, y in series["steps"].points]
    assert best == sorted(best, reverse=True)
    top = [
        t.intermediate_values[2] for t in tuning.trials if 2 in t.intermediate_values
    ]
    assert best[-1] == pytest.approx(math.exp(min(top)))
    assert series["level"].points == ((0.0, math.exp(4.5)),)
    times_plot(time_series([tmp_path]), tmp_path / "a.png", FONTS)
    assert is_picture(tmp_path / "a.png")


def test_classes_by_frequency() -> None:
    tokens = ["a", "b", "c", "d", "e"]
    counts = np.array([0, 1, 3, 12, 400])
    targets = np.array([0, 1, 1, 2, 3, 4, 4, 4])
    nats = np.arange(8.0)
    found = by_frequency(targets, nats, counts, tokens)
    assert [each.name for each in found] == ["0", "1", "2-3", "11-31", "317+"]
    assert [each.predictions for each in found] == [1, 2, 1, 1, 3]
    assert sum(each.nats for each in found) == nats.sum()
    assert found[1].perplexity == pytest.approx(math.exp(1.5))
    assert found[-1].examples == ("e",)


@pytest.mark.parametrize("tokenizer", ["char", "word"])
def test_classes_by_position(tokenizer: str, english_file: Path) -> None:
    corpus = Corpus.from_files(english_file, split=(0.9, 0.1), tokenizer=tokenizer)
    text = corpus.train
    starts, stops = text.lines()
    positions = np.concatenate(
        [np.arange(a, b) for a, b in zip(starts, stops, strict=True)]
    )
    nats = np.ones(len(positions))
    found = by_position(positions, nats, text)
    assert sum(each.predictions for each in found) == len(positions)
    # By brute force: how many lines have a token at the place.
    assert found[0].name == "1" and found[0].predictions == len(starts)
    assert found[2].predictions == sum(
        b - a >= 3 for a, b in zip(starts, stops, strict=True)
    )
    assert counts_of(text, corpus.vocabulary_size).sum() == len(positions)


def test_pictures_of_classes(tmp_path: Path) -> None:
    models = {
        "lstm": [Class("0", 3, 20.0, ("[x]", "$y$")), Class("1-3", 90, 300.0, ("z",))],
        "gru": [Class("1-3", 90, 290.0), Class("4+", 9, 9e9)],
    }
    fonts = fonts_for(texts_of(models))
    for chosen in (models, {"lstm": models["lstm"]}, {"none": []}):
        classes_plot(
            chosen, tmp_path / "a.png", fonts, title="T", label="times", unit="word"
        )
        assert is_picture(tmp_path / "a.png")


def test_the_name_of_a_text_is_written_as_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Any] = []
    monkeypatch.setattr(class_plots, "save", lambda _, axes, path: kept.append(axes))
    fonts = Fonts((DEFAULT,), frozenset("缺"))
    models = {"lstm": [Class("1-3", 90, 300.0)]}
    label = "times in 缺$a$.txt"
    classes_plot(models, tmp_path / "a.png", fonts, title="T", label=label, unit="word")
    assert kept[0].get_xlabel() == r"times in [7F3A]\$a\$.txt"
