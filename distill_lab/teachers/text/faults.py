"""What went wrong with a server: whether it passes, is one request's own, or stops the run."""

from dataclasses import dataclass
from typing import Any, Literal

from distill_lab.teachers.text.secrets import scrub

FATAL = {
    401: "the server does not accept the key",
    402: "the account is empty",
    403: "the server does not allow this",
    404: "the server knows no such address or model (does the address end in /v1?)",
    405: "the server does not offer chat completions at this address",
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
FOREIGN = {"openai", "httpx", "httpx2", "httpcore", "httpcore2", "h11", "anyio", "json", "ssl"}
LONGEST_WAIT = 120.0  # seconds: the longest Retry-After that the client keeps to


class GarbageError(Exception):
    """The server answered, but not with a chat completion."""


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
    """

    act: Literal["retry", "reject", "stop"]
    reason: str
    alive: bool = False
    page: bool = False


def judge(error: Exception, timeout: float, key: str = "") -> Verdict:
    """Sort what a call raised, after the client's own tries.

    Args:
        error: What was raised.
        timeout: The seconds that were waited for a byte.
        key: What no sentence may hold.

    Returns:
        Whether to retry, reject the request or stop the run, with the server's own words.

    Raises:
        Exception: The error itself, where it is neither the server's fault nor the network's.
    """
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return Verdict("retry", f"no answer within {timeout:g} s")
    status = getattr(error, "status_code", None)
    if not isinstance(status, int):
        root = type(error).__module__.split(".")[0]
        if isinstance(error, PageError):
            return Verdict("retry", scrub(str(error), key), alive=True, page=True)
        if isinstance(error, GarbageError):
            return Verdict("retry", str(error), alive=True)
        if isinstance(error, BodyError):
            return _by_status(_status_in(error.body), error, key)
        if root == "json" or isinstance(error, UnicodeDecodeError):
            return Verdict("retry", "the answer is not JSON", alive=True)
        if root in FOREIGN or isinstance(error, OSError):
            cause = error.__cause__ or error
            return Verdict("retry", scrub(f"{type(error).__name__}: {cause}", key)[:300])
        raise error
    return _by_status(status, error, key)


def times_sent(error: Exception) -> int:
    """How often the client sent a request before it raised: it counts in a header."""
    try:
        headers = getattr(getattr(error, "request", None), "headers", {})
    except RuntimeError:  # an error of httpx without its request
        headers = {}
    return int(headers.get("x-stainless-retry-count", 0)) + 1


def _by_status(status: int | None, error: Exception, key: str) -> Verdict:
    words = _message(error)
    answer = scrub(words if status is None else f"{status}: {words}", key)
    if getattr(error, "code", None) == "insufficient_quota":
        status = 402
    if status in FATAL:
        return Verdict("stop", f"{FATAL[status]} ({answer})")
    if status is None or status in PASSING or status >= 500 or status < 400:
        if (wait := _retry_after(getattr(error, "response", None))) > LONGEST_WAIT:
            return Verdict(
                "stop", f"the server asks to wait {wait:.0f} s: start again later, and it goes on."
            )
        return Verdict("retry", f"the server said {answer}", alive=True)
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


def _retry_after(response: Any) -> float:
    """Seconds a server asks to wait; 0 where it says nothing, or a date."""
    try:
        return float(response.headers.get("retry-after", 0))
    except (ValueError, AttributeError):
        return 0.0


def _message(error: Exception) -> str:
    """The server's own words, shortened."""
    body: Any = getattr(error, "body", None)
    if isinstance(body, dict):
        body = body.get("message") or body.get("detail") or body.get("error") or body
    text = " ".join(str(body or error).split())
    return text if len(text) <= 300 else text[:297] + "..."
