"""An n-gram model that lies in a model folder, read when it is asked for."""

import hashlib
import time
from dataclasses import replace
from pathlib import Path

from keras_rnnlm.data.tokenizers import Tokenizer
from keras_rnnlm.errors import FolderError, RNNLMError
from keras_rnnlm.scoring.ngram import NGramModel


class StoredNGram:
    """The ARPA file of a model folder; a large one takes seconds to read.

    Args:
        path: Of the file.
        sha256: Of its content, as the manifest had it; None where it had none.
        tokenizer: Of the model.
    """

    def __init__(self, path: Path, sha256: str | None, tokenizer: Tokenizer) -> None:
        """Remember where it lies."""
        # In full: by then the program may work in another folder.
        self._path, self._sha256 = path.absolute(), sha256
        self._tokenizer = tokenizer
        self._model: NGramModel | None = None

    def content(self) -> bytes:
        """Return the content of the file.

        Raises:
            FolderError: The file is absent, or damaged.
        """
        return read_checked(self._path, self._sha256)

    def model(self) -> NGramModel:
        """Return the model, which the first call reads.

        Its `seconds` are those of checking the file and of reading it.

        Raises:
            FolderError: The file is absent, damaged or no ARPA file.
        """
        if self._model is None:
            begun = time.perf_counter()
            self.content()
            try:
                read = NGramModel.read_arpa(self._path, self._tokenizer)
            except RNNLMError as error:
                raise FolderError(f"'{self._path}' cannot be read: {error}") from error
            self._model = replace(read, seconds=time.perf_counter() - begun)
        return self._model


def read_checked(path: Path, sha256: str | None) -> bytes:
    """Return the content of a file whose hash is that of the manifest.

    Args:
        path: Of the file.
        sha256: That of the manifest; None where it had none.

    Raises:
        FolderError: The file is absent, or damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FolderError(
            f"'{path}' cannot be read: {error.strerror}. Run `rnnlm tune-evaluation` "
            "again."
        ) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise FolderError(
            f"'{path}' is damaged: its SHA-256 differs from the one in manifest.json. "
            "Copy the folder again, or run `rnnlm tune-evaluation` again."
        )
    return content
