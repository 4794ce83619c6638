"""The compiled kernels of this process: loaded once, registered with JAX by name.

`available()` says whether they can be used. Where they cannot (no compiler, a failed
build, no CPU backend, `RNNLM_NATIVE=off`), one line on the log says why and all goes
on without them.
"""

import ctypes
import logging
import os
from collections.abc import Callable
from functools import cache
from typing import Any

import keras

from keras_rnnlm.errors import ConfigError, RNNLMError
from keras_rnnlm.layers.kernels.native.build import (
    BuildError,
    build,
    runnable_targets,
)

# The kernels, by the name of their handler in the C++ sources.
HANDLERS = (
    "rnnlm_lstm_forward",
    "rnnlm_lstm_backward",
    "rnnlm_gru_forward",
    "rnnlm_gru_backward",
    "rnnlm_product",
    "rnnlm_nats",
    "rnnlm_nats_gradient",
    "rnnlm_square_sum",
    "rnnlm_adam",
)

_log = logging.getLogger("keras_rnnlm")

# The loaded libraries by instruction set.
_libraries: dict[str, ctypes.CDLL] = {}


def available() -> bool:
    """Whether JAX can call the kernels, compiling them if they are not yet.

    They know whole arrays: where `keras.distribution` divides these among devices, XLA
    would gather them for each call, while it divides its own operations.
    """
    return keras.distribution.distribution() is None and target() is not None


def target() -> str | None:
    """Return the instruction set of the kernels in use, loaded now; None without them.

    `RNNLM_NATIVE` chooses another set than the widest ("avx2", "portable"), or "off".

    Raises:
        ConfigError: `RNNLM_NATIVE` has another value, or this processor lacks the set.
    """
    wanted = os.environ.get("RNNLM_NATIVE", "")
    if wanted == "off":
        return None
    runnable = runnable_targets()
    if wanted not in ("", *runnable):
        raise ConfigError(
            f"Expected RNNLM_NATIVE to be off, {', '.join(runnable)} or unset on this "
            f"processor; received '{wanted}'."
        )
    return _loaded(wanted or runnable[0])


@cache
def _loaded(wanted: str) -> str | None:
    """Load the kernels for an instruction set; return its name, or None and say why."""
    import jax

    if jax.default_backend() != "cpu":
        return None
    try:
        library = ctypes.CDLL(str(build(wanted, jax.ffi.include_dir())))
    except (BuildError, OSError) as error:
        _log.warning(
            "The CPU kernels are not used: %s. XLA's own are, which take about twice "
            "the time.",
            error,
        )
        return None
    _libraries[wanted] = library
    for name in HANDLERS:
        handler = jax.ffi.pycapsule(getattr(library, name))
        jax.ffi.register_ffi_target(f"{name}_{wanted}", handler, platform="cpu")
    return wanted


def call(
    name: str,
    results: Any,
    *arrays: Any,
    aliases: dict[int, int] | None = None,
    vmap_method: str = "sequential",
    **attributes: Any,
) -> Any:
    """Call a kernel inside a JAX computation.

    Args:
        name: One of `HANDLERS`.
        results: `jax.ShapeDtypeStruct`, or a list of them.
        *arrays: Its arguments.
        aliases: Numbers of arguments whose memory takes a result, with its number.
        vmap_method: What `jax.vmap` makes of it, as in `jax.ffi.ffi_call`.
        **attributes: Its attributes: NumPy scalars, whose types are the kernel's.
    """
    import jax

    function = jax.ffi.ffi_call(
        f"{name}_{target()}",
        results,
        vmap_method=vmap_method,
        input_output_aliases=aliases,
    )
    return function(*arrays, **attributes)  # type: ignore[no-untyped-call]


def function(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """Return a plain C function of the library, for calls from outside JAX.

    Args:
        name: Of the function in the C++ sources.
        result: Its `ctypes` type; None for void.
        *arguments: Their `ctypes` types.

    Raises:
        RNNLMError: The kernels cannot be used here.
    """
    wanted = target()
    if wanted is None:
        raise RNNLMError(
            "Expected the compiled CPU kernels, which this needs; they are switched "
            "off, could not be compiled, or JAX has a GPU. Install g++ or clang++, "
            "leave RNNLM_NATIVE unset, and set JAX_PLATFORMS=cpu beside a GPU."
        )
    return _function(wanted, name, result, arguments)


@cache
def _function(
    wanted: str, name: str, result: Any, arguments: tuple[Any, ...]
) -> Callable[..., Any]:
    found = _libraries[wanted][name]
    found.restype, found.argtypes = result, list(arguments)
    return found


def floats(*shape: int) -> Any:
    """The description of a float32 result."""
    import jax

    return jax.ShapeDtypeStruct(shape, "float32")
