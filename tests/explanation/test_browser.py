"""The page as a reader has it: headless Chromium opens it, clicks and reads."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import keras_rnnlm as krl
from keras_rnnlm.explanation.page import html
from tests.conftest import needs_browser
from tests.explanation.models import TEXT, characters, words

HOSTILE = 'a <b>bold</b> </script><script>window.harmed=1</script> & "it" \' <!-- é'


class Opened:
    """A page that is open, and what went wrong with it."""

    def __init__(self, browser: Any, path: Path, **context: Any) -> None:
        self.page = browser.new_page(**context)
        self.page.set_default_timeout(120_000)
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._console)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-ready=true]", timeout=60_000)

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def text(self, selector: str) -> str:
        return str(self.page.inner_text(selector))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = needs_browser()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"], timeout=120_000
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def found() -> Any:
    lm = characters(cell="lstm", attention=4)
    return krl.explain(lm, TEXT, tokens=40, sample=400, reach=8, text_name="a text")


@pytest.fixture(scope="module")
def opened(browser: Any, found: Any, tmp_path_factory: Any) -> Opened:
    path = tmp_path_factory.mktemp("page") / "report.html"
    found.save(path)
    return Opened(browser, path)


def test_it_loads_nothing_and_has_no_errors(opened: Opened) -> None:
    assert opened.errors == []
    assert len(opened.requests) == 1 and opened.requests[0].startswith("file:")
    assert "model reads a text" in opened.page.title()


def test_the_text_stands_there(opened: Opened, found: Any) -> None:
    spans = opened.page.locator("#tokens [role=option]")
    assert spans.count() == 40
    assert "".join(spans.all_inner_texts()).replace("⏎", "") == TEXT[:40]
    colours = spans.evaluate_all("all => all.map(s => getComputedStyle(s).background)")
    assert len(set(colours)) > 10


def test_a_click_shows_what_was_expected(opened: Opened, found: Any) -> None:
    token = found.to_json()["tokens"][17]
    opened.page.locator("#tokens [data-place='17']").click()
    detail = opened.text("#detail")
    assert f"{token['nats']:.3f} nats" in detail
    assert f"{token['bits']:.2f} bits" in detail
    rows = opened.page.locator("#alternatives tr").all_inner_texts()
    assert len(rows) in (5, 6)
    likeliest = token["alternatives"][0]
    share = 100 * likeliest["probability"]
    assert (f"{share:.1f}%" if share >= 10 else f"{share:.2f}%") in rows[0]
    sums = found.attribution.gradients[17].sum()
    told = opened.text("#attribution-note").replace("−", "-")
    assert f"{sums:.3f}" in told and "completeness error" in told
    assert opened.page.locator("#context span").count() == 9


def test_the_ways_of_attribution_can_be_chosen(opened: Opened, found: Any) -> None:
    opened.page.locator("#tokens [data-place='20']").click()
    opened.page.select_option("#method", label="occlusion")
    best = max(found.attribution.occlusion[20], key=abs)
    rows = opened.page.locator("#contributions tr").all_inner_texts()
    assert f"{best:.3f}".replace("-", "−") in rows[0]
    opened.page.select_option("#method", label="attention")
    weight = found.attention[0].weights[0, 20].max()
    rows = opened.page.locator("#contributions tr").all_inner_texts()
    assert f"{weight:.3f}" in rows[0]
    opened.page.select_option("#method", label="integrated gradients")


def test_the_keyboard_moves_from_token_to_token(opened: Opened) -> None:
    opened.page.locator("#tokens [data-place='3']").click()
    chosen = opened.page.locator("#tokens [aria-selected=true]")
    for key, place in (("ArrowRight", 4), ("End", 39), ("ArrowLeft", 38), ("Home", 0)):
        opened.page.keyboard.press(key)
        assert chosen.get_attribute("data-place") == str(place)
    assert chosen.count() == 1
    assert opened.page.evaluate("document.activeElement.dataset.place") == "0"


def test_a_unit_is_shown_over_the_text(opened: Opened, found: Any) -> None:
    probe = found.probes.found[0]
    row = opened.page.locator("#probes tbody tr").first
    assert f"{probe.area:.3f}" in row.inner_text()
    row.locator("button").click()
    note = opened.text("#colour-note")
    assert f"layer {probe.layer + 1} unit {probe.unit}" in note
    opened.page.select_option("#colour", "0")


def test_heat_maps_and_curves_are_drawn(opened: Opened, found: Any) -> None:
    canvases = opened.page.locator("#gates canvas")
    assert canvases.count() == 2
    painted = canvases.first.evaluate(
        "c => new Set(c.getContext('2d')"
        ".getImageData(0, 0, c.width, c.height).data).size"
    )
    assert painted > 20
    canvases.first.hover(position={"x": 5 * 13 + 4, "y": 2})
    assert "forget gate, unit" in opened.text("#gates")
    assert opened.page.locator("#memory circle").count() == len(found.memory.contexts)
    assert f"{found.calibration.error:.4f}" in opened.text("#calibration")


def test_a_token_among_equals_has_its_own_row(
    browser: Any, found: Any, tmp_path: Path
) -> None:
    """As likely as those of the list, it is of their rank and not among them."""
    figures = found.to_json()
    token = figures["tokens"][17]
    token["rank"] = 1
    for i, other in enumerate(token["alternatives"]):
        other.update(token=f"other {i}", probability=token["probability"])
    (tmp_path / "equals.html").write_text(html(figures), encoding="utf-8")
    opened = Opened(browser, tmp_path / "equals.html")
    opened.page.locator("#tokens [data-place='17']").click()
    assert opened.page.locator("#alternatives tr").count() == 6
    assert opened.page.locator("#alternatives tr.came").count() == 1


def repeated(figures: Any, count: int, times: int) -> Any:
    """Figures in which every list of `count` stands several times in a row."""
    if isinstance(figures, dict):
        return {key: repeated(part, count, times) for key, part in figures.items()}
    if isinstance(figures, list):
        parts = [repeated(part, count, times) for part in figures]
        return parts * times if len(parts) == count else parts
    return figures


def test_a_long_text_on_a_fine_screen(browser: Any, found: Any, tmp_path: Path) -> None:
    page = html(repeated(found.to_json(), 40, 50))
    (tmp_path / "long.html").write_text(page, encoding="utf-8")
    opened = Opened(browser, tmp_path / "long.html", device_scale_factor=2)
    assert opened.errors == []
    assert opened.page.locator("#tokens [role=option]").count() == 2000
    canvases = opened.page.locator("#gates canvas")
    for width, height, last in canvases.evaluate_all(
        "all => all.map(c => [c.width, c.height, c.getContext('2d')"
        ".getImageData(c.width - 99, 0, 99, c.height).data.some(value => value > 0)])"
    ):
        assert 16000 < width <= 16384 and height <= 16384
        assert last  # it is drawn to its end


def test_markup_in_a_text_stays_text(browser: Any, tmp_path: Path) -> None:
    lm = words(HOSTILE)
    krl.explain(lm, HOSTILE, tokens=50, name="<i>m</i>").save(tmp_path / "h.html")
    opened = Opened(browser, tmp_path / "h.html")
    assert opened.errors == []
    assert opened.page.evaluate("window.harmed") is None
    assert (
        opened.page.locator("b, i:not([style]), body script:nth-of-type(3)").count()
        == 0
    )
    shown = "".join(opened.page.locator("#tokens [role=option]").all_inner_texts())
    assert shown.replace("⏎", "").strip() == HOSTILE
    for place in range(opened.page.locator("#tokens [role=option]").count()):
        opened.page.locator(f"#tokens [data-place='{place}']").click()
    assert opened.errors == [] and opened.page.evaluate("window.harmed") is None


def test_in_the_dark_and_on_a_narrow_screen(
    browser: Any, found: Any, tmp_path: Path
) -> None:
    found.save(tmp_path / "report.html")
    opened = Opened(
        browser,
        tmp_path / "report.html",
        color_scheme="dark",
        viewport={"width": 390, "height": 800},
    )
    assert opened.errors == []
    ground = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(22, 24, 28)"
    wide = opened.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390  # nothing is cut off
