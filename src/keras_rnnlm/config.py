"""Settings of a training run: one frozen dataclass, validated when it is built.

A *recipe* is a TOML file with these keys. Recipes shipped with the package are known
by name; any other is a path. Overrides (`--set key=value`) beat the recipe.
"""

import dataclasses
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args, get_type_hints

from keras_rnnlm import cell_registry
from keras_rnnlm.errors import ConfigError, nearest

CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "mode": ("stream", "sentence"),
        "schedule": ("constant", "linear", "cosine", "one_cycle"),
        "output": ("full", "adaptive", "sampled"),
        "precision": ("float32", "mixed_bfloat16", "mixed_float16"),
    }
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run is made of, besides its text.

    Attributes:
        cell: Recurrent layer: `lstm`, `gru`, `simple_rnn` or one of `docs/cells.md`.
        cell_arguments: Settings of the cell, a table such as `{rounds = 4}`; one of
            them alone is `cell_arguments.rounds`.
        units: Width of each recurrent layer.
        layers: Number of recurrent layers.
        embedding: Width of the word vectors; `units` when absent.
        projection: Width of a linear layer before the output; none when absent.
        tie_weights: Use the embedding matrix as output matrix (Press & Wolf 2017).
        output: `full` softmax; for large vocabularies `adaptive` (Grave et al. 2017;
            with tie_weights false) or `sampled` (Jean et al. 2015).
        output_cutoffs: Frequency ranks at which the clusters of `adaptive` begin, such
            as `2000,20000`; by the size of the vocabulary if absent.
        output_samples: Words that `sampled` draws in a step; 2048 if absent.
        dropout: Rate of locked dropout between layers and before the output.
        input_dropout: Rate of locked dropout on the embeddings; `dropout` if absent.
        embedding_dropout: Rate at which whole words lose their vector in a batch.
        weight_dropout: Rate of weight drop on the recurrent matrices.
        mode: `stream` (contiguous text, carried state) or `sentence` (single lines).
        batch_size: Streams (lanes) or sentences in a batch.
        steps: Time steps of truncated back-propagation.
        epochs: Passes over the training text, unless `max_steps` or a time is given.
        max_steps: Number of optimizer steps; overrides `epochs`.
        minutes: Wall-clock budget in minutes, start of process to end of evaluation.
        optimizer: `adam`, `adamw`, `sgd` or any optimizer of `keras.optimizers`.
        learning_rate: Peak learning rate.
        schedule: Shape of the learning rate over the run.
        warmup: Share of the run, 0 to 1, in which the rate rises.
        final_learning_rate: Last rate, as a share of the peak.
        weight_decay: Decoupled weight decay (optimizers that have it).
        momentum: Momentum of SGD and RMSprop.
        beta_2: Second-moment decay of the Adam family.
        clip_norm: Largest global norm of the gradient; 0 turns clipping off.
        average: Decay of the moving average of the weights; 0 turns it off.
        precision: `float32`, `mixed_bfloat16` or `mixed_float16`.
        validations: Number of validations spread over the run, the last at its end.
        patience: Stop after this many validations without progress; 0 never stops.
        seed: Seed of weights, order and dropout.
        protocol: Evaluation protocol stored with the model; chosen by size if absent.
    """

    cell: str = "lstm"
    cell_arguments: dict[str, Any] | None = None
    units: int = 256
    layers: int = 2
    embedding: int | None = None
    projection: int | None = None
    tie_weights: bool = True
    output: str = "full"
    output_cutoffs: tuple[int, ...] | None = None
    output_samples: int | None = None
    dropout: float = 0.2
    input_dropout: float | None = None
    embedding_dropout: float = 0.0
    weight_dropout: float = 0.0
    mode: str = "stream"
    batch_size: int = 20
    steps: int = 35
    epochs: int = 10
    max_steps: int | None = None
    minutes: float | None = None
    optimizer: str = "adam"
    learning_rate: float = 0.002
    schedule: str = "one_cycle"
    warmup: float = 0.1
    final_learning_rate: float = 0.0
    weight_decay: float = 0.0
    momentum: float = 0.0
    beta_2: float = 0.999
    clip_norm: float = 1.0
    average: float = 0.0
    precision: str = "float32"
    validations: int = 10
    patience: int = 0
    seed: int = 0
    protocol: str | None = None

    def __post_init__(self) -> None:
        """Check every value; raise `ConfigError` at the first that cannot be."""
        cell_registry.check_name(self.cell)
        if self.cell_arguments:
            cell_registry.make(self.cell, self.cell_arguments)
        for name, choices in CHOICES.items():
            _check_choice(name, getattr(self, name), choices)
        for name in ("units", "layers", "batch_size", "steps", "epochs", "validations"):
            _check_least(name, getattr(self, name), 1)
        for name in ("embedding", "projection", "max_steps", "output_samples"):
            if getattr(self, name) is not None:
                _check_least(name, getattr(self, name), 1)
        for name in ("dropout", "embedding_dropout", "weight_dropout", "average"):
            _check_range(name, getattr(self, name), 0.0, 1.0, open_end=True)
        if self.input_dropout is not None:
            _check_range("input_dropout", self.input_dropout, 0.0, 1.0, open_end=True)
        for name in ("warmup", "final_learning_rate"):
            _check_range(name, getattr(self, name), 0.0, 1.0)
        for name in ("momentum", "beta_2"):
            _check_range(name, getattr(self, name), 0.0, 1.0, open_end=True)
        for name in ("weight_decay", "clip_norm", "patience", "seed"):
            _check_least(name, getattr(self, name), 0)
        if not 0 < self.learning_rate < float("inf"):
            raise _impossible("learning_rate", "a number above 0", self.learning_rate)
        self._check_output()
        if self.minutes is not None and self.max_steps is not None:
            raise ConfigError(
                "Settings 'minutes' and 'max_steps' are two budgets for one run; "
                "leave one out."
            )
        if self.minutes is not None and not 0 < self.minutes < float("inf"):
            raise _impossible("minutes", "a number above 0", self.minutes)

    def _check_output(self) -> None:
        if self.output == "adaptive" and self.tie_weights:
            raise ConfigError(
                "Setting 'output' = adaptive has matrices of its own, of several "
                "widths; received tie_weights = true. Set tie_weights=false."
            )
        for name, owner in (
            ("output_cutoffs", "adaptive"),
            ("output_samples", "sampled"),
        ):
            if getattr(self, name) is not None and self.output != owner:
                raise ConfigError(
                    f"Setting '{name}' goes with output={owner}; received "
                    f"output={self.output}. Leave one of them out."
                )
        cutoffs = self.output_cutoffs
        if cutoffs is not None and (
            not cutoffs or any(a >= b for a, b in pairwise((0, *cutoffs)))
        ):
            raise _impossible("output_cutoffs", "rising numbers above 0", cutoffs)

    @classmethod
    def from_recipe(
        cls,
        recipe: str | Path | None = None,
        overrides: Iterable[str] | Mapping[str, Any] = (),
    ) -> "Settings":
        """Build settings from a recipe and overrides.

        Args:
            recipe: Name of a shipped recipe, path of a TOML file, or None.
            overrides: `key=value` strings or a mapping; they beat the recipe.

        Raises:
            ConfigError: Unknown recipe, unknown key or impossible value; the nearest
                known name is offered.
        """
        values = {} if recipe is None else read_recipe(recipe)
        values.update(parse_overrides(overrides))
        return cls.from_dict(values)

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
            **{name: _convert(name, v, hints[name]) for name, v in values.items()}
        )

    def replace(self, **changes: Any) -> "Settings":
        """Return a copy with some values changed, checked again."""
        return self.from_dict({**dataclasses.asdict(self), **changes})

    def to_dict(self) -> dict[str, Any]:
        """Return all keys and values, ready for JSON."""
        values = dataclasses.asdict(self)
        # As JSON gives it back, so that the two can be compared.
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def default_recipe(tokenizer: str) -> str:
    """Return the recipe used for a kind of tokenizer when none is named."""
    return {"char": "char", "word": "word"}.get(tokenizer, "subword")


def recipe_names() -> list[str]:
    """Return the names of the recipes shipped with the package."""
    folder = resources.files("keras_rnnlm") / "recipes"
    return sorted(p.name[:-5] for p in folder.iterdir() if p.name.endswith(".toml"))


def recipe_text(name: str) -> str:
    """Return the TOML text of a shipped recipe."""
    if name not in recipe_names():
        raise ConfigError(
            f"Unknown recipe '{name}'.{nearest(name, recipe_names())} Shipped recipes: "
            f"{', '.join(recipe_names())}; or give the path of a .toml file."
        )
    return (resources.files("keras_rnnlm") / "recipes" / f"{name}.toml").read_text(
        encoding="utf-8"
    )


def read_recipe(recipe: str | Path) -> dict[str, Any]:
    """Return the keys and values of a shipped recipe or a TOML file."""
    path = Path(recipe)
    is_path = path.suffix == ".toml" or len(path.parts) > 1
    if is_path and not path.is_file():
        raise ConfigError(f"Recipe file '{recipe}' does not exist.")
    try:
        text = path.read_text(encoding="utf-8") if is_path else recipe_text(str(recipe))
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"Recipe '{recipe}' is not valid TOML: {error}.") from error


def parse_overrides(overrides: Iterable[str] | Mapping[str, Any]) -> dict[str, Any]:
    """Turn `key=value` strings into a mapping; values are read like TOML values."""
    if isinstance(overrides, Mapping):
        return dict(overrides)
    values: dict[str, Any] = {}
    for item in overrides:
        name, equals, text = item.partition("=")
        if not equals or not name.strip():
            raise ConfigError(
                f"Expected key=value after --set, received '{item}'; "
                "for example --set units=512."
            )
        table, dot, key = name.strip().partition(".")
        if dot:
            known = values.get(table) or {}
            values[table] = {**known, key: _parse_value(text.strip())}
        else:
            values[table] = _parse_value(text.strip())
    return values


def _parse_value(text: str) -> Any:
    if text.lower() in ("none", "null", ""):
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text  # a bare word, such as lstm


def _convert(name: str, value: Any, hint: Any) -> Any:
    kinds = get_args(hint) or (hint,)
    if value is None and type(None) in kinds:
        return None
    if tuple[int, ...] in kinds:
        if (numbers := _whole_numbers(value)) is not None:
            return numbers
    elif dict[str, Any] in kinds:
        if isinstance(value, Mapping):
            return dict(value) or None
    elif bool in kinds:
        if isinstance(value, bool):
            return value
    elif not isinstance(value, bool):
        if (
            int in kinds
            and isinstance(value, (int, float))
            and float(value).is_integer()
        ):
            return int(value)
        if float in kinds and isinstance(value, (int, float)):
            return float(value)
        if str in kinds and isinstance(value, str):
            return value
    wanted = " or ".join(
        {
            bool: "true or false",
            int: "a whole number",
            float: "a number",
            str: "a word",
            dict[str, Any]: "a table such as {rounds = 4}",
            tuple[int, ...]: "whole numbers with commas between them",
        }.get(kind, "none")
        for kind in kinds
    )
    raise _impossible(name, wanted, value)


def _whole_numbers(value: Any) -> tuple[int, ...] | None:
    """Return `2000`, `"2000,20000"` or `[2000, 20000]` as a tuple; None if neither."""
    if isinstance(value, str):
        value = value.split(",")
    elif not isinstance(value, list | tuple):
        value = [value]
    try:
        exact = not any(isinstance(v, bool | float) for v in value)
        return tuple(int(v) for v in value) if exact else None
    except (TypeError, ValueError):
        return None


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(
            f"Setting '{name}' takes one of {', '.join(choices)}; "
            f"received '{value}'.{nearest(value, choices)}"
        )


def _check_least(name: str, value: float, least: float) -> None:
    if not value >= least:
        raise _impossible(name, f"at least {least}", value)


def _check_range(
    name: str, value: float, low: float, high: float, open_end: bool = False
) -> None:
    if not (low <= value < high or (value == high and not open_end)):
        bound = "below" if open_end else "at most"
        raise _impossible(name, f"at least {low:g} and {bound} {high:g}", value)


def _impossible(name: str, wanted: str, value: Any) -> ConfigError:
    return ConfigError(f"Setting '{name}' takes {wanted}; received {value!r}.")
