"""Which files, and parts of files, are for training, validation and test."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from keras_rnnlm.data.splits import HELD_OUT_MOST, HELD_OUT_SHARE
from keras_rnnlm.data.text import TextFile, held_out_tail, split_files
from keras_rnnlm.errors import InputError

Parts: TypeAlias = dict[str, list[TextFile]]

NAMES = {"train": "training", "valid": "validation", "test": "test"}
# From this size on, a text with too few line ends is cut inside a line.
_CUT_INSIDE_LINES = 20_000


def split_parts(given: Parts, split: Sequence[float], kind: str) -> Parts:
    """Split the training files by shares of their characters.

    Args:
        given: files by part; "train" is split, "test" may stand beside.
        split: two or three shares.
        kind: of the tokenizer; only characters are cut inside a line, and others where
            a long text has too few line ends.

    Raises:
        InputError: the shares make no sense, or make a part that is given.
    """
    if len(split) not in (2, 3):
        raise InputError(
            "Expected a split into training and validation, or training, validation "
            "and test, such as 0.9,0.1 or 0.8,0.1,0.1. Received: "
            f"{','.join(f'{share:g}' for share in split)}."
        )
    made = ("train", "valid", "test")[: len(split)]
    for name in made[1:]:
        if name in given:
            raise InputError(
                f"The split makes {NAMES[name]} text of the training files, and "
                f"there are {NAMES[name]} files too: give one or the other."
            )
    files, at_lines = given["train"], kind != "char"
    try:
        parts = split_files(files, split, at_lines=at_lines)
    except InputError:
        if not at_lines or sum(file.characters for file in files) < _CUT_INSIDE_LINES:
            raise
        parts = split_files(files, split, at_lines=False)
    return {**given, **dict(zip(made, parts, strict=True))}


def hold_out_parts(given: Parts, notes: list[str]) -> Parts:
    """Hold out the tail of the training files where no validation text is given.

    Args:
        given: files by part.
        notes: a sentence about what was done is added here.
    """
    if "valid" in given:
        return given
    files = given["train"]
    train, valid, test = held_out_tail(files, at_lines=True)
    enough = sum(file.characters for file in files) >= _CUT_INSIDE_LINES
    if enough and not (valid and test):
        # A text of one line, such as text8 or a genome, is cut inside the line.
        train, valid, test = held_out_tail(files, at_lines=False)
    elif not (enough or (_has_text(valid) and _has_text(test))):
        # Such as the blank line behind a single paragraph.
        valid, test = _joined(valid + test), []
        valid = valid if _has_text(valid) else []
    if not (valid or test):
        notes.append("The text is too short to hold any of it out for validation.")
        return given
    if "test" in given:
        train, valid, test = (train + valid, test, []) if test else (train, valid, [])
    kept = {"train": _joined(train), "valid": valid or test}
    if valid and test:
        kept["test"] = test
    held = " and ".join(NAMES[name] for name in kept if name != "train")
    share = f"{HELD_OUT_SHARE:.0%}"
    if HELD_OUT_SHARE * sum(file.characters for file in files) > HELD_OUT_MOST:
        share = f"{HELD_OUT_MOST:,} characters"
    share += " each" if "test" in kept else ""
    notes.append(f"Held out from the end of the training text: {share} for {held}.")
    return {**given, **kept}


def _has_text(parts: list[TextFile]) -> bool:
    """Whether there is something to predict, which white space alone is not."""
    text = "".join(part.read() for part in parts)
    return len(text) > 1 and not text.isspace()


def _joined(parts: list[TextFile]) -> list[TextFile]:
    """Put parts of a file that follow each other together again."""
    joined = parts[:1]
    for part in parts[1:]:
        last = joined[-1]
        if replace(last, start=part.start, stop=part.stop) == part and (
            last.stop == part.start
        ):
            joined[-1] = replace(last, stop=part.stop)
        else:
            joined.append(part)
    return joined
