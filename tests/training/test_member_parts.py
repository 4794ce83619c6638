"""What keeps members in step: one pace, one file of checkpoints, one voice."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_rnnlm.errors import FolderError
from keras_rnnlm.files import CHECKPOINT
from keras_rnnlm.models.ensemble_folder import (
    FILE,
    ensemble_file,
    is_ensemble,
    member_folders,
)
from keras_rnnlm.training.checkpoints import Checkpoint
from keras_rnnlm.training.ensemble_card import ensemble_card
from keras_rnnlm.training.member_checkpoints import MembersWriter, read_parts
from keras_rnnlm.training.member_loop import CommonPace
from keras_rnnlm.training.member_reporter import MembersReporter
from keras_rnnlm.training.reporter import SilentReporter
from keras_rnnlm.training.schedules import ClockPace

# -- one pace -------------------------------------------------------------------------


def test_the_first_to_ask_decides_for_all() -> None:
    pace, alone = CommonPace(10.0), ClockPace(10.0)
    for step in range(1, 9):
        now = 0.5 * step
        alone.observe(step, now, 0.25)
        for later in range(3):  # others ask a little later, each for itself
            pace.observe(step, now + 0.05 * later, 0.25)
        assert pace.knots == alone.knots
        assert not any(pace.finished(step, now + 0.05 * later) for later in range(3))
    assert not pace.finished(9, 9.99)
    assert not pace.finished(9, 10.01)  # of this step that is settled
    assert pace.finished(10, 10.01)
    assert pace.finished(10, 9.0)
    assert pace.has(11, 4.0, 5.0)
    assert pace.has(11, 6.0, 5.0)
    assert not pace.has(12, 6.0, 5.0)


# -- one file of checkpoints ----------------------------------------------------------


def checkpoint(member: int, step: int, complete: bool = False) -> Checkpoint:
    return Checkpoint(
        {"model.0": np.full(3, 10.0 * member + step)},
        {"embedding.weight": np.full(2, float(member))},
        {"step": step, "complete": complete},
    )


def steps_of(folder: Path) -> list[int]:
    parts = read_parts(folder, 2)
    assert parts is not None
    for member, part in enumerate(parts):
        expected = checkpoint(member, part.meta["step"])
        np.testing.assert_array_equal(
            part.arrays["model.0"], expected.arrays["model.0"]
        )
        np.testing.assert_array_equal(part.best["embedding.weight"], [member] * 2)
    return [part.meta["step"] for part in parts]


def test_members_are_written_of_one_step(tmp_path: Path) -> None:
    writer = MembersWriter(tmp_path, 2)
    first, second = writer.parts
    writer.begin_step()
    assert first.due() == second.due()
    first.submit(checkpoint(0, 4))
    writer.end_step({0, 1})  # the second has not handed over: nothing is written
    writer.close()
    assert not (tmp_path / CHECKPOINT).exists()
    for step in (5, 6):
        writer.begin_step()
        second.submit(checkpoint(1, step))
        first.submit(checkpoint(0, step))
        writer.end_step({0, 1})
        first.close()
        assert steps_of(tmp_path) == [step, step]
        assert (first.last_step, second.folder) == (step, tmp_path)


def test_a_member_that_has_ended_keeps_its_last_one(tmp_path: Path) -> None:
    writer = MembersWriter(tmp_path, 2)
    writer.parts[1].submit(checkpoint(1, 7, complete=True))
    writer.end_step({0, 1})
    assert read_parts(tmp_path, 2) is None
    for step in (8, 9):
        writer.parts[0].submit(checkpoint(0, step))
        writer.end_step({0})
        writer.close()
        assert steps_of(tmp_path) == [step, 7]
    assert read_parts(tmp_path, 3) is None


def test_a_member_that_had_ended_keeps_it_when_the_others_resume(
    tmp_path: Path,
) -> None:
    writer = MembersWriter(tmp_path, 2)
    writer.parts[1].submit(checkpoint(1, 7, complete=True))
    writer.parts[0].submit(checkpoint(0, 7))
    writer.end_step({0, 1})
    writer.close()
    parts = read_parts(tmp_path, 2)
    assert parts is not None
    writer = MembersWriter(tmp_path, 2)
    writer.resume(parts)
    assert writer.last_step == 7
    writer.parts[0].submit(checkpoint(0, 8))
    writer.end_step({0})
    writer.close()
    assert steps_of(tmp_path) == [8, 7]


# -- one voice ------------------------------------------------------------------------


class Heard(SilentReporter):
    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def step(self, *event: Any) -> None:
        self.events.append(("step", *event))

    def validation(self, *event: Any) -> None:
        self.events.append(("validation", *event))

    def note(self, sentence: str) -> None:
        self.events.append(("note", sentence))


def test_means_are_told_and_each_member_at_validations() -> None:
    heard = Heard()
    told = MembersReporter(heard, 2)
    first, second = told.parts
    told.flush({0, 1})
    assert heard.events == []
    first.step(10, 2.0, 100.0, 0.5, 7.0, 0.1)
    second.step(10, 4.0, 120.0, 0.5, 7.0, 0.1)
    told.flush({0, 1})
    second.step(11, 6.0, 120.0, 0.6, 6.0, 0.1)
    told.flush({0, 1})
    assert heard.events == [
        ("step", 10, 3.0, 220.0, 0.5, 7.0, 0.1),
        ("step", 11, 4.0, 220.0, 0.6, 6.0, 0.1),
    ]
    heard.events.clear()
    for nats, best in (((2.0, 4.0), True), ((3.0, 3.5), False)):
        first.validation(12, nats[0], math.exp(nats[0]), True)
        second.validation(12, nats[1], math.exp(nats[1]), True)
        told.flush({0, 1})
        mean = sum(nats) / 2
        event, note = heard.events
        assert event == ("validation", 12, mean, math.exp(mean), best)
        assert all(f"{math.exp(n):.2f}" in note[1] for n in nats)
        heard.events.clear()
    second.note("The weights are averaged.")
    second.step(13, 5.0, 120.0, 0.7, 5.0, 0.1)
    told.flush({1})  # the first has ended
    assert heard.events == [
        ("note", "Member 2: The weights are averaged."),
        ("step", 13, 5.0, 120.0, 0.7, 5.0, 0.1),
    ]


# -- the folder -----------------------------------------------------------------------


def test_the_list_of_members(tmp_path: Path) -> None:
    assert not is_ensemble(tmp_path)
    (tmp_path / FILE).write_bytes(ensemble_file([4, 5, 6]))
    assert is_ensemble(tmp_path)
    names = [folder.name for folder in member_folders(tmp_path)]
    assert names == ["member-1", "member-2", "member-3"]


@pytest.mark.parametrize(
    "content",
    [b"", b"[1]", b'{"format": 1}', b'{"format": 2, "members": 3}', b"\xff\xfe",
     b'{"format": 1, "members": -1}', b'{"format": 1, "members": "many"}',
     b'{"format": 1, "members": 1e999}', pytest.param(b"[" * 100_000, id="deep")],
)  # fmt: skip
def test_a_damaged_list_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(FolderError, match="model folders"):
        member_folders(tmp_path)


def test_a_card_without_texts_to_evaluate() -> None:
    member = {"folder": "member-1", "seed": 0, "best_step": 9, "valid": None}
    report = {
        "members": [{**member, "test": None}],
        "data": {"tokenizer": "char", "vocabulary_size": 30},
        "parameters": 1000,
        "seconds": 3.0,
        "environment": {"machine": "a machine"},
        "valid": None,
        "test": None,
    }
    assert "**-** | **-**" in ensemble_card(report)
    assert "--system" not in ensemble_card(report)
    line = {
        "name": "ngram",
        "perplexity": 61.25,
        "seconds": 2.0,
        "preparation_seconds": 0.0,
    }
    whole = ensemble_card({**report, "system": {"test": [line]}})
    assert "test perplexity 61.25" in whole
    assert "evaluate THIS_FOLDER text.txt --system" in whole
