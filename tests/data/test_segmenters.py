"""Words of Chinese text by a segmenter."""

import json
import sys
from pathlib import Path

import pytest
import tokenizers as library

from keras_rnnlm.data import segmenters
from keras_rnnlm.data.text import TextFile, safe_blocks
from keras_rnnlm.data.tokenizers import Tokenizer, train_tokenizer
from keras_rnnlm.errors import InputError

TEXT = "我来到北京清华大学，I love 北京。\n\n明月几时有，把酒问青天。"


def test_words_come_from_jieba_line_by_line(tmp_path: Path) -> None:
    pytest.importorskip("jieba", reason="needs jieba (keras-rnnlm[jieba])")
    path = tmp_path / "text"
    path.write_text(TEXT, encoding="utf-8")
    tokenizer = train_tokenizer([TextFile(path)], segmenter="jieba")
    assert {"北京", "清华大学", "明月", "love"} <= set(tokenizer.tokens)
    ids, unknown = tokenizer.encode_with_oov(TEXT)
    assert unknown.size == 0
    assert tokenizer.decode(ids.tolist()) == TEXT.replace(" 北京", "北京") + "\n"
    pieces = safe_blocks(TextFile(path), 9, tokenizer.last_cut)
    apart = [token for piece in pieces for token in tokenizer.encode(piece, False)]
    assert apart == ids.tolist()[:-1]

    stored = json.loads(json.dumps(tokenizer.settings()))
    assert stored["segmenter"] == "jieba"
    again = Tokenizer.from_json(tokenizer.to_json(), stored)
    assert again.encode(TEXT).tolist() == ids.tolist()

    # The saved form expects the segmenter's words with spaces between them.
    saved = library.Tokenizer.from_str(tokenizer.to_json())
    spaced = "".join(
        "\n" if token == tokenizer.eos_id else tokenizer.tokens[token] + " "
        for token in ids
    )
    assert saved.encode(spaced).ids == ids.tolist()


def test_without_jieba_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    segmenters._jieba.cache_clear()
    monkeypatch.setitem(sys.modules, "jieba", None)
    with pytest.raises(InputError, match=r"pip install 'keras-rnnlm\[jieba\]'"):
        segmenters.load_segmenter("jieba")


def test_an_unknown_segmenter() -> None:
    with pytest.raises(InputError, match="Did you mean 'jieba'"):
        segmenters.load_segmenter("jeiba")
