"""What no module of ours may do, whoever adds to it: told from the syntax, each rule with what it would find."""

import ast
from collections.abc import Callable, Iterator

import pytest

from tests.test_repository import trees

PARSERS = {"fromstring", "XML", "parse", "iterparse", "XMLParser", "XMLPullParser", "ParserCreate", "make_parser"}
# where XML of our own, a file, or an address book is read with care
SHUT = {"smsbridge/xmpp/wire.py", "smsbridge/keeping/sbr.py", "smsbridge/contacts/carddav.py"}
XML_MODULES = {"xml.sax", "xml.dom", "xml.dom.minidom", "xml.dom.pulldom", "lxml", "lxml.etree", "xmlrpc"}
RUNS_WORDS = {"eval", "exec", "compile", "__import__", "system", "popen"}
UNSAFE_MODULES = {"pickle", "marshal", "shelve", "subprocess", "commands"}
SQL = {"sql", "sql_rows", "sql_among", "execute", "executemany", "executescript", "fetch", "Statement"}
# Names in a composed statement that are not constants of their module: each is one of a closed list of ours.
OURS = {
    "table",
    "rule.table",
    "rows_of",
    "state",
    "states",
    "', '.join(columns)",
    "self._fence",
    "self._last_words(key)",
}

Rule = Callable[[ast.AST], bool]


def name_of(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""


def is_assert(node: ast.AST) -> bool:
    """`python -O` takes it away."""
    return isinstance(node, ast.Assert)


def is_unsafe_yaml(node: ast.AST) -> bool:
    if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name) or node.value.id != "yaml":
        return False
    return node.attr in {"load", "load_all", "unsafe_load", "full_load", "Loader", "UnsafeLoader", "FullLoader"}


def runs_words(node: ast.AST) -> bool:
    """A shell, or the interpreter itself."""
    if not isinstance(node, ast.Call):
        return False
    is_shell = any(
        each.arg == "shell" and not (isinstance(each.value, ast.Constant) and each.value.value is False)
        for each in node.keywords
    )
    is_builtin = isinstance(node.func, ast.Name) or ast.unparse(node.func).startswith("os.")
    return is_shell or (is_builtin and name_of(node.func) in RUNS_WORDS)


def imports(*modules: str) -> Rule:
    def imported(node: ast.AST) -> bool:
        match node:
            case ast.Import(names=names):
                return any(each.name in modules for each in names)
            case ast.ImportFrom(module=module, names=names):
                return module in modules or any(f"{module}.{each.name}" in modules for each in names)
        return False

    return imported


def is_composed_sql(node: ast.AST) -> bool:
    """A statement with anything in it but constants of its module: values are parameters."""
    if not isinstance(node, ast.Call) or name_of(node.func) not in SQL or not node.args:
        return False
    match node.args[0]:
        case ast.JoinedStr(values=values):
            inner = [each.value for each in values if isinstance(each, ast.FormattedValue)]
            return any(not is_constant(each) and ast.unparse(each) not in OURS for each in inner)
        case ast.BinOp(op=ast.Mod() | ast.Add(), left=left, right=right):
            return not (is_constant(left) and is_constant(right))
        case ast.Call(func=ast.Attribute(attr="format", value=value)):
            return not is_constant(value)
    return False


def is_constant(expression: ast.expr) -> bool:
    match expression:
        case ast.Constant():
            return True
        case ast.Name(id=name):
            return name.isupper()
        case ast.BinOp(left=left, right=right):
            return is_constant(left) and is_constant(right)
    return False


def parses_xml(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or name_of(node.func) not in PARSERS:
        return False
    return ast.unparse(node.func).startswith(("ET.", "expat.", "ElementTree.", "xml.")) or name_of(node.func) == "XML"


RULES: dict[str, tuple[Rule, str]] = {
    "assert for control": (is_assert, "assert key"),
    "unsafe YAML": (is_unsafe_yaml, "yaml.load(text)"),
    "a shell": (runs_words, "run(line, shell=True)"),
    "words that are run": (runs_words, "eval(text)"),
    "a module that runs what it reads": (imports(*UNSAFE_MODULES), "import pickle"),
    "an XML library that is not shut": (imports(*XML_MODULES), "from xml.dom import minidom"),
    "SQL with values in it": (is_composed_sql, "sql(f'SELECT 1 FROM message WHERE owner = {owner}')"),
    "SQL put together": (is_composed_sql, "execute('SELECT ' + column)"),
}


def found(rule: Rule, *folders: str) -> Iterator[str]:
    for path, tree in trees(*folders):
        if not path.as_posix().startswith("smsbridge/sim/"):  # starts servers of its own, for tests and the demo
            yield from (f"{path}:{node.lineno}" for node in ast.walk(tree) if rule(node))


@pytest.mark.parametrize("name", RULES)
def test_the_product_does_not_use_what_is_dangerous(name: str) -> None:
    rule, example = RULES[name]
    assert any(rule(node) for node in ast.walk(ast.parse(example)))
    assert list(found(rule, "smsbridge/")) == []


def test_a_statement_of_constants_would_not_be_found() -> None:
    for fine in ("sql(f'SELECT {COLUMNS} FROM message', owner)", "sql(HEAD + 'x')", "sql('SELECT $1', owner)"):
        assert not any(is_composed_sql(node) for node in ast.walk(ast.parse(fine)))


def test_xml_is_read_in_three_places_that_are_shut() -> None:
    """Everything else comes parsed, from slixmpp's stream."""
    assert {each.partition(":")[0] for each in found(parses_xml, "smsbridge/")} == SHUT
