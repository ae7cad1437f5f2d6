"""The bytes of one connection: sent at once, read as they come, waited for only so long.

What asyncio's own streams do for each piece (a buffer, a timer, a task's scope) costs more than
what is done with a short answer; here a connection has one timer, which is set again only when it
goes off.
"""

import asyncio
import ssl

MOST_UNREAD = 64  # pieces: a server that sends so many and was asked nothing is hung up on


class ByteStream(asyncio.Protocol):
    """Bytes to and from the other side; one reads at a time.

    Args:
        timeout: Seconds without a byte, after which reading fails.
    """

    _transport: asyncio.Transport

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._pieces: list[bytes] = []
        self._ended = False
        self._error: Exception | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due, self._unsent = 0.0, 0

    @property
    def is_idle(self) -> bool:
        """Whether the other side is there, and has sent nothing that was not read."""
        return not (self._ended or self._pieces or self._transport.is_closing())

    def write(self, raw: bytes) -> None:
        """Send bytes; what the system does not take at once goes out while others are read."""
        self._transport.write(raw)
        self._unsent = self._transport.get_write_buffer_size()

    async def read(self) -> bytes:
        """Wait for bytes, and take all that are there.

        Returns:
            The bytes; none at the end.

        Raises:
            TimeoutError: Where none come in time.
            OSError: Where the connection breaks.
        """
        if not self._pieces and not self._ended:
            self._waiting = self._loop.create_future()
            self._due = self._loop.time() + self._timeout
            if self._timer is None:
                self._timer = self._loop.call_at(self._due, self._look)
            try:
                await self._waiting
            finally:
                self._waiting = None
        if not self._pieces and self._error is not None:
            raise self._error
        raw = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        return raw

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Speak in secret from here on.

        Args:
            context: Whom to trust.
            host: The name on the certificate.
        """
        secret = await self._loop.start_tls(self._transport, self, context, server_hostname=host)
        assert secret is not None
        self._transport = secret

    def abort(self) -> None:
        """Hang up."""
        if self._timer is not None:
            self._timer.cancel()
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what bytes go out by."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Hold what came for whoever reads."""
        self._pieces.append(data)
        if len(self._pieces) > MOST_UNREAD:
            self._transport.abort()
        self._wake()

    def eof_received(self) -> None:
        """Take it for the end that nothing more comes; the transport closes itself."""
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Keep why, for whoever reads."""
        self._ended, self._error = True, exc
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _look(self) -> None:
        """Whether who reads has waited long enough; not so long as something still goes out."""
        self._timer = None
        if self._waiting is None or self._waiting.done():
            return
        unsent = self._transport.get_write_buffer_size()
        if unsent < self._unsent:
            self._unsent, self._due = unsent, self._loop.time() + self._timeout
        if self._due > self._loop.time():
            self._timer = self._loop.call_at(self._due, self._look)
        else:
            self._waiting.set_exception(TimeoutError())
