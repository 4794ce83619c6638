"""Learning rates by layer, and a pull towards the weights that training began with.

Discriminative fine-tuning and gradual unfreezing (Howard & Ruder 2018): what lies
nearer to the words' probabilities learns at the whole rate, each layer below it at a
share of that of the layer above, and from later on. And L2-SP (Li, Grandvalet & Davoine
2018): beside the gradient's step each weight w goes back towards its first value w0,

    w <- w - rate decay (w - w0),

decoupled from the gradient as AdamW's decay is. A layer's rate scales both.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from keras_rnnlm.models.weights import named_weights


def depths(names: Sequence[str], tied: bool) -> list[int]:
    """Return how deep below the output each weight lies, in layers; 0 is the output.

    A projection, attention and what else follows the layers belong to the output. So
    does a matrix of word vectors that is the output's too.

    Args:
        names: As `models.weights.named_weights` has them.
        tied: Whether the output's matrix is that of the word vectors.
    """
    numbers = [
        int(name.split(".")[1])
        for name in names
        if name.startswith(("recurrent.", "blocks."))
    ]
    layers = 1 + max(numbers, default=-1)

    def depth(name: str) -> int:
        kind, _, rest = name.partition(".")
        if kind in ("recurrent", "blocks"):
            return layers - int(rest.split(".")[0])
        return layers + 1 if kind == "embedding" and not tied else 0

    return [depth(name) for name in names]


def trained_depths(network: Any) -> list[int]:
    """Return `depths` of a network's trainable weights, in their order."""
    names = {id(v): name for name, v in named_weights(network).items()}
    listed = [names[id(v)] for v in network.trainable_variables]
    return depths(listed, network.output_layer.tied)


def rate_scales(
    layers: Sequence[int], progress: float, share: float, unfreeze: float
) -> NDArray[np.float32]:
    """Return what the learning rate of each weight is multiplied by.

    Args:
        layers: Of each weight, as from `depths`.
        progress: Share of the run that is done.
        share: Rate of a layer as a share of that of the layer above it.
        unfreeze: Share of the run after which all layers learn; each begins as much
            later than the one above it.
    """
    depth = np.asarray(layers)
    begins = unfreeze * depth / max(1, depth.max(initial=0))
    return np.where(progress >= begins, float(share) ** depth, 0.0).astype(np.float32)


class _Scaled:
    """Stands before a Keras optimizer in a class; see `scaled_kind`."""

    rate_scales: Any
    anchors: list[Any]
    anchor_decay: float
    built: bool
    _get_variable_index: Callable[[Any], int]

    def build(self, variables: Any) -> None:
        """Make the optimizer's variables; the first values are those of this moment."""
        if getattr(self, "built", False):
            return
        super().build(variables)  # type: ignore[misc]
        self.rate_scales = self.add_variable(  # type: ignore[attr-defined]
            (len(variables),), "ones", dtype="float32", name="rate_scales"
        )
        self.anchors = []
        for variable in variables if self.anchor_decay else ():
            anchor = self.add_variable_from_reference(  # type: ignore[attr-defined]
                variable, name="anchor"
            )
            anchor.assign(ops.convert_to_numpy(variable.value))
            self.anchors.append(anchor)

    def _apply_weight_decay(self, variables: Any) -> None:
        """Decay weights at their own rates: what does not learn does not shrink."""
        decay = self.weight_decay  # type: ignore[attr-defined]
        for variable in variables if decay else ():
            if self._use_weight_decay(variable):  # type: ignore[attr-defined]
                place = self._get_variable_index(variable)
                rate = ops.cast(self.learning_rate, "float32")  # type: ignore[attr-defined]
                part = ops.cast(rate * self.rate_scales[place] * decay, variable.dtype)
                variable.assign(variable - variable * part)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Take a step with one variable, at its own rate, and pull it back."""
        place = self._get_variable_index(variable)
        rate = ops.cast(learning_rate, "float32") * self.rate_scales[place]
        pull = None
        if self.anchor_decay:
            # Of the weight before the step, which may be taken in its own memory.
            part = ops.minimum(rate * self.anchor_decay, 1.0)
            away = ops.convert_to_tensor(variable) - self.anchors[place]
            pull = ops.cast(part, variable.dtype) * away
        super().update_step(gradient, variable, rate)  # type: ignore[misc]
        if pull is not None:
            variable.assign_sub(pull)


def scaled_kind(kind: Any, decay: float) -> Any:
    """Return a class of optimizers like `kind` with `rate_scales` and `anchors`.

    Args:
        kind: A class of `keras.optimizers`.
        decay: Of the pull towards the weights at which the optimizer was built.
    """
    return type(kind.__name__, (_Scaled, kind), {"anchor_decay": decay})


class LayerRates(keras.callbacks.Callback):
    """Tells the optimizer, before each step, how the rates of the layers stand."""

    def __init__(
        self, network: Any, progress: Callable[[], float], share: float, unfreeze: float
    ) -> None:
        """Steer a compiled network.

        Args:
            network: Its optimizer is of a `scaled_kind`, and built.
            progress: Returns the share of the run that is done.
            share: As in `rate_scales`.
            unfreeze: As in `rate_scales`.
        """
        super().__init__()
        self._layers = trained_depths(network)
        self._progress, self._share, self._unfreeze = progress, share, unfreeze
        self._network = network
        self._scales: NDArray[np.float32] | None = None

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Tell it where something has changed."""
        scales = rate_scales(
            self._layers, self._progress(), self._share, self._unfreeze
        )
        if self._scales is None or not np.array_equal(scales, self._scales):
            self._scales = scales
            self._assign(scales)

    def _assign(self, scales: NDArray[np.float32]) -> None:
        optimizer = self._network.optimizer
        variable = getattr(optimizer, "inner_optimizer", optimizer).rate_scales
        if keras.backend.backend() == "jax":
            self._network.train_function.assign(variable, scales)
        else:
            variable.assign(scales)
