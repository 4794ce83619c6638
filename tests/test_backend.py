import os
import subprocess
import sys
from pathlib import Path

import pytest

from keras_rnnlm import backend


def backend_after(code: str, **variables: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{code}; import os; print(os.environ['KERAS_BACKEND'])",
        ],
        capture_output=True,
        text=True,
        check=True,
        env={**environment, **variables},
    )
    return done.stdout.strip()


def test_jax_is_chosen_where_nobody_has_chosen() -> None:
    assert backend_after("import keras_rnnlm") == "jax"
    assert backend_after("import keras_rnnlm", KERAS_BACKEND="") == "jax"


def test_a_chosen_backend_is_respected() -> None:
    assert backend_after("import keras_rnnlm", KERAS_BACKEND="torch") == "torch"


def test_a_file_that_keras_wrote_by_itself_is_no_choice(tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text('{"backend": "tensorflow"}')
    code = (
        "import keras_rnnlm, keras; "
        "assert keras.backend.backend() == 'jax', keras.backend.backend()"
    )
    assert backend_after(code, KERAS_HOME=str(tmp_path)) == "jax"


def test_a_keras_that_is_loaded_keeps_its_backend() -> None:
    code = (
        "import os, sys, types; sys.modules['keras'] = types.ModuleType('keras'); "
        "import keras_rnnlm; assert 'KERAS_BACKEND' not in os.environ; "
        "os.environ['KERAS_BACKEND'] = 'untouched'"
    )
    assert backend_after(code) == "untouched"


def test_the_device_is_named() -> None:
    assert backend.device_name().startswith(os.environ["KERAS_BACKEND"])


@pytest.mark.parametrize(
    ("device", "there", "warns"),
    [
        ("jax on cpu", True, True),
        ("jax on cpu", False, False),
        ("jax on NVIDIA H200", True, False),
    ],
)
def test_a_gpu_that_stands_idle_is_mentioned(
    device: str, there: bool, warns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "device_name", lambda: device)
    monkeypatch.setattr("os.path.exists", lambda path: there)
    warning = backend.unused_gpu()
    assert (warning is not None) == warns
    assert not warns or "pip install 'keras-rnnlm[cuda]'" in str(warning)
