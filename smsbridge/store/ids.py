"""Row ids that sort by the order of their making (UUIDv7, RFC 9562, 5.7) and stanza ids that never change (v8)."""

import hashlib
import os
import re
import threading
import uuid
from collections.abc import Callable
from datetime import datetime

from smsbridge.clock import to_ms

_ROW_ID = re.compile(r"[0-9a-f]{8}-")
# The name space of our stanza ids. It never changes: a restored database must speak with the same ids.
STANZAS = uuid.UUID("0b0d3c5e-2f5e-5d8a-9c0f-6a4f4d1c7e21")
_LOW = (1 << 62) - 1  # the bits below the variant
_OF_STANZAS = hashlib.sha256(STANZAS.bytes + b"\0")


class Ids:
    """Makes UUIDv7 strings that are strictly increasing within the process, whatever the wall clock does."""

    def __init__(self, now_ms: Callable[[], int], randomness: Callable[[int], bytes] = os.urandom) -> None:
        self._now_ms = now_ms
        self._randomness = randomness
        self._last = 0
        self._lock = threading.Lock()  # transactions run on the store's thread, callers on the loop's

    def start_after(self, last_id: str) -> None:
        """Never make an id that sorts before one that is stored already."""
        if last_id:
            with self._lock:
                self._last = max(self._last, uuid.UUID(last_id).int)

    def new(self) -> str:
        with self._lock:
            self._last = fresh = self._fresh()
        return _written(f"{fresh:032x}")

    def some(self, count: int) -> list[str]:
        """So many at once, in their order, for a third of what one after another would take."""
        if not count:
            return []
        with self._lock:
            first = self._fresh()
            if is_plain := (first & _LOW) + count <= _LOW:
                self._last = first + count - 1
        if not is_plain:  # a carry, once in ages
            return [self.new() for _ in range(count)]
        head, low = _written(f"{first:032x}")[:19], first & (1 << 64) - 1
        tails = [f"{one:016x}" for one in range(low, low + count)]
        return [f"{head}{tail[:4]}-{tail[4:]}" for tail in tails]

    def _fresh(self) -> int:
        """Newer than all that were made."""
        now = self._now_ms() & 0xFFFFFFFFFFFF
        if self._last and now <= self._last >> 80:
            return _following(self._last)  # of one instant: no noise is needed to keep them apart
        noise = int.from_bytes(self._randomness(10))
        return now << 80 | 0x7 << 76 | (noise >> 68 & 0xFFF) << 64 | 0b10 << 62 | noise & _LOW


def least_id(instant: datetime) -> str:
    """No id that was made at this instant or later is less, none that was made before is more."""
    digits = f"{to_ms(instant):012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-000000000000"


def stanza_id(*names: str, order: str = "") -> str:
    """A UUIDv8 of what a stanza is about: the same stanza has the same id for ever (XEP-0359 origin-id).

    `order`: a number, or a row id, that grows from stanza to stanza and is as unchanging as the names. It leads the id,
    so that new ones lie side by side in an index; anywhere in it, each would cost a page of its own.
    """
    digest = _OF_STANZAS.copy()
    digest.update("\0".join(names).encode("utf-8", "surrogatepass"))
    digits = digest.hexdigest()
    lead = digits[:8]
    if order.isascii() and order.isdigit():
        lead = f"{int(order[-18:]) & 0xFFFFFFFF:08x}"
    elif _ROW_ID.match(order):
        lead = order[:8]
    return _written(f"{lead}{digits[8:12]}8{digits[13:16]}8{digits[17:32]}")


def _written(digits: str) -> str:
    # several a text: uuid.UUID would take longer than all the rest of this
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _following(last: int) -> int:
    """The next id: count up in the 62 random bits, carry into the 12 above the variant, then into the time."""
    if last & _LOW < _LOW:
        return last + 1
    middle = (last >> 64 & 0xFFF) + 1
    time = (last >> 80) + (middle >> 12)
    return time << 80 | 0x7 << 76 | (middle & 0xFFF) << 64 | 0b10 << 62
