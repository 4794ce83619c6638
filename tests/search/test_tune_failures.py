from math import inf

import pytest
from optuna.trial import create_trial

from keras_rnnlm.search.study import FAILURE, SAME, Record, State
from keras_rnnlm.search.trial_records import LOST
from keras_rnnlm.search.tune_failures import hopeless_after


def trials_of(letters: str) -> list[Record]:
    """Trials in a row: failed, impossible, same as another, lost, running, able."""
    found = []
    for number, letter in enumerate(letters):
        facts = {FAILURE: "No."} if letter in "fis" else {}
        if letter == "s":
            facts[SAME] = 0
        if letter == "l":
            facts[FAILURE] = LOST
        states = {"r": State.RUNNING, "f": State.FAIL, "s": State.FAIL}
        states["l"] = State.FAIL
        losses = {"i": {0: inf}, "a": {0: 2.0}}
        trial = create_trial(
            state=states.get(letter, State.PRUNED),
            user_attrs=facts,
            intermediate_values=losses.get(letter),
        )
        trial.number = number
        found.append(trial)
    return found


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        ("ffff", 0),
        ("fiffi", 5),
        ("fffssss", 0),
        ("llllllf", 0),
        ("llfffff", 5),
        ("ffffffffa", 0),  # there is a figure
        ("rffffffffffff", 0),  # trial 0 is training well
        ("ffffrffffffff", 0),
        ("ffffffrr", 0),  # who began after five of them may still do better
        ("ffffffffffrr", 10),  # not after ten: with two workers one is always running
        ("fffffffffffrf", 11),
    ],
)
def test_when_there_is_no_hope(letters: str, expected: int) -> None:
    assert hopeless_after(trials_of(letters)) == expected
