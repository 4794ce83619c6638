"""The language-model recipe of many tutorials, on Keras 3, and what it costs.

    python examples/prefix_recipe.py
    python examples/prefix_recipe.py --text my-text.txt

The recipe: fit a tokenizer, expand each line into all its prefixes, pad them on the
left, and train Embedding -> LSTM -> LSTM -> Dense softmax to predict the next word,
with sparse categorical cross entropy and Adam. Then the very same predictions are made
by the same weights with each line run through once, and the two losses are compared.

What this script does that the usual write-ups leave out:

- The test text is split off before lines are expanded: the prefixes of one line never
  stand on both sides. It is the last fifth of the lines, at least one.
- Words of the test text that the training text lacks become <unk>; none is dropped.
- The first word and the end of a line are predicted too: a line begins and ends with
  <eos>. (Characters have the newline in its place.)
- Padding is masked. Without a mask an LSTM reads the zeros like words, its state is no
  longer zero where the line begins, and each prefix predicts something else depending
  on the longest line of the corpus.
- Chinese text, which has no spaces, is read by characters instead of by sentences.

The equations often printed with the recipe carry two slips: the output gate stands
there with two definitions, and the cell state is computed from the new hidden state.
Keras computes all gates and the candidate from x[t] and h[t-1], then
c[t] = f * c[t-1] + i * g, and only then h[t] = o * tanh(c[t]).
"""

import argparse
import itertools
import sys
import time
from collections.abc import Iterator

import keras_rnnlm as krl  # before keras: it settles the backend

import keras  # isort: skip
import numpy as np

from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.data.prefixes import prefix_batches, prefix_examples, prefix_work
from keras_rnnlm.data.text import find_files, safe_blocks
from keras_rnnlm.errors import InputError, RNNLMError

TOY = ["the cat sat on the mat", "the dog sat on the log"]


def first_lines(path: str, encoding: str, most: int) -> list[str]:
    """Return the first lines of a text that are not empty; the rest is not read."""
    lines = (
        line
        for file in find_files(path, encoding)
        for block in safe_blocks(file)
        for line in block.split("\n")
        if line.strip()
    )
    return list(itertools.islice(lines, most))


def recipe_network(
    vocabulary_size: int, embedding: int, units: int
) -> keras.Sequential:
    """Return the recipe's network; id 0 is padding, so all others are one higher."""
    return keras.Sequential(
        [
            keras.layers.Embedding(vocabulary_size + 1, embedding, mask_zero=True),
            keras.layers.LSTM(units, return_sequences=True),
            keras.layers.LSTM(units),
            keras.layers.Dense(vocabulary_size, activation="softmax"),
        ]
    )


def same_network(recipe: keras.Sequential) -> krl.RNNLM:
    """Return a language model with the recipe's weights, which predicts each step."""
    table, *recurrent, kernel, bias = recipe.get_weights()
    network = krl.RNNLM(
        vocabulary_size=len(bias),
        cell="lstm",
        units=len(kernel),
        layers=2,
        embedding=table.shape[1],
        tie_weights=False,
    )
    network.embedding.set_weights([table[1:]])  # without the padding's row
    network.recurrent[0].set_weights(recurrent[:3])
    network.recurrent[1].set_weights(recurrent[3:])
    network.output_layer.set_weights([kernel, bias])
    return network


def prefix_nats(
    recipe: keras.Sequential, text: EncodedText, batch_size: int
) -> Iterator[float]:
    """Yield -log p of the tokens of a text, batch by batch, from its prefixes."""
    for inputs, targets in prefix_batches(text, batch_size):
        # One shape for all batches, so that Keras compiles once.
        rows = np.resize(inputs, (batch_size, inputs.shape[1]))
        found = recipe.predict_on_batch(rows)[: len(targets)]
        yield -float(np.log(found[np.arange(len(targets)), targets]).sum())


def sentence_nats(
    network: krl.RNNLM, text: EncodedText, batch_size: int
) -> Iterator[float]:
    """Yield -log p of the tokens of a text, batch by batch, a row for each line."""
    for tokens, targets, weights in text.batches(batch_size, mode="sentence"):
        logits = np.asarray(network.predict_on_batch(tokens), dtype=np.float64)
        top = logits.max(-1, keepdims=True)
        log_sums = top[..., 0] + np.log(np.exp(logits - top).sum(-1))
        chosen = np.take_along_axis(logits, targets[..., None], -1)[..., 0]
        yield float(((log_sums - chosen) * weights).sum())


def timed(nats: Iterator[float]) -> tuple[float, float]:
    """Return the sum, which is the same each time, and the seconds it took."""
    started = time.perf_counter()
    total = sum(nats)
    return total, time.perf_counter() - started


def compare(recipe: keras.Sequential, text: EncodedText, batch_size: int) -> None:
    """Print the loss, the work and the time of both formats on a text.

    Raises:
        RuntimeError: the losses differ by more than rounding.
    """
    network = same_network(recipe)
    # The first round compiles; of the others the quickest counts.
    rounds = [
        (
            timed(prefix_nats(recipe, text, batch_size)),
            timed(sentence_nats(network, text, batch_size)),
        )
        for _ in range(4)
    ]
    (prefix, prefix_seconds), (sentence, sentence_seconds) = (
        min(format_rounds, key=lambda result: result[1])
        for format_rounds in zip(*rounds[1:], strict=True)
    )
    work = prefix_work(text)
    n = work.predictions
    print(f"The same {n:,} predictions by the same weights in both formats:")
    print(
        f"  prefixes   loss {prefix / n:.6f}   {work.padded_steps:>11,} time steps"
        f"   {prefix_seconds:.3f} s"
    )
    print(
        f"  sentences  loss {sentence / n:.6f}   {work.sentence_steps:>11,} time steps"
        f"   {sentence_seconds:.3f} s"
    )
    print(
        f"  sentences take {work.fraction:.2%} of the padded steps "
        f"({work.sentence_steps / work.prefix_steps:.2%} of those without padding) "
        f"and {sentence_seconds / prefix_seconds:.0%} of the time"
    )
    if abs(prefix - sentence) / n > 1e-4:
        raise RuntimeError("Expected equal losses: one of the formats is wrong.")


def run(arguments: argparse.Namespace) -> None:
    """Train the recipe, test it, and compare it with the sentence format."""
    lines = TOY
    if arguments.text:
        lines = first_lines(arguments.text, arguments.encoding, arguments.lines)
    if len(lines) < 2:
        raise InputError("Expected a text of at least two lines: one is held out.")
    held_out = max(len(lines) // 5, 1)
    train, test = lines[:-held_out], lines[-held_out:]
    corpus = krl.Corpus.from_texts(train, test=test)
    test_text = corpus.parts()["test"]
    print(
        f"Lines for training: {len(train)}, for test: {len(test)}. Different tokens "
        f"({corpus.tokenizer.kind}): {corpus.vocabulary_size}."
    )
    for note in corpus.notes:
        print(note)

    keras.utils.set_random_seed(arguments.seed)
    recipe = recipe_network(
        corpus.vocabulary_size, arguments.embedding, arguments.units
    )
    recipe.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    inputs, targets = prefix_examples(corpus.train)
    print(f"{inputs.shape[0]:,} prefixes of {inputs.shape[1]} tokens")
    epochs = arguments.epochs or (5 if arguments.text else 200)
    started = time.perf_counter()
    history = recipe.fit(
        inputs, targets, arguments.batch_size, epochs, verbose=0
    ).history
    print(
        f"training: {epochs} epochs in {time.perf_counter() - started:.1f} s, "
        f"loss {history['loss'][-1]:.3f}, accuracy {history['accuracy'][-1]:.1%}"
    )
    loss, accuracy = recipe.evaluate(*prefix_examples(test_text), verbose=0)
    print(
        f"test: loss {loss:.3f}, accuracy {accuracy:.1%}, "
        f"perplexity {np.exp(loss):.1f} on {test_text.counts.tokens_predicted:,} "
        f"tokens, {test_text.counts.oov} of them unknown"
    )
    compare(recipe, corpus.train, arguments.batch_size)


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description="The tutorial recipe on Keras 3.")
    parser.add_argument("--text", help="a text file; two sentences without it")
    parser.add_argument("--encoding", default="utf-8", help="of the text file")
    parser.add_argument("--lines", type=int, default=100, help="most lines to use")
    parser.add_argument("--epochs", type=int, help="200 for the two sentences, else 5")
    parser.add_argument("--embedding", type=int, default=32)
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    try:
        run(parser.parse_args())
    except RNNLMError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
