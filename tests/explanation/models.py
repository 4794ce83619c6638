"""Small models over a text, for the tests of explanations."""

from typing import Any

import numpy as np

import keras_rnnlm as krl
from keras_rnnlm.data.tokenizers import CharacterTokenizer, WordTokenizer
from keras_rnnlm.models.networks import network_class

# Quotes, brackets, digits, lines: what probes look for.
TEXT = "".join(
    f'He said "it is {i} (or {i + 7}) o\'clock", and went.\nNo (not {i}) more; 三更。\n'
    for i in range(12, 60)
)


def characters(
    text: str = TEXT, network: str = "rnn", louder: float = 6.0, **arguments: Any
) -> krl.LanguageModel:
    """A model of characters with weights by chance, loud enough to have opinions."""
    tokenizer = CharacterTokenizer(sorted(set(text)))
    return _model(tokenizer, network, louder, arguments)


def words(text: str, **arguments: Any) -> krl.LanguageModel:
    """A model of words, of which it knows those of the text."""
    tokenizer = WordTokenizer(sorted(set(text.split())), unk_is_word=False)
    return _model(tokenizer, "rnn", 6.0, arguments)


def _model(
    tokenizer: Any, network: str, louder: float, arguments: dict[str, Any]
) -> krl.LanguageModel:
    given = {"units": 12, "layers": 2, "seed": 0, **arguments}
    made = network_class(network)(vocabulary_size=tokenizer.vocabulary_size, **given)
    vectors = np.asarray(made.embedding.embeddings.numpy())
    made.embedding.embeddings.assign(louder * vectors)
    return krl.LanguageModel(made, tokenizer)
