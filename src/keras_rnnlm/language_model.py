"""A language model ready for use: a network, its tokenizer and the verbs on them."""

import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import keras
import numpy as np

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.data.store import encode_files
from keras_rnnlm.data.text import TextFile, find_files
from keras_rnnlm.data.tokenizers import Tokenizer
from keras_rnnlm.errors import InputError
from keras_rnnlm.generation.generator import generate, next_log_probabilities
from keras_rnnlm.models.folder import load_folder, save_folder
from keras_rnnlm.models.packed import PackedNetwork
from keras_rnnlm.models.rnn_lm import RNNLM
from keras_rnnlm.models.weights import assign_weights, weight_arrays
from keras_rnnlm.scoring.additions import Additions, make_lines, system_lines
from keras_rnnlm.scoring.cache import CacheSettings
from keras_rnnlm.scoring.ensemble import (
    Member,
    check_tokenizers,
    check_weights,
    weights_hash,
)
from keras_rnnlm.scoring.gradient_scale import measure_scale
from keras_rnnlm.scoring.learning import DynamicSettings
from keras_rnnlm.scoring.lines import LineScore, score_lines
from keras_rnnlm.scoring.nbest import score_nbest
from keras_rnnlm.scoring.ngram import NGramModel
from keras_rnnlm.scoring.protocols import parse_protocol
from keras_rnnlm.scoring.report import Report, evaluate
from keras_rnnlm.scoring.search import search
from keras_rnnlm.scoring.system import LineReport, Progress, Sources, evaluate_lines
from keras_rnnlm.scoring.tuned import Line, Tuned
from keras_rnnlm.scoring.tuned_files import read_tuned, write_tuned

Source = str | os.PathLike[str] | TextFile

# What a prediction is of, by kind of tokenizer.
UNITS = {"word": "word", "char": "character", "bpe": "subword", "unigram": "subword"}


class LanguageModel:
    """What a model folder holds: network and tokenizer together.

    Attributes:
        network: The network; its weights may go on changing. After `quantize`, a
            `PackedNetwork`.
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
        network: RNNLM | PackedNetwork,
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
        self._tuned: Tuned | None = None
        self._folder: Path | None = None  # where settings lie that were not read yet
        self._float32: RNNLM | None = None

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

    def evaluate_additions(
        self,
        text: EncodedText | Source | Iterable[Source],
        *,
        static: bool = False,
        system: bool = False,
        temperature: float | None = None,
        dynamic: bool | DynamicSettings = False,
        cache: bool | CacheSettings = False,
        mc_dropout: int = 0,
        ensemble: Sequence["LanguageModel"] = (),
        ngram: NGramModel | None = None,
        weights: Mapping[str, float] | None = None,
        encoding: str = "utf-8",
        progress: Progress | None = None,
    ) -> list[LineReport]:
        """Report what additions to a plain forward pass make of a text, line by line.

        Each line has one thing more than the line before; `evaluate` gives the figure
        that they are to be set beside. All of them read every file as one stream, the
        protocol `carry`.

        Args:
            text: As in `evaluate`.
            static: Begin with a line without additions, under `carry`.
            system: All that `tune_evaluation` found; only `ensemble` is given besides.
            temperature: Of the softmax.
            dynamic: True for dynamic evaluation with the model's own settings.
            cache: True for a continuous cache with the model's own settings.
            mc_dropout: Passes with dropout whose probabilities are averaged.
            ensemble: Other models with the same tokenizer.
            ngram: An n-gram model over the same tokens.
            weights: Of `cache`, `ngram` and `mc_dropout` in the mixture.
            encoding: Of files given by path.
            progress: Called with what is computed, and the numbers of tokens done and
                of all.

        Raises:
            InputError: If the text cannot be read, the models of an ensemble have
                different tokenizers, or something is asked for that the model lacks.
            ConfigError: For settings out of their range.

        Example:
            >>> for line in lm.evaluate_additions("test.txt", dynamic=True, cache=True):
            ...     print(line.line.name, line.perplexity, line.seconds)
        """
        sources = self._sources(ensemble, ngram)
        if system:
            lines = system_lines(self.tuned)
            if ngram is None and self.tuned is not None:
                sources = dataclasses.replace(sources, ngram=self.tuned.ngram)
        else:
            asked = Additions(
                temperature,
                dynamic,
                cache,
                mc_dropout,
                [member.name for member in sources.members],
                ngram is not None,
                weights or {},
            )
            lines = make_lines(asked, self.tuned)
        if static:
            lines.insert(0, Line("static"))
        return evaluate_lines(sources, self._encoded(text, encoding), lines, progress)

    @property
    def tuned(self) -> Tuned | None:
        """What `tune_evaluation` found for this model, or None; `save` writes it.

        Raises:
            FolderError: If it lies in the model's folder and is damaged.
            InputError: If the weights have changed since.
        """
        tuned = self._read_tuned()
        if tuned is not None:
            check_weights(tuned, self._network())
        return tuned

    @tuned.setter
    def tuned(self, tuned: Tuned | None) -> None:
        self._tuned, self._folder = tuned, None

    def tune_evaluation(
        self,
        valid: EncodedText | Source | Iterable[Source],
        train: EncodedText | Source | Iterable[Source] | None = None,
        *,
        seconds: float = 600.0,
        mc_dropout: int = 0,
        ensemble: Sequence["LanguageModel"] = (),
        ngram: NGramModel | None = None,
        encoding: str = "utf-8",
        progress: Progress | None = None,
    ) -> Tuned:
        """Search the settings of `evaluate_additions` on validation text.

        They become `tuned`, and `save` writes them.

        Args:
            valid: Validation text; not the text whose figures will be reported.
            train: The training text, for dynamic evaluation in its scaled form.
            seconds: About how long the search may take.
            mc_dropout: Passes with dropout to mix in; 0 for none.
            ensemble: Other models to mix in.
            ngram: An n-gram model to mix in, such as `NGramModel.fit(corpus.train,
                corpus.vocabulary_size, 5)`.
            encoding: Of files given by path.
            progress: As in `evaluate_additions`.

        Raises:
            InputError: If a text cannot be read or is too short, or the models of an
                ensemble have different tokenizers.
        """
        begun = time.monotonic()
        self.tuned = None
        sources = self._sources(ensemble, ngram)
        if train is not None:
            text = self._encoded(train, encoding)
            told = None if progress is None else partial(progress, "measuring")
            scale = measure_scale(
                sources.network, text, seconds=seconds / 8, progress=told
            )
            sources = dataclasses.replace(sources, scale=scale)
        seconds = max(seconds - (time.monotonic() - begun), 0.0)
        text = self._encoded(valid, encoding)
        tuned = search(sources, text, seconds, mc_dropout, progress)
        self.tuned = tuned
        return tuned

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

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write a model folder that `load` and the command line read; return its path.

        Raises:
            FolderError: If it cannot be written.
            InputError: After `quantize`.
        """
        if isinstance(self.network, PackedNetwork):
            raise _has_packed_weights("save", self.network)
        path = save_folder(
            Path(folder), self.network, self.tokenizer, protocol=self.protocol
        )
        tuned = self._read_tuned()
        # Settings of weights that have gone on changing are worth nothing.
        if tuned is not None and tuned.weights_hash == weights_hash(self.network):
            write_tuned(path, tuned, self.tokenizer)
        return path

    def _read_tuned(self) -> Tuned | None:
        """Return the settings, whatever weights they are of."""
        if self._folder is not None:
            self._tuned, self._folder = read_tuned(self._folder, self.tokenizer), None
        return self._tuned

    def _encoded(
        self, text: EncodedText | Source | Iterable[Source], encoding: str
    ) -> EncodedText:
        """Return a text encoded, if it is not already."""
        if isinstance(text, EncodedText):
            return text
        return encode_files(_files(text, encoding), self.tokenizer)

    def _sources(
        self, ensemble: Sequence["LanguageModel"], ngram: NGramModel | None
    ) -> Sources:
        """Return what additions draw on; refuse other tokenizers."""
        for i, other in enumerate(ensemble, 1):
            check_tokenizers(self.tokenizer, other.tokenizer, f"member {i}")
        members = tuple(
            Member(other._rnnlm("join an ensemble"), other.tuned) for other in ensemble
        )
        scale = self.tuned.scale if self.tuned is not None else None
        return Sources(self._rnnlm("add to"), scale, ngram, members)

    def _rnnlm(self, verb: str) -> RNNLM:
        """Return `_network`, which only an unquantized model has.

        Raises:
            InputError: After `quantize`.
        """
        network = self._network()
        if isinstance(network, PackedNetwork):
            raise _has_packed_weights(verb, network)
        return network

    def _network(self) -> RNNLM | PackedNetwork:
        """Return the network, or a float32 copy if it computes in fewer bits.

        Products in 16 bits are good enough to train with, not to report with.
        """
        if isinstance(self.network, PackedNetwork):
            return self.network
        if keras.backend.standardize_dtype(self.network.compute_dtype) in (
            "float32",
            "float64",
        ):
            return self.network
        if self._float32 is None:
            config = {**self.network.get_config(), "dtype": "float32"}
            self._float32 = RNNLM.from_config(config)
        assign_weights(self._float32, weight_arrays(self.network))
        return self._float32


def load(folder: str | os.PathLike[str]) -> LanguageModel:
    """Read a model folder, as `LanguageModel.save` and `rnnlm train` write it.

    Raises:
        FolderError: If it is absent, incomplete, damaged or of another kind.
    """
    network, tokenizer, config = load_folder(Path(folder))
    model = LanguageModel(network, tokenizer, config.get("protocol"))
    model._folder = Path(folder)
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
