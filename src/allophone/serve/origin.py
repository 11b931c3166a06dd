"""Pages of other sites: a browser sends their forms to a server on its own machine, which asks for no key."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from allophone.serve.api_error import ApiError

__all__ = ["is_loopback", "refuse_other_sites"]


def is_loopback(host: str) -> bool:
    """Return whether a name or an address is always this machine's own."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def refuse_other_sites(origin: str | None) -> None:
    """Refuse a request that a page of another site makes in somebody's browser.

    A page may send a form anywhere without asking (a simple request, Fetch Standard, CORS protocol), and a name that
    its owner turns to 127.0.0.1 (DNS rebinding) lets it read the reply too; in both the origin is the page's own.

    Args:
        origin: The header ``Origin``, which every browser sends with a form; None from all other clients.

    Raises:
        ApiError: 403 where it is a web page that does not lie on this machine, or one that hides where it lies.
    """
    if origin is None:
        return
    try:
        parts = urlsplit(origin)
        page = parts.scheme in ("http", "https")
        ours = not page or is_loopback(parts.hostname or "")
    except ValueError:
        ours = False
    if origin == "null" or not ours:
        raise ApiError(
            403,
            f"a page of another site ({origin[:80]}) asks, and without keys only pages of this machine may. Start the "
            "server with --api-key-file, or with --without-keys to let everybody in.",
            code="other_site",
        )
