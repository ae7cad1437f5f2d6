"""What to do about what went wrong with a server: try again, set the request aside, or stop."""

from __future__ import annotations

import email.utils
import time
from dataclasses import dataclass
from typing import Any, Literal

from distill_lab.synthesis.wire import Garbage

ANYTHING = Exception  # caught in one place, sorted by judge(), which raises what is no fault there
PASSING = {408, 409, 425, 429}  # and every 5xx but 501
FATAL = {
    401: "the server does not accept the key",
    402: "the account is empty",
    403: "the server does not allow this",
    404: "the server knows no such address or model (does the address end in /v1?)",
    405: "the server does not offer chat completions at this address",
    501: "the server does not offer this",
}
FOREIGN = {"openai", "httpx", "httpx2", "httpcore", "httpcore2", "h11", "anyio", "json", "ssl"}


class TeacherStopped(RuntimeError):
    """Going on is useless for now. What was answered is kept; started again, it goes on there."""


@dataclass(frozen=True)
class Verdict:
    """``act`` on a fault; ``wait`` the seconds a server asked for, None where it asked for none.

    ``alive`` says that a server answered, if only to say no.
    """

    act: Literal["retry", "reject", "stop"]
    words: str
    wait: float | None = None
    alive: bool = False


def judge(error: Exception, timeout: float, key: str = "") -> Verdict:
    """Sort what a call raised. What is neither the server's nor the network's fault is raised."""
    status = getattr(error, "status_code", None)
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return Verdict("retry", f"no answer within {timeout:g} s")
    if not isinstance(status, int):
        root = type(error).__module__.split(".")[0]
        if isinstance(error, Garbage):
            return Verdict("retry", str(error), alive=True)
        if root == "json" or isinstance(error, UnicodeDecodeError):
            return Verdict("retry", "the answer is not JSON", alive=True)
        if root in FOREIGN or isinstance(error, OSError):
            cause = error.__cause__ or error
            return Verdict("retry", scrub(f"{type(error).__name__}: {cause}"[:300], key))
        raise error
    said = scrub(f"{status}: {_said(error)}", key)
    if getattr(error, "code", None) == "insufficient_quota":
        return Verdict("stop", f"{FATAL[402]} ({said})")
    if status in FATAL:
        return Verdict("stop", f"{FATAL[status]} ({said})")
    if status in PASSING or status >= 500 or status < 400:
        wait = _retry_after(error) if status in (429, 503) else None
        return Verdict("retry", f"the server said {said}", wait, alive=True)
    return Verdict("reject", f"the server rejected it with {said}")


def scrub(text: str, key: str) -> str:
    """A text without the key, whatever it holds of it: servers like to quote it.

    >>> scrub("Incorrect API key provided: sk-abcdefgh123", "sk-abcdefgh123")
    'Incorrect API key provided: [key]'
    """
    return text.replace(key, "[key]") if len(key) >= 6 else text


def _said(error: Exception) -> str:
    """The server's own words, shortened."""
    body: Any = getattr(error, "body", None)
    if isinstance(body, dict):
        body = body.get("message") or body.get("detail") or body.get("error") or body
    text = " ".join(str(body or error).split())
    return text if len(text) <= 300 else text[:297] + "..."


def _retry_after(error: Exception) -> float | None:
    """Seconds a server asks to wait: a number, or a date (RFC 9110, section 10.2.3)."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            wait = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        if wait >= 0:
            return max(wait, 0.05)  # a server that says 0 means soon, not in a tight circle
    date = email.utils.parsedate_tz(headers.get("retry-after", ""))
    return None if date is None else max(email.utils.mktime_tz(date) - time.time(), 0.05)
