"""Who may open the page: this machine, or whoever knows the token; and no page of somebody else in a browser here."""

import secrets
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from genie_gym.web.config import PageOptions, is_loopback

__all__ = ["HEADERS", "Access"]

# Nothing of the page comes from elsewhere, nor may it be shown inside of another page.
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Access:
    """The token, if there is one, and the checks of a request.

    Attributes:
        token: What a visitor must know; None if only this machine can reach the page.
        cookie: Name of the cookie that keeps it; cookies do not tell ports apart.
    """

    def __init__(self, config: PageOptions):
        drawn = None if is_loopback(config.host) else secrets.token_hex(16)
        self.token = config.token or drawn
        self.cookie = f"genie_gym_{config.port}"

    def knows(self, given: str | None) -> bool:
        """Return whether a word is the token, in a time that tells nothing about it."""
        return self.token is not None and secrets.compare_digest((given or "").encode(), self.token.encode())

    def admits(self, request: HTTPConnection) -> bool:
        """Return whether a request may see and play worlds."""
        return self.is_own(request) and (self.token is None or self.knows(request.cookies.get(self.cookie)))

    def is_own(self, request: HTTPConnection) -> bool:
        """Return whether a request comes from this very page, or from no browser.

        Without a token the page must have been opened under a name of this machine: a stranger's page whose name was
        made to point here (DNS rebinding) has another.
        """
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if self.token is None and not is_loopback(urlsplit(f"//{host}").hostname or ""):
            return False
        return origin is None or urlsplit(origin).netloc == host
