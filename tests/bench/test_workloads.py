import pytest

from keras_rnnlm.bench.workloads import STANDARD, TASKS, Workload, workload
from keras_rnnlm.errors import ConfigError
from keras_rnnlm.models.rnn_lm import RNNLM


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_work_is_that_of_the_model(cell: str) -> None:
    small = Workload("small", TASKS, 11, 8, 3, 4, 5, cell)
    network = RNNLM(11, cell=cell, units=8, layers=3, tie_weights=False, seed=0)
    multiplied = sum(
        int(v.value.size)
        for v in network.trainable_variables
        if len(v.shape) == 2 and v.name in ("kernel", "recurrent_kernel")
    )
    assert small.matrix_elements == multiplied
    assert small.flops("training") == 6 * multiplied
    assert small.flops("scoring") == 2 * multiplied
    assert small.weight_bytes("bfloat16") == 2 * multiplied


def test_the_standard_models_are_those_of_the_targets() -> None:
    word, large, char = (workload(name) for name in STANDARD)
    assert (word.units, word.layers, word.vocabulary) == (650, 2, 10_000)
    assert (word.batch, large.batch, word.steps) == (20, 64, 35)
    assert (char.units, char.vocabulary, char.batch, char.steps) == (512, 65, 64, 128)
    assert word.matrix_elements == 13_260_000


def test_json_and_back() -> None:
    there = workload("word-650").with_cell("gru")
    assert Workload.from_dict(there.to_dict()) == there


def test_unknown_name() -> None:
    with pytest.raises(ConfigError, match="no model 'word-65'.*Did you mean 'word-650"):
        workload("word-65")
