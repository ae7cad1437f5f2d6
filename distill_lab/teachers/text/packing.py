"""Bodies that a server or a proxy packed, though nobody asked for it."""

import gzip
import zlib
from collections.abc import Mapping

from distill_lab.teachers.text.faults import GarbageError

PLAIN = (b"", *(bytes([letter]) for letter in b'{[<:de"'))  # how a body begins that is not packed


def unpacked(headers: Mapping[str, str], raw: bytes) -> bytes:
    """A body as it was before the server packed it, unasked.

    Proxies unpack a body and leave the header, or the other way round: its bytes count for more.

    Args:
        headers: Those of the response, by their names in small letters.
        raw: Its body.

    Returns:
        The bytes.

    Raises:
        GarbageError: For another way to pack than gzip and deflate, and for what is broken.
    """
    names = f"{headers.get('transfer-encoding', '')},{headers.get('content-encoding', '')}".lower()
    packing = {name.strip() for name in names.split(",")} - {"", "identity", "chunked"}
    if unknown := packing - {"gzip", "x-gzip", "deflate"}:
        name = unknown.pop()[:40]
        raise GarbageError(f"the server packed the answer as {name!r}, which nobody asked")
    try:
        while raw.startswith(b"\x1f\x8b"):
            raw = gzip.decompress(raw)
        if "deflate" in packing and raw.strip()[:1] not in PLAIN:
            raw = zlib.decompress(raw, 15 if raw[0] & 15 == 8 else -15)  # with its head or without
    except (zlib.error, EOFError, OSError):
        raise GarbageError("the answer is packed, and broken") from None
    if packing and raw.strip()[:1] not in PLAIN:
        raise GarbageError("the answer is packed, and broken")
    return raw
