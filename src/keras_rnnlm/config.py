"""Settings of a training run: one frozen dataclass, validated when it is built.

A *recipe* is a TOML file with these keys. Recipes shipped with the package are known
by name; any other is a path. Overrides (`--set key=value`) beat the recipe.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_type_hints

from keras_rnnlm import cell_registry
from keras_rnnlm.errors import ConfigError, nearest
from keras_rnnlm.network_settings import check_network
from keras_rnnlm.processor import usual_precision
from keras_rnnlm.recipe_files import default_recipe as default_recipe
from keras_rnnlm.recipe_files import read_recipe as read_recipe
from keras_rnnlm.recipe_files import recipe_names as recipe_names
from keras_rnnlm.recipe_files import recipe_text as recipe_text
from keras_rnnlm.setting_checks import (
    OF_STREAMS,
    arguments_for,
    check_averaging,
    check_data,
    check_finite,
    check_output,
    check_system,
    check_vectors,
)
from keras_rnnlm.setting_values import (
    check_choice,
    check_least,
    check_range,
    convert,
    impossible,
    joined,
)
from keras_rnnlm.setting_values import (
    parse_overrides as parse_overrides,
)

CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "mode": ("stream", "sentence"),
        "schedule": (
            "constant",
            "linear",
            "cosine",
            "one_cycle",
            "warm_restarts",
            "plateau",
        ),
        "connections": ("none", "residual", "dense"),
        "output": ("full", "adaptive", "sampled", "mixture"),
        "noising": ("none", "blank", "unigram", "bigram"),
        "averaging": ("none", "ema", "swa", "nt_asgd"),
        "precision": ("float32", "mixed_bfloat16", "mixed_float16", "auto"),
        "vectors_case": ("exact", "lower", "any"),
    }
)

_OTHER_BUDGETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "minutes": ("max_steps",),
        "max_steps": ("minutes",),
        "epochs": ("minutes", "max_steps"),
    }
)
"""Budgets of a recipe that would refuse the one that is given, or be taken instead."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run is made of, besides its text.

    Attributes:
        network: `rnn`, `transformer` or `convolutional` (see `docs/networks.md`).
        heads: Attention heads of each layer of `transformer`.
        context: Number of steps that each of them sees, the present one included.
        kernel_width: The same of each layer of `convolutional`.
        cell: Recurrent layer: `lstm`, `gru`, `simple_rnn` or one of `docs/cells.md`.
        cell_arguments: Settings of the cell, a table such as `{rounds = 4}`; one of
            them alone is `cell_arguments.rounds`.
        units: Width of each layer; of the word vectors too unless `network` is `rnn`.
        layers: Number of layers, up to 1000.
        embedding: Width of the word vectors; `units` when absent.
        projection: Width of a linear layer before the output; none when absent.
        connections: Of the recurrent layers: `none`, `residual` (a layer as wide as its
            input adds to it) or `dense` (each sees all below; Godin et al. 2017).
        attention: Number of past steps that one head after the last layer attends to
            (Merity 2019); 0 for none.
        tie_weights: Use the embedding matrix as output matrix (Press & Wolf 2017).
        output: `full` softmax; for large vocabularies `adaptive` (Grave et al. 2017;
            with tie_weights false) or `sampled` (Jean et al. 2015); or a `mixture` of
            softmaxes (Yang et al. 2018).
        output_cutoffs: Frequency ranks at which the clusters of `adaptive` begin, such
            as `2000,20000`; by the size of the vocabulary if absent.
        output_samples: Words that take part in a step of `sampled`; 2048 if absent.
        mixtures: Number of softmaxes of `mixture`; 4 if absent.
        mixture_dropout: Rate of locked dropout on its latent vectors; 0 if absent.
        vectors: File of word vectors that training begins with (`docs/vectors.md`). A
            recurrent network without `embedding` takes their width; where widths
            differ a linear layer lies between.
        vectors_case: Whether a word may be found in another case: `exact`, `lower`, or
            `any`.
        vectors_normalize: Other spellings under which it may be found, such as
            `nfkc,accents`: `nfc`, `nfkc`, `accents`, `quotes`, `digits`, `zeros`.
        vectors_frozen: Whether training leaves the vectors as they are (and with tied
            weights the output matrix); or for how many epochs, such as `2`.
        dropout: Rate of locked dropout between recurrent layers.
        input_dropout: Rate of locked dropout on the embeddings; `dropout` if absent.
        output_dropout: Rate of locked dropout after the last one; `dropout` if absent.
        embedding_dropout: Rate at which whole words lose their vector in a batch.
        weight_dropout: Rate of weight drop on the recurrent matrices.
        activation_penalty: Weight of activation regularisation (Merity et al. 2017).
        temporal_penalty: Weight of temporal activation regularisation (same paper).
        mode: `stream` (contiguous text, carried state) or `sentence` (single lines).
        batch_size: Streams (lanes) or sentences in a batch.
        steps: Time steps of truncated back-propagation.
        steps_deviation: Standard deviation of the steps from batch to batch (Merity et
            al. 2018, who have 5 for 70 steps); 0 keeps them equal. At most eight
            lengths; the learning rate follows them.
        partial_shuffle: Cut each lane at random in each epoch (Press 2019).
        state_reset: Rate at which a lane begins a window from a zero state in place of
            the carried one (Melis et al. 2018, who have 0.01). Without it a network
            hardly knows how texts begin, which every window of `window:N` does.
        noising: Words replaced in training (Xie et al. 2017): `blank` leaves them out,
            `unigram` draws them by frequency, `bigram` as Kneser-Ney smoothing does;
            or `none`.
        noising_rate: Share of the words replaced; for `bigram` of those words that are
            followed by another one every time.
        bpe_dropout: Of sub-words by `--tokenizer bpe`: rate at which merges are left
            out when the text is segmented, anew in each epoch (Provilkov et al. 2020,
            who have 0.1, and 0.6 for Chinese and Japanese). An epoch has more tokens.
        unigram_alpha: Of sub-words by `--tokenizer unigram`: segmentations are drawn,
            anew in each epoch, with this power of their probability (Kudo 2018): 0 all
            alike, 1 as the model has it, more for the best ones; off if absent.
        epochs: Passes over the training text, unless `max_steps` or a time is given.
        max_steps: Number of optimizer steps; overrides `epochs`.
        minutes: Wall-clock budget in minutes, start of process to end of evaluation.
        optimizer: `adam`, `adamw`, `sgd`, `muon` (matrices inside the network; the rest
            by Adam) or any other optimizer of `keras.optimizers`.
        learning_rate: Peak learning rate.
        schedule: Shape of the learning rate over the run; `warm_restarts` is SGDR,
            `plateau` falls by `plateau_factor` at each validation without progress.
        cycles: Number of cosines of `warm_restarts`.
        cycle_growth: Length of each of them, as a multiple of the one before.
        plateau_factor: What `plateau` multiplies the rate by.
        finetune: Share of the run, at its end, that goes on from the best weights with
            a new optimizer and the whole schedule once more; averages begin with it.
        finetune_learning_rate: Peak learning rate then, as a share of the first one.
        warmup: Share of the run, 0 to 1, in which the rate rises.
        final_learning_rate: Last rate, as a share of the peak.
        weight_decay: Decoupled weight decay (optimizers that have it).
        momentum: Momentum of SGD, RMSprop and Muon (0: Muon's own, 0.95).
        beta_1: First-moment decay of the Adam family; 0 leaves momentum out.
        beta_2: Second-moment decay of the Adam family.
        clip_norm: Largest global norm of the gradient; 0 turns clipping off.
        averaging: Which mean of the weights is validated and kept: `ema`, a moving one;
            `swa`, the plain one from `average_start` on (Izmailov et al. 2018);
            `nt_asgd`, the plain one once validations get no better (Merity et al.
            2018); or `none`. If absent `ema` where `average` is above 0, else `none`.
        average: Decay of the moving average of the weights, below 1.
        average_start: Share of the run, 0 to 1, after which `ema` or `swa` begins; 0
            and 0.75 if absent.
        average_patience: `nt_asgd` begins with the first validation that is worse than
            the best of those more than this many validations old.
        precision: `float32`, `mixed_bfloat16` or `mixed_float16`. `auto` is one of the
            first two, by what this processor multiplies faster, from then on.
        validations: Number of validations spread over the run, the last at its end.
        patience: Stop after this many validations without progress; 0 never stops. A
            run with `finetune` may stop in that phase alone.
        seed: Seed of weights, order and dropout.
        protocol: Evaluation protocol stored with the model; if absent `sentence` with
            mode=sentence, else chosen by the size of a text.
        system_minutes: Time, of `minutes` where those are given, to search on the
            validation text what is added at evaluation (`docs/evaluation.md`) and to
            measure the whole on the test text; 0 leaves that out.
        system_ngram_order: Order of the n-gram model that is mixed in then; 5, for
            characters 7, if absent; 0 for none.
        system_passes: Of Monte Carlo dropout, mixed in then.
    """

    network: str = "rnn"
    heads: int = 4
    context: int = 256
    kernel_width: int = 4
    cell: str = "lstm"
    cell_arguments: dict[str, Any] | None = None
    units: int = 256
    layers: int = 2
    embedding: int | None = None
    projection: int | None = None
    connections: str = "none"
    attention: int = 0
    tie_weights: bool = True
    output: str = "full"
    output_cutoffs: tuple[int, ...] | None = None
    output_samples: int | None = None
    mixtures: int | None = None
    mixture_dropout: float | None = None
    vectors: str | None = None
    vectors_case: str = "exact"
    vectors_normalize: tuple[str, ...] | None = None
    vectors_frozen: bool | float = False
    dropout: float = 0.2
    input_dropout: float | None = None
    output_dropout: float | None = None
    embedding_dropout: float = 0.0
    weight_dropout: float = 0.0
    activation_penalty: float = 0.0
    temporal_penalty: float = 0.0
    mode: str = "stream"
    batch_size: int = 20
    steps: int = 35
    steps_deviation: int = 0
    partial_shuffle: bool = False
    state_reset: float = 0.0
    noising: str = "none"
    noising_rate: float = 0.0
    bpe_dropout: float = 0.0
    unigram_alpha: float | None = None
    epochs: int = 10
    max_steps: int | None = None
    minutes: float | None = None
    optimizer: str = "adam"
    learning_rate: float = 0.002
    schedule: str = "one_cycle"
    cycles: int = 4
    cycle_growth: float = 1.0
    plateau_factor: float = 0.5
    finetune: float = 0.0
    finetune_learning_rate: float = 0.5
    warmup: float = 0.1
    final_learning_rate: float = 0.0
    weight_decay: float = 0.0
    momentum: float = 0.0
    beta_1: float = 0.9
    beta_2: float = 0.999
    clip_norm: float = 1.0
    averaging: str | None = None
    average: float = 0.0
    average_start: float | None = None
    average_patience: int = 5
    precision: str = "float32"
    validations: int = 10
    patience: int = 0
    seed: int = 0
    protocol: str | None = None
    system_minutes: float = 0.0
    system_ngram_order: int | None = None
    system_passes: int = 0

    def __post_init__(self) -> None:
        """Check every value; raise `ConfigError` at the first that cannot be."""
        if self.precision == "auto":
            object.__setattr__(self, "precision", usual_precision())
        check_network(self)
        cell_registry.check_name(self.cell)
        if self.cell_arguments:
            cell_registry.make(self.cell, self.cell_arguments)
        for name, choices in CHOICES.items():
            if getattr(self, name) is not None:
                check_choice(name, getattr(self, name), choices)
        for name in (
            "units",
            "batch_size",
            "steps",
            "epochs",
            "validations",
            "cycles",
        ):
            check_least(name, getattr(self, name), 1)
        check_range("layers", self.layers, 1, 1000)
        for name in (
            "embedding",
            "projection",
            "max_steps",
            "output_samples",
            "mixtures",
        ):
            if getattr(self, name) is not None:
                check_least(name, getattr(self, name), 1)
        for name in ("dropout", "embedding_dropout", "weight_dropout", "average"):
            check_range(name, getattr(self, name), 0.0, 1.0, open_end=True)
        for name in ("input_dropout", "output_dropout", "mixture_dropout"):
            if getattr(self, name) is not None:
                check_range(name, getattr(self, name), 0.0, 1.0, open_end=True)
        for name in ("activation_penalty", "temporal_penalty"):
            check_range(name, getattr(self, name), 0.0, 1e6)
        check_range("attention", self.attention, 0, 16384)
        for name in ("warmup", "final_learning_rate"):
            check_range(name, getattr(self, name), 0.0, 1.0)
        for name in ("plateau_factor", "finetune_learning_rate", "cycle_growth"):
            if not 0 < getattr(self, name) < float("inf"):
                raise impossible(name, "a number above 0", getattr(self, name))
        for name in ("momentum", "beta_1", "beta_2", "finetune"):
            check_range(name, getattr(self, name), 0.0, 1.0, open_end=True)
        for name in (
            "weight_decay",
            "clip_norm",
            "average_patience",
            "steps_deviation",
            "patience",
            "seed",
        ):
            check_least(name, getattr(self, name), 0)
        if not 0 < self.learning_rate < float("inf"):
            raise impossible("learning_rate", "a number above 0", self.learning_rate)
        check_output(self)
        check_averaging(self)
        check_data(self)
        check_vectors(self)
        if self.minutes is not None and self.max_steps is not None:
            raise ConfigError(
                "Settings 'minutes' and 'max_steps' are two budgets for one run; "
                "leave one out."
            )
        if self.minutes is not None and not 0 < self.minutes < float("inf"):
            raise impossible("minutes", "a number above 0", self.minutes)
        check_system(self)
        check_finite(self)

    @property
    def evaluation_protocol(self) -> str | None:
        """`protocol`; if absent `sentence` for a model that reads lines alone."""
        return self.protocol or ("sentence" if self.mode == "sentence" else None)

    @property
    def averaging_kind(self) -> str:
        """`averaging`, or what `average` makes of it where it is absent."""
        return self.averaging or ("ema" if self.average > 0 else "none")

    @classmethod
    def from_recipe(
        cls,
        recipe: str | Path | None = None,
        overrides: Iterable[str] | Mapping[str, Any] = (),
    ) -> "Settings":
        """Build settings from a recipe and overrides.

        Args:
            recipe: Name of a shipped recipe, path of a TOML file, or None.
            overrides: `key=value` strings or a mapping; they beat the recipe, as
                `overridden` says.

        Raises:
            ConfigError: Unknown recipe, unknown key or impossible value; the nearest
                known name is offered.
        """
        values = {} if recipe is None else read_recipe(recipe)
        return cls.from_dict(overridden(values, parse_overrides(overrides)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Settings":
        """Build settings from keys and values, converting numbers where exact."""
        hints = get_type_hints(cls)
        for name in values:
            if name not in hints:
                raise ConfigError(
                    f"Unknown setting '{name}'.{nearest(name, hints)} "
                    f"Known settings: {', '.join(hints)}."
                )
        return cls(
            **{name: convert(name, v, hints[name]) for name, v in values.items()}
        )

    def replace(self, **changes: Any) -> "Settings":
        """Return a copy with some values changed, checked again."""
        return self.from_dict(joined(dataclasses.asdict(self), changes))

    def to_dict(self) -> dict[str, Any]:
        """Return all keys and values, ready for JSON."""
        values = dataclasses.asdict(self)
        # As JSON gives it back, so that the two can be compared.
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def overridden(recipe: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a recipe with those that are given in their place.

    What the recipe has for streams alone is left out if they are not read, its budget
    if another one is given, and arguments of its cell that another one does not have:
    they would stand in the way. `Parts` of a table leave its others.
    """
    left_out = {
        name
        for budget, others in _OTHER_BUDGETS.items()
        if given.get(budget) is not None
        for name in others
    }
    if given.get("mode", "stream") != "stream":
        left_out |= set(OF_STREAMS)
    kept = {k: v for k, v in recipe.items() if k not in left_out}
    cell, arguments = given.get("cell"), kept.get("cell_arguments")
    if cell not in (None, kept.get("cell", Settings.cell)) and arguments:
        kept["cell_arguments"] = arguments_for(cell, arguments)
    return joined(kept, given)
