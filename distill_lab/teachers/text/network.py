"""What the environment says of proxies and certificates, and what holds for one address."""

import contextlib
import ipaddress
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from distill_lab._util.checks import needs

CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def is_loopback(host: str | None) -> bool:
    """Say whether a host is this very machine.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("api.openai.com")
    (True, True, False)
    """
    name = (host or "").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def proxy_of(url: str) -> tuple[str, str] | None:
    """Find the proxy that the environment names for an address.

    Args:
        url: The address.

    Returns:
        The variable and its value; None for this very machine, and where no proxy applies.
    """
    parts = urlsplit(url)
    proxies = getproxies()
    if is_loopback(parts.hostname) or proxy_bypass(parts.netloc):
        return None
    if _within(parts.hostname, proxies.get("no", "")):
        return None
    for kind in (parts.scheme, "all"):
        if value := proxies.get(kind):
            names = (f"{kind}_proxy", f"{kind.upper()}_PROXY")
            return next((n for n in names if os.environ.get(n)), "the system's settings"), value
    return None


def _within(host: str | None, bypass: str) -> bool:
    """Whether a host is an address in one of the networks, such as 10.0.0.0/8, of a list."""
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return False
    for entry in bypass.split(","):
        with contextlib.suppress(ValueError):
            if "/" in entry and address in ipaddress.ip_network(entry.strip(), strict=False):
                return True
    return False


def proxy_in_words(url: str) -> str:
    """Say through which variable's proxy an address is asked, "" where through none."""
    proxy = proxy_of(url)
    if proxy is None:
        return ""
    return (
        f"asked through the proxy of {proxy[0]} (NO_PROXY={urlsplit(url).hostname} asks directly)"
    )


def certificate_file() -> str | None:
    """Find the file of certificates that the environment names.

    Raises:
        ValueError: For a variable that names no file.
    """
    for name in CERTIFICATES:
        if value := os.environ.get(name):
            if not Path(value).is_file() and not (name != CERTIFICATES[0] and Path(value).is_dir()):
                raise ValueError(
                    f"the environment variable {name} names {value}, and there is no such file: "
                    f"unset it, or name a file of certificates (python -m certifi prints one)."
                )
            return value
    return None


@dataclass(frozen=True)
class Proxy:
    """A proxy and who asks it; `repr` shows no password."""

    scheme: str
    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class Route:
    """How an address is reached.

    Args:
        context: Whom to trust, where the line is to be a secret one.
        proxy: What stands between, if anything.
    """

    context: ssl.SSLContext | None = None
    proxy: Proxy | None = None


def route_to(url: str) -> Route:
    """Find how an address is reached.

    This machine is asked directly, and no certificate is looked for where none is needed.

    Args:
        url: The base address.

    Returns:
        Proxy and certificates, where they apply.

    Raises:
        ValueError: For a variable of the environment that cannot be used, by its name.
    """
    named = proxy_of(url)
    proxy = None if named is None else read_proxy(*named)
    return Route(_context() if urlsplit(url).scheme == "https" else None, proxy)


def _context() -> ssl.SSLContext:
    """Whom to trust: the file or folder that the environment names, else certifi's."""
    with needs("certifi"):
        import certifi
    named = certificate_file()
    folder = named is not None and Path(named).is_dir()
    try:
        return ssl.create_default_context(
            cafile=None if folder else named or certifi.where(), capath=named if folder else None
        )
    except (OSError, ValueError) as error:
        raise ValueError(
            f"the file of certificates {named} cannot be read ({error}): mend or unset the one of "
            f"{', '.join(CERTIFICATES)} that names it."
        ) from None


def read_proxy(name: str, value: str) -> Proxy:
    """Read a proxy's address; its value is not repeated, since it may hold a password.

    Args:
        name: The variable.
        value: What it holds.

    Returns:
        The proxy.

    Raises:
        ValueError: For what is no address of a proxy, and for a proxy that wants TLS itself.
    """
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        scheme, host, port = "", None, None
    if scheme not in ("http", "socks5", "socks5h") or not host:
        wanted = "socks5://proxy:1080" if scheme.startswith("socks") else "http://proxy:8080"
        raise ValueError(
            f"the environment variable {name} holds no address of a proxy that can be used: "
            f"expected one such as {wanted}. Mend it, or unset it."
        )
    default = 80 if scheme == "http" else 1080
    return Proxy(scheme, host, port or default, parts.username or "", parts.password or "")
