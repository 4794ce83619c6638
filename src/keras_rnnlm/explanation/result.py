"""All that was found about a model and a text, and how it is written."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_rnnlm.errors import InputError
from keras_rnnlm.explanation.attribution import Attribution
from keras_rnnlm.explanation.calibration import Calibration
from keras_rnnlm.explanation.gates import LayerGates
from keras_rnnlm.explanation.looking import Attention, CacheWeights
from keras_rnnlm.explanation.memory import Memory
from keras_rnnlm.explanation.probes import Probes
from keras_rnnlm.explanation.surprisal import LN2, Surprisal, rounded

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why a model says what it says of a text; `keras_rnnlm.explain` makes it.

    Predictions are counted from the beginning of the text; T of them are shown.

    Attributes:
        model: what the model is: name, network, cell, layers, units, weights,
            vocabulary, token.
        text: what of the text was read: `name`, `shown` and `measured` predictions,
            whether there is `more`, and the piece `before` the first prediction.
        surprisal: of each shown prediction.
        attribution: of each shown prediction to the inputs before it.
        gates: of each recurrent layer; empty without any.
        probes: of the units of all layers.
        memory: loss by the length of context; None for a text too short for it.
        calibration: of the measured predictions.
        attention: of each layer that has it; empty without any.
        cache: what a continuous cache looks at; None if the model has none.
        missing: sentences on what there is not, and why.
        seconds: wall-clock time it took.
    """

    model: dict[str, Any]
    text: dict[str, Any]
    surprisal: Surprisal
    attribution: Attribution
    gates: tuple[LayerGates, ...]
    probes: Probes
    memory: Memory | None
    calibration: Calibration
    attention: tuple[Attention, ...]
    cache: CacheWeights | None
    missing: tuple[str, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return all figures as JSON holds them: what the page shows is this."""
        nats = self.surprisal.nats
        return {
            "format": FORMAT,
            "model": self.model,
            "text": self.text,
            "loss": {
                "nats": rounded(nats.mean()),
                "bits": rounded(nats.mean() / LN2),
                "predictions": len(nats),
            },
            "tokens": self.surprisal.to_json(),
            "attribution": self.attribution.to_json(),
            "gates": [layer.to_json() for layer in self.gates],
            "probes": self.probes.to_json(),
            "memory": None if self.memory is None else self.memory.to_json(),
            "calibration": self.calibration.to_json(),
            "attention": [layer.to_json() for layer in self.attention],
            "cache": None if self.cache is None else self.cache.to_json(),
            "missing": list(self.missing),
            "seconds": rounded(self.seconds, 1),
        }

    def page(self) -> str:
        """Return the page: HTML that needs nothing beside it, and no network."""
        from keras_rnnlm.explanation.page import html

        return html(self.to_json())

    def save(self, path: str | os.PathLike[str], png: bool = False) -> list[Path]:
        """Write the page, or the figures if the path ends in `.json`.

        Args:
            path: `report.html` or `report.json`.
            png: Whether pictures are written beside it, `report-surprisal.png` and so
                on.

        Returns:
            The files that were written.

        Raises:
            InputError: For another ending, or a folder that does not exist.
            OSError: If a file cannot be written.
        """
        path = Path(path)
        check_path(path)
        if path.suffix == ".json":
            text = json.dumps(self.to_json(), ensure_ascii=False, allow_nan=False)
        else:
            text = self.page()
        # Half of a surrogate pair, which a text from Python may hold, is no UTF-8.
        path.write_bytes(text.encode("utf-8", "replace"))
        if not png:
            return [path]
        from keras_rnnlm.explanation.pictures import draw

        return [path, *draw(self, path.with_suffix(""))]

    def summary(self) -> list[tuple[str, str]]:
        """Return rows of a name and a value with what people ask first."""
        nats, errors = self.surprisal.nats, abs(self.attribution.errors)
        token = self.model["token"]
        rows = [
            (f"{token}s shown", f"{len(nats):,} of {self.text['measured']:,} measured"),
            (
                "surprisal",
                f"{nats.mean():.4f} nats ({nats.mean() / LN2:.4f} bits) a {token}",
            ),
            (
                "completeness",
                f"integrated gradients miss the difference by {errors.mean():.1e} nats "
                f"on average, {errors.max():.1e} at most",
            ),
        ]
        for i, layer in enumerate(self.gates):
            if (lives := layer.half_lives) is not None:
                middle = sorted(lives.tolist())[len(lives) // 2]
                rows.append(
                    (
                        f"layer {i + 1}",
                        f"half of its units hold half of their state for {middle:.1f} "
                        f"{token}s or more; {int((lives > 10).sum())} of {len(lives)} "
                        "for more than 10",
                    )
                )
        rows += [
            (
                probe.name,
                f"probe {probe.area:.3f}, shuffled control {probe.control:.3f}; layer "
                f"{probe.layer + 1} unit {probe.unit} {probe.unit_area:.3f}",
            )
            for probe in self.probes.found
        ]
        if self.memory is not None:
            effective = self.memory.effective
            longest = int(self.memory.contexts[-1])
            far = f"over {longest}" if effective is None else f"about {effective}"
            rows.append(("effective memory", f"{far} {token}s"))
        rows.append(
            ("calibration error", f"{self.calibration.error:.4f} (expected, of 1)")
        )
        return rows

    def __str__(self) -> str:
        """Return the summary, a line a figure."""
        rows = self.summary()
        width = max(len(name) for name, _ in rows)
        lines = [f"{name:{width}}  {value}" for name, value in rows]
        return "\n".join([*lines, *self.missing])


def check_path(path: Path) -> None:
    """Refuse, before anything is computed, a path that nothing can be written to.

    Raises:
        InputError: If its ending says no form, or its folder does not exist.
    """
    if path.suffix not in (".html", ".htm", ".json") or path.is_dir():
        raise InputError(
            f"Expected a file that ends in .html or .json, received '{path}'. Write "
            f"for example '{path.stem or 'report'}.html'."
        )
    if not path.parent.is_dir():
        raise InputError(
            f"Expected a folder that exists for '{path}', received '{path.parent}', "
            "which does not. Make it first."
        )
