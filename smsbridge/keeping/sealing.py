"""A file that nobody can read or change without its key: libsodium's secretstream (XChaCha20-Poly1305), by PyNaCl.

    "smsbridge sealed 1\\n"   24 bytes of libsodium's   (length, 4 bytes, big-endian; a sealed piece)…

Each piece is bound to its place, and the last one is marked, so nothing can be left out, moved, or cut off unseen.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, Final

from smsbridge.core.errors import SmsbridgeError

MAGIC: Final = b"smsbridge sealed 1\n"
PIECE: Final = 64 * 1024
_LENGTH: Final = 4
_KEY: Final = re.compile(r"[0-9a-fA-F]{64}")


class CannotUnseal(SmsbridgeError):
    """Not with this key, or not any more; or what it takes is not installed."""


class Key:
    """32 bytes, which no repr shows."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret

    def __repr__(self) -> str:
        return "Key(…)"


def read_key(path: Path) -> Key:
    """The key of a file of 64 hexadecimal digits. Raises `CannotUnseal`."""
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeError) as error:
        raise CannotUnseal(f"the key file cannot be read: {getattr(error, 'strerror', 'it is no text')}") from None
    if not _KEY.fullmatch(text):
        raise CannotUnseal("a key file holds 64 hexadecimal digits: openssl rand -hex 32 > backup.key")
    return Key(bytes.fromhex(text))


class Sealer:
    """A writer that seals what it is given; `close` writes the last piece, and leaves the file open."""

    def __init__(self, file: BinaryIO, key: Key) -> None:
        nacl = _libsodium()
        self._file = file
        self._pending = bytearray()
        self._state = nacl.crypto_secretstream_xchacha20poly1305_state()
        file.write(MAGIC + nacl.crypto_secretstream_xchacha20poly1305_init_push(self._state, key.secret))

    def write(self, data: bytes) -> int:
        self._pending += data
        while len(self._pending) > PIECE:
            self._push(bytes(self._pending[:PIECE]), is_last=False)
            del self._pending[:PIECE]
        return len(data)

    def flush(self) -> None:
        """What is pending becomes a piece when it is one."""

    def close(self) -> None:
        self._push(bytes(self._pending), is_last=True)
        self._pending.clear()

    def _push(self, piece: bytes, *, is_last: bool) -> None:
        nacl = _libsodium()
        final = nacl.crypto_secretstream_xchacha20poly1305_TAG_FINAL
        tag = final if is_last else nacl.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
        sealed = nacl.crypto_secretstream_xchacha20poly1305_push(self._state, piece, MAGIC, tag)
        self._file.write(len(sealed).to_bytes(_LENGTH) + sealed)


def unseal(file: BinaryIO, key: Key) -> Iterator[bytes]:
    """The pieces of a sealed file whose `MAGIC` has been read. Raises `CannotUnseal`."""
    nacl = _libsodium()
    from nacl.exceptions import CryptoError  # noqa: PLC0415  # it is there now

    state = nacl.crypto_secretstream_xchacha20poly1305_state()
    begin = file.read(nacl.crypto_secretstream_xchacha20poly1305_HEADERBYTES)
    most = PIECE + nacl.crypto_secretstream_xchacha20poly1305_ABYTES
    is_last = False
    try:
        nacl.crypto_secretstream_xchacha20poly1305_init_pull(state, begin, key.secret)
        while not is_last:
            length = int.from_bytes(file.read(_LENGTH))
            sealed = file.read(length) if 0 < length <= most else b""
            if len(sealed) != length or not length:
                raise CannotUnseal("the sealed file is cut off or damaged")
            piece, tag = nacl.crypto_secretstream_xchacha20poly1305_pull(state, sealed, MAGIC)
            is_last = tag == nacl.crypto_secretstream_xchacha20poly1305_TAG_FINAL
            yield piece
    except CryptoError as error:
        raise CannotUnseal("not with this key, or the sealed file is damaged") from error
    if file.read(1):
        raise CannotUnseal("something was added to the sealed file")


def _libsodium() -> ModuleType:
    try:
        from nacl import bindings  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as error:
        raise CannotUnseal(
            "sealed backups need what is not installed here (PyNaCl): pip install 'smsbridge[backup]'"
        ) from error
    return bindings
