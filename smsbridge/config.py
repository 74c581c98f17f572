"""config.yaml: read, judged as a whole, and handed over as what the service needs.

All problems are told in one go, each with its line and in the operator's words:

    text ─parse─▶ tree with lines ─secrets opened─▶ accounts by kind ─▶ Config ─▶ what only the whole shows

A secret's value is never part of a problem, nor is what a `_file` key says: somebody may have written the secret there.
Only the service and the command line import this module; nothing else imports its neighbours.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from smsbridge.config_contacts import open_sections
from smsbridge.config_schema import (
    PROVIDER_NAME,
    SECTIONS,
    Account,
    Config,
    known_keys,
)
from smsbridge.config_secrets import SecretForms, read_secrets, secret_forms, weaknesses
from smsbridge.config_types import Endpoint, endpoint
from smsbridge.config_yaml import (
    Document,
    Place,
    Problem,
    Unreadable,
    Value,
    line_of,
    parse,
    quoted,
    read,
    unquoted_words,
)
from smsbridge.core.line import Republish
from smsbridge.core.message import ProviderName
from smsbridge.providers.contract import ProviderKind
from smsbridge.xmpp.jids import owner_jid

__all__ = [
    "Account",
    "Config",
    "ConfigError",
    "Endpoint",
    "Loaded",
    "Problem",
    "check",
    "describe",
    "load",
]

_EXPECTED = {
    "string_type": "text is expected",
    "int_type": "a whole number is expected",
    "int_parsing": "a whole number is expected",
    "int_from_float": "a whole number is expected",
    "bool_type": "true or false is expected",
    "bool_parsing": "true or false is expected",
    "decimal_type": "a number is expected",
    "decimal_parsing": "a number is expected",
    "tuple_type": "a list in [ ] is expected",
    "list_type": "a list in [ ] is expected",
    "dict_type": "keys and values are expected",
    "model_type": "keys and values are expected",
    "model_attributes_type": "keys and values are expected",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A configuration that holds, and what the operator should know about it all the same."""

    config: Config
    warnings: tuple[Problem, ...]
    lines: Mapping[Place, int] = field(default_factory=dict, repr=False)

    def line_of(self, place: Place) -> int | None:
        """Where a key stands, or what is around it."""
        return line_of(self.lines, place)


class ConfigError(Exception):
    """The configuration does not hold; `problems` has everything, warnings as well, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problem.words for problem in self.problems if not problem.is_warning))


def load(path: str | Path, kinds: Mapping[str, ProviderKind]) -> Loaded:
    """Read the file, its secrets and the environment; `kinds` by their `kind`. Raises `ConfigError`."""
    config, problems, lines = _examine(Path(path), kinds)
    if config is None or not all(problem.is_warning for problem in problems):
        raise ConfigError(problems)
    return Loaded(config=config, warnings=tuple(problems), lines=lines)


def check(path: str | Path, kinds: Mapping[str, ProviderKind]) -> list[Problem]:
    """Everything that there is to say about a file; no error among it means that `load` would take it."""
    return _examine(Path(path), kinds)[1]


def describe(path: str | Path, problems: Iterable[Problem]) -> str:
    """One line for each problem: `config.yaml:12: …`."""
    lines = []
    for problem in problems:
        where = f"{path}:{problem.line}" if problem.line else str(path)
        lines.append(f"{where}: {'warning: ' if problem.is_warning else ''}{problem.words}")
    return "\n".join(lines)


def _examine(path: Path, kinds: Mapping[str, ProviderKind]) -> tuple[Config | None, list[Problem], Mapping[Place, int]]:
    try:
        document = parse(read(path))
    except Unreadable as error:
        return None, [error.problem], {}
    examiner = _Examiner(document, path.parent)
    config = examiner.config(kinds)
    return config, sorted(examiner.problems, key=lambda problem: problem.line or 0), document.lines


@dataclass(frozen=True, slots=True)
class _Examiner:
    """One pass over one document; `problems` fills up on the way."""

    document: Document
    directory: Path
    problems: list[Problem] = field(default_factory=list)
    models: dict[Place, type[BaseModel]] = field(default_factory=lambda: dict(SECTIONS))
    opened: list[str] = field(default_factory=list)

    def config(self, kinds: Mapping[str, ProviderKind]) -> Config | None:
        self.problems.extend(self.document.problems)
        # a key with nothing under it is as good as none
        sections = self.document.tree.items()
        tree: dict[str, Any] = {k: v for k, v in sections if v is not None or k not in Config.model_fields}
        if isinstance(tree.get("jids"), dict):
            tree["jids"] = {owner: self._dids(dids, ("jids", owner)) for owner, dids in tree["jids"].items()}
        if isinstance(tree.get("lines"), dict):
            tree["lines"] = {did: {} if line is None else line for did, line in tree["lines"].items()}
        self._judge_whole(tree)
        for place, model in SECTIONS.items():
            if len(place) == 1 and isinstance(section := tree.get(str(place[0])), dict):
                tree[str(place[0])] = self._with_secrets(model, section, place)
        tree |= open_sections(tree, self.directory, self._tell, self._with_secrets)
        if isinstance(tree.get("providers"), dict):
            accounts = {name: self._account(name, section, kinds) for name, section in tree["providers"].items()}
            tree["providers"] = {name: account for name, account in accounts.items() if account}
        try:
            config = Config.model_validate(tree)
            self._judge_keys(config)
            self._judge_money(config)
            self._judge_media(config)
            return config
        except ValidationError as error:
            self._tell_all(error, ())
        return None

    def _dids(self, dids: Value, place: Place) -> Value:
        """The list of an owner's DIDs, each as text, so that one forgotten quote is one problem and not three."""
        if isinstance(dids, str | int | float):
            number = quoted(self.document.plain.get(place, str(dids)))
            self._tell(f'a list is expected: write ["{number}"]', place)
            return [number]
        if not isinstance(dids, list):
            return dids
        return [self._did(did, (*place, index)) for index, did in enumerate(dids)]

    def _did(self, did: Value, place: Place) -> Value:
        text = self.document.plain.get(place)
        if not isinstance(did, int | float) or text is None:
            return did
        self._tell(unquoted_words(text), place)
        self.document.spoiled.add(place)
        return quoted(text)

    def _account(self, name: str, section: Value, kinds: Mapping[str, ProviderKind]) -> Account | None:
        place = ("providers", name)
        if not PROVIDER_NAME.fullmatch(name):
            self._tell("a provider's name is up to 32 small letters, digits, - and _, a letter first", place)
        if not isinstance(section, dict):
            self._tell("keys and values are expected, such as kind: and username:", place)
            return None
        kind = section.get("kind")
        if not isinstance(kind, str):
            self._tell(f"kind is missing: one of {', '.join(sorted(kinds))}", place)
            return None
        if kind not in kinds:
            self._tell(f'unknown kind "{kind}"{_nearest(kind, sorted(kinds))}', (*place, "kind"))
            return None
        model = kinds[kind].settings
        self.models[place] = model
        written = {key: value for key, value in section.items() if key != "kind"}
        for key in [key for key in written if key not in known_keys(model)]:
            del written[key]
            self._tell(f"unknown key{_nearest(key, ('kind', *known_keys(model)))}", (*place, key))
        try:
            settings = model.model_validate(self._with_secrets(model, written, place, kind))
        except ValidationError as error:
            self._tell_all(error, place)
            return None
        return Account(name=ProviderName(name), kind=kind, settings=settings)

    def _with_secrets(
        self, model: type[BaseModel], section: Mapping[str, Any], place: Place, kind: str = ""
    ) -> dict[str, Any]:
        """The section with every secret under its field's own name, whatever form it was written in."""
        opened = dict(section)
        for forms in secret_forms(model):
            written = [key for key in forms.keys if opened.pop(key, None) is not None]
            if not written:
                continue
            inner: Place = (*place, written[-1])
            values: Sequence[str] = ()
            if len(written) > 1:
                self._tell(f'"{written[0]}" and "{written[-1]}" are both given: keep one', inner)
            else:
                values = self._secrets(section[written[0]], forms, inner)
            self.document.lines.setdefault((*place, forms.field), self.document.line_of(inner) or 1)
            if not values:
                self.document.spoiled.add((*place, forms.field))
                continue
            self.opened.extend(values)
            for words in weaknesses(kind, forms.field, values):
                self._tell(words, inner, is_warning=True)
            secrets = tuple(map(SecretStr, values))
            opened[forms.field] = secrets if forms.is_many else secrets[0]
        return opened

    def _secrets(self, value: Value, forms: SecretForms, place: Place) -> Sequence[str]:
        """What a secret key holds or points to; empty where that was a problem, and told."""
        if place[-1] == forms.file:
            return self._secrets_of_file(value, forms, place)
        values = value if isinstance(value, list) and place[-1] == forms.field and forms.is_many else [value]
        places = [(*place, index) for index in range(len(values))] if values is value else [place]
        texts = [text for text in values if isinstance(text, str)]
        if self.document.spoiled.intersection(places):
            return ()
        if len(texts) < len(values):
            self._tell("a secret is text: put it in quotes", place)
            return ()
        if not texts or not all(texts):
            self._tell("it is empty", place)
            return ()
        if not self.document.from_env.issuperset(places):
            self._tell(f"a secret in plain: better write {forms.file}: and the path of a file", place, is_warning=True)
        return texts

    def _secrets_of_file(self, value: Value, forms: SecretForms, place: Place) -> Sequence[str]:
        if place in self.document.spoiled:
            return ()
        try:
            file = read_secrets(value if isinstance(value, str) else "", self.directory)
        except ValueError as error:
            self._tell(str(error), place)
            return ()
        if file.is_open:
            self._tell("everybody on this machine can read the file: chmod o-r helps", place, is_warning=True)
        if len(file.values) > 1 and not forms.is_many:
            self._tell("the file has more than one line: one secret is expected", place)
            return ()
        return file.values

    def _judge_whole(self, tree: Mapping[str, Any]) -> None:
        """What only several sections together show; they may each be wrong in themselves."""
        providers, lines, jids = (_mapping(tree.get(name)) for name in ("providers", "lines", "jids"))
        if "providers" in tree and not providers:
            self._tell("no provider is configured: name one, such as voipms:", ("providers",))
        if "jids" in tree and not jids:
            self._tell("nobody owns a number: nothing can be sent or received", ("jids",), is_warning=True)
        owned = self._judge_owners(jids)
        for did, place in owned.items():
            if len(providers) > 1 and _mapping(lines.get(did)).get("provider") is None:
                choice = " or ".join(providers)
                self._tell(
                    f'with two providers every DID names its own: under lines, write "{did}": {{provider: {choice}}}',
                    place,
                )
        for did, line in lines.items():
            named = _mapping(line).get("provider")
            if isinstance(named, str) and providers and named not in providers:
                words = f'unknown provider "{named}"{_nearest(named, list(providers))}'
                self._tell(words, ("lines", did, "provider"))
            if did not in owned:
                self._tell("nobody owns this number: it is under no JID", ("lines", did), is_warning=True)
        try:
            server = endpoint(_mapping(tree.get("xmpp")).get("server", "localhost:5347"))
        except ValueError:
            return
        if not server.is_loopback():
            words = "not this machine: the component's traffic, texts and all, crosses the network in clear"
            self._tell(words, ("xmpp", "server"), is_warning=True)

    def _judge_keys(self, config: Config) -> None:
        """A callback's key must tell the account it is for: accounts may share a path."""
        seen: dict[str, str] = {}
        for name, account in config.providers.items():
            for key in getattr(account.settings, "query_keys", ()):
                other = seen.setdefault(key.get_secret_value(), name)
                if other != name:
                    self._tell(f'the same query key as that of "{other}": give each its own', ("providers", name))

    def _judge_money(self, config: Config) -> None:
        """What is spent is only known where the prices are."""
        for whose in ("per_owner", "per_did", "whole"):
            for key in ("spend_a_day", "spend_a_month"):
                if config.prices is None and getattr(getattr(config.caps, whose), key) is not None:
                    words = "nothing is known of money without prices: write prices:"
                    self._tell(words, ("caps", whose, key))

    def _judge_media(self, config: Config) -> None:
        """Who serves files has to be found."""
        if config.media.inbound is not Republish.SERVE:
            return
        if (url := config.http.public_url) is None:
            words = "serve makes links to this bridge: write where it is, http.public_url"
            self._tell(words, ("media", "inbound"))
        elif url.startswith("http:"):
            words = "not https: whoever listens on the way sees pictures and links"
            self._tell(words, ("http", "public_url"), is_warning=True)

    def _judge_owners(self, jids: Mapping[str, Any]) -> dict[str, Place]:
        """Every DID with the place that names it first."""
        owned: dict[str, Place] = {}
        owners: dict[str, str] = {}
        for written, dids in jids.items():
            try:
                owner = owner_jid(written)
            except ValueError:
                owner = written
            if owner in owners:
                line = self.document.line_of(("jids", owners[owner]))
                self._tell(f"the same JID as on line {line}: put its numbers into one list", ("jids", written))
            owners.setdefault(owner, written)
            own: set[str] = set()
            for index, did in enumerate(dids if isinstance(dids, list) else ()):
                place = ("jids", written, index)
                if isinstance(did, str):
                    if did in own:
                        self._tell(f'"{did}" is here twice', place)
                    own.add(did)
                    owned.setdefault(did, place)
        return owned

    def _tell_all(self, error: ValidationError, prefix: Place) -> None:
        for detail in error.errors(include_url=False, include_input=False):
            place = (*prefix, *(step for step in detail["loc"] if step != "[key]"))
            is_spoiled = any(place[:end] in self.document.spoiled for end in range(1, len(place) + 1))
            if not is_spoiled and detail["type"] != "default_factory_not_called":
                self._tell(self._words(detail, place), place)

    def _words(self, detail: ErrorDetails, place: Place) -> str:
        kind, context, name = detail["type"], detail.get("ctx", {}), str(place[-1]) if place else ""
        around = next(filter(None, (self.models.get((*place[: -1 - n], *"*" * n)) for n in range(3))), None)
        plain = self.document.plain.get(place) or self.document.plain.get(place[:-1])  # of a short form made long
        if kind == "missing":
            forms = {form.field: form for form in secret_forms(around)} if around else {}
            return f"missing: write {forms[name].single} or {forms[name].file}" if name in forms else "missing"
        if kind == "extra_forbidden" and around:
            return f"unknown key{_nearest(name, known_keys(around))}"
        if kind == "string_type" and plain and plain.lower() not in {"~", "null"}:
            return unquoted_words(plain)
        if kind in _EXPECTED:
            return _EXPECTED[kind]
        if kind in {"enum", "literal_error"}:
            return f"{str(context.get('expected')).replace(chr(39), '')} is expected"
        if "error" not in context:
            return detail["msg"][:1].lower() + detail["msg"][1:]
        words = str(context["error"])  # a carrier's own validator wrote this, and may quote what it refused
        for secret in sorted(self.opened, key=len, reverse=True):
            words = words.replace(secret, "…")
        return words

    def _tell(self, words: str, place: Place, *, is_warning: bool = False) -> None:
        where = ".".join(step for step in place if isinstance(step, str))
        problem = Problem(
            line=self.document.line_of(place),
            words=f"{where}: {words}" if where else words,
            is_warning=is_warning,
            place=place,
        )
        self.problems.append(problem)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _nearest(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f': did you mean "{near[0]}"?' if near else f": known are {', '.join(known)}"
