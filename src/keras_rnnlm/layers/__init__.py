"""Layers for recurrent language models; they know nothing of text.

`SimpleRNN`, `LSTM` and `GRU` are drop-in for those of `keras.layers`.
"""

from keras_rnnlm.layers.adaptive import AdaptiveOutput
from keras_rnnlm.layers.attention import CausalAttention
from keras_rnnlm.layers.cell_layer import CellLayer
from keras_rnnlm.layers.cells import Cell, ChunkedCell, LinearCell
from keras_rnnlm.layers.mixture import MixtureOutput
from keras_rnnlm.layers.outputs import Output
from keras_rnnlm.layers.recurrent import GRU, LSTM, SimpleRNN
from keras_rnnlm.layers.regularizers import Embedding, LockedDropout, WeightDrop
from keras_rnnlm.layers.sampled import SampledOutput

__all__ = [
    "GRU",
    "LSTM",
    "AdaptiveOutput",
    "CausalAttention",
    "Cell",
    "CellLayer",
    "ChunkedCell",
    "Embedding",
    "LinearCell",
    "LockedDropout",
    "MixtureOutput",
    "Output",
    "SampledOutput",
    "SimpleRNN",
    "WeightDrop",
]
