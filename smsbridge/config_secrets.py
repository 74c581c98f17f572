"""Secrets of the configuration: the forms in which one may be written, and the files they are read from.

Only `config` and `config_schema` import this. A field of type `SecretStr` called `x` may be written `x` or `x_file`;
one of type `tuple[SecretStr, ...]` called `xs` may be written `xs` (a list), `x` (one), or `x_file` (one on each line).

Nothing here quotes what a `_file` key says: somebody may have written the secret itself there.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from stat import S_IROTH, S_ISREG
from typing import get_args, get_origin

from pydantic import BaseModel, SecretStr

from smsbridge.config_yaml import os_words

MAX_SECRET_BYTES = 64 * 1024
MIN_QUERY_KEY = 16
MAX_VOIPMS_PASSWORD = 32


@dataclass(frozen=True, slots=True)
class SecretForms:
    """How a secret field may be written; `is_many` where several are valid at a time."""

    field: str
    is_many: bool

    @property
    def single(self) -> str:
        return self.field.removesuffix("s") if self.is_many else self.field

    @property
    def file(self) -> str:
        return f"{self.single}_file"

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.single, self.file, self.field) if self.is_many else (self.single, self.file)


@dataclass(frozen=True, slots=True)
class SecretFile:
    """What a file held. `is_open`: everybody on the machine can read it."""

    values: tuple[str, ...]
    is_open: bool


def secret_forms(model: type[BaseModel]) -> tuple[SecretForms, ...]:
    """The secret fields of a settings model."""
    return tuple(
        SecretForms(name, is_many=get_origin(described.annotation) is tuple)
        for name, described in model.model_fields.items()
        if _holds_secret(described.annotation)
    )


def read_secrets(text: str, directory: Path) -> SecretFile:
    """The secrets of a file, one on each line that is not blank, without the space around them.

    A bare name is a systemd credential, a relative path starts at `directory`. Raises ValueError in words.
    """
    path = _path_of(text, directory)
    try:
        status = path.stat()
        if not S_ISREG(status.st_mode):
            raise ValueError("this is no file")
        if status.st_size > MAX_SECRET_BYTES:
            raise ValueError("the file is larger than a secret can be")
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise ValueError(f"the file cannot be read: {os_words(error)}") from None
    except UnicodeError:
        raise ValueError("the file is not UTF-8 text") from None
    values = tuple(line.strip() for line in lines if line.strip())
    if not values:
        raise ValueError("the file is empty")
    return SecretFile(values, is_open=bool(status.st_mode & S_IROTH))


def weaknesses(kind: str, field: str, values: Iterable[str]) -> list[str]:
    """What is allowed and still unwise about the secrets of a field."""
    lengths = [len(value) for value in values]
    found = []
    if kind == "voipms" and field == "password" and max(lengths) > MAX_VOIPMS_PASSWORD:
        found.append(
            f"longer than {MAX_VOIPMS_PASSWORD} characters: VoIP.ms takes it in the portal and then refuses every call"
        )
    if field == "query_keys" and min(lengths) < MIN_QUERY_KEY:
        found.append(f"shorter than {MIN_QUERY_KEY} characters: who guesses it can pretend to be the carrier")
    return found


def _holds_secret(annotation: object) -> bool:
    return annotation is SecretStr or any(_holds_secret(part) for part in get_args(annotation))


def _path_of(text: str, directory: Path) -> Path:
    if "\0" in text or not text:
        raise ValueError("the path of a file is expected")
    if "/" in text:
        return directory / text
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    # Outside of systemd (check, a trial by hand) the same configuration finds the files that the unit loads.
    return (Path(credentials) if credentials else directory) / text
