import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_rnnlm.data.character_tokenizer import CharacterTokenizer
from keras_rnnlm.data.corpus import Corpus
from keras_rnnlm.data.encoded_text import EncodedText
from keras_rnnlm.data.store import encode_texts
from keras_rnnlm.data.tokenizer_base import Tokenizer
from keras_rnnlm.data.word_tokenizer import WordTokenizer
from keras_rnnlm.errors import InputError
from keras_rnnlm.scoring.arpa_words import escape, unescape
from keras_rnnlm.scoring.ngram import NGramModel

SMALL = r"""some words of a toolkit
\data\
ngram 1=5
ngram 2=3

\1-grams:
-99	<s>	-0.25
-0.5	</s>
-0.75	<unk>
-0.25	a	-0.5
-1	b

\2-grams:
-0.125	<s> a
-0.25	a b
-0.375	a </s>

\end\
"""


def words(*names: str) -> WordTokenizer:
    return WordTokenizer(names, unk_is_word=False)


def a_text(seed: int = 0) -> str:
    rng = np.random.default_rng(seed)
    lines = [rng.zipf(1.4, rng.integers(0, 9)) % 30 for _ in range(200)]
    return "".join(" ".join(f"w{k}" for k in line) + "\n" for line in lines)


def word_model(order: int = 4) -> tuple[NGramModel, Tokenizer, EncodedText]:
    tokenizer = words(*(f"w{k}" for k in range(30)), "absent")
    text = encode_texts([a_text()], tokenizer)
    model = NGramModel.fit(text, tokenizer.vocabulary_size, order)
    return model, tokenizer, encode_texts([a_text(1) + "unheard of\n"], tokenizer)


def character_model(order: int = 5) -> tuple[NGramModel, Tokenizer, EncodedText]:
    tokenizer = CharacterTokenizer(sorted({*a_text(), "\t", "\\", "\u3000", "\u00a0"}))
    text = encode_texts([a_text() + "\t\\x20\u3000\u00a0"], tokenizer)
    model = NGramModel.fit(text, tokenizer.vocabulary_size, order)
    return model, tokenizer, encode_texts([a_text(1) + "\\ \t?"], tokenizer)


@pytest.mark.parametrize("make", [word_model, character_model])
@pytest.mark.parametrize("name", ["m.arpa", "m.arpa.gz"])
@pytest.mark.parametrize("order", [1, 2, 5])
def test_a_model_comes_back(
    make: Callable[..., tuple[NGramModel, Tokenizer, EncodedText]],
    name: str,
    order: int,
    tmp_path: Path,
) -> None:
    model, tokenizer, text = make(order)
    model.write_arpa(tmp_path / name, tokenizer)
    again = NGramModel.read_arpa(tmp_path / name, tokenizer)
    assert (again.order, again.left_out) == (order, 0)
    assert again.sentence_end == model.sentence_end
    for one, other in zip(model.tables, again.tables, strict=True):
        np.testing.assert_array_equal(one.keys, other.keys)
    np.testing.assert_allclose(
        again.log_probabilities(text), model.log_probabilities(text), atol=1e-6
    )
    assert [path.name for path in tmp_path.iterdir()] == [name]
    if name.endswith("gz"):
        assert (tmp_path / name).read_bytes()[:2] == b"\x1f\x8b"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_kenlm_gives_the_same_scores(tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm", reason="needs kenlm (pip install kenlm)")
    model, tokenizer, text = word_model(4)
    model.write_arpa(tmp_path / "words.arpa", tokenizer)
    theirs = kenlm.Model(str(tmp_path / "words.arpa"))
    lines = (a_text(1) + "unheard of\n").splitlines()
    # KenLM adds up in float32, whose logarithms have seven digits.
    scores = [p for line in lines for p, _, _ in theirs.full_scores(line)]
    found = model.log_probabilities(text) / np.log(10)
    np.testing.assert_allclose(found, scores, rtol=1e-5, atol=1e-6)

    model, tokenizer, text = character_model(5)
    model.write_arpa(tmp_path / "characters.arpa", tokenizer)
    theirs = kenlm.Model(str(tmp_path / "characters.arpa"))
    spelt = " ".join(map(escape, a_text(1) + "\\ \t?"))
    scores = [p for p, _, _ in theirs.full_scores(spelt, bos=True, eos=False)]
    found = model.log_probabilities(text) / np.log(10)
    np.testing.assert_allclose(found, scores[1:], rtol=1e-5, atol=1e-6)


@given(token=st.text(min_size=1))
def test_every_token_can_be_written(token: str) -> None:
    written = escape(token)
    assert written.encode("utf-8", "surrogatepass").split() == [
        written.encode("utf-8", "surrogatepass")
    ]
    assert written not in ("<s>", "</s>", "<unk>", "<UNK>")
    back = unescape(written.encode("utf-8", "surrogatepass"))
    assert back == token.encode("utf-8", "surrogatepass")


def test_how_tokens_are_written() -> None:
    assert escape(" the") == r"\x20the"
    assert escape("\n") == r"\x0a"
    assert escape(r"and\/or") == r"and\/or"
    assert escape(r"\x41") == r"\x5cx41"
    assert escape("<s>") == r"\x3cs>"
    assert escape("\u3000") == "\u3000"


def test_tokens_that_read_like_marks_stay_tokens(tmp_path: Path) -> None:
    tokenizer = words("<s>", "</s>", "<UNK>", "a")
    text = encode_texts(["a <s> a </s> a\n<UNK> <s>\n"], tokenizer)
    model = NGramModel.fit(text, tokenizer.vocabulary_size, 3)
    model.write_arpa(tmp_path / "m.arpa", tokenizer)
    again = NGramModel.read_arpa(tmp_path / "m.arpa", tokenizer)
    np.testing.assert_allclose(
        again.log_probabilities(text), model.log_probabilities(text), atol=1e-6
    )


@pytest.mark.parametrize("contexts", ["sentence", "stream"])
def test_pieces_come_back_too(
    contexts: Literal["sentence", "stream"], chinese_file: Path, tmp_path: Path
) -> None:
    # Some of them are parts of a character, written as `\\xe4` by the tokenizer.
    corpus = Corpus.from_files(
        chinese_file, valid=chinese_file, tokenizer="bpe", vocabulary_size=400
    )
    model = NGramModel.fit(corpus.train, corpus.vocabulary_size, 3, contexts=contexts)
    model.write_arpa(tmp_path / "m.arpa", corpus.tokenizer)
    again = NGramModel.read_arpa(tmp_path / "m.arpa", corpus.tokenizer)
    assert (again.sentence_end, again.left_out) == (model.sentence_end, 0)
    np.testing.assert_allclose(
        again.log_probabilities(corpus.train),
        model.log_probabilities(corpus.train),
        atol=1e-6,
    )


def read(content: str | bytes, tokenizer: Tokenizer, folder: Path) -> NGramModel:
    path = folder / "other.arpa"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return NGramModel.read_arpa(path, tokenizer)


def test_the_file_of_another_toolkit(tmp_path: Path) -> None:
    tokenizer = words("a", "b")
    model = read(SMALL, tokenizer, tmp_path)
    text = encode_texts(["a b a\nb\nc\n"], tokenizer)
    logs = [-0.125, -0.25, -0.25, -0.375, -0.25 - 1, -0.5, -0.25 - 0.75, -0.5]
    found = model.log_probabilities(text)
    np.testing.assert_allclose(found, np.multiply(logs, np.log(10)), rtol=1e-12)
    crlf = SMALL.replace("\n", "\r\n")
    again = read(gzip.compress(crlf.encode()), tokenizer, tmp_path)
    np.testing.assert_array_equal(again.log_probabilities(text), found)


def test_words_of_one_side_only(tmp_path: Path) -> None:
    # `b` is not in the tokenizer; `x` and `y` are not in the file.
    tokenizer = words("a", "x", "y")
    model = read(SMALL, tokenizer, tmp_path)
    assert model.left_out == 2
    p = model.next_probabilities(np.array([], np.int64))
    share = 10**-0.75 / 3
    np.testing.assert_allclose(p, [10**-0.5, share, 10**-0.25, share, share])


def test_what_shares_the_unknown_word_leaves_the_sum_at_most_one(
    tmp_path: Path,
) -> None:
    # A distribution over `</s>`, `<unk>`, `a` and `b`, behind `a` too.
    quarter, half = np.log10([0.25, 0.5])
    backoff = np.log10(2 / 3)
    content = (
        "\\data\\\nngram 1=5\nngram 2=1\n\n\\1-grams:\n-99\t<s>\t0\n"
        f"{quarter}\t</s>\n{quarter}\t<unk>\n{quarter}\ta\t{backoff}\n{quarter}\tb\n\n"
        f"\\2-grams:\n{half}\ta <unk>\n\n\\end\\\n"
    )
    whole = read(content, words("a", "b"), tmp_path)
    shared = read(content, words("a", "b", "x"), tmp_path)
    for context in ([], [2]):
        p = whole.next_probabilities(np.array(context, np.int64))
        assert p.sum() == pytest.approx(1)
        q = shared.next_probabilities(np.array(context, np.int64))
        assert q.sum() <= 1 + 1e-9
        assert q[1] == pytest.approx(p[1] / 2)
        np.testing.assert_allclose(q[[0, 2, 3]], p[[0, 2, 3]])


PRUNED = r"""\data\
ngram 1=5
ngram 2=1
ngram 3=1
ngram 4=1

\1-grams:
-99	<s>	-0.25
-0.5	</s>
-0.75	<unk>
-0.25	a	-0.5
-1	b	-0.125

\2-grams:
-0.25	b a	-0.375

\3-grams:
-0.5	b a b	-0.0625

\4-grams:
-0.125	b a b a

\end\
"""


def test_a_context_whose_end_was_pruned_still_counts(tmp_path: Path) -> None:
    # `b a b` is a context, though `a b` is none.
    tokenizer = words("a", "b")
    model = read(PRUNED, tokenizer, tmp_path)
    text = encode_texts(["b a b a\n"], tokenizer)
    found = model.log_probabilities(text)
    assert found[3] == pytest.approx(-0.125 * np.log(10))
    history = [model.vocabulary_size]
    for token, log in zip(text.ids[1:].tolist(), found, strict=True):
        p = model.next_probabilities(np.array(history))
        assert np.log(p[token]) == pytest.approx(log)
        history.append(token)


def test_sentences_of_a_file_are_the_lines_of_a_character_model(tmp_path: Path) -> None:
    tokenizer = CharacterTokenizer(["a", "b", "\n"])
    model = read(SMALL, tokenizer, tmp_path)
    assert model.sentence_end == 3
    text = encode_texts(["ab\na\n"], tokenizer)
    logs = [-0.25, -0.5, -0.125, -0.375]  # the first character is not predicted
    np.testing.assert_allclose(
        model.log_probabilities(text), np.multiply(logs, np.log(10)), rtol=1e-12
    )


def test_a_file_with_a_word_for_the_line_end_is_a_stream(tmp_path: Path) -> None:
    # So is what KenLM makes of characters written as words, all in one line.
    spelt = SMALL.replace("\tb", "\t\\x0a").replace("a b", "a \\x0a")
    tokenizer = CharacterTokenizer(["a", "\n"])
    model = read(spelt, tokenizer, tmp_path)
    assert (model.sentence_end, model.left_out) == (None, 1)
    text = encode_texts(["aa\na\n"], tokenizer)
    logs = [-0.75, -0.25, -0.25, -0.25]
    np.testing.assert_allclose(
        model.log_probabilities(text), np.multiply(logs, np.log(10)), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\data\\", "data", r"a line \\data\\, received a file without one"),
        ("ngram 2=3", "ngram 3=3", r"line 4: expected ngram 2=N, received 'ngram 3=3'"),
        ("ngram 2=3", "ngram 2=x", "line 4: expected a whole number behind '='"),
        ("ngram 1=5\nngram 2=3\n", "", "line 3: expected ngram 1=N"),
        ("\\2-grams:", "\\3-grams:", r"line 13: expected \\2-grams:"),
        ("-0.25\ta b", "-0.25\ta b c d", "line 15: expected a number, 2 words and"),
        ("-0.25\ta b", "x\ta b", "line 15: expected a number, received 'x'"),
        ("-0.25\ta b", "0.25\ta b", "line 15: expected a log10 probability of 0"),
        ("-0.25\ta b", "nan\ta b", "line 15: expected a log10 probability of 0"),
        ("-0.25\ta b", "-0.25\ta b\t-1", "line 15: expected no back-off"),
        ("a\t-0.5", "a\tinf", "line 10: expected a number, received 'inf'"),
        ("-0.25\ta b\n", "", "line 16: expected 3 2-grams, as the header says"),
        ("a </s>", "a b", "line 16: expected each n-gram once, received 'a b'"),
        ("-1\tb", "-1\ta", "line 11: expected each n-gram once, received 'a'"),
        ("\n\\end\\\n", "", "expected .end. behind the last n-gram, received the end"),
        ("-0.375\ta </s>\n\n\\end\\\n", "", "line 16: expected 3 2-grams"),
        ("ngram 2=3", "ngram 2=2", r"line 16: expected .end. behind"),
    ],
)
def test_what_is_not_well_formed_is_named(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    assert old in SMALL
    with pytest.raises(InputError, match=message):
        read(SMALL.replace(old, new), words("a", "b"), tmp_path)


def test_a_missing_context_is_named(tmp_path: Path) -> None:
    longer = SMALL.replace("ngram 2=3", "ngram 2=3\nngram 3=1").replace(
        "\n\\end\\", "\n\\3-grams:\n-0.1\tb a b\n\n\\end\\"
    )
    with pytest.raises(InputError, match="line 20: expected an n-gram whose first"):
        read(longer, words("a", "b"), tmp_path)


def test_files_that_are_no_models_of_these_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        NGramModel.read_arpa(tmp_path / "none.arpa", words("a"))
    with pytest.raises(InputError, match="word vocabulary has, received 5 that it"):
        read(SMALL, words("c", "d"), tmp_path)
    with pytest.raises(InputError, match="Cannot read the ARPA file"):
        read(gzip.compress(SMALL.encode())[:60], words("a"), tmp_path)
    model, _, _ = word_model(2)
    with pytest.raises(InputError, match="with 33 ids.*received one with 4"):
        model.write_arpa(tmp_path / "m.arpa", words("a", "b"))
    assert not (tmp_path / "m.arpa").exists()


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, len(SMALL)), put=st.binary(max_size=4))
def test_damage_gives_a_model_or_one_clear_error(
    cut: int, put: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    raw = SMALL.encode()
    damaged = raw[:cut] + put + raw[cut + 1 :]
    folder = tmp_path_factory.mktemp("damaged")
    try:
        model = read(damaged, words("a", "b"), folder)
    except InputError as error:
        assert "other.arpa" in str(error)
    else:
        assert model.order == 2
