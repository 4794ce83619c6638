"""What the documentation says of cells, settings and options is what they are."""

import dataclasses
import re
import tomllib
from collections.abc import Iterator

import click
import pytest

from keras_rnnlm import Settings, cell_registry
from keras_rnnlm.cli.main import rnnlm
from keras_rnnlm.layers.make import parameters, state_size
from tests.conftest import CHECKOUT
from tests.readme import anchors

PAGE = (CHECKOUT / "docs" / "cells.md").read_text(encoding="utf-8")
ROWS = {
    cells[0].strip("`"): cells
    for line in PAGE.splitlines()
    if (cells := [cell.strip() for cell in line.strip("|").split("|")])
    and len(cells) == 7
    and cells[0].startswith("`")
}


def test_every_cell_has_its_rows() -> None:
    assert set(ROWS) == set(cell_registry.BUILT_IN)
    equations = PAGE.split("## The equations")[1].split("## What runs")[0]
    named = set(re.findall(r"^\| `(\w+)`", equations, re.M))
    assert named == set(cell_registry.BUILT_IN)


@pytest.mark.parametrize("name", cell_registry.BUILT_IN)
def test_formulas_give_the_numbers(name: str) -> None:
    for inputs, units in ((12, 8), (8, 8)):
        known = {"D": inputs, "H": units, "__builtins__": {}}
        state, weights = (eval(ROWS[name][k].strip("`"), known) for k in (2, 3))
        assert state == state_size(name, None, inputs, units)
        assert weights == parameters(name, None, inputs, units)


FIELDS = {field.name: field.default for field in dataclasses.fields(Settings)}
in_both_languages = pytest.mark.parametrize("name", ["settings", "settings.zh-CN"])


def page(name: str) -> str:
    return (CHECKOUT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def documented(text: str) -> Iterator[tuple[str, str]]:
    """Give each setting that has a row, and its default as it is written there."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        names = re.findall(r"`(\w+)`", cells[0])
        if len(cells) < 2 or not line.startswith("| `"):
            continue
        defaults = re.split(", |、", cells[1])
        if len(defaults) == 1:
            defaults *= len(names)
        yield from zip(names, defaults, strict=True)


@in_both_languages
def test_every_setting_is_documented(name: str) -> None:
    text = page(name)
    assert set(FIELDS) <= set(re.findall(r"`(\w+)`", text))
    assert {setting for setting, _ in documented(text)} <= set(FIELDS)


@in_both_languages
def test_defaults_are_those_of_the_code(name: str) -> None:
    for setting, written in documented(page(name)):
        default = FIELDS[setting]
        if isinstance(default, str):
            assert written.strip("`") == default, setting
        elif default is not None:  # there the page says what stands in its place
            assert tomllib.loads(f"value = {written}")["value"] == default, setting


def commands(of: click.Group, names: tuple[str, ...] = ()) -> Iterator[str]:
    """Give "verb --option" for all options of all verbs, those of groups too."""
    for name, command in of.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*names, name))
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                yield " ".join((*names, name, parameter.opts[0]))


def test_every_option_is_documented() -> None:
    pages = [CHECKOUT / "README.md", *(CHECKOUT / "docs").glob("*.md")]
    english = [path for path in pages if ".zh-CN" not in path.name]
    text = "\n".join(path.read_text(encoding="utf-8") for path in english)
    written = set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", text))
    missing = {verb for verb in commands(rnnlm) if verb.split()[-1] not in written}
    assert not missing


def code(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def facts(text: str) -> list[tuple[list[str], set[str], set[str]]]:
    """Give of each row of the tables what it is about, its code and its numbers."""
    return [
        (
            code(line.split("|")[1]),
            set(code(line)),
            set(re.findall(r"\d+(?:[.,]\d+)*", line)),
        )
        for line in text.splitlines()
        if line.startswith("|")
    ]


@pytest.mark.parametrize("name", ["commands", "settings"])
def test_the_chinese_page_says_the_same(name: str) -> None:
    english, chinese = page(name), page(f"{name}.zh-CN")
    assert facts(english) == facts(chinese)
    assert set(code(english)) == set(code(chinese))
    assert english.count("\n## ") == chinese.count("\n## ")


@pytest.mark.parametrize("language", ["", ".zh-CN"])
@pytest.mark.parametrize("name", ["commands", "settings"])
def test_links(name: str, language: str) -> None:
    folder = CHECKOUT / "docs"
    name += language
    elsewhere = []
    for link in re.findall(r"\]\(([^)]+)\)", page(name)):
        to, _, anchor = link.partition("#")
        path = folder / (to or f"{name}.md")
        assert path.exists(), link
        assert not anchor or anchor in anchors(path), link
        if path.with_suffix(".zh-CN.md").exists():
            elsewhere.append(to)
    if language:  # of the pages that are there in Chinese, its own English one alone
        assert elsewhere == [f"{name.removesuffix(language)}.md"]
