"""The lines of a model card on how and on what the model was made."""

from typing import Any

import pytest

from keras_rnnlm.training.origin import origin_lines

MACHINE: dict[str, Any] = {
    "machine": "Linux x86_64, AMD EPYC",
    "processor_model": "cpu family 25, model 17, stepping 1",
    "instructions": ["avx2", "avx512f"],
    "cores": 2,
    "memory": 24 << 30,
}
OLD = {"machine": "Linux x86_64, AMD EPYC", "cores": 2}


def test_command_and_machine() -> None:
    command = ["rnnlm", "train", "a text.txt"]
    assert origin_lines({"command": command, "environment": MACHINE}) == [
        "",
        "Command: `rnnlm train 'a text.txt'`",
        "",
        "Machine: Linux x86_64, AMD EPYC; cpu family 25, model 17, stepping 1; "
        "2 cores; 24.0 GiB of memory; avx2 avx512f.",
    ]


def test_what_is_not_known_is_left_out() -> None:
    assert origin_lines({"environment": OLD}) == []
    assert origin_lines({"command": None, "environment": OLD}) == []
    silent = {"processor_model": "", "instructions": [], "cores": 1, "memory": None}
    assert origin_lines({"command": None, "environment": {**MACHINE, **silent}}) == [
        "",
        "Machine: Linux x86_64, AMD EPYC; 1 core.",
    ]


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("a`b", "Command: `` rnnlm train 'a`b' ``"),
        ("a``b", "Command: ``` rnnlm train 'a``b' ```"),
        ("a\nb", "Command: `rnnlm train 'a b'`"),
    ],
)
def test_a_command_is_code_on_one_line(word: str, line: str) -> None:
    report = {"command": ["rnnlm", "train", word], "environment": OLD}
    assert origin_lines(report) == ["", line]
