"""The report in a browser: one sorts, filters, unfolds, follows numbers to their runs, compares, zooms; nothing else is
asked for, and nothing fails."""

import re
import threading
import time
from pathlib import Path

import pytest

from analysis.numbers import written
from analysis.reading.importing import import_results
from analysis.reading.results import Results
from analysis.report import templates
from analysis.report.content import Content
from analysis.report.page import html_report, write_page
from analysis.verdicts.answers import verdicts
from raysweep.ledger.opening import open_ledger
from search_spaces import cifar_scattering
from tests.analysis.original_files import SAMPLE, write_files
from tests.analysis.report import browser
from tests.analysis.sweeps import all_written, ten_thousand_runs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.path() is None, reason="no Chromium on this machine (Debian's package chromium)"),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    import_results(open_ledger(folder / "results"), [write_files(SAMPLE, folder / "files")])
    return Results.read(folder / "results")


@pytest.fixture(scope="module")
def report(results, tmp_path_factory):
    return write_page(results, verdicts(results), tmp_path_factory.mktemp("report"))


@pytest.fixture
def watched(report):
    with browser.opened(report) as watched:
        yield watched
        assert watched.foreign == []
        assert watched.said == []


def column(page, name, i):
    return page.eval_on_selector_all(
        f'table[data-name="{name}"] tbody tr', f"rows => rows.map(row => row.cells[{i}].textContent)"
    )


def heading(page, name, text):
    return page.locator(f'table[data-name="{name}"] th', has_text=re.compile(f"^{re.escape(text)}$"))


def test_a_table_is_sorted_by_a_click_and_by_keys_as_numbers_and_back(watched):
    page = watched.page
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    head = heading(page, "significance", "difference")
    before = column(page, "significance", 4)
    head.click()
    assert column(page, "significance", 4) == sorted(before, key=float)
    assert head.get_attribute("aria-sort") == "ascending"
    head.focus()
    page.keyboard.press("Enter")
    assert column(page, "significance", 4) == sorted(before, key=float, reverse=True)
    page.keyboard.press("Enter")
    assert column(page, "significance", 4) == before


def test_rows_are_filtered_by_words_and_by_values(watched, results):
    page = watched.page
    page.locator("#every-run summary").click()
    box = page.locator("#run-table .tools input")
    box.wait_for()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.type") == "search"
    values = results.frame["final_acc"]
    bound = float(values.median())

    def expect(rows):
        shown = page.eval_on_selector_all("#run-table tbody tr", "rows => rows.map(row => row.cells[0].textContent)")
        assert sorted(shown) == sorted(results.frame[rows]["run"])

    of_random = results.frame["run"].str.contains("rand")
    box.fill(f"final_acc > {bound:.4f}")
    expect(values > bound)
    box.fill("rand")
    expect(of_random)
    box.fill(f"rand final_acc <= {bound:.4f}")
    expect(of_random & (values <= bound))
    box.fill("n_blocks=3")
    expect(results.frame["n_blocks"] == 3)


def test_a_cell_of_the_matrix_leads_to_its_answer_and_unfolds_it(watched):
    page = watched.page
    cell = page.locator("table.matrix td a").first
    target = cell.get_attribute("href")[1:]
    cell.click()
    assert page.evaluate(f"document.getElementById('{target}').closest('details.verdict') !== null")
    assert page.locator(f"#{target}").is_visible()


def test_a_number_leads_to_the_runs_behind_it_and_a_run_to_its_page(watched, report):
    page = watched.page
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    link = page.locator('table[data-name="significance"] tbody tr td a').first
    runs = link.evaluate("link => link.closest('tr').dataset.runs.split(' ')")
    link.click()
    shown = page.eval_on_selector_all("#run-table tbody tr", "rows => rows.map(row => row.cells[0].textContent)")
    assert sorted(shown) == sorted(runs)
    page.locator("#run-table tbody tr a").first.click()
    page.wait_for_load_state()
    assert Path(page.url.removeprefix("file://")).parent == report.parent / "pages"
    assert page.locator("figure.chart svg path.line").count() >= 1
    page.locator('a[href="../report.html"]').first.click()
    page.wait_for_load_state()
    assert page.url.endswith("report.html")


def test_two_arms_are_compared_by_what_differs_alone(watched, results):
    page = watched.page
    page.locator("#compare summary").click()
    names = list(dict.fromkeys(results.frame["experiment"]))[:2]
    page.locator("#compare-one").fill(names[0])
    page.locator("#compare-other").fill(names[1])
    page.locator("#differences tbody tr").first.wait_for()
    fields = page.eval_on_selector_all("#differences tbody tr", "rows => rows.map(row => row.cells[0].textContent)")
    one, other = (results.frame[results.frame["experiment"] == name].iloc[0] for name in names)
    assert "n_blocks" not in fields or one["n_blocks"] != other["n_blocks"]
    assert ("train_size" in fields) == (one["train_size"] != other["train_size"])
    assert "final_acc" in fields
    page.locator("#compare-other").fill(names[0])
    page.get_by_text("differ in nothing").wait_for()


def test_a_curve_is_zoomed_by_dragging_and_by_keys(watched, report):
    page = watched.page
    page.goto(next((report.parent / "pages").glob("*.html")).as_uri())
    svg = page.locator("figure.chart svg").first
    svg.scroll_into_view_if_needed()
    whole = svg.evaluate("svg => [...svg.querySelectorAll('text')].map(text => text.textContent)")
    box = svg.bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.up()
    zoomed = svg.evaluate("svg => [...svg.querySelectorAll('text')].map(text => text.textContent)")
    assert zoomed != whole
    svg.focus()
    page.keyboard.press("Escape")
    assert svg.evaluate("svg => [...svg.querySelectorAll('text')].map(text => text.textContent)") == whole
    page.keyboard.press("+")
    assert svg.evaluate("svg => [...svg.querySelectorAll('text')].map(text => text.textContent)") != whole


def test_numbers_are_written_as_the_tables_write_them(watched):
    """The script's own way of writing against `analysis.numbers`, by a page of its own."""
    values = (
        0.0,
        0.00004,
        0.6,
        3.14159,
        59.6,
        3600.0,
        120_000.0,
        151_234.0,
        500_000.0,
        999_499.0,
        999_500.0,
        250e6,
        1.38e6,
    )
    forms = (0, 2, "M", "s", "p", "+", "n")
    source = (templates.FOLDER / "every_run.js").read_text()
    start, end = source.index("const threeDigits"), source.index("const SOME")
    for form in forms:
        own = [value for value in values if form != "M" or value >= 1]  # parameters are whole
        found = watched.page.evaluate(
            "([code, values, form]) => values.map(new Function('form', code + '; return v => written(v, form)')(form))",
            [source[start:end], own, form],
        )
        assert found == [written(value, form) for value in own], form


def test_the_curves_of_all_runs_are_drawn_when_they_are_unfolded(watched, results):
    page = watched.page
    assert page.locator(".zoomable figure.chart svg").count() == 0
    page.locator(".zoomable summary").click()
    page.locator(".zoomable figure.chart svg").first.wait_for()
    drawn = page.eval_on_selector_all(".zoomable path.line:not(.faint) title", "all => all.map(one => one.textContent)")
    assert len(drawn) == results.frame["experiment"].nunique()


@pytest.mark.parametrize("width", [1200, 800, 400])
def test_the_page_is_no_wider_than_the_screen(report, width):
    with browser.opened(report, width) as watched:
        assert watched.page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_of_ten_thousand_runs_opens_in_three_seconds_and_shows_any_of_them(tmp_path):
    results = Results(frame=ten_thousand_runs(), questions=all_written(cifar_scattering.FAMILY))
    answers = verdicts(results)
    page = html_report(Content.of(results, answers))
    (tmp_path / "report.html").write_text(page)
    with browser.opened("about:blank") as watched:
        started = time.monotonic()
        watched.page.goto((tmp_path / "report.html").as_uri())
        assert time.monotonic() - started < 3
        watched.page.locator("#every-run summary").click()
        watched.page.locator("#run-table .tools input").fill("-s357-")
        watched.page.wait_for_function("document.querySelectorAll('#run-table tbody tr').length === 28")
        assert watched.said == []


def test_a_page_of_a_sweep_that_runs_reloads_itself_and_keeps_what_was_unfolded_and_sorted(results, tmp_path):
    answers = verdicts(results)
    alive = '<section id="live" data-alive="true">RUNS {n}</section>'
    page_file = write_page(results, answers, tmp_path, alive.replace("{n}", "1"))
    stop = threading.Event()

    def write_again():
        n = 1
        while not stop.wait(3):
            n += 1
            write_page(results, answers, tmp_path, alive.replace("{n}", str(n)))

    writer = threading.Thread(target=write_again)
    with browser.opened(page_file) as watched:
        page = watched.page
        page.evaluate("document.getElementById('table-significance').open = true")
        heading(page, "significance", "difference").click()
        page.locator("details.verdict summary").first.click()
        unfolded = page.eval_on_selector_all("details[open][id]", "all => all.map(one => one.id).sort()")
        order = column(page, "significance", 4)
        writer.start()
        try:
            deadline = time.monotonic() + 60
            while "RUNS 1" in page.locator("#live").text_content() and time.monotonic() < deadline:
                page.wait_for_timeout(500)
        finally:
            stop.set()
            writer.join()
        assert "RUNS 1" not in page.locator("#live").text_content()
        assert page.eval_on_selector_all("details[open][id]", "all => all.map(one => one.id).sort()") == unfolded
        assert column(page, "significance", 4) == order
        assert watched.said == []
        assert watched.foreign == []
