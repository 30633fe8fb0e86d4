"""The report in a real browser: it loads, asks the network for nothing, draws molecules, sorts, can be gone through."""

import shutil

import numpy as np
import pytest
from browser import chromium
from matplotlib.image import imread

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed (Debian: apt-get install chromium)")

DRAWN = "document.getElementById('viewer').dataset.drawn"
CHOOSE = (
    "((id, value) => { const c = document.getElementById(id); c.value = value; c.dispatchEvent(new Event('change')) })"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(PROGRAM, tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(browser, report):
    """The report of `toy`, freshly opened; whatever a test does, the console stays empty and the network unused."""
    browser.open(report)
    yield browser
    assert browser.errors() == []
    assert set(browser.requests()) == {report.resolve().as_uri()}


def click(page, selector):
    page.value(f"document.querySelector({selector!r}).click()")


def column(page, number):
    """Row names and texts of a column of the table of quality, from the top."""
    rows = "[...document.querySelectorAll('.table[data-name=quality] tbody tr')]"
    return page.value(f"{rows}.map((row) => [row.cells[0].innerText, row.cells[{number}].innerText])")


def picture(page, path):
    """[height, width, 3] what the viewer shows."""
    page.value("document.getElementById('gallery').scrollIntoView()")
    page.wait(f"!!{DRAWN}")
    place = "document.getElementById('viewer').getBoundingClientRect()"
    x, y, width, height = map(round, page.value(f"(({{x, y, width, height}}) => [x, y, width, height])({place})"))
    page.screenshot(path)
    return imread(path)[max(y, 0) : y + height, x : x + width, :3]


def test_the_console_tells_of_an_error_and_of_a_request(browser, tmp_path):
    (tmp_path / "bad.html").write_text("<script>fetch('file:///nothing.json'); nonsense()</script>")
    browser.open(tmp_path / "bad.html")
    browser.wait("true")
    assert any("nonsense" in error for error in browser.errors())
    assert any("nothing.json" in url for url in browser.requests())


def test_what_the_last_page_says_late_is_not_the_next_ones(browser, tmp_path):
    (tmp_path / "late.html").write_text("<script>setInterval(() => console.error('late'), 1)</script>")
    (tmp_path / "good.html").write_text("good")
    browser.open(tmp_path / "late.html")
    browser.wait("true")
    browser.open(tmp_path / "good.html")
    browser.wait("true")
    assert browser.errors() == []
    assert len(browser.requests()) == 1


@pytest.mark.parametrize(("width", "mobile"), [(1400, False), (400, True)])
def test_nothing_but_tables_and_figures_is_wider_than_the_window(page, width, mobile):
    page.resize(width, 800, mobile)
    assert page.value("document.documentElement.scrollWidth <= innerWidth")
    # The names of the rows stay where they are while a table is scrolled.
    scroll = "document.querySelector('.table[data-name=quality] .scroll')"
    left = f"{scroll}.querySelector('tbody th').getBoundingClientRect().left"
    before = page.value(left)
    page.value(f"{scroll}.scrollLeft = 150")
    assert page.value(left) == pytest.approx(before, abs=1)


def column_of(page, table, quantity):
    """The number of a column of a table, by a part of its name in the CSV."""
    return page.value(f"document.querySelector('.table[data-name={table}] th[data-tip*={quantity}]').dataset.column")


def test_a_click_on_a_column_sorts_it(page):
    number = column_of(page, "quality", "legacy_molecule_stability")
    header = f".table[data-name=quality] thead th[data-column='{number}']"

    def values():
        return [float(text.split()[0]) for _, text in column(page, number)]

    before = column(page, number)
    assert len(set(values())) > 1
    click(page, header)
    assert values() == sorted(values(), reverse=True)
    assert page.value(f"document.querySelector({header!r}).ariaSort") == "descending"
    click(page, header)
    assert values() == sorted(values())
    assert sorted(column(page, number)) == sorted(before)


def test_empty_cells_stay_last_in_both_directions(page):
    number = page.value(
        "document.querySelector('.table[data-name=energy] th[data-tip*=energy_per_atom_wasserstein]').dataset.column"
    )
    header = f".table[data-name=energy] thead th[data-column='{number}']"
    last = "[...document.querySelectorAll('.table[data-name=energy] tbody tr')].at(-1).cells[0].innerText"
    for _ in range(2):
        click(page, header)
        assert page.value(last).startswith("cloud")


def test_groups_of_columns_can_be_hidden_and_shown(page):
    button = ".table[data-name=quality] .chooser button[data-group='0']"
    visible = (
        "getComputedStyle(document.querySelector('.table[data-name=quality] td[data-group=\"0\"]')).display !== 'none'"
    )
    assert page.value(visible)
    click(page, button)
    assert not page.value(visible)
    click(page, button)
    assert page.value(visible)


def test_a_column_says_what_it_means(page):
    page.value("document.querySelector('.table[data-name=quality] thead th[data-column=\"1\"]').focus()")
    tip = page.value("document.getElementById('tip').innerText")
    assert "allowed valence" in tip and "Unit: %" in tip and "legacy_atom_stability_pct_up" in tip


def test_the_viewer_draws_and_another_row_or_sample_changes_the_molecule(page, tmp_path):
    first = picture(page, tmp_path / "first.png")
    assert page.value(DRAWN) == "toy/data_test/0/raw"
    assert (np.abs(first - 1).max(2) > 0.2).mean() > 0.01  # more than background
    click(page, "#samples button:nth-child(2)")
    page.wait(f"{DRAWN} === 'toy/data_test/1/raw'")
    second = picture(page, tmp_path / "second.png")
    assert (np.abs(first - second).max(2) > 0.2).mean() > 0.01
    page.value(f"{CHOOSE}('choose-geometry', 'mmff')")
    page.wait(f"{DRAWN} === 'toy/data_test/1/mmff'")
    page.value(f"{CHOOSE}('choose-row', 'ours')")
    page.wait(f"{DRAWN} === 'toy/ours/1/mmff'")
    failed = picture(page, tmp_path / "failed.png")
    assert (np.abs(failed - 1).max(2) > 0.2).mean() < 0.001  # that sample has no atoms
    assert "decode failed" in page.value("document.getElementById('verdicts').innerText")
    assert "no coordinates" in page.value("document.getElementById('elements').innerText")
    # A row without relaxed geometries goes back to raw ones.
    page.value(f"{CHOOSE}('choose-row', 'cloud')")
    page.wait(f"{DRAWN} === 'toy/cloud/1/raw'")


def test_arrow_keys_go_through_the_samples(page):
    page.value("document.getElementById('gallery').scrollIntoView()")
    page.wait(f"!!{DRAWN}")
    page.value("document.getElementById('samples').focus()")
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key="ArrowLeft", code="ArrowLeft", windowsVirtualKeyCode=37)
    page.wait(f"{DRAWN} === 'toy/data_test/7/raw'")
    assert page.value("document.querySelector('#samples [aria-selected=true]').innerText").startswith("7")
