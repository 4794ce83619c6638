"""`adapt`: a trained model goes on with a new text."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from keras_rnnlm.config import Settings, overridden, parse_overrides, read_recipe
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.data.noising import Noising
from keras_rnnlm.data.replay import ReplayBatches, lanes_of
from keras_rnnlm.data.resegmentation import Resegmentation
from keras_rnnlm.data.tokenizers import Tokenizer
from keras_rnnlm.data.vocabulary import token_counts
from keras_rnnlm.errors import ConfigError, InputError
from keras_rnnlm.models.causal_lm import CausalLM
from keras_rnnlm.models.folder import load_folder
from keras_rnnlm.models.networks import kind_of
from keras_rnnlm.models.vocabulary_growth import grow, shares_of_unknown
from keras_rnnlm.models.weights import assign_weights, merged, weight_arrays
from keras_rnnlm.network_settings import OWN, SHARED
from keras_rnnlm.scoring.ensemble import weights_hash
from keras_rnnlm.setting_checks import OF_STREAMS
from keras_rnnlm.training.adaptation import Adaptation
from keras_rnnlm.training.adaptation_checks import check_adaptation
from keras_rnnlm.training.batches import make_batches, make_resegmentation
from keras_rnnlm.training.final_evaluation import FinalEvaluation
from keras_rnnlm.training.identity import run_identity
from keras_rnnlm.training.layer_rates import LayerRates, scaled_kind
from keras_rnnlm.training.loop import TrainingLoop
from keras_rnnlm.training.memory import check_memory
from keras_rnnlm.training.optimizers import build_optimizer
from keras_rnnlm.training.reporter import Reporter, SilentReporter
from keras_rnnlm.training.run import Run, TrainingResult
from keras_rnnlm.training.run_folder import REPORT, RunFolder
from keras_rnnlm.training.schedules import ClockPace, StepPace
from keras_rnnlm.training.signals import SignalFlag
from keras_rnnlm.training.train import conduct
from keras_rnnlm.training.word_vectors import StartingVectors

_FREE = (
    "dropout",
    "input_dropout",
    "output_dropout",
    "embedding_dropout",
    "weight_dropout",
    "mixture_dropout",
    "activation_penalty",
    "temporal_penalty",
    "output_samples",
    "seed",
)
"""Arguments of a network that may change without its weights becoming others."""
_RAREST = 0.05  # share of a vocabulary whose mean stands for a word never seen


@dataclass(frozen=True, eq=False)
class Base:
    """A trained model that an adaptation begins with.

    Attributes:
        network: In float32.
        tokenizer: Its tokenizer.
        protocol: Its evaluation protocol, or None.
        knows_unknown: Whether `<unk>` stood in its training text; None if not known.
        folder: Where it was read.
    """

    network: CausalLM
    tokenizer: Tokenizer
    protocol: str | None
    knows_unknown: bool | None
    folder: Path

    @staticmethod
    def load(folder: str | Path) -> "Base":
        """Read a model folder.

        Raises:
            FolderError: As `load_folder`.
        """
        network, tokenizer, config = load_folder(folder)
        return Base(
            network,
            tokenizer,
            config.get("protocol"),
            _knows_unknown(Path(folder), tokenizer),
            Path(folder),
        )

    def settings(
        self,
        recipe: str | Path,
        overrides: Mapping[str, Any] | Iterable[str] = (),
        replay: bool = False,
    ) -> Settings:
        """Return settings of a run with this network.

        A model that is evaluated line by line is trained so too, with mode=sentence,
        unless `mode`, an override of streams or `replay` speaks against it.

        Args:
            recipe: Of how it is trained, such as `adapt`. What it says of the network
                does not count.
            overrides: Settings that beat the recipe's.
            replay: Whether the run replays an old text, which takes streams.

        Raises:
            ConfigError: An unknown setting, or one that would make it another network.
        """
        kind = kind_of(self.network)
        made = {**self.network.get_config(), "network": kind}
        names = {"network", *SHARED, *(n for own in OWN.values() for n in own)}
        shape = names - set(_FREE)
        own = {n: made[n] for n in ("network", *OWN[kind], *SHARED) if n in made}
        del own["seed"]
        if self.protocol is not None:
            own["protocol"] = self.protocol
        given = parse_overrides(overrides)
        theirs = {n: v for n, v in read_recipe(recipe).items() if n not in names}
        mode = _mode({**own, **theirs, **given}, given, replay)
        if mode != "stream":  # a recipe for streams serves lines too
            theirs = {n: v for n, v in theirs.items() if n not in OF_STREAMS}
        chosen = overridden({**own, **theirs}, given)
        settings = Settings.from_dict({**chosen, "mode": mode})
        plain = Settings.from_dict(own)
        for name in sorted(shape):
            value, known = getattr(settings, name), getattr(plain, name)
            if value != known:
                raise ConfigError(
                    f"Setting '{name}' is {known} in the model to adapt; received "
                    f"{name}={value}. A network keeps its shape: leave it out, or "
                    "train a new model."
                )
        return settings


def adapt(
    base: Base | str | Path,
    corpus: Corpus,
    settings: Settings,
    out: str | Path,
    adaptation: Adaptation | None = None,
    *,
    old: EncodedText | None = None,
    old_valid: EncodedText | None = None,
    resume: bool = False,
    reporter: Reporter | None = None,
    started: float | None = None,
    command: Sequence[str] | None = None,
) -> TrainingResult:
    """Let a trained model go on with a new text, and write what came of it.

    Args:
        base: The model, or its folder; it stays as it is.
        corpus: The new text, encoded by the model's tokenizer, or by one that knows
            further words: `Corpus.from_files(..., tokenizer=base.tokenizer,
            new_words=2)`.
        settings: Of the run: `base.settings("adapt", {})`.
        out: Folder of the adapted model; must be new unless `resume` is set.
        adaptation: What is kept and what learns how fast.
        old: Text that the model was trained on, to be replayed.
        old_valid: Text of the old kind, on which forgetting is measured.
        resume: As in `train`.
        reporter: As in `train`.
        started: As in `train`.
        command: As in `train`.

    Returns:
        The result. Beside what `train` reports, `adaptation` holds the figures of the
        model before, on the same texts and over the same vocabulary. Without validation
        and test text it has those on the text that was trained on, `train_text_before`
        and `train_text_after`.

    Raises:
        ConfigError: Settings that cannot be met.
        InputError: Texts of another tokenizer.
        FolderError: As in `train`.
        ResumeError: As in `train`.
        TrainingError: As in `train`.
    """
    started = time.monotonic() if started is None else started
    reporter = SilentReporter() if reporter is None else reporter
    base = base if isinstance(base, Base) else Base.load(base)
    adaptation = Adaptation() if adaptation is None else adaptation
    check_adaptation(base, corpus, settings, adaptation, old, old_valid)
    check_memory(settings, corpus.vocabulary_size, text=corpus.train)
    if adaptation.steers:
        optimizer = build_optimizer(
            settings, lambda kind: scaled_kind(kind, adaptation.decay)
        )
    else:
        optimizer = build_optimizer(settings)
    identity = {
        **run_identity(corpus, settings, None),
        "base": weights_hash(base.network),
        "adaptation": {
            **adaptation.to_dict(),
            "old": None if old is None else old.sha256,
            "old_valid": None if old_valid is None else old_valid.sha256,
        },
    }

    def begin(
        folder: RunFolder, flag: SignalFlag, vectors: StartingVectors | None
    ) -> AdaptRun:
        return AdaptRun(
            corpus,
            settings,
            folder,
            flag,
            reporter,
            optimizer,
            command=command,
            base=base,
            adaptation=adaptation,
            old=old,
            old_valid=old_valid,
        )

    return conduct(begin, corpus, settings, identity, out, resume, reporter, started)


@dataclass(frozen=True, kw_only=True)
class AdaptRun(Run):
    """A run that begins with a trained model's weights.

    Attributes:
        base: The model.
        adaptation: What is kept and what learns how fast.
        old: Text to replay, or None.
        old_valid: Text on which forgetting is measured, or None.
    """

    base: Base
    adaptation: Adaptation
    old: EncodedText | None
    old_valid: EncodedText | None

    def batches(self, noising: Noising | None, start: int = 0) -> Any:
        """See `Run`: with lanes of the old text beside the new one's."""
        if self.old is None or not self.adaptation.replay:
            return super().batches(noising, start)
        settings, share = self.settings, self.adaptation.replay
        lanes, old_lanes = lanes_of(settings.batch_size, share)
        fewer = replace(settings, batch_size=lanes)
        new = make_batches(
            self.corpus.train, fewer, noising, start, self.resegmentation
        )
        # A short text has fewer lanes and steps: the old one keeps to them.
        beside = max(1, round(old_lanes * new.batch_size / lanes))
        alike = replace(settings, batch_size=beside, steps=new.steps)
        old = make_batches(self.old, alike, None, start, self.old_resegmentation)
        if old.steps != new.steps:
            raise InputError(
                f"Expected an old text of more than {new.steps} tokens to replay, "
                f"received one of {old.steps + 1}. Give more of it, or leave --old out."
            )
        return ReplayBatches(new, old)

    @cached_property
    def old_resegmentation(self) -> Resegmentation | None:
        """What segments the old text anew in each of its epochs, or None."""
        if self.old is None:
            return None
        return make_resegmentation(self.settings, self.old, self.corpus.tokenizer)

    def network(self, dtype: str | None = None, low_rank: int = 0) -> CausalLM:
        """See `Run`: a network of the model's shape, with rows for new words."""
        changed = {name: getattr(self.settings, name) for name in _FREE}
        known = self.base.network.get_config()
        arguments = {**known, **{n: v for n, v in changed.items() if n in known}}
        arguments |= {"vocabulary_size": self.corpus.vocabulary_size, "dtype": dtype}
        del arguments["name"]
        if low_rank:
            arguments["low_rank"] = low_rank
        return type(self.base.network)(**arguments)

    def begun(self, frozen: bool) -> CausalLM:
        """See `Run`: with the weights of the model."""
        rank = self.adaptation.low_rank
        network = self.network(self.settings.precision, rank)
        factors = weight_arrays(network) if rank else {}
        assign_weights(network, {**factors, **self.first_weights()})
        if self.settings.output == "sampled":
            counts = token_counts(self.corpus.train.ids, self.corpus.vocabulary_size)
            network.rank_words(counts)
        return network

    def first_weights(self) -> dict[str, np.ndarray]:
        """Return the model's weights by name, with rows for new words."""
        arrays = weight_arrays(self.base.network)
        known = self.base.tokenizer.vocabulary_size
        if self.corpus.vocabulary_size == known:
            return arrays
        counts = token_counts(self.corpus.train.ids, self.corpus.vocabulary_size)
        unk = self.base.tokenizer.unk_id
        if unk is None:
            raise InputError("Expected a tokenizer with <unk> to add words to.")
        new, left = counts[known:], self.corpus.train.counts.oov
        shares = shares_of_unknown(np.maximum(new, 1), left, len(new))
        rarest = None
        if not self.base.knows_unknown:
            rarest = np.arange(known - max(1, round(_RAREST * known)), known)
        return grow(arrays, unk, shares, rarest)

    def callbacks(self, network: CausalLM, loop: TrainingLoop) -> list[Any]:
        """See `Run`: rates by layer, where they are asked for."""
        if not self.adaptation.steers:
            return []

        def progress() -> float:
            return loop.pace.progress(loop.step)

        share, unfreeze = self.adaptation.layer_rate, self.adaptation.unfreeze
        return [LayerRates(network, progress, share, unfreeze)]

    def pace(
        self,
        batches: Any,
        schedule: dict[str, Any] | None,
        final: FinalEvaluation,
        network: CausalLM,
        reserve: float,
    ) -> StepPace | ClockPace:
        """See `Run`: the figures from before take time as well."""
        if self.settings.minutes is not None:
            network = self.evaluated(network)  # made once, measured several times
            reserve += final.estimated_seconds(network)
            for text in (self.old_valid, self._only_text):
                if text is not None:
                    reserve += 2 * self._measure_of(text).estimated_seconds(network)
        return super().pace(batches, schedule, final, network, reserve)

    def kept(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See `Run`: low-rank factors added to their matrices."""
        return merged(arrays)

    def more_figures(self, network: CausalLM) -> dict[str, Any]:
        """See `Run`: the figures of the model before, and those on the old text."""
        before = self.network()
        assign_weights(before, self.first_weights())
        final = FinalEvaluation(self.corpus, self.settings)
        check = self.flag.check
        old, only = self._measure_of(self.old_valid), self._measure_of(self._only_text)
        added = self.corpus.vocabulary_size - self.base.tokenizer.vocabulary_size
        return {
            "adaptation": {
                **self.adaptation.to_dict(),
                "base": self.base.folder.name,
                "words_added": added,
                "knows_unknown": self.base.knows_unknown
                or self.corpus.train.counts.oov > 0,
                "before": final.evaluate(before, check),
                "old_before": old.evaluate(before, check)["valid"],
                "old_after": old.evaluate(network, check)["valid"],
                "train_text_before": only.evaluate(before, check)["valid"],
                "train_text_after": only.evaluate(network, check)["valid"],
            }
        }

    @property
    def _only_text(self) -> EncodedText | None:
        """The text that is trained on, if there is no other of its kind; or None."""
        corpus = self.corpus
        alone = corpus.valid is None and corpus.test is None
        return corpus.train if alone else None

    def _measure_of(self, text: EncodedText | None) -> FinalEvaluation:
        """Return what measures a text as validation text is; nothing for None."""
        corpus = replace(self.corpus, valid=text, test=None)
        return FinalEvaluation(corpus, self.settings)


def _mode(chosen: Mapping[str, Any], given: Mapping[str, Any], replay: bool) -> str:
    """Return how a run reads its text: unasked, as its model will be evaluated."""
    streams = replay or any(given.get(name) for name in OF_STREAMS)
    lines = chosen.get("protocol") == "sentence" and not streams
    mode: str = chosen.get("mode", "sentence" if lines else "stream")
    return mode


def _knows_unknown(folder: Path, tokenizer: Tokenizer) -> bool | None:
    """Whether `<unk>` stood in a text it was trained on, if the folder says so."""
    if tokenizer.settings().get("unk_is_word"):
        return True
    try:
        report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        before = (report.get("adaptation") or {}).get("knows_unknown")
        return bool(before or report["data"]["train"]["oov"] > 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
