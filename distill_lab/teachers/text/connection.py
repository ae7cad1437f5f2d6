"""One connection to a server, kept open from request to request: HTTP/1.1 as it is needed here."""

import asyncio
import base64
import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from distill_lab.teachers.text.byte_stream import ByteStream
from distill_lab.teachers.text.faults import GarbageError, PageError, StatusError
from distill_lab.teachers.text.network import Route
from distill_lab.teachers.text.packing import unpacked

LONGEST_HEAD = 1 << 17  # bytes of a response's head, at most
LINE_END, HEAD_END = re.compile(rb"\n"), re.compile(rb"\r?\n\r?\n")
LAST_CHUNK = 0.05  # seconds for the end of a stream whose last event is there
NO_HTTP = "what came is no HTTP"
HEADERS = {
    "Accept": "application/json, text/event-stream",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
    "User-Agent": "distill-lab",
}


@dataclass(frozen=True)
class Response:
    """A status that is one of an answer, with what came under it.

    Args:
        headers: By their names in small letters.
        raw: All bytes of the body.
    """

    headers: Mapping[str, str]
    raw: bytes


class Connection:
    """Sends requests to one address, one after the other.

    Args:
        url: The address that requests are posted to.
        route: How it is reached.
        headers: Sent with every request; a key among them is kept in this object alone.
        timeout: Seconds without a byte from the server, and to reach it.
    """

    def __init__(self, url: str, route: Route, headers: Mapping[str, str], timeout: float) -> None:
        parts = urlsplit(url)
        self._host, self._secure = parts.hostname or "", parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        self._route, self._timeout = route, timeout
        self._held, self._heard = b"", False  # what was read and not yet used; whether any was
        self._stream: ByteStream | None = None
        host = f"[{self._host}]" if ":" in self._host else self._host.encode("idna").decode()
        self._place = f"{host}:{self._port}"
        target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
        fields = {"Host": parts.netloc if parts.netloc.isascii() else self._place}
        fields |= HEADERS | dict(headers)
        if route.proxy and route.proxy.scheme == "http" and not self._secure:
            target = f"http://{fields['Host']}{target}"
            fields |= _authorization(route)
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._head = f"POST {target} HTTP/1.1\r\n{lines}Content-Length: ".encode("latin-1")

    async def post(self, body: bytes) -> Response:
        """Send one request and read its response.

        Args:
            body: The request's body.

        Returns:
            The response.

        Raises:
            StatusError: For a status that is none of an answer.
            PageError: For a server that sends on to another address; it is not followed, since the
                key is meant for this one.
            GarbageError: For what is no HTTP, or is packed in a way that nobody asked for.
            OSError: Where the network fails; EOFError where the answer ends too early.
        """
        used = self._is_open()
        if not used:
            self.close()
            await self._connect()
        try:
            status, headers, raw = await self._exchange(body)
        except (EOFError, ConnectionError):
            if not used or self._heard:
                raise
            await self._connect()  # the server had hung up before it saw this one
            status, headers, raw = await self._exchange(body)
        raw = unpacked(headers, raw)
        if status >= 400:
            raise StatusError(status, headers, raw)
        if status >= 300:
            to = urlsplit(headers.get("location", ""))
            place = f"{to.scheme}://{to.hostname}" if to.hostname else ""
            if not place + to.path:
                raise PageError(f"the server sent the status {status} and no answer")
            raise PageError(f"the server sends on to {place}{to.path}, which is not followed")
        return Response(headers, raw)

    def _is_open(self) -> bool:
        """Whether there is a line, and the other side has neither hung up nor sent more."""
        return self._stream is not None and self._stream.is_idle and not self._held

    async def _exchange(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send a request over the line and read status, headers and body."""
        assert self._stream is not None
        kept = self._heard = False
        try:
            self._stream.write(self._head + b"%d\r\n\r\n" % len(body) + body)
            version, status, headers = await self._read_head()
            raw, kept = await self._read_body(status, headers)
            words = headers.get("connection", "").lower()
            kept = kept and "close" not in words and (version > "HTTP/1.0" or "alive" in words)
        finally:
            if not kept:
                self.close()
        return status, headers, raw

    def close(self) -> None:
        """Hang up."""
        if self._stream is not None:
            self._stream.abort()
            self._stream = None

    async def _more(self) -> None:
        """Wait for bytes, and hold them."""
        assert self._stream is not None
        piece = await self._stream.read()
        if not piece:
            raise EOFError
        self._heard = True
        self._held = self._held + piece if self._held else piece

    async def _line(self, end: re.Pattern[bytes] = LINE_END) -> bytes:
        """What comes before an end, which is taken too."""
        while (place := end.search(self._held)) is None:
            if len(self._held) > LONGEST_HEAD:
                raise GarbageError(NO_HTTP)
            await self._more()
        line, self._held = self._held[: place.start()], self._held[place.end() :]
        return line

    async def _bytes(self, count: int) -> bytes:
        """So many bytes."""
        parts, left = [self._held[:count]], count - len(self._held)
        self._held = self._held[count:]
        while left > 0:
            await self._more()
            parts.append(self._held[:left])
            self._held, left = self._held[left:], left - len(self._held)
        return b"".join(parts)

    async def _read_head(self) -> tuple[str, int, dict[str, str]]:
        """Version, status and headers; what is said in between (1xx) is passed over."""
        while True:
            raw = await self._line(HEAD_END)
            first, *lines = raw.decode("latin-1").replace("\r\n", "\n").split("\n")
            version, _, rest = first.partition(" ")
            if not version.startswith("HTTP/1.") or not rest[:3].isdecimal():
                raise GarbageError(NO_HTTP)
            if not 100 <= int(rest[:3]) < 200:
                pairs = (line.partition(":") for line in lines)
                return version, int(rest[:3]), {n.lower(): v.strip() for n, _, v in pairs}

    async def _read_body(self, status: int, headers: Mapping[str, str]) -> tuple[bytes, bool]:
        """The body, and whether the line can be used for another."""
        if status in (204, 304):
            return b"", True
        if "chunked" in headers.get("transfer-encoding", "").lower():
            parts, streamed = [], "event-stream" in headers.get("content-type", "")
            chunks = self._chunks()
            async for piece in chunks:
                parts.append(piece)
                if streamed and piece.rstrip().endswith(b"[DONE]"):
                    return b"".join(parts), await self._ends(chunks)
            return b"".join(parts), True
        length = headers.get("content-length", "")
        if length.isdecimal():
            return await self._bytes(int(length)), True
        if length:
            raise GarbageError(NO_HTTP)
        parts = []
        with contextlib.suppress(EOFError):
            while True:
                parts.append(self._held)
                self._held = b""
                await self._more()
        return b"".join(parts), False

    async def _chunks(self) -> AsyncIterator[bytes]:
        """What stands in the chunks of a body."""
        while True:
            try:
                size = int((await self._line()).split(b";")[0], 16)
            except ValueError:
                raise GarbageError(NO_HTTP) from None
            if not size:
                break
            yield await self._bytes(size)
            await self._line()
        while (await self._line()).strip():
            pass  # fields behind the last chunk

    async def _ends(self, chunks: AsyncIterator[bytes]) -> bool:
        """Whether a stream whose last event is there ends in good order, and soon."""
        with contextlib.suppress(TimeoutError, EOFError, OSError, GarbageError):
            async with asyncio.timeout(LAST_CHUNK):
                return [piece async for piece in chunks if piece.strip()] == []
        return False

    async def _connect(self) -> None:
        proxy = self._route.proxy
        host, port = (self._host, self._port) if proxy is None else (proxy.host, proxy.port)
        context = self._route.context if proxy is None else None
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._timeout):
            self._held = b""
            _, self._stream = await loop.create_connection(
                lambda: ByteStream(self._timeout), host, port, ssl=context
            )
            try:
                if proxy is not None and proxy.scheme != "http":
                    await self._ask_socks()
                elif proxy is not None and self._secure:
                    await self._ask_tunnel()
                if proxy is not None and self._route.context is not None:
                    await self._stream.start_tls(self._route.context, self._host)
            except BaseException:
                self.close()
                raise

    async def _ask_tunnel(self) -> None:
        """Ask an HTTP proxy for a line to the server."""
        assert self._stream is not None
        fields = {"Host": self._place} | _authorization(self._route)
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._stream.write(f"CONNECT {self._place} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"))
        _, status, headers = await self._read_head()
        if status != 200:
            raise StatusError(status, headers, b"the proxy gives no line to the server")

    async def _ask_socks(self) -> None:
        """Ask a SOCKS proxy, version 5 (RFC 1928), for a line; it looks the name up itself."""
        proxy, stream, read = self._route.proxy, self._stream, self._bytes
        assert proxy is not None and stream is not None
        user, password = (unquote(text).encode() for text in (proxy.user, proxy.password))
        stream.write(b"\5\2\0\2" if user else b"\5\1\0")
        version, way = await read(2)
        if way == 2 and user:  # RFC 1929
            stream.write(b"\1%c%b%c%b" % (len(user), user, len(password), password))
            way = (await read(2))[1]
        if version != 5 or way != 0:
            raise ConnectionError("the SOCKS proxy does not let this in")
        name = self._host.encode("idna")
        stream.write(b"\5\1\0\3%c%b%b" % (len(name), name, self._port.to_bytes(2, "big")))
        _, code, _, kind = await read(4)
        if code != 0:
            raise ConnectionError(f"the SOCKS proxy does not reach the server (code {code})")
        await read(2 + ({1: 4, 4: 16}.get(kind) or (await read(1))[0]))


def _authorization(route: Route) -> dict[str, str]:
    """The header by which a proxy knows its user."""
    if route.proxy is None or not route.proxy.user:
        return {}
    pair = f"{unquote(route.proxy.user)}:{unquote(route.proxy.password)}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair).decode()}"}
