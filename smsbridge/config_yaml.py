"""The YAML of the configuration as a tree of plain values that knows its lines. Only `config` imports this.

YAML 1.1 has traps, and they are refused in words: an unquoted `+15145550100` is an integer, `NO` is false, and of two
equal keys the last wins silently. Aliases can blow a small file up: they are counted, and so is what they expand to.

No problem quotes a value of the file, except an unquoted number or truth where text is meant: the rest may be secret.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from smsbridge.core.address import normalise_did

Place = tuple[str | int, ...]
Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]

MAX_BYTES = 1024 * 1024
MAX_ALIASES = 50
MAX_DEPTH = 32
MAX_NODES = 100_000

_TAG = "tag:yaml.org,2002:"
_CONSTRUCTED = frozenset({f"{_TAG}int", f"{_TAG}float", f"{_TAG}bool", f"{_TAG}null"})
_TEXT = frozenset({f"{_TAG}str", f"{_TAG}timestamp", f"{_TAG}value", f"{_TAG}merge"})
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SYNTAX = {  # what PyYAML says, and what it means to the one who wrote it
    r"character '\t'": "indent with spaces, not with tabs",
    "cannot start any token": "a value that begins with such a sign must be quoted",
    "undefined alias": 'a value that begins with "*" must be quoted',
    "mapping values are not allowed": "wrong indentation, or a value with a colon that must be quoted",
    "could not find expected ':'": "a colon is missing after a key, or the line is indented wrongly",
}
_QUOTED = re.compile(r"""'[^'<>]{2,}'|"[^"]{2,}\"""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing to tell the operator. `line` counts from 1; None: the file as a whole. `place`: of which key."""

    line: int | None
    words: str
    is_warning: bool = False
    place: Place = ()


class Unreadable(Exception):
    """The text is no YAML mapping at all, so that nothing else can be said about it."""

    def __init__(self, line: int | None, words: str) -> None:
        super().__init__(words)
        self.problem = Problem(line=line, words=words)


@dataclass(frozen=True, slots=True)
class Document:
    """`plain`: what stood unquoted where YAML made something other than text of it; `from_env`: places of `${…}`.

    `spoiled`: places with a problem of their own, about which nothing more is worth saying.
    """

    tree: dict[str, Value] = field(default_factory=dict)
    lines: dict[Place, int] = field(default_factory=dict)
    plain: dict[Place, str] = field(default_factory=dict)
    from_env: set[Place] = field(default_factory=set)
    spoiled: set[Place] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def line_of(self, place: Place) -> int | None:
        """The line of a place, or of the nearest thing around it that was written."""
        return line_of(self.lines, place)


def line_of(lines: Mapping[Place, int], place: Place) -> int | None:
    """The line of a place, or of the nearest thing around it that was written."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place)


def read(path: Path) -> str:
    """The text of a file. Raises `Unreadable`."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unreadable(None, f"cannot be read: {os_words(error)}") from None
    if len(content) > MAX_BYTES:
        raise Unreadable(None, "larger than 1 MiB: this is no configuration")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(content.count(b"\n", 0, error.start) + 1, "not UTF-8 text: save the file as UTF-8") from None


def parse(text: str) -> Document:
    """Read one YAML mapping; what is wrong with single keys and values is in `problems`. Raises `Unreadable`."""
    try:
        root = yaml.compose(text, Loader=_Bounded)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Unreadable(line, "a control character that YAML does not allow") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(mark.line + 1 if mark else None, _syntax_words(error.problem or "")) from None
    if root is None:
        raise Unreadable(None, "the file is empty")
    if not isinstance(root, MappingNode):
        raise Unreadable(1, "keys and values are expected, such as xmpp: and jids:")
    document = Document()
    document.tree.update(_Reader(document).mapping(root, ()))
    return document


def quoted(number: str) -> str:
    """How an unquoted number should have been written: as the DID it means, if it is one."""
    digits = number.replace("_", "")
    try:
        return str(normalise_did(digits))
    except ValueError:
        return number


def unquoted_words(text: str) -> str:
    """What to say about text that YAML takes for something else."""
    sort = "true or false" if text.lower() in {"yes", "no", "on", "off", "true", "false"} else "a number"
    return f'{text} without quotes is {sort} to YAML: write "{quoted(text)}"'


def os_words(error: OSError) -> str:
    """The system's own words, without the path."""
    return (error.strerror or "input/output error").lower()


class _Bounded(yaml.SafeLoader):
    """Counts aliases and depth in the events from which the tree is composed: nothing recursive goes deeper."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._aliases = self._depth = 0

    def get_event(self) -> yaml.Event:
        event: yaml.Event = super().get_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1 if event.start_mark else None
        if isinstance(event, yaml.AliasEvent):
            self._aliases += 1
        elif isinstance(event, yaml.CollectionStartEvent):
            self._depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            self._depth -= 1
        if self._aliases > MAX_ALIASES:
            raise Unreadable(line, f"more than {MAX_ALIASES} aliases (*name): write the values out")
        if self._depth > MAX_DEPTH:
            raise Unreadable(line, f"nested more than {MAX_DEPTH} levels deep")
        return event


def _syntax_words(problem: str) -> str:
    for said, words in _SYNTAX.items():
        if said in problem:
            return f"not valid YAML: {words}"
    return f"not valid YAML: {_QUOTED.sub('…', problem)}"


class _Reader:
    """Walks the node tree and fills a document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._nodes = 0

    def mapping(self, node: MappingNode, place: Place) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key is None:
                continue
            inner = (*place, key)
            if key in found:
                first = self._document.lines[inner]
                words = f'"{key}" is here twice, first on line {first}: YAML would keep only the last'
                self._tell(key_node, words, inner)
                continue
            self._document.lines[inner] = key_node.start_mark.line + 1
            found[key] = self._value(value_node, inner)
        return found

    def _key(self, node: Node) -> str | None:
        if not isinstance(node, ScalarNode):
            self._tell(node, "a key must be one word or a quoted text")
            return None
        if node.tag == f"{_TAG}merge":
            self._tell(node, "<< is not understood here: write the keys out")
            return None
        text = str(node.value)
        if node.tag in {f"{_TAG}int", f"{_TAG}float"}:
            self._tell(node, unquoted_words(text))
            return quoted(text)
        return text

    def _value(self, node: Node, place: Place) -> Value:
        self._nodes += 1
        if self._nodes > MAX_NODES or len(place) > MAX_DEPTH:
            raise Unreadable(node.start_mark.line + 1, "the aliases (*name) expand to too much: write the values out")
        match node:
            case ScalarNode():
                return self._scalar(node, place)
            case MappingNode(tag=tag) if tag == f"{_TAG}map":
                return self.mapping(node, place)
            case SequenceNode(tag=tag) if tag == f"{_TAG}seq":
                return [self._item(item, (*place, index)) for index, item in enumerate(node.value)]
        self._tell_tag(node, place)
        return None

    def _item(self, node: Node, place: Place) -> Value:
        self._document.lines[place] = node.start_mark.line + 1
        return self._value(node, place)

    def _scalar(self, node: ScalarNode, place: Place) -> Value:
        text = str(node.value)
        if node.tag in _CONSTRUCTED:
            self._document.plain[place] = text
            try:
                made: int | float | bool | None = SafeConstructor().construct_object(node)
            except (ValueError, LookupError):  # "0x_", or more digits than Python converts
                return text
            return made
        if node.tag not in _TEXT:
            self._tell_tag(node, place)
        return self._expanded(text, node, place)

    def _expanded(self, text: str, node: Node, place: Place) -> str:
        for name in _REFERENCE.findall(text):
            self._document.from_env.add(place)
            if name not in os.environ:
                self._document.spoiled.add(place)
                self._tell(node, f"the environment variable {name} is not set", place)
        return _REFERENCE.sub(lambda reference: os.environ.get(reference.group(1), ""), text)

    def _tell(self, node: Node, words: str, place: Place = ()) -> None:
        self._document.problems.append(Problem(line=node.start_mark.line + 1, words=words, place=place))

    def _tell_tag(self, node: Node, place: Place) -> None:
        self._document.spoiled.add(place)
        self._tell(node, 'a value that begins with "!" must be quoted', place)
