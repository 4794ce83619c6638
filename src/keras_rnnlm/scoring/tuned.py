"""What is added to a model at evaluation time: its settings, and where they are kept.

A *line* is one set of additions, complete in itself. The lines of a model are a ladder:
each has what the line before had and one thing more, with its own temperature and
weights. Beside the model, in its folder, lie

| file                         | what                                              |
|------------------------------|---------------------------------------------------|
| `evaluation.json`            | the lines, how they were found, hash of the weights |
| `gradient-scale.safetensors` | RMS of gradients, where a line learns scaled      |
| `ngram.arpa`                 | the n-gram model, where a line mixes one in       |

all of them covered by `manifest.json`. A folder without them is as good as before. The
folder of an ensemble has the same files for all its models together.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keras_rnnlm.errors import ConfigError, nearest
from keras_rnnlm.scoring.cache import CacheSettings
from keras_rnnlm.scoring.gate import Gate
from keras_rnnlm.scoring.gradient_scale import GradientScale
from keras_rnnlm.scoring.learning import DynamicSettings
from keras_rnnlm.scoring.ngram import NGramModel
from keras_rnnlm.scoring.stored_ngram import StoredNGram
from keras_rnnlm.scoring.temperature import checked_temperatures

MODEL, DROPOUT, CACHE, NGRAM = "model", "mc_dropout", "cache", "ngram"
MEMBER = "member:"

GATE = "gate"
NAMES = ("static", "temperature", "dynamic", DROPOUT, "ensemble", CACHE, NGRAM, GATE)
"""Of lines, in the order of the ladder."""


@dataclass(frozen=True)
class Line:
    """One set of additions.

    Attributes:
        name: What the line adds to those before it: one of `NAMES`.
        temperature: Of the network, its passes with dropout and ensemble members that
            have no settings of their own.
        dynamic: How the network goes on learning, or None.
        cache: The continuous cache, or None.
        passes: Of Monte Carlo dropout.
        weights: Of the experts in the mixture, with sum 1: `model`, `mc_dropout`,
            `cache`, `ngram`, and `member:` with the first 12 digits of the hash of a
            member's weights.
        gate: What `gate.Gate.to_dict` gives, for weights that are predicted for each
            token, or None. Its experts are those of `weights`, in their order.

    Raises:
        ConfigError: For an unknown name or expert, or a value out of its range.
    """

    name: str
    temperature: float = 1.0
    dynamic: DynamicSettings | None = None
    cache: CacheSettings | None = None
    passes: int = 0
    weights: Mapping[str, float] = field(default_factory=lambda: {MODEL: 1.0})
    gate: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Check what the settings do not check for themselves."""
        if self.name not in NAMES:
            raise ConfigError(
                f"Expected a line named {', '.join(NAMES)}; received '{self.name}'."
                + nearest(self.name, NAMES)
            )
        checked_temperatures([self.temperature])
        known = (MODEL, DROPOUT, CACHE, NGRAM)
        for expert in self.weights:
            if expert not in known and not expert.startswith(MEMBER):
                raise ConfigError(
                    f"Expected the experts {', '.join(known)} or {MEMBER}...; received "
                    f"'{expert}'."
                )
        if abs(sum(self.weights.values()) - 1) > 1e-6 or min(self.weights.values()) < 0:
            raise ConfigError(
                "Expected weights of 0 or more with sum 1, received "
                f"{dict(self.weights)}."
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the settings for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Line":
        """Return the line that `to_dict` described.

        Raises:
            ConfigError: For settings that make no sense.
        """
        try:
            values = dict(stored)
            for name, kind in (("dynamic", DynamicSettings), ("cache", CacheSettings)):
                if values.get(name) is not None:
                    values[name] = kind(**values[name])
            values["weights"] = {
                str(expert): float(weight)
                for expert, weight in values["weights"].items()
            }
            if values.get("gate") is not None:
                Gate.from_dict(values["gate"])  # refuses what is no gate
            return cls(**values)
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise ConfigError(
                f"Expected the settings of a line, received {dict(stored)} ({error})."
            ) from error


@dataclass(frozen=True, eq=False)
class Tuned:
    """The lines found for a model, and what they need beside its network.

    Attributes:
        lines: The ladder; the last one is the whole system.
        weights_hash: Of the network they were found for; of an ensemble of all of them
            (`ensemble.hash_of_all`).
        record: How they were found: text, predictions, seconds, trials.
        scale: Of gradients, or None.
        ngram_source: The n-gram model, or where it lies, or None.
        member_scales: Of the gradients of an ensemble's networks after the first, in
            their order, where a line learns scaled.
    """

    lines: tuple[Line, ...]
    weights_hash: str
    record: Mapping[str, Any] = field(default_factory=dict)
    scale: GradientScale | None = None
    ngram_source: NGramModel | StoredNGram | None = None
    member_scales: tuple[GradientScale, ...] = ()

    @property
    def ngram(self) -> NGramModel | None:
        """The n-gram model, read from its folder when first asked for, or None.

        Raises:
            FolderError: If it lies in a model folder and is damaged.
        """
        source = self.ngram_source
        return source.model() if isinstance(source, StoredNGram) else source

    @property
    def system(self) -> Line:
        """The last line: everything that helped."""
        return self.lines[-1]
