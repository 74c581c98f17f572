"""What only ejabberd's own configuration tells: where it keeps what it has acknowledged, and who shares our listener.

Mnesia, the default, writes its log seconds after the acknowledgement: a killed ejabberd loses those texts. From
outside it looks like SQL. The file is full of secrets, so nothing of it is repeated but the names of modules; the
parser's own words quote it, and are dropped.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from smsbridge.xmpp.findings import Finding, Promise, broken, kept, unseen

MAX_BYTES: Final = 1 << 20
STORES: Final = ("mod_offline", "mod_mam")

Tree = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why the file says nothing to us."""

    why: str


def look_into(path: Path, *, host: str, component: str) -> tuple[Finding, ...]:
    """What the file says about the promises; reads from the disk."""
    tree = read(path)
    if isinstance(tree, Unreadable):
        return (unseen(Promise.STORAGE, f"server_config: {tree.why}"),)
    return judge(tree, host=host, component=component)


def read(path: Path) -> Tree | Unreadable:
    """The file with those that it includes, one step deep."""
    tree = _load(path)
    if isinstance(tree, Unreadable):
        return tree
    if not tree.keys() & {"hosts", "listen", "modules", "include_config_file"}:
        return Unreadable("this is not an ejabberd.yml")
    merged = dict(tree)
    for name, limits in _included(tree.get("include_config_file")):
        included = _load(path.parent / name)
        if isinstance(included, Unreadable):
            return Unreadable(f"a file that it includes: {included.why}")
        merged = _merge(merged, _limited(included, limits))
    return merged


def judge(tree: Tree, *, host: str, component: str) -> tuple[Finding, ...]:
    """What a configuration says about a host of its, and about our component."""
    modules = _modules(tree, host)
    default_db = _mapping(_mapping(tree.get("host_config")).get(host)).get("default_db", tree.get("default_db"))
    return (_storage(modules, default_db), _archive(modules), _listener(tree, component))


def _storage(modules: Tree, default_db: object) -> Finding:
    kinds = {name: _mapping(modules[name]).get("db_type", default_db) or "mnesia" for name in STORES if name in modules}
    in_mnesia = [name for name, kind in kinds.items() if kind == "mnesia"]
    if in_mnesia:
        return broken(
            Promise.STORAGE,
            f"{' and '.join(in_mnesia)} keep their texts in Mnesia, which loses acknowledged ones when ejabberd is "
            "killed or the machine fails: set up SQL, and default_db: sql",
        )
    if any(kind != "sql" for kind in kinds.values()):
        return unseen(
            Promise.STORAGE, "the db_type or default_db in server_config is not a plain word: see that it is sql"
        )
    return kept(Promise.STORAGE)


def _archive(modules: Tree) -> Finding:
    if "mod_mam" not in modules:
        return broken(
            Promise.ARCHIVE, "texts that your clients had not yet read are lost when the server dies: enable mod_mam"
        )
    if _mapping(modules["mod_mam"]).get("default", "never") != "always":
        return broken(Promise.ARCHIVE, "mod_mam archives only for those who ask for it: give it default: always")
    return kept(Promise.ARCHIVE)


def _listener(tree: Tree, component: str) -> Finding:
    for listener in _list(tree.get("listen")):
        options = _mapping(listener)
        hosts = _mapping(options.get("hosts"))
        if options.get("module") != "ejabberd_service" or component not in hosts:
            continue
        if len(hosts) == 1 or options.get("global_routes") is False:
            return kept(Promise.LISTENER)
        return broken(
            Promise.LISTENER,
            "our listener has several hosts, and each of their components may take our stanzas: give us a listener of "
            "our own, or set global_routes: false",
        )
    return unseen(Promise.LISTENER, "no ejabberd_service listener in server_config has our JID among its hosts")


def _modules(tree: Tree, host: str) -> Tree:
    own = _mapping(_mapping(tree.get("host_config")).get(host))
    added = _mapping(_mapping(tree.get("append_host_config")).get(host))
    modules = own["modules"] if "modules" in own else tree.get("modules")
    return {**_mapping(modules), **_mapping(added.get("modules"))}


def _load(path: Path) -> Tree | Unreadable:
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_BYTES + 1)
    except OSError as error:
        return Unreadable(f"it cannot be read by the user that smsbridge runs as ({error.strerror or 'no such file'})")
    except ValueError:  # a NUL in the name
        return Unreadable("its name is not one of a file")
    if len(octets) > MAX_BYTES:
        return Unreadable("it is larger than 1 MiB")
    try:
        tree = yaml.safe_load(octets)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        return Unreadable("it is not YAML" + (f" (line {mark.line + 1})" if mark else ""))
    return tree if isinstance(tree, dict) else Unreadable("it is not an ejabberd.yml")


def _included(value: object) -> Iterator[tuple[str, Tree]]:
    """The names of included files, each with what limits it."""
    match value:
        case str():
            yield value, {}
        case list():
            for item in value:
                yield from _included(item)
        case dict():
            for name, limits in value.items():
                yield str(name), _mapping(limits)


def _limited(tree: Tree, limits: Tree) -> Tree:
    allowed = _list(limits["allow_only"]) if "allow_only" in limits else list(tree)
    return {key: value for key, value in tree.items() if key in allowed and key not in _list(limits.get("disallow"))}


def _merge(first: Tree, second: Tree) -> dict[str, Any]:
    merged = dict(first)
    for key, value in second.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[key] = _merge(old, value)
        elif isinstance(old, list) and isinstance(value, list):
            merged[key] = [*old, *value]
        else:
            merged[key] = value
    return merged


def _mapping(value: object) -> Tree:
    """A mapping; a list of mappings counts as one, and whatever else as none."""
    if isinstance(value, list):
        return {key: inner for item in value if isinstance(item, dict) for key, inner in item.items()}
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
