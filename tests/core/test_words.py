"""The catalogue is whole in every language, and rooms fill the places of its sentences."""

import ast
import json
import string
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import smsbridge
from smsbridge.core.errors import Reason
from smsbridge.core.questions import Answer
from smsbridge.core.words.packing import pack, unpack
from smsbridge.core.words.say import Key, Language, Phrase, Plural, Say
from smsbridge.core.words.tell import Tell
from smsbridge.core.words.wording import TONGUES, language_named, worded
from smsbridge.media.fetch import Fault

SOURCE = Path(smsbridge.__file__).parent
ENGLISH, FRENCH = TONGUES[Language.ENGLISH], TONGUES[Language.FRENCH]
ENUMS = {"Say": Say, "Tell": Tell}
KEYS = [*Say, *Tell]
# What is the same in both languages: signs and names, or a word that they share.
SAME = {
    Tell.ADVISED, Say.LABEL_QUESTION, Say.MINUTES, Say.MONEY, Say.NUMBERED, Say.OPEN_QUESTION, Say.OPEN_QUESTIONS,
    Say.SIGNS, Say.USAGE, Tell.WHAT_AND_ENDED, Say.WORD_QUESTIONS,
}  # fmt: skip
AT = datetime(2026, 12, 1, 18, 5, tzinfo=UTC)


def forms(entry: str | Plural) -> list[str]:
    return [entry] if isinstance(entry, str) else [form for form in (entry.one, entry.many, entry.none) if form]


def places(entry: str | Plural) -> set[str]:
    """The names of the places of a sentence, those of all its forms together, and what it is counted by."""
    named = {name for form in forms(entry) for _, name, _, _ in string.Formatter().parse(form) if name}
    return named | ({"n"} if isinstance(entry, Plural) else set())


def said() -> Iterator[tuple[str, Key, set[str] | None]]:
    """Every `Say.KEY` and `Tell.KEY`: where, which, and what fills its places (None: it is not called there)."""
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if path.parent.name == "words":
            continue
        calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ENUMS:
                call = calls.get(id(node))
                filled = None if call is None else {str(keyword.arg) for keyword in call.keywords}
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", ENUMS[node.value.id][node.attr], filled


@pytest.mark.parametrize("language", Language)
def test_every_language_says_everything_and_nothing_else(language: Language):
    assert TONGUES[language].entries.keys() == set(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_a_sentence_has_the_same_places_in_every_language(key: Key):
    assert places(FRENCH.entries[key]) == places(ENGLISH.entries[key])


def test_what_is_the_same_in_both_languages_is_meant_to_be():
    assert {key for key in KEYS if ENGLISH.entries[key] == FRENCH.entries[key]} == SAME


def test_a_key_is_spelled_as_its_member():
    assert [key.value for key in KEYS] == [key.name.lower() for key in KEYS]
    assert len({key.value for key in KEYS}) == len(KEYS)


def test_every_reason_has_its_sentence():
    for reason in Reason:
        assert worded(reason.words, Language.ENGLISH).endswith(".")
        assert worded(reason.words, Language.FRENCH).endswith(".")


def test_all_that_is_said_fills_all_places_and_no_others():
    wrong = [
        f"{place}: {key} is filled with {sorted(filled)}"
        for place, key, filled in said()
        if filled is not None and filled != places(ENGLISH.entries[key])
    ]
    assert wrong == []


def test_every_sentence_is_said_somewhere():
    by_name = {Say[reason.name] for reason in Reason} | {Say[f"WHY_{fault.name}"] for fault in Fault}
    by_name |= {Say[f"WORD_{answer.name}"] for answer in Answer}
    unsaid = set(KEYS) - {key for _, key, _ in said()} - by_name
    assert sorted(unsaid) == []


def test_every_french_sign_has_the_blank_before_it_that_no_line_is_broken_at():
    bare = (" :", " ;", " !", " ?", " »", "« ", " %", "'")
    for key in KEYS:
        for form in forms(FRENCH.entries[key]):
            text = "".join(literal for literal, *_ in string.Formatter().parse(form))
            assert not any(sign in text for sign in bare), form


@pytest.mark.parametrize(
    ("n", "english", "french"),
    [(0, "0 seconds", "0 seconde"), (1, "1 second", "1 seconde"), (2, "2 seconds", "2 secondes")],
)
def test_each_language_counts_as_it_does(n: int, english: str, french: str):
    assert worded(Say.SECONDS(n=n), Language.ENGLISH) == english
    assert worded(Say.SECONDS(n=n), Language.FRENCH) == french


def test_nought_has_words_of_its_own_where_they_are_better():
    assert worded(Tell.STILL_SO(n=0, span="a day", words="So."), Language.ENGLISH) == "Still so after a day: So."


def test_a_phrase_in_a_phrase_is_said_in_the_same_language():
    phrase = Say.NOT_LEFT_YET(why=Say.WAITS_ITS_TURN())
    assert worded(phrase, Language.ENGLISH).startswith("Your text has not left yet: it waits for those before it. ")
    assert worded(phrase, Language.FRENCH).startswith("Votre texto n’est pas encore parti\u00a0: il attend que partent")


def test_what_stands_in_a_place_is_never_read_as_a_place():
    words = "{at:clock} {0} }{"
    assert worded(Say.NUMBERED(number=1, words=words), Language.FRENCH) == f"[1] {words}"


def test_times_are_written_as_each_language_does():
    doubt = Say.DOUBT(at=AT, peer="+15559870002")
    assert "of 18:05 UTC to" in worded(doubt, Language.ENGLISH)
    assert "de 18\u00a0h\u00a005 UTC à" in worded(doubt, Language.FRENCH)
    kept = Say.WORDS_NOT_KEPT(at=AT)
    assert "of 1 December 2026 whose" in worded(kept, Language.ENGLISH)
    assert "du 1er décembre 2026 dont" in worded(kept, Language.FRENCH)


def test_somebodys_own_words_stay_as_they_are():
    assert worded("No funds: {n}", Language.FRENCH) == "No funds: {n}"


@pytest.mark.parametrize(
    "phrase",
    [
        Say.FOUND(),
        Say.SOME_LEFT(n=1, of=3),
        Say.DOUBT_AND_REST(doubt=Say.DOUBT(at=AT, peer="“it's” +15559870002")),
        Say.OPEN_QUESTIONS(questions=(Say.FOUND(), "as it is", Say.NUMBERED(number=2, words="")), ),
        "a carrier's own words",
        "",
    ],
)  # fmt: skip
def test_words_come_out_of_a_column_as_they_went_in(phrase: Phrase | str):
    assert unpack(pack(phrase)) == phrase


@pytest.mark.parametrize(
    "text",
    [
        '{"say":"of_a_newer_version"}',
        '{"say":',
        '{"say":"found","with":[1]}',
        '{"say":"doubt","with":{"at":{}}}',
        '{"say":"doubt","with":{"peer":"+15559870002"}}',
        '{"say":"seconds","with":{"n":"two"}}',
    ],
)
def test_a_phrase_of_another_version_is_as_good_as_no_words(text: str):
    assert unpack(text) == ""


def test_what_is_packed_is_one_line_of_text():
    text = pack(Say.DOUBT(at=AT, peer="a\nb"))
    assert "\n" not in text
    assert json.loads(text) == {"say": "doubt", "with": {"at": {"ms": 1796148300000}, "peer": "a\nb"}}


@pytest.mark.parametrize(
    ("tag", "language"),
    [("fr", Language.FRENCH), ("fr-CA", Language.FRENCH), ("FR", Language.FRENCH), ("en-GB", Language.ENGLISH),
     ("de", None), ("", None), ("frp", None)],
)  # fmt: skip
def test_a_language_is_known_by_its_tag(tag: str, language: Language | None):
    assert language_named(tag) is language


# Where sentences may not stand

SPEAKERS = {
    "Refused", "Rejected", "Deferred", "Indeterminate", "Finding", "Said", "Option", "Argument", "Command", "sound",
    "clear", "say", "tell_admins", "tell_waiting", "ask", "worded", "add_error", "add_identity", "add_item", "lock",
    "refuse",
}  # fmt: skip
SPOKEN = {"words", "body", "label", "does", "none", "why", "to_do", "what", "name"}
# What is said there is read in the journal, at the command line, by an editor, or comes from a carrier.
READ_BY_OTHERS = {
    *("bridge/room.py", "store/why.py", "xmpp/handing.py", "xmpp/upload.py"),
    *("providers/contract.py", "providers/voipms/reports.py"),
}
NAMES = {"VoIP.ms: Main Menu, SOAP and REST/JSON API"}


def name_of(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def literals(node: ast.expr) -> Iterator[str]:
    """The texts that an expression may come to, as far as they stand in it."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(part.value for part in parts if isinstance(part, ast.Constant))
        case ast.BinOp(left=left, right=right):
            yield from (*literals(left), *literals(right))
        case ast.IfExp(body=body, orelse=other):
            yield from (*literals(body), *literals(other))
        case ast.BoolOp(values=values):
            for value in values:
                yield from literals(value)


def is_for_people(text: str, words: int = 2) -> bool:
    """So many words or more, of letters."""
    return sum(word.strip(".,:;!?()'\"").isalpha() for word in text.split()) >= words


def given_to_people(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.Call(func=function) if name_of(function) in SPEAKERS:
            return [*node.args, *(keyword.value for keyword in node.keywords)]
        case ast.keyword(arg=name, value=value) if name in SPOKEN:
            return [value]
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in SPOKEN:
            return [value]
        case _:
            return []


def spoken(path: Path) -> Iterator[tuple[int, str]]:
    """What a module gives to whoever speaks to people, as text that stands there; constants are followed."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = {
        target.id: list(literals(node.value))
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        for value in given_to_people(node):
            texts = constants.get(value.id, []) if isinstance(value, ast.Name) else literals(value)
            yield from ((value.lineno, text) for text in texts if is_for_people(text))


def read_elsewhere(tree: ast.Module) -> set[int]:
    """What is no talk to people: docstrings, and the words of exceptions that nobody is told."""
    scopes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    heads = [node.body[0] for node in ast.walk(tree) if isinstance(node, scopes) and node.body]
    others = [head.value for head in heads if isinstance(head, ast.Expr)]
    raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    others += [one for one in raised if isinstance(one, ast.Call) and name_of(one.func) not in SPEAKERS]
    return {id(inner) for other in others for inner in ast.walk(other)}


def standing(path: Path) -> Iterator[tuple[int, str]]:
    """Every text of three words or more in a module, wherever it goes; no SQL."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    elsewhere = read_elsewhere(tree)
    pieces = {id(value) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for value in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in elsewhere | pieces:
            yield from ((node.lineno, text) for text in literals(node) if is_for_people(text, 3))


def outside(rooms: tuple[str, ...], look: Callable[[Path], Iterator[tuple[int, str]]]) -> list[str]:
    return [
        f"{path.relative_to(SOURCE)}:{line}: {text}"
        for room in rooms
        for path in sorted((SOURCE / room).rglob("*.py"))
        if path.relative_to(SOURCE).as_posix() not in READ_BY_OTHERS and path.parent.name != "words"
        for line, text in look(path)
        if text not in NAMES
    ]


def test_no_sentence_stands_outside_of_the_catalogue():
    assert outside(("core", "bridge", "providers"), standing) == []
    assert outside(("xmpp", "store", "media"), spoken) == []


@pytest.mark.parametrize(
    "line",
    [
        'raise Refused(Reason.EMPTY, "There is nothing in it.")',
        'raise Refused(Reason.EMPTY, f"{n} are too many, of {most}.")',
        'yield from telling.say(desk, [owner], "It was " + "not sent.", "id")',
        'words = "It was sent." if is_sent else "It waits still."',
        'BODY = "It was not sent."\nasync def f(): draft = Draft(body=BODY)',
    ],
)
def test_a_sentence_that_stands_outside_is_found(tmp_path: Path, line: str):
    (tmp_path / "room.py").write_text(line)
    assert list(spoken(tmp_path / "room.py"))


def test_a_sentence_that_goes_a_long_way_is_found_all_the_same(tmp_path: Path):
    (tmp_path / "room.py").write_text('told = f"A file came for {did}, which nobody has."\nrows = [told]')
    assert list(standing(tmp_path / "room.py"))
