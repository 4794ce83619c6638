"""What a recurrent cell is: its weights, its state and the equation of one step.

A cell is written once, in a file of its own, and any kernel of any backend runs it. Its
work has three parts:

    project   what depends on the inputs alone, for all time steps at once
    step      what depends on the state, one time step at a time
    read      what comes after the loop, for all time steps at once again

Cells are frozen dataclasses whose fields are their settings: two with the same settings
are equal, so a kernel compiled for one serves the other. `LinearCell` and `ChunkedCell`
are cells whose loop can be computed in parallel over time.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_rnnlm.errors import ConfigError, nearest
from keras_rnnlm.layers.kernels.products import product

Array = Any
State = tuple[Array, ...]
Activation = Callable[[Array], Array]
Weights = SimpleNamespace
Initial = Callable[[np.random.Generator, tuple[int, ...]], NDArray[Any]]


class Weight(NamedTuple):
    """A weight that a cell declares; made by `weights.matrix` and its neighbours.

    Attributes:
        shape: of the array.
        initial: draws its first values.
        inside: whether `step` needs it. A matrix inside arrives there as a function
            v (B, rows) -> v times the matrix (B, columns); one of shape
            (heads, rows, columns) multiplies each head's part of v by its own matrix.
        dropped: whether weight dropout falls on it.
    """

    shape: tuple[int, ...]
    initial: Initial
    inside: bool = False
    dropped: bool = False


class LoopWeights(NamedTuple):
    """The weights that are needed inside of the loop over time.

    Attributes:
        matrices: by name, (rows, columns) or (heads, rows, columns).
        biases: by the name of the matrix after whose product they are added.
        vectors: by name, all that are no matrices.
    """

    matrices: dict[str, Array]
    biases: dict[str, Array]
    vectors: dict[str, Array]


@dataclass(frozen=True)
class Cell(ABC):
    """A recurrent cell; subclasses declare weights and states and write the equation.

    Attributes:
        window: how many inputs before the present one `project` looks at; they are
            carried as a state of shape (window, width of the input).
        parallel: whether `step` multiplies by no matrix, so that all products run over
            all time steps at once.
        emits_state: whether the output of `step` is the first array of its state.
            Kernels need not keep it twice then.
        state_names: what the paper calls the arrays of `state_shapes`, for people.
        additive: whether `step` sees projected input and the result of its one product
            only as their sum, so that their gradients are one and the same.
    """

    parallel: ClassVar[bool] = False
    emits_state: ClassVar[bool] = False
    state_names: ClassVar[tuple[str, ...]] = ()
    additive: ClassVar[bool] = False

    @property
    def window(self) -> int:
        """How many earlier inputs `project` looks at."""
        return 0

    @abstractmethod
    def weights(self, inputs: int, units: int) -> Mapping[str, Weight]:
        """Declare the weights, in the order in which they are listed and drawn.

        Args:
            inputs: width D of the input.
            units: width of the output.
        """

    @abstractmethod
    def state_shapes(self, inputs: int, units: int) -> tuple[tuple[int, ...], ...]:
        """The shapes of the state's arrays without the batch; zeros are the start."""

    def project(self, x: Array, w: Weights) -> Array:
        """What `step` needs of the input, computed for all time steps at once.

        Here W x + b, of the weights `kernel` and `bias`.

        Args:
            x: (window + T, B, D), the inputs with those that came before.
            w: the weights that are not `inside`, by name.

        Returns:
            (T, B, P).
        """
        return product(x, w.kernel) + w.bias

    @abstractmethod
    def step(self, x: Array, state: State, w: Weights) -> tuple[Array, State]:
        """The equation: one time step.

        Gates are named where they are computed, `gate("forget", ops.sigmoid(f),
        holds=True)`, so that `rnnlm explain` can show them; see `layers.observed`.

        Args:
            x: projected input (B, P).
            state: the previous state, arrays (B, ...) as `state_shapes` says.
            w: the weights declared `inside`, by name; matrices as functions.

        Returns:
            The output (B, H) and the new state.
        """

    def read(self, hidden: Array, x: Array, w: Weights) -> Array:
        """The cell's output, from those of `step`; here nothing is left to do.

        Args:
            hidden: (T, B, H), outputs of all steps.
            x: (T, B, P), as `project` returned it.
            w: the weights that are not `inside`, by name.

        Returns:
            (T, B, units).
        """
        return hidden


class LinearCell(Cell):
    """A cell whose state follows h_t = a_t * h_(t-1) + b_t, elementwise.

    a and b depend on the input alone, so the loop is a scan that can run in parallel
    over time; `step` is that same equation. The state is one array (B, H).
    """

    parallel = True
    emits_state = True
    state_names = ("h",)

    @abstractmethod
    def coefficients(self, x: Array, w: Weights) -> tuple[Array, Array]:
        """The arrays a and b, (..., H) each, of projected inputs (..., P); |a| <= 1."""

    def step(self, x: Array, state: State, w: Weights) -> tuple[Array, State]:
        """One step; see `Cell`."""
        (h,) = state
        a, b = self.coefficients(x, w)
        h = a * h + b
        return h, (h,)


class ChunkedCell(Cell):
    """A cell that can compute several steps at once, exactly, in a form of its own."""

    parallel = True

    @abstractmethod
    def chunk(self, x: Array, state: State, w: Weights) -> tuple[Array, State]:
        """Some steps at once.

        Args:
            x: projected inputs (L, B, P); L is small and known.
            state: the state before them.
            w: as for `step`.

        Returns:
            What `step` would have: outputs (L, B, H) and the last state.
        """


def hold(mask: Array | None, new: State, old: State) -> State:
    """The new state where `mask` (B, 1) is true, the old one where it is false."""
    if mask is None:
        return new
    return tuple(ops.where(mask, n, o) for n, o in zip(new, old, strict=True))


def check_choice(cell: str, name: str, value: Any, choices: tuple[Any, ...]) -> None:
    """Raise `ConfigError` unless a cell's setting has one of the values it may have."""
    if value not in choices:
        allowed = ", ".join(map(str, choices))
        near = nearest(value, choices) if isinstance(value, str) else ""
        raise ConfigError(
            f"Setting '{name}' of the cell {cell} takes one of {allowed}; received "
            f"{value!r}.{near}"
        )


def check_number(cell: str, name: str, value: Any) -> None:
    """Raise `ConfigError` unless a cell's setting is a finite number."""
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or not -float("inf") < value < float("inf")
    ):
        raise ConfigError(
            f"Setting '{name}' of the cell {cell} takes a number; received {value!r}."
        )


def check_count(
    cell: str, name: str, value: Any, least: int = 1, most: float = float("inf")
) -> None:
    """Raise `ConfigError` unless a cell's setting is a whole number in a range."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not least <= value <= most:
        bound = "" if most == float("inf") else f" and at most {most:g}"
        raise ConfigError(
            f"Setting '{name}' of the cell {cell} takes a whole number of at least "
            f"{least}{bound}; received {value!r}."
        )
