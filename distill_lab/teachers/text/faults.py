"""What went wrong with a server: whether it passes, is one request's own, or stops the run."""

import contextlib
import json
import math
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

Scrub = Callable[[str], str]
FATAL = {
    401: "the server does not accept the key",
    402: "the account is empty",
    403: "the server does not allow this",
    404: "the server knows no such address or model (does the address end in /v1?)",
    405: "the server does not offer chat completions at this address",
    407: "the proxy wants another user or password",
    501: "the server does not offer this",
}
PASSING = {408, 409, 425, 429}  # and every 5xx but 501
CODES = {  # what servers write in place of a status, where the status is that of the gateway
    "insufficient_quota": 402,
    "billing_hard_limit_reached": 402,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "unauthorized": 401,
    "permission_error": 403,
    "permission_denied": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "not_found": 404,
    "context_length_exceeded": 400,
    "invalid_request_error": 400,
    "invalid_argument": 400,
    "badrequesterror": 400,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "resource_exhausted": 429,
    "overloaded_error": 503,
    "unavailable": 503,
}
NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
LONGEST_WAIT = 120.0  # seconds: the longest Retry-After that the client keeps to


class GarbageError(Exception):
    """The server answered, but not with a chat completion."""


class StatusError(Exception):
    """The server answered with a status that is none of an answer.

    Args:
        status: The status.
        headers: What came with it; only Retry-After is read.
        raw: The body.
    """

    def __init__(self, status: int, headers: Mapping[str, str], raw: bytes) -> None:
        super().__init__(f"status {status}")
        self.status, self.wait = status, seconds_asked(headers.get("retry-after"))
        try:
            self.body: Any = json.loads(raw)
        except (ValueError, RecursionError):
            self.body = raw.decode("utf-8", "replace")
        if isinstance(self.body, dict) and self.body.get("error"):
            self.body = self.body["error"]


class PageError(Exception):
    """A web page or another interface's answer: most often the address is wrong."""


class BodyError(Exception):
    """The answer says that it is an error, whatever its status was."""

    def __init__(self, body: Any) -> None:
        super().__init__("an error in the body")
        self.body = body


@dataclass(frozen=True)
class Verdict:
    """What to do about a fault, and why.

    Args:
        act: Ask again, leave this request, or stop the run.
        reason: Why, with the server's own words.
        alive: Whether a server answered, if only to say no.
        page: Whether what came is none of a model's server.
        wait: Seconds that the server asks to wait.
    """

    act: Literal["retry", "reject", "stop"]
    reason: str
    alive: bool = False
    page: bool = False
    wait: float = 0.0


def judge(error: Exception, timeout: float, scrub: Scrub = str) -> Verdict:
    """Sort what one try raised.

    Args:
        error: What was raised.
        timeout: The seconds that were waited for a byte.
        scrub: Takes out of the server's words what no sentence may hold.

    Returns:
        Whether to retry, reject the request or stop the run, with the server's own words.

    Raises:
        Exception: The error itself, where it is neither the server's fault nor the network's.
    """
    if isinstance(error, StatusError):
        return _by_status(error.status, error.body, scrub, error.wait)
    if isinstance(error, BodyError):
        return _by_status(_status_in(error.body), error.body, scrub)
    if isinstance(error, TimeoutError):
        return Verdict("retry", f"no answer within {timeout:g} s")
    if isinstance(error, PageError):
        return Verdict("retry", scrub(str(error)), alive=True, page=True)
    if isinstance(error, GarbageError):
        return Verdict("retry", scrub(str(error)), alive=True)
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError | RecursionError):
        return Verdict("retry", "the answer is not JSON", alive=True)
    if isinstance(error, ssl.SSLCertVerificationError):
        return Verdict(
            "stop",
            f"the server's certificate is not trusted ({error.verify_message}): name the file of "
            "your organisation's certificates in the environment variable SSL_CERT_FILE",
        )
    if isinstance(error, ssl.SSLError) and error.reason in NO_TLS:
        return Verdict("stop", "the server speaks no TLS: does its address begin with http://?")
    if isinstance(error, EOFError):
        return Verdict("retry", "the answer was cut before its end")
    if isinstance(error, OSError):
        number = error.errno or 0  # negative where a name was looked up
        known = os.strerror(number) if number > 0 else error.strerror
        words = scrub(known or str(error) or type(error).__name__)
        return Verdict("retry", f"the connection failed: {words[:200]}")
    raise error


def _by_status(status: int | None, body: Any, scrub: Scrub, wait: float = 0.0) -> Verdict:
    words = _shortened(scrub(_message(body)))  # a key that is cut in two would not be found
    answer = words if status is None else f"{status}: {words}"
    if isinstance(body, dict) and _status_in(body) == 402:
        status = 402
    if status in FATAL:
        return Verdict("stop", f"{FATAL[status]} ({answer})")
    if status is None or status in PASSING or status >= 500 or status < 400:
        if wait > LONGEST_WAIT:
            return Verdict(
                "stop", f"the server asks to wait {wait:.0f} s: start again later, and it goes on."
            )
        return Verdict("retry", f"the server said {answer}", alive=True, wait=wait)
    return Verdict("reject", f"the server rejected it with {answer}")


def _status_in(body: Any) -> int | None:
    """The status that an error's body gives as a number or by name; None where by neither.

    >>> _status_in({"code": "429"}), _status_in({"type": "invalid_request_error"})
    (429, 400)
    """
    if not isinstance(body, dict):
        return None
    given = [body.get(name) for name in ("code", "status", "status_code", "type")]
    for value in given:
        text = str(value).strip().lower()
        if text.isdecimal() and 400 <= int(text) < 600:
            return int(text)
        if text in CODES:
            return CODES[text]
    return None


def seconds_asked(value: str | None, now: datetime | None = None) -> float:
    """Seconds that a Retry-After asks to wait, given as a number or as a date; 0 for none.

    >>> seconds_asked("1.5"), seconds_asked(None), seconds_asked("soon")
    (1.5, 0.0, 0.0)
    """
    if value is None:
        return 0.0
    with contextlib.suppress(ValueError):
        seconds = float(value)
        return seconds if 0 < seconds < math.inf else 0.0
    try:
        then = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return 0.0
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - (now or datetime.now(UTC))).total_seconds())


def _message(body: Any) -> str:
    """The server's own words."""
    if isinstance(body, dict):
        body = body.get("message") or body.get("detail") or body.get("error") or body
    return " ".join(str(body).split())


def _shortened(text: str) -> str:
    return text if len(text) <= 300 else text[:297] + "..."
