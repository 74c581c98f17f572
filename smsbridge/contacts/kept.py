"""What was read of an address book, kept beside the database: names do not wait for its server after a restart.

One JSON file a book, for us alone, there whole or not at all; what is damaged, or of another place or other owners, is
as good as none. Losing one costs a fetch.
"""

import base64
import hashlib
import json
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from smsbridge.contacts.carddav import LARGEST, Account
from smsbridge.contacts.cards import picture_of
from smsbridge.core.address import Peer, normalise_peer
from smsbridge.core.faces import Book, Face, Picture
from smsbridge.core.text import clean_name

_ENDING: Final = ".json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a book is (a file, or an account), who sees it (None: every owner), and the country of its numbers."""

    file: Path | None = None
    account: Account | None = None
    owners: tuple[str, ...] | None = None
    region: str = "US"

    @property
    def mark(self) -> str:
        """Tells it from others, without the password."""
        place = (self.account.url, self.account.username) if self.account else (str(self.file), "")
        return hashlib.sha256(json.dumps([place, self.owners, self.region]).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A book as it was read when it had this tag. `made`: pictures that were made small, by the SHA-1 of the large."""

    source: Source
    tag: str
    faces: Mapping[Peer, Face] = field(repr=False)
    made: Mapping[str, Picture] = field(default_factory=dict, repr=False)
    book: Book = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "book", Book(self.faces, self.source.owners))


class Keeper:
    """The files of one directory, made when it is first needed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self, name: str, source: Source) -> Kept | None:
        """What is kept of this book, if it is of this source."""
        try:
            with self._path(name).open("rb") as file:
                kept = json.loads(file.read(2 * LARGEST))
            if kept["source"] != source.mark:
                return None
            pictures = {sha1: _picture(written) for sha1, written in kept["pictures"].items()}
            faces = {
                normalise_peer(peer): Face(name=clean_name(called), picture=pictures.get(sha1))
                for peer, called, sha1 in kept["faces"]
            }
            made = {large: picture for large, sha1 in kept["made"].items() if (picture := pictures.get(sha1))}
            return Kept(source=source, tag=str(kept["tag"]), faces=faces, made=made)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def save(self, name: str, kept: Kept) -> None:
        """Keep it, if there is room."""
        pictures = [*kept.made.values(), *(face.picture for face in kept.faces.values() if face.picture)]
        written = {
            "source": kept.source.mark,
            "tag": kept.tag,
            "pictures": {one.sha1: base64.b64encode(one.data).decode() for one in pictures},
            "faces": [[peer, face.name, face.sha1] for peer, face in kept.faces.items()],
            "made": {large: picture.sha1 for large, picture in kept.made.items()},
        }
        with suppress(OSError):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = self._path(name).with_suffix(".new")
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(written, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path(name))

    def drop_others(self, names: Collection[str]) -> None:
        """Keep these books and no others."""
        with suppress(OSError):
            for file in self._directory.iterdir():
                if file.stem not in names:
                    file.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}{_ENDING}"


def _picture(written: Any) -> Picture | None:
    return picture_of(base64.b64decode(written, validate=True))
