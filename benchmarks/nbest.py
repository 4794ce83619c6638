"""How long n-best lists take to score with their common prefixes shared, and alone.

    python benchmarks/nbest.py test.txt --model runs/ptb
    python benchmarks/nbest.py test.txt --units 650 --layers 2

Lists are made from lines of the text by `nbest_lists`. Both ways score the same lists
in one process, by turns: `shared` is `score_lists`; `alone` is `score_segments`, every
hypothesis by itself, side by side in batches of the quickest size, longest first.
"""

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from nbest_lists import NOISES, Words
from numpy.typing import NDArray

from keras_rnnlm import RNNLM, Corpus, LanguageModel, load
from keras_rnnlm.allocator import keep_freed_memory
from keras_rnnlm.bench.record import write_figures
from keras_rnnlm.scoring.nbest_scorer import score_lists
from keras_rnnlm.scoring.prefix_tree import PrefixTree
from keras_rnnlm.scoring.scorer import score_segments

BATCH_SIZES = (64, 256)
PROBED = 6  # utterances that the batch size is chosen by

Ids = NDArray[np.int32]


def main() -> None:
    """Print the figures as JSON; progress goes to stderr."""
    arguments = _arguments()
    keep_freed_memory()
    lines = [tuple(line.split()) for line in arguments.text.read_text().splitlines()]
    lines = [line for line in lines if line]
    model = _model(arguments)
    lists = _lists(lines, model, arguments)
    blocks = [
        lists[first : first + arguments.block]
        for first in range(0, arguments.block * arguments.rounds, arguments.block)
    ]
    network = model.network
    few = blocks[-1][:PROBED]
    sizes = {}
    for size in BATCH_SIZES:
        _alone(network, few, size)  # compiles
        sizes[size] = _seconds(_alone, network, few, size)
    _shared(network, blocks[-1])
    size = min(sizes, key=lambda size: sizes[size])
    rounds = []
    for block in blocks:
        shared = _seconds(
            lambda network, lists: list(score_lists(network, lists)), network, block
        )
        alone = _seconds(_alone, network, block, size)
        tokens = sum(len(ids) - 1 for one in block for ids in one)
        rounds.append({"tokens": tokens, "shared": shared, "alone": alone})
        print(f"{tokens} tokens: {shared:.2f} s, {alone:.2f} s", file=sys.stderr)
    ratios = [r["alone"] / r["shared"] for r in rounds]
    figures = {
        "noise": arguments.noise,
        "utterances": arguments.block * len(rounds),
        **_sharing(lists),
        "largest difference, nats": _difference(network, blocks[0]),
        "tokens/s shared": _speed(rounds, "shared"),
        "tokens/s alone": _speed(rounds, "alone"),
        "batch alone": size,
        "ratio": statistics.median(ratios),
        "from": min(ratios),
        "to": max(ratios),
    }
    print(json.dumps({**figures, "rounds": rounds}, indent=2))
    title = "n-best lists: prefixes shared, against each hypothesis alone in batches"
    write_figures(arguments.json, "nbest", sys.argv[1:], title, [figures])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("--model", help="a model folder; else one is made, untrained")
    parser.add_argument("--units", type=int, default=650)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--vocabulary-text", type=Path, help="of an untrained model")
    parser.add_argument("--utterances", type=int, default=1000)
    parser.add_argument("--best", type=int, default=100)
    parser.add_argument("--noise", choices=NOISES, default="confusions")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--block", type=int, default=50, help="utterances in a round")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _model(arguments: argparse.Namespace) -> LanguageModel:
    if arguments.model:
        return load(arguments.model)
    corpus = Corpus.from_files(
        str(arguments.vocabulary_text or arguments.text), tokenizer="word"
    )
    network = RNNLM(
        corpus.vocabulary_size, units=arguments.units, layers=arguments.layers, seed=0
    )
    return LanguageModel(network, corpus.tokenizer)


def _lists(
    lines: list[Words], model: LanguageModel, arguments: argparse.Namespace
) -> list[list[Ids]]:
    """Return encoded hypotheses: each begins after a line end and ends with one."""
    chance = random.Random(0)
    pool = [word for line in lines for word in line]
    tokenizer = model.tokenizer
    end = tokenizer.line_end_id
    lists = []
    for line in chance.sample(lines, min(arguments.utterances, len(lines))):
        texts = NOISES[arguments.noise](line, pool, arguments.best, chance)
        lists.append(
            [
                np.concatenate([[end], tokenizer.encode(" ".join(text) + "\n")])
                for text in texts
            ]
        )
    return [[ids.astype(np.int32) for ids in one] for one in lists]


def _shared(network: RNNLM, lists: list[list[Ids]]) -> NDArray[Any]:
    return np.concatenate([nats for one in score_lists(network, lists) for nats in one])


def _alone(network: RNNLM, lists: list[list[Ids]], batch_size: int) -> NDArray[Any]:
    sequences = [ids for one in lists for ids in one]
    stops = np.cumsum([len(ids) for ids in sequences])
    starts = np.append(0, stops[:-1]) + 1
    ids = np.concatenate(sequences)
    return score_segments(network, ids, starts, stops, batch_size).nats


def _sharing(lists: list[list[Ids]]) -> dict[str, float]:
    """Return how much of the lists is common, list by list."""
    tokens = nodes = hypotheses = 0
    for one in lists:
        hypotheses += len(one)
        tokens += sum(len(ids) - 1 for ids in one)
        nodes += sum(len(level.tokens) for level in PrefixTree.of(one).levels[1:])
    return {
        "hypotheses": hypotheses,
        "tokens_scored": tokens,
        "distinct_prefixes": nodes,
        "tokens_per_distinct_prefix": tokens / nodes,
        "mean_shared_prefix_of_a_hypothesis": 1 - nodes / tokens,
    }


def _difference(network: RNNLM, lists: list[list[Ids]]) -> float:
    difference = _shared(network, lists) - _alone(network, lists, BATCH_SIZES[0])
    return float(np.abs(difference).max())


def _seconds(function: Callable[..., Any], *arguments: Any) -> float:
    begun = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - begun


def _speed(rounds: list[dict[str, float]], way: str) -> float:
    return statistics.median(r["tokens"] / r[way] for r in rounds)


if __name__ == "__main__":
    main()
