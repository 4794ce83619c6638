"""Networks of one structure and different values, stepped together by one program.

Everything that a step of training reads and writes (weights, dropout seeds, carried
state, the optimizer's variables, running metrics) is stacked on a first axis of
members, and Keras's own step is mapped over it with `jax.vmap`. Nothing in a step
mixes members: each is trained as it would be alone, with gradients clipped by its own
norm and at its own learning rate.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.training.jax_steps import learning_rate_place
from keras_rnnlm.training.pending import PendingMember

State = tuple[list[Any], list[Any], list[Any], list[Any]]
"""Weights, other variables, the optimizer's, the metrics': as Keras's step takes it."""


class Members:
    """Networks that are trained side by side.

    One `network` stands for all of them: its structure is theirs, and `opened` puts a
    member's values into its variables, to be looked at, saved or changed by code that
    knows of one network only.

    Attributes:
        count: Number of members.
        network: The network whose variables take a member's values.
    """

    def __init__(self, networks: Iterable[CausalLM]) -> None:
        """Take the values of networks.

        Args:
            networks: Compiled, their optimizers built, the state of their streams
                allocated. The first becomes `network`; the others may be forgotten.
        """
        states: list[State] = []
        for network in networks:
            if not states:
                self.network = network
            states.append(_values(network))
        self.count = len(states)
        self._stack: State = jax.tree.map(lambda *values: jnp.stack(values), *states)
        self._open: int | None = None
        self._taken: State = ([], [], [], [])
        self._compile()

    def _compile(self) -> None:
        self._place = learning_rate_place(self.network)
        self._rates = np.array(self._stack[2][self._place], "float32")
        self._rates_changed = False
        self._step = jax.jit(jax.vmap(self.network.train_step), donate_argnums=0)
        self._read = jax.jit(_read)
        self._write = jax.jit(_write, donate_argnums=0)

    def change(self, change: Callable[[CausalLM], None]) -> None:
        """Change what of all networks is trained, and by which optimizer.

        Args:
            change: Of one network; it sets which variables are trained and compiles,
                the optimizer as new. All members get that optimizer's state and new
                metrics, and keep everything else.
        """
        self.close()
        trained, others, _, _ = _variables(self.network)
        variables, values = [*trained, *others], [*self._stack[0], *self._stack[1]]
        change(self.network)
        self.network.reset_metrics()
        states = []
        for member in range(self.count):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value[member])
            states.append(_values(self.network))
        self._stack = jax.tree.map(lambda *values: jnp.stack(values), *states)
        self._compile()

    def rate_setter(self, member: int) -> Callable[[float], None]:
        """Return what sets the learning rate of a member's next step and those after.

        Args:
            member: From 0.
        """

        def set_rate(rate: float) -> None:
            self._rates[member], self._rates_changed = rate, True

        return set_rate

    def step(self, batches: Sequence[Any]) -> list[dict[str, PendingMember]]:
        """Take a step of training, which is not waited for.

        Args:
            batches: One a member, all of the same shapes, as `fit` takes them.

        Returns:
            The logs of each member.
        """
        self.close()
        if self._rates_changed:
            # A copy: JAX goes on reading NumPy's array while the next rates are set.
            self._stack[2][self._place] = jnp.asarray(self._rates.copy())
            self._rates_changed = False
        data = jax.tree.map(lambda *arrays: np.stack(arrays), *batches)
        logs, self._stack = self._step(self._stack, data)
        return [
            {name: PendingMember(values, member) for name, values in logs.items()}
            for member in range(self.count)
        ]

    def opened(self, member: int) -> CausalLM:
        """Return `network` with a member's values; what is assigned there is kept."""
        if self._open != member:
            self.close()
            self._taken = self._read(self._stack, member)
            _assign(self.network, self._taken)
            self._open = member
        return self.network

    def close(self) -> None:
        """Take back what the opened member's variables have become."""
        if self._open is None:
            return
        member, self._open = self._open, None
        values = _values(self.network)
        pairs = zip(jax.tree.leaves(values), jax.tree.leaves(self._taken), strict=True)
        if any(now is not then for now, then in pairs):
            self._stack = self._write(self._stack, values, member)
        self._taken = ([], [], [], [])


def _values(network: CausalLM) -> State:
    return tuple(  # type: ignore[return-value]
        [v.value for v in variables] for variables in _variables(network)
    )


def _assign(network: CausalLM, state: State) -> None:
    for variables, values in zip(_variables(network), state, strict=True):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


def _variables(network: CausalLM) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
    return (
        network.trainable_variables,
        network.non_trainable_variables,
        network.optimizer.variables,
        network.metrics_variables,
    )


def _read(stack: State, member: Any) -> State:
    return jax.tree.map(lambda array: array[member], stack)  # type: ignore[no-any-return]


def _write(stack: State, values: State, member: Any) -> State:
    return jax.tree.map(  # type: ignore[no-any-return]
        lambda array, value: array.at[member].set(value), stack, values
    )
