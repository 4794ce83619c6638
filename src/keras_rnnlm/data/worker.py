"""A process that encodes text: `python -m keras_rnnlm.data.worker`, fed by pipes.

It reads the tokenizer, then texts, and answers each with ids, until its input ends;
it ends with its parent. `data/processes.py` starts it and has both sides' formats.
"""

import json
import os
import signal
import sys

from keras_rnnlm.data.pieces import Piece, encode_piece
from keras_rnnlm.data.processes import read_text, write_error, write_result
from keras_rnnlm.data.tokenizers import Tokenizer
from keras_rnnlm.errors import RNNLMError


def main() -> None:
    """Answer texts with ids until the input ends."""
    # Ctrl-C reaches this process too; the parent decides when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a segmenter prints must not get among the ids
    questions = sys.stdin.buffer
    try:
        _, set_up = read_text(questions)
        json_text, settings = json.loads(set_up)
        tokenizer = Tokenizer.from_json(json_text, settings)
        while True:
            last, text = read_text(questions)
            try:
                result = encode_piece(Piece(0, text, last), tokenizer)
            except RNNLMError as error:
                write_error(answers, error)
            else:
                write_result(answers, result)
    except (EOFError, BrokenPipeError):
        return


if __name__ == "__main__":
    main()
