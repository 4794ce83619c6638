import gzip
import json
from pathlib import Path

import pytest
from gensim.models import KeyedVectors

from keras_rnnlm.cli.main import run
from keras_rnnlm.cli.vector_options import CASES, FORMATS
from keras_rnnlm.cli.vectors import vectors
from keras_rnnlm.cli.vectors_train import ALGORITHMS, ARCHITECTURES
from keras_rnnlm.data import vector_training, vector_words, vector_writer
from keras_rnnlm.language_model import load
from keras_rnnlm.models.ensemble_folder import ensemble_file
from tests.cli.conftest import QUICK
from tests.cli.test_bad_input import refused

Captured = pytest.CaptureFixture[str]
SMALL = ["--dimensions", "6", "--min-count", "1", "--epochs", "1"]


@pytest.fixture(scope="module")
def trained(english_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("vectors") / "english.vec"
    command = ["vectors", "train", str(english_file), "--out", str(out), *SMALL]
    assert run(command) == 0
    return out


def test_help(capsys: Captured) -> None:
    assert run(["vectors"]) == 0
    said = capsys.readouterr().out
    for verb in ("train", "coverage", "nearest", "write"):
        assert f"\n  {verb} " in said
        assert run(["vectors", verb, "--help"]) == 0
        assert f"Usage: rnnlm vectors {verb}" in capsys.readouterr().out
    assert run(["vectors", "cover"]) == 2
    assert "Did you mean 'coverage'?" in capsys.readouterr().err


def test_choices_are_those_of_the_library() -> None:
    assert ALGORITHMS == vector_training.ALGORITHMS
    assert ARCHITECTURES == vector_training.ARCHITECTURES
    assert CASES == vector_words.CASES
    assert FORMATS == vector_writer.FORMATS
    assert list(vectors.commands) == ["train", "coverage", "nearest", "write"]


def test_train_covers_its_text(
    trained: Path, english_file: Path, capsys: Captured
) -> None:
    assert len(KeyedVectors.load_word2vec_format(str(trained)).index_to_key) > 100
    command = ["vectors", "coverage", str(trained), str(english_file)]
    assert run(command) == 0
    said = capsys.readouterr().out
    assert "100.0%" in said
    assert "without" not in said
    assert run([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["types"] == found["types_found"] == found["exact"]
    assert found["tokens"] == found["tokens_found"]
    assert found["missing"] == []
    assert set(found["seconds"]) == {"reading", "all"}


def test_train_says_what_it_made(
    english_file: Path, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "a.bin.gz"
    command = ["vectors", "train", str(english_file), "--out", str(out), *SMALL]
    options = ["--algorithm", "fasttext", "--architecture", "cbow", "--json"]
    assert run([*command, *options, "--tokenizer", "char"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["format"], found["width"]) == ("binary", 6)
    assert (found["algorithm"], found["architecture"]) == ("fasttext", "cbow")
    head = gzip.decompress(out.read_bytes()).split(b"\n")[0]
    assert head == f"{found['words']} 6".encode()


def test_other_spellings_and_what_is_missing(
    english_file: Path, tmp_path: Path, capsys: Captured
) -> None:
    words = english_file.read_text("utf-8").split()
    capital = next(w for w in words if w[0].isupper() and w.lower() not in words)
    path = tmp_path / "a.txt"
    path.write_text(f"{capital.lower()} 1\nthe 2\n")
    command = ["vectors", "coverage", str(path), str(english_file)]
    assert run([*command, "--missing", "1"]) == 0
    assert "types    1 of" in capsys.readouterr().out
    assert run([*command, "--case", "lower", "--normalize", "nfkc,quotes"]) == 0
    said = capsys.readouterr().out
    assert "in another case" in said
    assert f"{words.count('the'):,} of" not in said  # the other word is counted too
    assert "without" in said


def test_vocabulary_and_vectors_of_a_model(
    trained: Path, english_model: Path, english_file: Path, capsys: Captured
) -> None:
    command = ["vectors", "coverage", str(trained), str(english_model), "--json"]
    assert run(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tokens"] is None
    assert found["types"] == load(english_model).tokenizer.vocabulary_size - 2
    assert run([*command, str(english_file)]) == 0
    assert json.loads(capsys.readouterr().out)["tokens"] > 0


def test_write_and_nearest(
    english_model: Path, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "model.bin"
    command = ["vectors", "write", str(english_model), "--out", str(out)]
    assert run(command) == 0
    model = load(english_model)
    tokens = model.tokenizer.tokens
    assert f"{len(tokens)} words, 24 numbers each" in capsys.readouterr().out
    gensims = KeyedVectors.load_word2vec_format(str(out), binary=True)
    assert gensims.index_to_key == tokens
    assert (gensims.vectors == model.vectors()).all()
    for source in (out, english_model):
        command = ["vectors", "nearest", str(source), "the", "-k", "3", "--json"]
        assert run(command) == 0
        (found,) = json.loads(capsys.readouterr().out)["words"]
        near = [word for word, _ in found["near"]]
        assert near == [word for word, _ in gensims.most_similar("the", topn=3)]
    model_of = ["vectors", "nearest", str(english_model), "-k", "3", "--json"]
    assert run([*model_of, "THE", "--case", "lower"]) == 0
    assert json.loads(capsys.readouterr().out)["words"] == [found]
    assert run([*model_of, "ｔｈé", "--normalize", "nfkc,accents"]) == 0
    assert json.loads(capsys.readouterr().out)["words"] == [found]
    assert run([*model_of, "THE"]) == 2
    assert "not in the model's vocabulary" in capsys.readouterr().err
    assert run([*model_of, "the", "--first", "9"]) == 2
    assert "--first is about a file of vectors" in capsys.readouterr().err
    assert run(["vectors", "nearest", str(out), "the", "<eos>", "-k", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "the"
    command = ["vectors", "write", str(english_model), "--out", str(out)]
    assert run([*command, "--output-layer", "--format", "text", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["words"], found["format"]) == (len(tokens), "text")


def test_train_a_model_with_them(
    trained: Path, english_file: Path, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "model"
    command = ["train", str(english_file), "--out", str(out), *QUICK]
    command += ["--tokenizer", "word", "--set=max_steps=3"]
    options = [f"--set=vectors={trained}", "--set=vectors_frozen=true"]
    assert run([*command, *options]) == 0
    assert "Word vectors: " in capsys.readouterr().err
    model = load(out)
    wanted = KeyedVectors.load_word2vec_format(str(trained))
    assert (model.vectors()[0] == wanted["<eos>"]).all()


def test_slips(
    trained: Path,
    english_file: Path,
    english_model: Path,
    inside: Path,
    capsys: Captured,
) -> None:
    text = str(english_file)
    for command, message in (
        (["train", text, "--out", "no/such/folder"], "--out expected the name of a"),
        (["train", text, "--out", "a", "--min-count", "9999"], "Give more text"),
        (["coverage", "nowhere", text], "nowhere: cannot be read"),
        (["coverage", text, text], "expected word vectors in word2vec's"),
        (["coverage", str(trained), "nowhere"], "nowhere: no such file"),
        (
            ["coverage", str(trained), text, "--normalize", "nfkd"],
            "Did you mean 'nfkc'?",
        ),
        (["nearest", str(trained), "xyzzy"], "has no vector for 'xyzzy'"),
        (["nearest", str(english_model), "xyzzy"], "not in the model's vocabulary"),
        (["write", "nowhere", "--out", "a"], "'nowhere' does not exist"),
    ):
        assert message in refused(["vectors", *command], capsys)
    Path("other.txt").write_text("1 2 3\n4 5 6\n")
    said = refused(["vectors", "coverage", "other.txt", text], capsys)
    assert "found none among 2 words" in said


def test_folders_of_runs_are_no_texts(
    trained: Path,
    english_file: Path,
    english_model: Path,
    inside: Path,
    capsys: Captured,
) -> None:
    for name, file, content in (
        ("several", "ensemble.json", ensemble_file([0, 1])),
        ("begun", "training.jsonl", b"{}\n"),
        ("stopped", "checkpoint.safetensors", b"weights"),
    ):
        Path(name).mkdir()
        (Path(name) / "log.txt").write_text("The lighthouse stands on a rock.\n")
        (Path(name) / file).write_bytes(content)
    text, model = str(english_file), str(english_model)
    for sources, message in (
        (["several"], "Give one of them, such as 'several/member-1'"),
        (["begun"], "a run of training that has not finished"),
        ([model, "stopped"], "a run of training that has not finished"),
        ([text, model], "Give one model, before all texts"),
    ):
        assert message in refused(
            ["vectors", "coverage", str(trained), *sources], capsys
        )
