"""Matrices that stay as they are and learn a product of low rank beside them."""

from typing import Any

import keras
from keras import initializers, ops

from keras_rnnlm.errors import ConfigError

Array = Any


class LowRank:
    """W + A B with W fixed, A (rows, R) and B (R, columns) trained.

    Hu et al. (2021), "LoRA: Low-rank adaptation of large language models", for the
    matrices of recurrent layers. B begins at zero, so that nothing changes at first.
    The sum is made once a call, before the loop over time: every kernel runs on it, and
    it costs what one product of small matrices costs. There is no scale beside A B: it
    would change the learning rate alone.

    Args:
        rank: R, above 0; or 0 for matrices that learn as usual.

    Attributes:
        rank: R.
        factors: A and B of each matrix by the matrix's name.

    Raises:
        ConfigError: for a rank below 0.
    """

    def __init__(self, rank: int) -> None:
        """Remember the rank; `add` makes the factors."""
        if rank < 0:
            raise ConfigError(
                f"low_rank expected 0 or more, received {rank}: give a small rank, "
                "such as 8, or 0 to train whole matrices."
            )
        self.rank = rank
        self.factors: dict[str, tuple[Any, Any]] = {}
        self._fixed: list[Any] = []
        self._room = 0

    def add(self, layer: Any, name: str, matrix: Any, seed: int | None) -> None:
        """Give a matrix of a layer, which is being built, its factors.

        Args:
            layer: The layer, which will own them.
            name: Of the matrix.
            matrix: Its variable (..., rows, columns), several matrices where there are
                heads; it is no longer trained. One that is thin by nature, such as that
                of a convolution over four steps, has no factors.
            seed: Of A.

        Raises:
            ConfigError: for a rank that is not below both sides of `kernel` or
                `recurrent_kernel`.
        """
        if not self.rank:
            return
        *heads, rows, columns = matrix.shape
        self._fixed.append(matrix)
        self.fix()
        self._room = max(self._room, min(rows, columns))
        if self.rank >= min(rows, columns):
            if name not in ("kernel", "recurrent_kernel"):
                return
            raise ConfigError(
                f"low_rank expected a rank below {min(rows, columns)}, since {name} is "
                f"{rows} by {columns}, received {self.rank}: give a smaller one."
            )
        drawn = initializers.RandomNormal(stddev=rows**-0.5, seed=seed)

        def add(part: str, *shape: int, initializer: Any) -> Any:
            shape, part = (*heads, *shape), f"{name}_{part}"
            return layer.add_weight(
                shape=shape, initializer=initializer, name=part, autocast=False
            )

        self.factors[name] = (
            add("down", rows, self.rank, initializer=drawn),
            add("up", self.rank, columns, initializer="zeros"),
        )

    def fix(self) -> None:
        """Take the matrices out of training, into which Keras may have put them."""
        for matrix in self._fixed:
            matrix.trainable = False

    def check(self) -> None:
        """Refuse a rank for which no matrix of a layer has had room.

        Raises:
            ConfigError: for matrices without any factors: nothing of them would be
                learnt.
        """
        if self._fixed and not self.factors:
            raise ConfigError(
                f"low_rank expected a rank below {self._room}, the smaller side of the "
                f"layer's largest matrix, received {self.rank}: give a smaller one."
            )

    def __call__(self, name: str, matrix: Array) -> Array:
        """The matrix of a name as a call uses it."""
        if name not in self.factors:
            return matrix
        down, up = (ops.convert_to_tensor(factor) for factor in self.factors[name])
        return matrix + ops.matmul(down, up)

    def weights(self) -> dict[str, Any]:
        """The factors' variables: `NAME_down` and `NAME_up` of each matrix."""
        named = {}
        for name, (down, up) in self.factors.items():
            named[f"{name}_down"], named[f"{name}_up"] = down, up
        return named


class FixedMatrices:
    """A layer whose fixed matrices stay so, whatever `trainable` is set to.

    Keras sets every variable of a layer, and of the cell in it, when `trainable` of the
    layer or of a model is set. Stands before the Keras layer in the order of
    inheritance.
    """

    factors: LowRank

    @property
    def trainable(self) -> bool:
        """Whether the layer is trained, fixed matrices apart."""
        return bool(keras.layers.Layer.trainable.fget(self))

    @trainable.setter
    def trainable(self, value: bool) -> None:
        keras.layers.Layer.trainable.fset(self, value)
        self.factors.fix()
