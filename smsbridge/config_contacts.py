"""Names, pictures and address books in the configuration: the models, and what is read of files before they see it.

    contacts:     {"+15559870002": Mum}                       or {name: Mum, photo: mum.jpg}
    contacts_of:  {ann@example.com: {"+15559870002": Grandma}}
    address_books: {home: {url: https://…, username: john, password_file: …, owners: [john@example.com]}}

Only `config`, `config_schema` and what the service is told by them import this.
"""

import os
import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Protocol
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, InstanceOf, SecretStr, WithJsonSchema, model_validator

from smsbridge.config_types import Owner, Region
from smsbridge.config_yaml import Place, os_words, quoted
from smsbridge.contacts.cards import picture_of
from smsbridge.core.address import E164, Peer, PeerKind, kind_of, normalise_peer
from smsbridge.core.faces import LARGEST_PICTURE, Book, Face, Picture
from smsbridge.core.text import clean_name

BOOK_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class Tell(Protocol):
    """Tells a problem of the configuration."""

    def __call__(self, words: str, place: Place, *, is_warning: bool = False) -> None: ...


WithSecrets = Callable[[type[BaseModel], Mapping[str, Any], Place], dict[str, Any]]


def _peer(text: str) -> Peer:
    peer = normalise_peer(text)
    if peer != text and kind_of(peer) is PeerKind.E164:
        raise ValueError(f'not a number in E.164 form (+ and digits): write "{quoted(text)}"')
    if text.startswith("+") and not E164.fullmatch(text):
        raise ValueError("not a number in E.164 form (+ and digits, such as +15559870002)")
    return peer


def _name(text: str) -> str:
    if not (name := clean_name(text)):
        raise ValueError("this cannot be a name: there is nothing in it that shows, or it is a number itself")
    return name


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        is_plain = bool(host and not parts.username and not parts.query and not parts.fragment and parts.port != 0)
    except ValueError:
        is_plain = False
    if not is_plain or parts.scheme not in {"https", "http"}:
        raise ValueError("the URL of an address book is expected, such as https://dav.example.com/john/contacts/")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ValueError("must begin with https://, since the password goes there")
    return text


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


PeerKey = Annotated[Peer, AfterValidator(_peer)]
Photo = Annotated[
    InstanceOf[Picture], WithJsonSchema({"type": "string", "description": "the path of a file, 40 KiB at most"})
]


class _Section(BaseModel, extra="forbid", frozen=True, hide_input_in_errors=True):
    """As every section: unknown keys are a problem, and no error carries what was written."""


class ContactSettings(_Section):
    """Who has a number."""

    name: Annotated[str, AfterValidator(_name)] | None = Field(default=None, description="what the number is called")
    photo: Photo | None = Field(default=None, description="a picture: JPEG, PNG, GIF or WebP, 40 KiB at most")

    @model_validator(mode="after")
    def _says_something(self) -> "ContactSettings":
        if self.name is None and self.photo is None:
            raise ValueError("a name or a photo is missing")
        return self


class BookSettings(_Section):
    """An address book: a file of vCards, or one on a CardDAV server."""

    file: Path | None = Field(default=None, description="a file of vCards (.vcf)")
    url: Annotated[str, AfterValidator(_url)] | None = Field(default=None, description="an address book (CardDAV)")
    username: str | None = Field(default=None, description="who signs in there")
    password: SecretStr | None = None
    owners: tuple[Owner, ...] | None = Field(default=None, description="who sees its names; default: every owner")
    region: Region | None = Field(
        default=None, description="the country of numbers without one; default: that of the first number in jids"
    )

    @model_validator(mode="after")
    def _is_one_place(self) -> "BookSettings":
        if (self.file is None) == (self.url is None):
            raise ValueError("write either file: or url:")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together")
        if ":" in (self.username or ""):
            raise ValueError("a username has no colon (RFC 7617)")
        if self.username is not None and self.url is None:
            raise ValueError("a file takes no username")
        return self


Contacts = dict[PeerKey, ContactSettings]


def open_sections(tree: Mapping[str, Any], directory: Path, tell: Tell, with_secrets: WithSecrets) -> dict[str, Any]:
    """The sections of this module as their models take them: short forms made long, what is in files read."""
    opened: dict[str, Any] = {}
    if isinstance(contacts := tree.get("contacts"), dict):
        opened["contacts"] = _open_contacts(contacts, ("contacts",), directory, tell)
    if isinstance(theirs := tree.get("contacts_of"), dict):
        opened["contacts_of"] = {
            owner: _open_contacts(each, ("contacts_of", owner), directory, tell) if isinstance(each, dict) else each
            for owner, each in theirs.items()
        }
    if isinstance(books := tree.get("address_books"), dict):
        for name in books:
            if not BOOK_NAME.fullmatch(name):
                words = "an address book's name is up to 32 small letters, digits, - and _, a letter first"
                tell(words, ("address_books", name))
        opened["address_books"] = {
            name: _open_book(with_secrets(BookSettings, each, place), directory, place, tell)
            if isinstance(each, dict)
            else each
            for name, each, place in ((name, each, ("address_books", name)) for name, each in books.items())
        }
    return opened


def books_of(contacts: Contacts, contacts_of: Mapping[str, Contacts]) -> tuple[Book, ...]:
    """What the configuration says for single owners, then what it says for all."""
    theirs = (Book(_faces(each), [owner]) for owner, each in contacts_of.items())
    return (*theirs, Book(_faces(contacts)))


def _open_contacts(section: Mapping[str, Any], place: Place, directory: Path, tell: Tell) -> dict[str, Any]:
    opened: dict[str, Any] = {}
    for number, written in section.items():
        contact = {"name": written} if isinstance(written, str | bool | int | float) else written
        if isinstance(contact, dict) and isinstance(path := contact.get("photo"), str):
            contact = {key: value for key, value in contact.items() if key != "photo"}
            try:
                contact["photo"] = _read_picture(directory / path)
            except ValueError as error:
                tell(str(error), (*place, number, "photo"))
                contact.setdefault("name", "told")  # one problem is enough
        opened[number] = contact
    return opened


def _open_book(section: Mapping[str, Any], directory: Path, place: Place, tell: Tell) -> dict[str, Any]:
    file = section.get("file")
    if not isinstance(file, str) or "\0" in file:
        return dict(section)
    if not os.access(directory / file, os.R_OK):  # it may come later
        tell("the file cannot be read now: its names are missing until it can", (*place, "file"), is_warning=True)
    return {**section, "file": directory / file}


def _faces(contacts: Contacts) -> dict[Peer, Face]:
    return {peer: Face(name=one.name or "", picture=one.photo) for peer, one in contacts.items()}


def _read_picture(path: Path) -> Picture:
    """Raises ValueError in words."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_PICTURE + 1)
    except (OSError, ValueError) as error:
        words = os_words(error) if isinstance(error, OSError) else "this is no path"
        raise ValueError(f"the file cannot be read: {words}") from None
    if len(data) > LARGEST_PICTURE:
        raise ValueError(f"the picture is larger than {LARGEST_PICTURE >> 10} KiB: make it smaller, 192 by 192 will do")
    if not (picture := picture_of(data)):
        raise ValueError("this is no JPEG, PNG, GIF or WebP")
    return picture
