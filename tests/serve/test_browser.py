"""Every page in a real browser: narrow and wide, light and dark, by keyboard, without errors and without the web."""

import contextlib
import shutil

import msgspec
import pytest
from asking import sound, written

from tools import screenshots
from toprope.journal.ledger import SqliteLedger
from toprope.journal.records import Note
from toprope.journal.spec import Plan, Researchers
from toprope.run import notes
from toprope.serve.server import in_thread

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.browser]

CONTRAST = """() => {
  const rgb = (c) => c.match(/[\\d.]+/g).map(Number);
  const linear = (v) => v / 255 <= .03928 ? v / 255 / 12.92 : ((v / 255 + .055) / 1.055) ** 2.4;
  const light = (c) => { const [r, g, b] = c.map(linear);
    return .2126 * r + .7152 * g + .0722 * b; };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > .99) return c.slice(0, 3); } return [255, 255, 255]; };
  const found = [];
  for (const e of document.querySelectorAll('main *, header *, footer *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || e.closest('.hidden, .skip, option') || !e.getClientRects().length) continue;
    const svg = e.ownerSVGElement !== undefined && e.ownerSVGElement !== null;
    if (svg && e.tagName !== 'text') continue;
    const style = getComputedStyle(e);
    const a = light(rgb(svg ? style.fill : style.color).slice(0, 3)), b = light(behind(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    const sign = e.textContent.trim() === '●';
    if (ratio < (large || sign ? 3 : 4.5))
      found.push(`${e.tagName}.${e.className.baseVal ?? e.className} ${ratio.toFixed(2)} ${e.textContent.slice(0, 9)}`);
  }
  return [...new Set(found)].slice(0, 5); }"""

STOPS = "a[href], button, input:not([type=hidden]), select, summary"
FOCUS = """() => { const e = document.activeElement, s = getComputedStyle(e);
  return { tag: e.tagName, name: e.textContent.trim() || e.name || e.getAttribute('aria-label') || '',
    seen: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2 && e.getClientRects().length > 0 }; }"""


@pytest.fixture(scope="module")
def chromium():
    if shutil.which("chromium") is None:
        pytest.skip("no chromium on this machine; install the system's package")
    pytest.importorskip("playwright", reason="playwright is missing; pip install 'toprope[dev]'")
    with screenshots.browser() as found:
        yield found


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("browser")
        patch.setenv("TOPROPE_VAULT", str(folder / "vault"))
        yield screenshots.made(folder)


@pytest.fixture(scope="module")
def served(runs):
    with in_thread(runs) as found:
        yield found


def test_every_page_in_both_widths_and_schemes(chromium, served, runs, tmp_path, capsys):
    """No error on the console, no request to another host, nothing wider than the window."""
    base, token = served
    wrong = screenshots.shoot(chromium, base, token, screenshots.pages(runs), tmp_path, [], False)
    assert not wrong, capsys.readouterr().out
    assert len(list(tmp_path.glob("*.png"))) >= 4 * 10


@contextlib.contextmanager
def entered(chromium, served, width=1400, scheme="light", **options):
    base, token = served
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
    page = context.new_page()
    page.goto(f"{base}/?token={token}")
    yield page, base
    context.close()


@pytest.mark.parametrize("scheme", screenshots.SCHEMES)
def test_text_can_be_read(chromium, served, runs, scheme):
    """A contrast of 4.5 to 1, or 3 to 1 for large text and signs (WCAG 2.2, 1.4.3 and 1.4.11), on every page."""
    with entered(chromium, served, scheme=scheme) as (page, base):
        for name, address in screenshots.pages(runs).items():
            page.goto(base + address)
            assert page.evaluate(CONTRAST) == [], name


def test_the_keyboard_reaches_everything(chromium, served, runs):
    """Each press of Tab goes on to something that can be seen to have the focus; the first leads to the content."""
    with entered(chromium, served) as (page, base):
        for name, address in screenshots.pages(runs).items():
            page.goto(base + address)
            stops = page.evaluate(f"document.querySelectorAll('{STOPS}').length")

            seen = []
            for _ in range(min(stops, 40)):
                page.keyboard.press("Tab")
                seen.append(page.evaluate(FOCUS))
            assert seen[0]["name"] == "to the content", name
            assert all(s["seen"] for s in seen), (name, [s for s in seen if not s["seen"]])
            assert all(s["name"] for s in seen), (name, [s for s in seen if not s["name"]])


def test_pages_work_without_scripts(chromium, served, runs):
    """Filters, the slider's button and links are plain forms and links."""
    with entered(chromium, served, java_script_enabled=False) as (page, base):
        page.goto(base + screenshots.pages(runs)["replay"])
        page.get_by_role("link", name="last", exact=True).click()
        assert "until=" in page.url
        page.goto(f"{base}/")
        page.get_by_role("searchbox").fill("longer")
        page.get_by_role("button", name="Show").click()
        assert page.locator("tbody tr").count() == 1


def test_a_page_follows_a_climb_by_itself(chromium, cli, tmp_path):
    """Parts that change are taken over while somebody looks, and the page is not loaded again."""
    run = tmp_path / "runs" / "live"
    climb = cli.start("climb", "testing/coin-v1", "--minutes", 5, "--workers", 1, "--run", run)
    try:
        while not (run / "ledger.db").is_file():
            assert climb.poll() is None
        with in_thread(tmp_path / "runs") as served, entered(chromium, served) as (page, base):
            page.goto(f"{base}/runs/live")
            while "Is it real?" not in page.content():
                page.wait_for_timeout(300)
                page.reload()
            page.evaluate("window.mark = 1")
            page.locator("button.stop").focus()
            before = page.locator("#head").inner_text()
            page.wait_for_function("before => document.getElementById('head').textContent !== before", arg=before)
            assert page.evaluate("window.mark") == 1
            assert page.evaluate("document.activeElement.textContent") == "Stop this climb"  # its part was replaced
            page.get_by_role("button", name="Stop this climb").click()
            assert "asked to stop" in page.get_by_role("status").inner_text()
        assert climb.wait(60) == 130
    finally:
        climb.kill()
        climb.communicate()


def test_a_note_is_written_while_the_page_follows(chromium, tmp_path):
    """What somebody types stays when another note arrives; the form can be read and reached, and sends the note."""
    s = sound(tested=False)
    spec = msgspec.structs.replace(s.opening.spec, climber=Researchers(Plan("p/m", 1, ["a"])))
    s.opening = msgspec.structs.replace(s.opening, spec=spec)
    run = written(tmp_path / "runs" / "live", s, Note(1, "", "x" * 300, "0-a", 1.0, 0))
    (run / "researchers" / "ada" / "room").mkdir(parents=True)
    climb = SqliteLedger(run / "ledger.db")  # holds the run
    with in_thread(tmp_path / "runs") as served, entered(chromium, served, width=390) as (page, base):
        page.goto(f"{base}/runs/live")
        assert page.evaluate(CONTRAST) == []
        assert page.evaluate(screenshots.WIDER) == []
        words = page.get_by_label("note", exact=True)
        words.fill("try a high")
        page.get_by_role("heading", level=1).click()
        climb.append(Note(2, "ada", "meanwhile", "0-b", 2.0, 0))
        page.locator("#notes", has_text="meanwhile").wait_for()
        assert words.input_value() == "try a high"
        page.locator("select[name=to]").select_option("ada")
        words.focus()
        page.keyboard.press("End")
        page.keyboard.type(" skill")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert "The note waits" in page.get_by_role("status").inner_text()
    (path,) = notes.waiting(run)
    sent = msgspec.json.decode(path.read_bytes(), type=notes.Sent)
    assert (sent.to, sent.text) == ("ada", "try a high skill")
    climb.close()
