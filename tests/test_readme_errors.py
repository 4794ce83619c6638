"""The READMEs' table of error messages: each is made to appear, word for word."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.conftest import needs_backend
from tests.readme import error_messages

MODEL = """
model = keras.Sequential([
    keras.Input((5,)),
    keras.layers.Embedding(10, 4),
    keras.layers.LSTM(4),
    keras.layers.Dense(10, activation="softmax"),
])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
x, y = np.zeros((6, 5), "int32"), np.zeros(6, "int32")
"""
# The same without the layer that takes longest to compile.
SIMPLER = MODEL.replace("LSTM(4)", "Flatten()")
STATEFUL = """
model = keras.Sequential([
    keras.Input(batch_shape=(SIZE, 5)),
    keras.layers.Embedding(10, 4),
    keras.layers.LSTM(4, stateful=True),
])
"""

# What tutorials have in them, by the message that it gets.
ON_JAX = {
    "ModuleNotFoundError: No module named 'keras.preprocessing.text'": (
        "from keras.preprocessing.text import Tokenizer"
    ),
    "ModuleNotFoundError: No module named 'keras_preprocessing'": (
        "from keras_preprocessing.sequence import pad_sequences"
    ),
    "ModuleNotFoundError: No module named 'keras.layers.recurrent'": (
        "from keras.layers.recurrent import LSTM"
    ),
    "ModuleNotFoundError: No module named 'keras.engine'": (
        "from keras.engine.topology import Layer"
    ),
    "ImportError: cannot import name 'CuDNNLSTM' from 'keras.layers'": (
        "from keras.layers import CuDNNLSTM"
    ),
    "AttributeError: module 'keras.layers' has no attribute 'CuDNNLSTM'": (
        "keras.layers.CuDNNLSTM(4)"
    ),
    "ImportError: cannot import name 'np_utils' from 'keras.utils'": (
        "from keras.utils import np_utils"
    ),
    "ModuleNotFoundError: No module named 'keras.utils.np_utils'": (
        "from keras.utils.np_utils import to_categorical"
    ),
    "AttributeError: module 'keras.utils' has no attribute 'np_utils'": (
        "keras.utils.np_utils.to_categorical([1])"
    ),
    "AttributeError: module 'keras.backend' has no attribute 'set_session'": (
        "from keras import backend as K; K.set_session(None)"
    ),
    "ValueError: `sequences` must be a list of iterables. Found non-iterable: 4": (
        "keras.utils.pad_sequences([4, 5])"
    ),
    "UserWarning: Argument `input_length` is deprecated. Just remove it.": (
        "keras.layers.Embedding(10, 4, input_length=5)"
    ),
    "NameError: name 'test_input_sequences' is not defined": (
        "keras.utils.pad_sequences(test_input_sequences)"
    ),
    "ValueError: setting an array element with a sequence.": (
        "np.array([[1, 2], [1]])"
    ),
    "ValueError: Unrecognized data type: x=[[1, 2, 3, 4, 5]]": (
        MODEL + "model.fit([[1, 2, 3, 4, 5]], [1], verbose=0)"
    ),
    "is incompatible with the layer: expected ndim=3, found ndim=2": (
        MODEL.replace("keras.layers.LSTM(4),", "keras.layers.LSTM(4)," * 2)
    ),
    "TypeError: JAXTrainer.fit() got an unexpected keyword argument 'nb_epoch'": (
        MODEL + "model.fit(x, y, nb_epoch=1)"
    ),
    "AttributeError: 'Sequential' object has no attribute 'fit_generator'": (
        MODEL + "model.fit_generator(x)"
    ),
    "AttributeError: 'Sequential' object has no attribute 'predict_classes'": (
        MODEL + "model.predict_classes(x)"
    ),
    "AttributeError: 'Sequential' object has no attribute 'predict_proba'": (
        MODEL + "model.predict_proba(x)"
    ),
    "ValueError: Argument(s) not recognized: {'lr': 0.01}": (
        "keras.optimizers.Adam(lr=0.01)"
    ),
    "KeyError: 'acc'": SIMPLER + "model.fit(x, y, verbose=0).history['acc']",
    (
        "ValueError: Arguments `target` and `output` must have the same shape up until "
        "the last dimension: target.shape=(6, 10), output.shape=(6, 10)"
    ): MODEL + "model.fit(x, np.eye(10)[y], verbose=0)",
    (
        "ValueError: Arguments `target` and `output` must have the same shape. "
        "Received: target.shape=(6,), output.shape=(6, 10)"
    ): MODEL.replace("sparse_", "") + "model.fit(x, y, verbose=0)",
    "ValueError: Incompatible shapes for broadcasting: shapes=[(6,), (6, 5)]": (
        MODEL.replace("LSTM(4)", "LSTM(4, return_sequences=True)")
        + "model.fit(x, y, verbose=0)"
    ),
    (
        "ValueError: Unrecognized keyword arguments passed to LSTM: "
        "{'batch_input_shape': (2, 3, 4)}"
    ): "keras.layers.LSTM(4, batch_input_shape=(2, 3, 4))",
    (
        "ValueError: When using `stateful=True` in a RNN, the batch size must be "
        "static."
    ): STATEFUL.replace("SIZE", "None"),
    (
        "If an RNN is stateful, the batch size of the input sequences must be the same "
        "as the batch size of the initial state."
    ): STATEFUL.replace("SIZE", "2") + "model.predict(np.zeros((1, 5)), verbose=0)",
    "AttributeError: 'Sequential' object has no attribute 'reset_states'": (
        MODEL + "model.reset_states()"
    ),
    "ValueError: Invalid filepath extension for saving.": (
        MODEL + "model.save('model')"
    ),
    "ValueError: File format not supported: filepath=": (
        "keras.models.load_model('saved_model')"
    ),
    "UnicodeDecodeError: 'gbk' codec can't decode byte": (
        "open('utf-8.txt', encoding='gbk').read()"
    ),
    "UnicodeDecodeError: 'utf-8' codec can't decode byte": (
        "open('gbk.txt', encoding='utf-8').read()"
    ),
}

ON_TENSORFLOW = {
    "ValueError: max() arg is an empty sequence": """
from tensorflow.keras.preprocessing.text import Tokenizer

lines = ["看塔人走上楼梯", "灯慢慢地转"]
tokenizer = Tokenizer()
tokenizer.fit_on_texts(lines)
sequences = []
for line in lines:
    ids = tokenizer.texts_to_sequences([line])[0]
    for i in range(1, len(ids)):
        sequences.append(ids[: i + 1])
max(len(ids) for ids in sequences)
""",
    "Received a label value of 10 which is outside the valid range of [0, 10)": (
        MODEL + "model.fit(x, y + 10, verbose=0)"
    ),
    "ModuleNotFoundError: No module named 'tensorflow.contrib'": (
        "import tensorflow.contrib.rnn"
    ),
    "AttributeError: module 'tensorflow' has no attribute 'placeholder'": (
        "import tensorflow as tf\ntf.placeholder('float')"
    ),
}
# Wordings of a later Python than the one that the READMEs name.
LATER = {
    "ValueError: max() arg is an empty sequence": (
        "ValueError: max() iterable argument is empty"
    )
}

NO_TENSORFLOW = "ModuleNotFoundError: No module named 'tensorflow'"
# What Keras meets where TensorFlow is not installed: the finder does not know it.
WITHOUT_TENSORFLOW = """
from importlib.machinery import PathFinder

find_spec = PathFinder.find_spec


def find(name, path=None, target=None):
    if name.partition(".")[0] == "tensorflow":
        return None
    return find_spec(name, path, target)


PathFinder.find_spec = find
import keras
"""

# Runs snippets that stand between lines of dashes and prints what each of them raises.
PRINT_ERRORS = """
import sys
import keras
import numpy as np

for snippet in sys.stdin.read().split("-" * 20):
    try:
        exec(snippet)
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
    print("-" * 20)
"""


def test_every_message_is_made_to_appear() -> None:
    assert set(error_messages("en")) == {*ON_JAX, *ON_TENSORFLOW, NO_TENSORFLOW}
    assert len(error_messages("en")) == len(set(error_messages("en")))


@pytest.mark.parametrize("message", ON_JAX)
def test_message(message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("utf-8.txt").write_text("灯塔立在海湾尽头。", encoding="utf-8")
    Path("gbk.txt").write_text("灯塔立在海湾尽头。", encoding="gbk")
    Path("saved_model").mkdir()
    with pytest.raises((Exception, UserWarning)) as caught, warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ResourceWarning)
        exec(ON_JAX[message], {"keras": keras, "np": np})
    assert message in f"{caught.type.__name__}: {caught.value}"


def test_import_keras_without_tensorflow(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    environment["KERAS_HOME"] = str(tmp_path)
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)

    def run(start: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", start + WITHOUT_TENSORFLOW],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )

    assert run("").stderr.splitlines()[-1] == NO_TENSORFLOW
    # What Keras has written by itself; what the READMEs advise works all the same.
    assert '"backend": "tensorflow"' in (tmp_path / "keras.json").read_text()
    assert run("import keras_rnnlm\n").returncode == 0


@pytest.mark.backends
def test_messages_with_tensorflow() -> None:
    needs_backend("tensorflow")
    done = subprocess.run(
        [sys.executable, "-c", PRINT_ERRORS],
        input=("-" * 20).join(ON_TENSORFLOW.values()),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.split("-" * 20)
    for message, found in zip(ON_TENSORFLOW, said, strict=False):
        wording = LATER.get(message, message)
        assert (wording if sys.version_info >= (3, 12) else message) in found


# -- the mistakes without a message ---------------------------------------------------


def first_epoch(code: str) -> dict[str, float]:
    space: dict[str, object] = {"keras": keras, "np": np}
    exec(SIMPLER + "history = " + code + ".history", space)
    history = space["history"]
    assert isinstance(history, dict)
    return {name: values[-1] for name, values in history.items()}


def test_an_input_out_of_range_gives_nan() -> None:
    assert np.isnan(first_epoch("model.fit(x + 10, y, verbose=0)")["loss"])


def test_a_target_out_of_range_gives_nothing() -> None:
    found = first_epoch("model.fit(x, y + 10, verbose=0)")
    assert found["loss"] == 0
    assert found["accuracy"] == 0


def test_logits_where_probabilities_are_expected() -> None:
    code = SIMPLER.replace(', activation="softmax"', "")
    losses = []
    for loss in (
        "sparse_categorical_crossentropy",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    ):
        keras.utils.set_random_seed(0)
        space: dict[str, object] = {"keras": keras, "np": np}
        exec(code, space)
        model = space["model"]
        assert isinstance(model, keras.Model)
        model.compile("adam", loss)
        x = np.random.default_rng(0).integers(0, 10, (200, 5))
        losses.append(model.fit(x, x[:, 0], epochs=5, verbose=0).history["loss"])
    wrong, right = losses
    assert wrong[-1] > np.log(10)
    assert right[-1] < right[0] < wrong[-1]
