"""Recurrent neural network language models on Keras 3.

Public names are loaded when first used, so `import keras_rnnlm` is quick and the Keras
backend can still be chosen: `KERAS_BACKEND`, else JAX.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from keras_rnnlm.backend import settle

if TYPE_CHECKING:
    from keras_rnnlm import layers as layers
    from keras_rnnlm.cell_registry import register_cell as register_cell
    from keras_rnnlm.config import Settings as Settings
    from keras_rnnlm.data.corpus import Corpus as Corpus
    from keras_rnnlm.data.tokenizers import Tokenizer as Tokenizer
    from keras_rnnlm.data.vectors import WordVectors as WordVectors
    from keras_rnnlm.data.vectors import read_vectors as read_vectors
    from keras_rnnlm.explanation.explain import explain as explain
    from keras_rnnlm.language_model import LanguageModel as LanguageModel
    from keras_rnnlm.language_model import load as load
    from keras_rnnlm.models.metrics import Perplexity as Perplexity
    from keras_rnnlm.models.metrics import TokenCrossEntropy as TokenCrossEntropy
    from keras_rnnlm.models.rnn_lm import RNNLM as RNNLM
    from keras_rnnlm.training.adapt import adapt as adapt
    from keras_rnnlm.training.adaptation import Adaptation as Adaptation
    from keras_rnnlm.training.train import train as train

settle()

__version__ = "0.1.0"

_HOMES = {
    "Adaptation": "keras_rnnlm.training.adaptation",
    "Corpus": "keras_rnnlm.data.corpus",
    "LanguageModel": "keras_rnnlm.language_model",
    "Perplexity": "keras_rnnlm.models.metrics",
    "RNNLM": "keras_rnnlm.models.rnn_lm",
    "Settings": "keras_rnnlm.config",
    "TokenCrossEntropy": "keras_rnnlm.models.metrics",
    "Tokenizer": "keras_rnnlm.data.tokenizers",
    "WordVectors": "keras_rnnlm.data.vectors",
    "adapt": "keras_rnnlm.training.adapt",
    "explain": "keras_rnnlm.explanation.explain",
    "load": "keras_rnnlm.language_model",
    "read_vectors": "keras_rnnlm.data.vectors",
    "register_cell": "keras_rnnlm.cell_registry",
    "train": "keras_rnnlm.training.train",
}

__all__ = [*sorted(_HOMES), "layers"]


def __getattr__(name: str) -> Any:
    if name == "layers":
        return import_module("keras_rnnlm.layers")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'keras_rnnlm' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
