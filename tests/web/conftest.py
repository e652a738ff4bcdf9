"""A world that goes on for ever, a server of it, and a browser."""

import pytest


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> str:
    """The folder of an untrained world of the toy game whose episodes do not end."""
    from tests.web.visits import endless

    folder = tmp_path_factory.mktemp("world")
    endless().save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def served(world):
    """It is played at the game's own speed."""
    from tests.web.visits import serving

    with serving(world) as server:
        yield server


@pytest.fixture(scope="module")
def browser():
    from tests.web.browser import ARGUMENTS, BROWSER

    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(request, browser):
    """Opens pages, of the class `PAGE` of the test's module if it has one.

    At the end none of them has complained or asked another host for anything.
    """
    from tests.web.browser import Page

    kind, opened = getattr(request.module, "PAGE", Page), []

    def one(address: str, **options) -> Page:
        context = browser.new_context(**{"viewport": {"width": 640, "height": 480}} | options)
        opened.append((context, kind(context.new_page(), address)))
        return opened[-1][1]

    yield one
    for context, page in opened:
        context.close()
        assert page.wrong == [] and page.elsewhere == []
