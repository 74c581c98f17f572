"""What holds for the repository as a whole, whoever adds to it.

The words that no file may hold are put together here, so that this file does not hold them either.
"""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP_LEVEL = {
    *("pyproject.toml", "requirements.lock", "Makefile", "config.example.yaml", "doap.xml", "LICENSE"),
    *("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "THREAT_MODEL.md"),
    *("smsbridge", "tests", "contrib", "systemd"),
}
REGISTRIES = (("pypi", "org"), ("files", "pythonhosted", "org"), ("deb", "debian", "org"), ("registry", "npmjs", "org"))
MACHINE_PATHS = (("", "work", ""), ("", "root", ""), ("", "tmp", "brief"))
PUT_OFF = ("TO" + "DO", "FIX" + "ME")
BYTES = "tests/fuzz/corpus/"  # no text
SECRETS = {"secret", "key", "password", "token", "digest"}
MAX_MODULE, MAX_FUNCTION = 400, 60


def tracked() -> list[Path]:
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=30).stdout.decode()
    return [Path(name) for name in names.split("\0") if name and (ROOT / name).is_file() and BYTES not in name]


FILES = tracked()
MODULES = [path for path in FILES if path.suffix == ".py"]


def lines_of(path: Path) -> list[str]:
    return (ROOT / path).read_text(encoding="utf-8").splitlines()


def lines_with(*words: str) -> list[str]:
    """Where one of the words stands, as path:line."""
    return [
        f"{path}:{number}"
        for path in FILES
        for number, line in enumerate(lines_of(path), 1)
        if any(word in line for word in words)
    ]


def trees(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in MODULES:
        if path.as_posix().startswith(folders):
            yield path, ast.parse((ROOT / path).read_text(encoding="utf-8"))


def test_the_repository_is_looked_at():
    assert len(MODULES) > 100
    assert Path("smsbridge/cli.py") in MODULES


def test_the_top_level_holds_what_belongs_there():
    assert {path.parts[0] for path in FILES if not path.parts[0].startswith(".")} - TOP_LEVEL == set()


def test_no_file_names_the_host_of_a_package_registry():
    assert lines_with(*map(".".join, REGISTRIES)) == []


def test_no_file_names_a_path_of_the_machine_it_was_written_on():
    assert lines_with(*map("/".join, MACHINE_PATHS)) == []


def test_nothing_is_put_off():
    assert lines_with(*PUT_OFF) == []


def test_every_module_says_what_it_is_for():
    assert [path for path, tree in trees("smsbridge/", "tests/") if not ast.get_docstring(tree)] == []


def test_modules_are_short():
    lengths = {path: len(lines_of(path)) for path in MODULES if path.parts[0] == "smsbridge"}
    assert {path: length for path, length in lengths.items() if length >= MAX_MODULE} == {}


def test_functions_are_short():
    long = [
        f"{path}:{node.lineno} {node.name}: {(node.end_lineno or 0) - node.lineno + 1}"
        for path, tree in trees("smsbridge/")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 >= MAX_FUNCTION
    ]
    assert long == []


def compared_secrets(tree: ast.Module, words: set[str]) -> list[int]:
    """The lines where something that is called a secret is compared, but not in constant time."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        and any(isinstance(way, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for way in node.ops)
        and any(is_secret(side, words) for side in (node.left, *node.comparators))
    ]


def is_secret(side: ast.expr, words: set[str]) -> bool:
    """Whether the last word of a name, of an attribute, or of what is indexed or called, is that of a secret."""
    match side:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.lower().rpartition("_")[2].removesuffix("s") in words
        case ast.Subscript(value=value) | ast.Call(func=value):
            return is_secret(value, words)
        case _:
            return False


def test_secrets_are_never_compared_with_equals():
    """Where callbacks come in, a key is a secret; elsewhere it is that of a row."""
    found = [f"{path}:{line}" for path, tree in trees("smsbridge/web/", "smsbridge/providers/")
             for line in compared_secrets(tree, SECRETS)]  # fmt: skip
    found += [
        f"{path}:{line}" for path, tree in trees("smsbridge/") for line in compared_secrets(tree, SECRETS - {"key"})
    ]
    assert found == []


@pytest.mark.parametrize(
    "source", ["key == shown", "shown != self.password", "shown in query_keys", "a == digest()", "tokens[0] == a"]
)
def test_a_compared_secret_would_be_found(source: str):
    assert compared_secrets(ast.parse(source), SECRETS) == [1]


def test_an_example_that_no_test_uses_says_so_in_its_first_line():
    users = [path for path in FILES if path.parts[0] == "tests" or path.name == "Makefile"]
    used = "\n".join((ROOT / path).read_text(encoding="utf-8") for path in users)
    examples = [path for path in FILES if path.parts[0] == "contrib"]
    assert examples
    untold = [
        path
        for path in examples
        if f'"{path.name}"' not in used and path.as_posix() not in used and "untried" not in lines_of(path)[0]
    ]
    assert untold == []


def threats() -> list[list[str]]:
    """The rows of the threat model's tables of threats, as cells."""
    rows, inside = [], False
    for line in lines_of(Path("THREAT_MODEL.md")):
        inside = line.startswith("| threat |") or (inside and line.startswith("|"))
        if inside and not line.startswith(("| threat |", "|---")):
            rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def functions_of(tree: ast.Module) -> set[str]:
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_that_the_threat_model_names_exists():
    page = (ROOT / "THREAT_MODEL.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/.]+)::(\w+)`", page))
    existing = {(path.as_posix(), name) for path, tree in trees("tests/") for name in functions_of(tree)}
    assert len(named) > 150
    assert named - existing == set()
    assert re.findall(r"`test_\w+`", page) == []  # each with its file


def test_every_threat_names_a_test_or_says_why_there_is_none():
    rows = threats()
    assert len(rows) > 60
    assert [row for row in rows if len(row) != 6 or not all(row)] == []
    shown = r"`tests/[\w/]+\.py::test_\w+`"
    assert [row[0] for row in rows if not re.fullmatch(rf"{shown}( {shown})*|no test: .+", row[5])] == []
    assert sum(row[5].startswith("no test: ") for row in rows) < 5


def test_every_threat_has_an_actor_that_is_introduced():
    page = (ROOT / "THREAT_MODEL.md").read_text(encoding="utf-8")
    introduced = page.partition("\n## Who might harm it\n")[2].partition("\n## ")[0]
    known = set(re.findall(r"^\| ([^|]+?) \|", introduced, re.MULTILINE)) - {"actor"}
    assert {actor for row in threats() for actor in row[1].split(", ")} - known == set()


def test_every_module_that_the_threat_model_names_exists():
    page = (ROOT / "THREAT_MODEL.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:\w+/)*\w+\.(?:py|lua))`", page))
    assert len(named) > 40
    assert {name for name in named if not any((ROOT / place / name).is_file() for place in ("", "smsbridge"))} == set()
