"""Encodings: any that is named is read, any mistake is named with its remedy."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_rnnlm.data import encodings
from keras_rnnlm.data.likely_encoding import likely_encoding
from keras_rnnlm.data.text import find_files
from keras_rnnlm.data.text_file import TextFile
from keras_rnnlm.errors import InputError

CHINESE = (
    "春江潮水连海平，海上明月共潮生。滟滟随波千万里，何处春江无月明！这是我们的中国。\n"
)
SAMPLES = {
    "gb18030": CHINESE,
    "big5": "這是一個測試的文件，我們來看看他有沒有問題。\n",
    "shift_jis": "これはテストのぶんしょうです。日本語の文字をしらべる。\n",
    "euc_jp": "これはテストのぶんしょうです。日本語の文字をしらべる。\n",
    "euc_kr": "이것은 한국어 문장입니다. 나는 학교에 가고 있다.\n",
    "cp1251": "Это русский текст для проверки кодировки\n",
    "koi8_r": "Это русский текст для проверки кодировки\n",
    "latin-1": "naïve café, hôtel là-bas\n",
    "cp1252": "“naïve” café – hôtel\n",
    "utf-16-le": "plain words\n",
    "utf-16-be": "plain words\n",
    "utf-8": CHINESE,
}


@pytest.mark.parametrize("encoding", SAMPLES)
def test_the_likely_encoding_is_named(encoding: str) -> None:
    assert likely_encoding((SAMPLES[encoding] * 3).encode(encoding)) == encoding


@given(st.binary(max_size=300))
def test_the_likely_encoding_of_anything_is_a_name(data: bytes) -> None:
    assert encodings.check_encoding(likely_encoding(data))


@pytest.mark.parametrize("encoding", [*SAMPLES, "utf-16", "utf-8-sig", "utf-32", "gbk"])
def test_an_encoding_that_is_named_is_read(encoding: str, tmp_path: Path) -> None:
    text = SAMPLES.get(encoding, CHINESE) * 3
    path = tmp_path / "text"
    path.write_bytes(text.encode(encoding))
    (file,) = find_files(path, encoding)
    assert file.read() == text
    assert file.raw_bytes == path.stat().st_size


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "gb18030"])
def test_a_byte_order_mark_is_no_text(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(("\ufeff" + CHINESE).encode(encoding))
    (file,) = find_files(path, encoding)
    assert file.read() == CHINESE
    assert file.raw_bytes == path.stat().st_size
    assert TextFile(path, encoding, stop=1).raw_bytes == len(
        "\ufeff春".encode(encoding)
    )


@pytest.mark.parametrize(
    ("given", "marked"),
    [("utf-8", "utf-16"), ("utf-8", "utf-32"), ("gbk", "utf-8-sig")],
)
def test_a_mark_of_another_encoding(given: str, marked: str, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes("words\n".encode(marked))
    with pytest.raises(InputError, match=f"--encoding {marked.removesuffix('-sig')}"):
        find_files(path, given)


@pytest.mark.parametrize("block", [3, 7, 1 << 20])
def test_a_bad_byte_is_named_by_file_line_and_offset(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encodings, "BLOCK_BYTES", block)
    path = tmp_path / "text"
    path.write_bytes("Grüße\r\nan\rdie\n".encode() + b"Welt\xff!")
    with pytest.raises(InputError) as caught:
        TextFile(path).read()
    message = str(caught.value)
    assert str(path) in message
    assert "line 4, byte offset 20:" in message
    assert "0xff" in message


def test_chinese_text_in_gb18030_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(("abc\n" + CHINESE).encode("gb18030"))
    with pytest.raises(
        InputError, match=r"line 2, byte offset 4: .* use --encoding gb18030"
    ):
        find_files(path)


def test_a_character_cut_off_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes("ab\n水".encode()[:-1])
    with pytest.raises(InputError, match="line 2, byte offset 3: .*unexpected end"):
        TextFile(path).read()


def test_a_damaged_place_in_utf8_is_not_called_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(CHINESE.encode() + b"\xff" + CHINESE.encode())
    with pytest.raises(InputError, match="damaged"):
        find_files(path)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("uft-8", "Did you mean 'utf-8'"),
        ("gb18031", "Did you mean 'gb18030'"),
        ("hex", "Unknown text encoding"),
        ("", "Unknown text encoding"),
        ("nul\0", "Unknown text encoding"),
    ],
)
def test_an_unknown_encoding(name: str, hint: str) -> None:
    with pytest.raises(InputError, match=hint):
        encodings.check_encoding(name)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"PK\x03\x04rest", "zip"),
        (b"%PDF-1.7", "PDF"),
        (b"ab\0\0\0\0cd\0\1\2", "NUL bytes"),
        (b"text " * 20_000 + b"\0", "NUL character in line 1"),
    ],
)
def test_a_binary_file(data: bytes, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(InputError, match=kind):
        find_files(path)[0].read()


def test_utf16_without_a_mark_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes("plain words\n".encode("utf-16-le"))
    with pytest.raises(InputError, match="--encoding utf-16-le"):
        find_files(path)
