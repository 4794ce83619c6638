"""Which settings each network has: those of all, and those of its own."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from keras_rnnlm.errors import ConfigError
from keras_rnnlm.setting_values import check_choice, check_range, impossible

OWN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "rnn": (
            "cell",
            "cell_arguments",
            "embedding",
            "projection",
            "connections",
            "attention",
            "weight_dropout",
            "activation_penalty",
            "temporal_penalty",
        ),
        "transformer": ("heads", "context"),
        "convolutional": ("kernel_width",),
    }
)
SHARED = (
    "units",
    "layers",
    "dropout",
    "input_dropout",
    "output_dropout",
    "embedding_dropout",
    "tie_weights",
    "output",
    "output_cutoffs",
    "output_samples",
    "mixtures",
    "mixture_dropout",
    "seed",
)


def network_arguments(settings: Any, vectors: int | None = None) -> dict[str, Any]:
    """Return what the network of some settings is made from, besides its vocabulary.

    Args:
        settings: Of the network.
        vectors: Width of the pretrained word vectors it begins with; None for none. A
            recurrent network whose `embedding` is absent takes them as they are; where
            the widths differ a projection lies between.
    """
    names = (*OWN[settings.network], *SHARED)
    arguments = {name: getattr(settings, name) for name in names}
    if vectors is not None and settings.network == "rnn":
        arguments["embedding"] = settings.embedding or vectors
    width = arguments.get("embedding", settings.units)
    arguments["vector_width"] = None if vectors in (None, width) else vectors
    return arguments


def check_network(settings: Any) -> None:
    """Raise `ConfigError` for an unknown network, or settings of another one."""
    network = settings.network
    check_choice("network", network, tuple(OWN))
    defaults = {f.name: f.default for f in dataclasses.fields(settings)}
    for owner, names in OWN.items():
        for name in names:
            if owner != network and getattr(settings, name) != defaults[name]:
                raise ConfigError(
                    f"Setting '{name}' goes with network={owner}; received "
                    f"network={network}. Leave one of them out."
                )
    check_range("heads", settings.heads, 1, 1024)
    check_range("context", settings.context, 2, 16384)
    check_range("kernel_width", settings.kernel_width, 2, 1024)
    if network == "transformer" and settings.units % (2 * settings.heads):
        multiple = f"a multiple of 2 x {settings.heads} heads"
        raise impossible("units", multiple, settings.units)
