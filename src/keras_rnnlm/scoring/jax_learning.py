"""Learning on JAX: score, gradient and update are one program a segment.

The weights that learn are given away with every call, so that the new ones are written
into their memory, and nothing is waited for: the host prepares the next segments while
the device computes. Segments are not joined into a loop on the device, which makes a
step slower on a CPU (decision 012).
"""

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.models.weights import named_weights, weight_arrays
from keras_rnnlm.scoring.learning import Arrays, DynamicSettings, Ids, Learner
from keras_rnnlm.scoring.temperature import tempered_nats

# By network, then by kind of program; an entry holds its network by a weak proxy.
_programs: "weakref.WeakKeyDictionary[keras.Model, dict[str, Callable[..., Any]]]"
_programs = weakref.WeakKeyDictionary()


class JaxLearner(Learner):
    """See `Learner`. The network's own weights are never touched."""

    def __init__(
        self,
        network: keras.Model,
        settings: DynamicSettings,
        scale: Arrays | None,
        temperatures: Sequence[float],
    ) -> None:
        """See `learning.make_learner`."""
        self._network = network
        trained, self._others = _variables(network)
        self._trained = [variable.value for variable in trained]
        self._scale = () if scale is None else tuple(map(jnp.asarray, scale))
        self._temperatures = (
            None
            if tuple(temperatures) == (1.0,)
            else np.asarray(temperatures, np.float32)
        )
        self._rates = np.array(
            [settings.rate, settings.decay, settings.epsilon], np.float32
        )
        self._step = _program(network, "learn", _learn, donated=(0, 1))
        self.begin()

    def begin(self) -> None:
        """See `Learner`."""
        # Copies, since they are given away.
        self._weights = [jnp.copy(array) for array in self._trained]
        self._state = jax.tree.map(jnp.copy, self._network.initial_state(1))

    def read(
        self, inputs: Ids, targets: Ids, weights: NDArray[np.float32]
    ) -> tuple[Any, Any]:
        """See `Learner`."""
        self._weights, self._state, nats, hidden = self._step(
            self._weights,
            self._state,
            self._trained,
            self._scale,
            [variable.value for variable in self._others],
            inputs,
            targets,
            weights,
            self._temperatures,
            self._rates,
        )
        return nats, hidden

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """See `Learner`."""
        names = {id(v): name for name, v in named_weights(self._network).items()}
        trained, _ = _variables(self._network)
        learnt = {
            names[id(variable)]: np.array(value, "float32", order="C")
            for variable, value in zip(trained, self._weights, strict=True)
        }
        return {**weight_arrays(self._network), **learnt}


def add_squares(
    network: keras.Model, inputs: Ids, targets: Ids, state: Any, sums: Arrays | None
) -> tuple[Any, Arrays]:
    """See `learning.add_squares`."""
    trained, others = _variables(network)
    values = [variable.value for variable in trained]
    if sums is None:
        sums = [jnp.zeros_like(value) for value in values]
    step = _program(network, "squares", _add_squares, donated=(0,))
    found: tuple[Any, Arrays] = step(
        sums, values, state, [variable.value for variable in others], inputs, targets
    )
    return found


def _variables(network: keras.Model) -> tuple[Arrays, Arrays]:
    """Return the variables that are trained, and all others."""
    trained = network.trainable_variables
    known = {id(variable) for variable in trained}
    return trained, [v for v in network.variables if id(v) not in known]


def _program(
    network: keras.Model,
    name: str,
    function: Callable[..., Any],
    donated: tuple[int, ...],
) -> Callable[..., Any]:
    """Return `function(network, ...)` compiled, the same one each time."""
    known = _programs.setdefault(network, {})
    if name not in known:
        proxy = weakref.proxy(network)

        def call(*arguments: Any) -> Any:
            return function(proxy, *arguments)

        known[name] = jax.jit(call, donate_argnums=donated)
    return known[name]


def _loss(
    values: Arrays,
    network: keras.Model,
    others: Arrays,
    inputs: Any,
    targets: Any,
    weights: Any,
    temperatures: Any,
    state: Any,
) -> tuple[Any, Any]:
    """Return the loss under some values of the weights, and what else was found."""
    trained, rest = _variables(network)
    mapping = [*zip(trained, values, strict=True), *zip(rest, others, strict=True)]
    with keras.StatelessScope(state_mapping=mapping):
        hidden, state = network.hidden(inputs, state)
        found = network.cross_entropy(hidden, targets, weights)
        nats = found.nats[None]
        if temperatures is not None:
            kept = jax.lax.stop_gradient(hidden)
            nats = tempered_nats(network, kept, targets, temperatures)
    return found.loss, (nats, hidden, state)


def _learn(
    network: keras.Model,
    values: Arrays,
    state: Any,
    trained: Arrays,
    scale: tuple[Any, ...],
    others: Arrays,
    inputs: Any,
    targets: Any,
    weights: Any,
    temperatures: Any,
    rates: Any,
) -> Any:
    """Score a segment and learn from it; this runs inside the compiled function."""
    (_, (nats, hidden, state)), gradients = jax.value_and_grad(_loss, has_aux=True)(
        values, network, others, inputs, targets, weights, temperatures, state
    )
    rate, decay, epsilon = rates
    scales = scale or (None,) * len(values)
    new = []
    for value, gradient, start, size in zip(
        values, gradients, trained, scales, strict=True
    ):
        if size is None:
            new.append(value - rate * gradient + decay * (start - value))
            continue
        back = jnp.minimum(decay * size, 1.0)
        step = rate * gradient / (size + epsilon)
        new.append(value - step + back * (start - value))
    return new, state, nats[:, 0], hidden[0]


def _add_squares(
    network: keras.Model,
    sums: Arrays,
    values: Arrays,
    state: Any,
    others: Arrays,
    inputs: Any,
    targets: Any,
) -> tuple[Any, Arrays]:
    """Add the squares of a batch's gradient; runs inside the compiled function."""
    weights = jnp.full(targets.shape, 1.0 / targets.size, "float32")
    gradients, (_, _, state) = jax.grad(_loss, has_aux=True)(
        values, network, others, inputs, targets, weights, None, state
    )
    added = [s + jnp.square(g) for s, g in zip(sums, gradients, strict=True)]
    return state, added
