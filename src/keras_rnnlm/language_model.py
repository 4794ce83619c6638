"""A language model ready for use: a network, its tokenizer and the verbs on them."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import cast

import keras
import numpy as np
from numpy.typing import NDArray

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.data.store import encode_files
from keras_rnnlm.data.text import TextFile, find_files
from keras_rnnlm.data.tokenizers import Tokenizer
from keras_rnnlm.data.vector_words import written_words
from keras_rnnlm.data.vector_writer import write_vectors
from keras_rnnlm.errors import InputError
from keras_rnnlm.generation.generator import generate, next_log_probabilities
from keras_rnnlm.models.cache_network import CacheNetwork
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.models.folder import load_folder, save_folder
from keras_rnnlm.models.packed import PackedNetwork
from keras_rnnlm.models.weights import weight_arrays
from keras_rnnlm.scoring.example import AfterExample
from keras_rnnlm.scoring.float32_copy import Float32Copy
from keras_rnnlm.scoring.lines import LineScore, score_lines
from keras_rnnlm.scoring.nbest import score_nbest
from keras_rnnlm.scoring.protocols import parse_protocol
from keras_rnnlm.scoring.report import Report, evaluate
from keras_rnnlm.scoring.tuned_files import put_files

Source = str | os.PathLike[str] | TextFile

# What a prediction is of, by kind of tokenizer.
UNITS = {"word": "word", "char": "character", "bpe": "subword", "unigram": "subword"}


class LanguageModel(AfterExample):
    """What a model folder holds: network and tokenizer together.

    Attributes:
        network: The network; its weights may go on changing. After `quantize` a
            `PackedNetwork`, after `with_cache` a `CacheNetwork`.
        tokenizer: The tokenizer it was trained with.
        protocol: State protocol of `evaluate` when it is given none, or None.

    Example:
        >>> lm = keras_rnnlm.load("my-model")
        >>> lm.predict_next("the cat sat on", k=2)
        [('the', 0.41), ('a', 0.22)]
        >>> lm.score("the cat sat").total
        -21.7
    """

    def __init__(
        self,
        network: CausalLM | PackedNetwork | CacheNetwork,
        tokenizer: Tokenizer,
        protocol: str | None = None,
    ) -> None:
        """Join a network and its tokenizer.

        Args:
            network: The network.
            tokenizer: Its tokenizer.
            protocol: `carry`, `sentence`, `window:N` or `lanes:K`.

        Raises:
            InputError: If their vocabularies differ in size.
            ConfigError: For an unknown protocol.
        """
        if network.vocabulary_size != tokenizer.vocabulary_size:
            raise InputError(
                f"Expected a network for the tokenizer's {tokenizer.vocabulary_size} "
                f"tokens, received one for {network.vocabulary_size}. Give the "
                "tokenizer that encoded the network's training text."
            )
        if protocol is not None:
            parse_protocol(protocol)
        self.network = network
        self.tokenizer = tokenizer
        self.protocol = protocol
        super().__init__()
        self._float32 = Float32Copy()

    def evaluate(
        self,
        text: EncodedText | Source | Iterable[Source],
        protocol: str | None = None,
        *,
        encoding: str = "utf-8",
        batch_size: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Report:
        """Report perplexity and the other figures of a text.

        Args:
            text: An encoded text such as `corpus.test`, or the path of a file or
                folder, or several.
            protocol: State protocol; the model's own when absent, else `carry`, or
                `lanes:64` for a file of more than a million tokens.
            encoding: Of files given by path.
            batch_size: Most segments scored side by side; no figure depends on it.
            progress: Called with the numbers of tokens done and of all.

        Raises:
            InputError: If the text cannot be read or has nothing to predict.
            ConfigError: For an unknown protocol.
        """
        return evaluate(
            self._network(),
            self._encoded(text, encoding),
            protocol or self.protocol,
            token=UNITS[self.tokenizer.kind],
            batch_size=batch_size,
            progress=progress,
        )

    def score(self, text: str) -> LineScore:
        """Return the log-probability (`.total`, in nats) of a text and of its tokens.

        The text is scored with the line end that closes it, from a zero state after a
        line end, as the `sentence` protocol does with a line.
        """
        return next(self.score_lines([text]))

    def score_lines(
        self, lines: Iterable[str], batch_size: int | None = None
    ) -> Iterator[LineScore]:
        """Score lines one by one, in order and in bounded memory.

        Args:
            lines: The lines, for example an open text file.
            batch_size: Most lines scored side by side; no score depends on it.
        """
        return score_lines(self._network(), self.tokenizer, lines, batch_size)

    def score_nbest(self, lists: Iterable[Sequence[str]]) -> Iterator[list[LineScore]]:
        """Score n-best lists: the hypotheses of each utterance.

        Every hypothesis gets the score that `score` gives it. Prefixes common to
        several hypotheses are computed once, so this takes a fraction of the time.

        Args:
            lists: For each utterance its hypotheses; may be an iterator without end.

        Returns:
            For each utterance, in order, the scores of its hypotheses.

        Example:
            >>> lists = [["the cat sat", "the cat sad"], ["a dog", "a dock"]]
            >>> for scores in lm.score_nbest(lists):
            ...     print(max(scores, key=lambda score: score.total).text)
            the cat sat
            a dog
        """
        return score_nbest(self._rnnlm("score n-best lists"), self.tokenizer, lists)

    def quantize(self, weights: str = "int8") -> "LanguageModel":
        """Return this model with weights of fewer bits, to generate and score on a CPU.

        int8 weights take a quarter of the memory and of the time a token; what they
        cost is the difference that `evaluate` shows between the two models.

        Args:
            weights: "int8", "bfloat16" or "float32": see `models.packed.PackedNetwork`.

        Returns:
            Another model, whose weights no longer change with this one's.

        Raises:
            ConfigError: For other weights.
            InputError: If the network has a part that cannot be packed.
            RNNLMError: Without compiled CPU kernels.

        Example:
            >>> small = lm.quantize()
            >>> small.evaluate("test.txt").perplexity, small.generate("the", seed=1)
        """
        network = PackedNetwork(self._rnnlm("quantize"), weights)
        return LanguageModel(network, self.tokenizer, self.protocol)

    def generate(
        self,
        prompt: str = "",
        tokens: int = 100,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        repetition_penalty: float = 1.0,
        stop: str | Sequence[str] = (),
        seed: int | None = None,
        n: int = 1,
    ) -> str | list[str]:
        """Write text that goes on from a prompt.

        Args:
            prompt: The text to go on from; words the model does not know are read
                as `<unk>`.
            tokens: Number of tokens to write, line ends included.
            temperature: 0 always takes the likeliest token, 1 draws from the model's
                own distribution.
            top_k: Draw from the k likeliest tokens only.
            top_p: Draw from the likeliest tokens that make up this probability.
            repetition_penalty: Above 1, tokens that have occurred are less likely.
            stop: The text ends before the first of these strings.
            seed: The same seed gives the same text.
            n: Number of texts.

        Returns:
            The text without the prompt; a list of n texts if n is above 1.

        Raises:
            InputError: If an argument is out of its range, or a character model
                without line ends is given no prompt.
        """
        texts = generate(
            self._network(),
            self.tokenizer,
            prompt,
            tokens,
            temperature,
            top_k,
            top_p,
            repetition_penalty,
            stop,
            seed,
            n,
        )
        return texts[0] if n == 1 else texts

    def predict_next(self, prompt: str = "", k: int = 5) -> list[tuple[str, float]]:
        """Return the k likeliest next tokens and their probabilities.

        Args:
            prompt: The text before; empty for the beginning of a line.
            k: How many; all tokens if the vocabulary is smaller.

        Returns:
            (token, probability) pairs, the likeliest first, ties in order of id.

        Raises:
            InputError: If k is below 1, or a character model without line ends is
                given no prompt.
        """
        if k < 1:
            raise InputError(f"Expected k of 1 or more, received {k}.")
        log_probs = next_log_probabilities(self._network(), self.tokenizer, prompt)
        likeliest = np.argsort(-log_probs, kind="stable")[:k]
        tokens = self.tokenizer.tokens
        return [(tokens[i], float(np.exp(log_probs[i]))) for i in likeliest.tolist()]

    def vectors(self, output_layer: bool = False) -> NDArray[np.float32]:
        """Return the model's word vectors, float32 (vocabulary, width).

        Args:
            output_layer: Those that predict words, not those that are read. With tied
                weights they are the same.

        Raises:
            InputError: After `quantize`, or for an output layer that has no vector of
                one width for each word.
        """
        network = self._rnnlm("read word vectors")
        arrays = weight_arrays(network)
        if not output_layer or network.output_layer.tied:
            return arrays["embedding.weight"]
        if "output.kernel" not in arrays:
            raise InputError(
                "Expected an output layer with a vector for each word, received "
                f"{type(network.output_layer).__name__}. Take the embedding's vectors."
            )
        return np.ascontiguousarray(arrays["output.kernel"].T)

    def write_vectors(
        self,
        path: str | os.PathLike[str],
        format: str | None = None,
        *,
        output_layer: bool = False,
    ) -> None:
        """Write the word vectors in word2vec's format, for other tools.

        Args:
            path: Where to; `.gz` at its end compresses.
            format: `text` or `binary`; by the name if None: binary for `.bin`.
            output_layer: As of `vectors`.

        Raises:
            InputError: As of `vectors`.
            OSError: If the file cannot be written.
        """
        matrix = self.vectors(output_layer)
        write_vectors(path, written_words(self.tokenizer), matrix, format)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write a model folder that `load` and the command line read; return its path.

        Raises:
            FolderError: If it cannot be written, or settings for evaluation that lie in
                the folder of this model are damaged; then nothing is written.
            InputError: After `quantize`.
        """
        self._rnnlm("save")
        files = self._tuned_files()  # first: they may lie in the folder to be written
        path = save_folder(
            Path(folder), cast(CausalLM, self.network), self.tokenizer, self.protocol
        )
        put_files(path, files)
        return path

    def _encoded(
        self, text: EncodedText | Source | Iterable[Source], encoding: str
    ) -> EncodedText:
        """Return a text encoded, if it is not already."""
        if isinstance(text, EncodedText):
            return text
        return encode_files(_files(text, encoding), self.tokenizer)

    def _rnnlm(self, verb: str) -> CausalLM:
        """Return `_network`, if it is one with its own weights and nothing besides.

        Raises:
            InputError: After `quantize` or `with_cache`.
        """
        network = self._network()
        if isinstance(network, PackedNetwork):
            raise _has_packed_weights(verb, network)
        if isinstance(network, CacheNetwork):
            raise InputError(
                f"Expected a model without a cache to {verb}, received one of "
                "`with_cache`. Use the model it was made of."
            )
        return network

    def exact_network(self, verb: str) -> CausalLM:
        """Return the network with its own weights, in float32 or better.

        Args:
            verb: What it is wanted for, which an error will say.

        Raises:
            InputError: After `quantize` or `with_cache`.
        """
        return self._rnnlm(verb)

    def _network(self) -> CausalLM | PackedNetwork | CacheNetwork:
        """Return the network, or a float32 copy if it computes in fewer bits.

        Products in 16 bits are good enough to train with, not to report with.
        """
        if isinstance(self.network, PackedNetwork | CacheNetwork):
            return self.network
        if keras.backend.standardize_dtype(self.network.compute_dtype) in (
            "float32",
            "float64",
        ):
            return self.network
        return self._float32.of(self.network)


def load(folder: str | os.PathLike[str]) -> LanguageModel:
    """Read a model folder, as `LanguageModel.save` and `rnnlm train` write it.

    Raises:
        FolderError: If it is absent, incomplete, damaged or of another kind.
    """
    begun = time.perf_counter()
    network, tokenizer, config = load_folder(Path(folder))
    model = LanguageModel(network, tokenizer, config.get("protocol"))
    model.read_tuned_from(folder, time.perf_counter() - begun)
    return model


def _has_packed_weights(verb: str, network: PackedNetwork) -> InputError:
    return InputError(
        f"Expected a model with its own weights to {verb}, received one with packed "
        f"{network.weights} weights. Use the model that was quantized."
    )


def _files(sources: Source | Iterable[Source], encoding: str) -> list[TextFile]:
    """Return the text files that paths stand for, in order."""
    if isinstance(sources, (str, os.PathLike, TextFile)):
        sources = [sources]
    files: list[TextFile] = []
    for source in sources:
        if isinstance(source, TextFile):
            files.append(source)
        else:
            files.extend(find_files([os.fspath(source)], encoding))
    return files
