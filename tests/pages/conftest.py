"""Pages in real Chromium: one browser for the whole session.

Whatever is not on this machine is out of the browser's reach: a page that asked for it would fail.
"""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright
from playwright.sync_api import Error as NavigatedError

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "build" / "node" / "node_modules" / "axe-core" / "axe.min.js"
T = TypeVar("T")
FLAGS = [
    "--no-sandbox", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-domain-reliability", "--no-first-run", "--mute-audio",
    "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

READY = "!!(window.lastgaspBoard?.loaded && document.body.dataset.map && lastgaspBoard.model.power)"
NO_WEBGL = (
    "const get = HTMLCanvasElement.prototype.getContext;"
    "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
    "return /webgl/.test(kind) ? null : get.call(this, kind, ...rest) }"
)

WATCH_SHIFTS = """() => {
  const said = (node) => !node ? "gone" : node.nodeType === 3
    ? `"${node.data.slice(0, 24)}" in ${said(node.parentNode)}`
    : node.id ? `${node.localName}#${node.id}`
    : `${node.localName}.${node.className} < ${said(node.parentElement)}`;
  const box = (r) => `${r.x},${r.y} ${r.width}x${r.height}`;
  window.shifted = [];
  new PerformanceObserver((list) => {
    for (const e of list.getEntries()) {
      const moved = e.sources.map((s) =>
        `  ${said(s.node)}: ${box(s.previousRect)} -> ${box(s.currentRect)}`);
      const head = `${e.value.toFixed(4)} at ${Math.round(e.startTime)} ms`;
      window.shifted.push([e.value, [head, ...moved].join("\\n")]);
    }
  }).observe({type: "layout-shift"});
}"""


# -- in what it is looked at -----------------------------------------------------------------------

Look = tuple[str, tuple[int, int]]  # a theme, and width and height in pixels
WIDE, NARROW = (1440, 900), (390, 844)
EACH = tuple((theme, size) for theme in ("light", "dark") for size in (WIDE, NARROW))
IN_PAIRS = {  # each theme in each size, and each language in both; the phone last
    "zh": (("light", WIDE), ("dark", NARROW)),
    "en": (("dark", WIDE), ("light", NARROW)),
}


@pytest.fixture(
    params=[
        pytest.param(IN_PAIRS, id="in pairs"),
        pytest.param({"zh": EACH, "en": EACH}, id="each with each", marks=pytest.mark.soak),
    ]
)
def looks(request: pytest.FixtureRequest) -> dict[str, tuple[Look, ...]]:
    """Themes and sizes in which a page is looked at, by language."""
    return request.param  # type: ignore[no-any-return]


# -- the browser -----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def browser(left_out: Callable[[str, str], NoReturn]) -> Iterator[Browser]:
    """Debian's Chromium, headless, one for all."""
    program = shutil.which("chromium")
    if program is None:
        left_out("Chromium", "make services (installs chromium as root on Debian)")
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield made
        made.close()


@dataclass
class Reader:
    """Somebody in front of a page, and what the browser complained of."""

    page: Page
    complaints: list[str]

    def hear(self, message: ConsoleMessage) -> None:
        """Keep what the browser complains of; that it draws in software is its own affair."""
        if message.type in ("error", "warning") and "GL Driver" not in message.text:
            self.complaints.append(f"{message.type}: {message.text}")

    def do(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page."""
        return self.page.evaluate(script, *arguments)

    def wait(self, condition: Callable[[], T], what: str, within_s: float = 30) -> T:
        """The first true value."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            with contextlib.suppress(NavigatedError):  # a page on its way has no answer yet
                if value := condition():
                    return value
            self.page.wait_for_timeout(30)
        raise AssertionError(f"waited {within_s} s for {what}")

    def until(self, script: str, what: str = "", within_s: float = 30) -> Any:
        """Wait for a script to be true."""
        return self.wait(lambda: self.page.evaluate(script), what or script, within_s)

    def throttle(self, slower: int) -> None:
        """Let the page's main thread be so many times slower than this machine's."""
        self.page.context.new_cdp_session(self.page).send(
            "Emulation.setCPUThrottlingRate", {"rate": slower}
        )

    def watch_shifts(self) -> None:
        """From now on note what moves on the screen unasked."""
        self.do(WATCH_SHIFTS)

    def shifts(self) -> tuple[float, str]:
        """The layout shifts added up, and in words what moved, from where, to where."""
        seen = self.do("window.shifted")
        return sum(value for value, _ in seen), "\n".join(words for _, words in seen)

    def seen_in(self, looks: Iterable[Look]) -> Iterator[str]:
        """The page as it is, in one look after the other; each one's name."""
        for theme, (width, height) in looks:
            self.do("theme => { document.documentElement.dataset.theme = theme }", theme)
            self.page.set_viewport_size({"width": width, "height": height})
            yield f"{theme} {width}"

    def axe(self) -> list[str]:
        """What axe finds wrong, a line each."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text())  # by the debugger's way: the page's policy holds
        found = self.page.evaluate(
            "(tags) => axe.run(document, {runOnly: tags, resultTypes: ['violations']})", TAGS
        )
        return [
            f"{v['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
            for v in found["violations"]
            for node in v["nodes"]
        ]


@pytest.fixture(scope="session")
def open_page(
    browser: Browser, left_out: Callable[[str, str], NoReturn]
) -> Iterator[Callable[..., Reader]]:
    """Open pages: ``open_page(url, language="zh", theme="dark", size=(390, 844))``."""
    if not AXE.exists():
        left_out("axe-core", "make services (needs npm)")
    contexts: list[BrowserContext] = []

    def opened(
        url: str,
        *,
        language: str = "zh",
        theme: str = "light",
        size: tuple[int, int] = (1440, 900),
        zone: str = "America/New_York",
        **options: Any,
    ) -> Reader:
        locale = "zh-CN" if language == "zh" else "en-US"
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=theme, locale=locale,
            timezone_id=zone, **options,
        )  # fmt: skip
        contexts.append(context)
        page = context.new_page()
        reader = Reader(page, [])
        page.on("console", reader.hear)
        page.on("pageerror", lambda e: reader.complaints.append(f"uncaught: {e}"))
        page.goto(url)
        return reader

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def visit(open_page: Callable[..., Reader]) -> Iterator[Callable[..., Reader]]:
    """As ``open_page``, closed with the test."""
    opened: list[Reader] = []

    def once(*arguments: Any, **options: Any) -> Reader:
        opened.append(open_page(*arguments, **options))
        return opened[-1]

    yield once
    for reader in opened:
        reader.page.context.close()


@pytest.fixture
def board(stage: Any, visit: Callable[..., Reader]) -> Callable[..., Reader]:
    """The board, signed in and drawn."""

    def show(*, drawn: bool = False, page: str = "/board", **options: Any) -> Reader:
        reader = visit("about:blank", **options)
        if not drawn:  # most readers do without the map, which is half of the loading
            reader.page.add_init_script(NO_WEBGL)
        reader.page.goto(stage.link(page=page))
        reader.until(READY, "the board to be drawn", 60)
        return reader

    return show
