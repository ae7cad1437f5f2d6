"""What the environment says of proxies and certificates, and what holds for one address."""

import ipaddress
import os
import ssl
from importlib.util import find_spec
from pathlib import Path
from typing import Any
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
    if is_loopback(parts.hostname) or proxy_bypass(parts.netloc):
        return None
    proxies = getproxies()
    for kind in (parts.scheme, "all"):
        if value := proxies.get(kind):
            names = (f"{kind}_proxy", f"{kind.upper()}_PROXY")
            return next((n for n in names if os.environ.get(n)), "the system's settings"), value
    return None


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


def http_options(url: str) -> dict[str, Any]:
    """Make the HTTP client's arguments for an address.

    This machine is asked directly, and no certificate is looked for where none is needed.

    Args:
        url: The base address.

    Returns:
        `verify` and `trust_env`.

    Raises:
        ValueError: For a variable of the environment that cannot be used, by its name.
        ImportError: Where a SOCKS proxy needs a package that is missing.
    """
    parts = urlsplit(url)
    with needs("certifi"):
        import certifi
    named = certificate_file() if parts.scheme == "https" else None
    folder = named is not None and Path(named).is_dir()
    try:
        context = ssl.create_default_context(
            cafile=None if folder else named or certifi.where(), capath=named if folder else None
        )
    except (OSError, ValueError) as error:
        raise ValueError(
            f"the file of certificates {named} cannot be read ({error}): mend or unset the one of "
            f"{', '.join(CERTIFICATES)} that names it."
        ) from None
    if proxy := proxy_of(url):
        check_proxy(*proxy)
    return {"verify": context, "trust_env": not is_loopback(parts.hostname)}


def check_proxy(name: str, value: str) -> None:
    """Refuse a proxy that cannot be used; its value is not repeated, since it may hold a password.

    Args:
        name: The variable.
        value: What it holds.

    Raises:
        ValueError: For what is no address of a proxy.
        ImportError: Where a SOCKS proxy needs a package that is missing.
    """
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        scheme, host = parts.scheme, parts.hostname
        _ = parts.port
    except ValueError:
        scheme, host = "", None
    if scheme not in ("http", "https", "socks5", "socks5h") or not host:
        raise ValueError(
            f"the environment variable {name} holds no address of a proxy: expected one such as "
            "http://proxy:8080. Mend it, or unset it."
        )
    if scheme.startswith("socks") and find_spec("socksio") is None:
        raise ImportError(
            f"the environment variable {name} names a SOCKS proxy, for which the package "
            "socksio is missing: pip install socksio, or unset the variable."
        )
