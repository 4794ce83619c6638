"""The models that are measured, and the work that one token of each is.

Floating point operations are counted once and nominally, whatever a contestant really
computes: a matrix element costs a multiplication and an addition a token forward, and
twice that backward. Embeddings, gates, softmax, clipping and Adam count as nothing, so
a fraction of the ceiling says how much of the time went into what cannot be avoided.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

from keras_rnnlm.errors import ConfigError, nearest

GATES = {"simple_rnn": 1, "gru": 3, "lstm": 4}
TASKS = ("training", "scoring", "generation")
CELLS = ("lstm", "gru")


@dataclass(frozen=True)
class Workload:
    """One model and the shape of its batches; embedding as wide as the units, untied.

    Attributes:
        name: What the command line calls it.
        tasks: What it is measured at.
        vocabulary: Number of token ids, V.
        units: Width of each recurrent layer.
        layers: Number of recurrent layers.
        batch: Rows of a batch, B.
        steps: Time steps of a batch, T.
        cell: `lstm`, `gru` or `simple_rnn`.
    """

    name: str
    tasks: tuple[str, ...]
    vocabulary: int
    units: int
    layers: int
    batch: int
    steps: int
    cell: str = "lstm"

    @property
    def recurrent_elements(self) -> int:
        """Elements of the input and recurrent matrices of all layers."""
        return self.layers * GATES[self.cell] * self.units * 2 * self.units

    @property
    def matrix_elements(self) -> int:
        """Elements of all matrices that are multiplied by: recurrent, input, output."""
        return self.recurrent_elements + self.units * self.vocabulary

    def flops(self, task: str) -> int:
        """Nominal floating point operations a token."""
        return (6 if task == "training" else 2) * self.matrix_elements

    def weight_bytes(self, dtype: str) -> int:
        """Bytes of weights that generating one token at batch 1 has to read."""
        return self.matrix_elements * {"float32": 4, "bfloat16": 2, "int8": 1}[dtype]

    def with_cell(self, cell: str) -> "Workload":
        """Return the same model with another cell."""
        return replace(self, cell=cell)

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` takes, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Workload":
        """Return the workload that `to_dict` described."""
        return cls(**{**values, "tasks": tuple(values["tasks"])})


# The medium model of Zaremba et al. (2014) on Penn Treebank, and a character model of
# tinyshakespeare's size. `tiny` shows in seconds that everything runs.
WORKLOADS = (
    Workload("word-650", ("training", "generation"), 10_000, 650, 2, 20, 35),
    Workload("word-650-b64", ("training", "scoring"), 10_000, 650, 2, 64, 35),
    Workload("char-512", TASKS, 65, 512, 2, 64, 128),
    Workload("tiny", TASKS, 50, 16, 2, 4, 8),
)
STANDARD = ("word-650", "word-650-b64", "char-512")


def workload(name: str) -> Workload:
    """Return the workload of that name.

    Raises:
        ConfigError: There is none.
    """
    for each in WORKLOADS:
        if each.name == name:
            return each
    names = [each.name for each in WORKLOADS]
    raise ConfigError(
        f"There is no model '{name}' to measure.{nearest(name, names)} "
        f"Models: {', '.join(names)}."
    )
