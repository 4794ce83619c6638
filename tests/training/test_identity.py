"""What a run was made by: said, and no reason to refuse to go on with it."""

import json

from keras_rnnlm.code_hash import code_hash
from keras_rnnlm.config import Settings
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.training.identity import (
    environment,
    environment_changes,
    run_identity,
)

NEW = ("code", "processor_model", "instructions", "caches", "memory")
"""What environments of earlier checkpoints and reports do not have."""


def test_an_environment_is_fit_for_json_and_knows_code_and_machine() -> None:
    now = environment()
    assert json.loads(json.dumps(now)) == now
    assert set(NEW) <= set(now)
    assert now["code"] == code_hash()
    assert now["cores"] >= 1 and now["machine"].count(",") >= 1


def test_what_is_told_of_changes() -> None:
    now = environment()
    assert environment_changes(now) == []
    older = {name: value for name, value in now.items() if name not in NEW}
    assert environment_changes(older) == []
    assert environment_changes({**now, "memory": 1}) == []
    (sentence,) = environment_changes({**now, "code": "0" * 64})
    assert "begun by other code" in sentence
    (sentence,) = environment_changes({**older, "cores": 0})
    assert sentence.startswith("cores was 0 and is ")


def test_neither_code_nor_machine_nor_command_is_part_of_what_a_run_is() -> None:
    corpus = Corpus.from_texts(["the cat sat", "the dog sat"], tokenizer="char")
    found = run_identity(corpus, Settings(), None)
    assert not {"command", "environment", *NEW} & set(found)
