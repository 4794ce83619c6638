"""The text of a search as its trials get it: training and validation, and no test.

The ids are written once, beside the search, and mapped by every trial: no trial encodes
a text or trains a tokenizer, and none could look at test text if it wanted to.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.encoded_text import EncodedText, TextCounts
from keras_rnnlm.data.tokenizers import Tokenizer
from keras_rnnlm.errors import FolderError
from keras_rnnlm.files import json_bytes, write_file

FOLDER = "corpus"
_ARRAYS = ("ids", "starts", "stops", "oov_positions")
_FACTS = ("line_end_id", "start_id", "spaced", "names", "sha256")


def write_corpus(corpus: Corpus, folder: Path) -> None:
    """Write training and validation text for trials.

    Raises:
        FolderError: The disk is full, or the folder cannot be written.
    """
    try:
        folder.mkdir(exist_ok=True)
        facts: dict[str, Any] = {}
        for name, text in corpus.parts().items():
            if name == "test":
                continue
            for array in _ARRAYS:
                np.save(folder / f"{name}-{array}.npy", getattr(text, array))
            facts[name] = {key: getattr(text, key) for key in _FACTS}
            facts[name]["counts"] = dataclasses.asdict(text.counts)
        tokenizer = corpus.tokenizer
        write_file(folder / "tokenizer.json", tokenizer.to_json().encode("utf-8"))
        write_file(
            folder / "corpus.json",
            json_bytes({"texts": facts, "tokenizer": dict(tokenizer.settings())}),
        )
    except OSError as error:
        raise FolderError(
            f"Cannot write '{folder}': {error.strerror}. Make room, or choose another "
            "--out."
        ) from error


def read_corpus(folder: Path) -> Corpus:
    """Return what `write_corpus` wrote.

    Raises:
        FolderError: It is damaged.
    """
    try:
        facts = json.loads((folder / "corpus.json").read_text("utf-8"))
        tokenizer = Tokenizer.from_json(
            (folder / "tokenizer.json").read_text("utf-8"), facts["tokenizer"]
        )
        texts = {
            name: EncodedText(
                **{
                    array: np.load(
                        folder / f"{name}-{array}.npy",
                        mmap_mode="r" if array == "ids" else None,
                    )
                    for array in _ARRAYS
                },
                **{key: known[key] for key in _FACTS},
                counts=TextCounts(**known["counts"]),
            )
            for name, known in facts["texts"].items()
        }
        return Corpus(texts["train"], texts["valid"], None, tokenizer)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise FolderError(
            f"'{folder}' is damaged ({error}). Begin the search anew with another "
            "--out."
        ) from error
