"""Who is measured: our model, and what one would use instead, if it is installed."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec

from keras_rnnlm.errors import ConfigError, nearest

ALL = ("training", "scoring", "generation")
BATCHED = ("training", "scoring")


@dataclass(frozen=True)
class Peer:
    """One contestant.

    Attributes:
        name: What the command line and the results call it.
        family: Whose layers: `ours`, `keras`, `torch` or `onnxruntime`.
        backend: The Keras backend of its process; None where Keras has no part.
        dtype: Type of the operands of its products.
        tasks: What it can be measured at.
        needs: Modules that must be installed.
        install: What to install where they are not.
        what: A description for people.
    """

    name: str
    family: str
    backend: str | None
    dtype: str
    tasks: tuple[str, ...]
    needs: tuple[str, ...]
    install: str
    what: str

    def missing(self) -> str | None:
        """Return what is not installed and how to get it, or None."""
        absent = [name for name in self.needs if find_spec(name) is None]
        if not absent:
            return None
        return f"{', '.join(absent)} not installed (pip install {self.install})"


def _keras(backend: str, dtype: str, needs: str, extra: str) -> Peer:
    policy = "" if dtype == "float32" else ", mixed_bfloat16"
    return Peer(
        f"keras-{backend}-{dtype}",
        "keras",
        backend,
        dtype,
        BATCHED,
        (needs,),
        extra,
        f"keras.layers on {backend} with fit{policy}",
    )


PEERS = (
    Peer("ours-float32", "ours", "jax", "float32", ALL, ("jax",), "jax", "keras_rnnlm"),
    Peer(
        "ours-bfloat16",
        "ours",
        "jax",
        "bfloat16",
        ALL,
        ("jax",),
        "jax",
        "keras_rnnlm, mixed_bfloat16; generation with bfloat16 weights",
    ),
    Peer(
        "ours-int8",
        "ours",
        "jax",
        "int8",
        ("generation",),
        ("jax",),
        "jax",
        "keras_rnnlm, quantized",
    ),
    _keras("jax", "float32", "jax", "jax"),
    _keras("jax", "bfloat16", "jax", "jax"),
    _keras("tensorflow", "float32", "tensorflow", "'keras-rnnlm[tensorflow]'"),
    _keras("torch", "float32", "torch", "'keras-rnnlm[torch]'"),
    Peer(
        "torch-float32",
        "torch",
        None,
        "float32",
        ALL,
        ("torch",),
        "'keras-rnnlm[torch]'",
        "torch.nn layers",
    ),
    Peer(
        "torch-bfloat16",
        "torch",
        None,
        "bfloat16",
        ALL,
        ("torch",),
        "'keras-rnnlm[torch]'",
        "torch.nn layers, bfloat16 autocast",
    ),
    Peer(
        "onnxruntime-float32",
        "onnxruntime",
        None,
        "float32",
        ("generation",),
        ("onnx", "onnxruntime"),
        "'keras-rnnlm[onnx]'",
        "onnxruntime, one step a call",
    ),
)
NAMES = tuple(peer.name for peer in PEERS)


def peer(name: str) -> Peer:
    """Return the contestant of that name."""
    return PEERS[NAMES.index(name)]


def chosen(wanted: Iterable[str]) -> list[Peer]:
    """Return the contestants whose name is, or begins with, one of those wanted.

    Raises:
        ConfigError: A name fits none.
    """
    wanted = list(wanted)
    for name in wanted:
        if not any(_fits(known, name) for known in NAMES):
            raise ConfigError(
                f"There is no contestant '{name}'.{nearest(name, NAMES)} "
                f"Known: {', '.join(NAMES)}; the beginning of a name is enough."
            )
    return [p for p in PEERS if any(_fits(p.name, name) for name in wanted)]


def _fits(known: str, name: str) -> bool:
    return known == name or known.startswith(f"{name}-")
