"""What can be said to the bridge itself: ONE table, which serves chat lines and ad-hoc commands alike.

    resend 7  (chat, to the bare domain) ─┐
                                          ├─▶ rank ─▶ act, in one transaction ─▶ words
    a form    (ad-hoc)  ──────────────────┘

A command is a row of `COMMANDS`: its word, what it does in one line, its arguments as a small form, who may use it, and
the act. An act is a transaction: all of it is committed before anything is answered, and to repeat it changes nothing
more. It returns what is said, or raises `Refused` with words and has then done nothing. Who is neither an owner nor an
admin is refused before anything is looked up, so that he learns nothing.
"""

import unicodedata
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final

from smsbridge.bridge import answers, lockdown, naming, telling
from smsbridge.bridge.desk import Desk
from smsbridge.core.errors import Reason, Refused, StoreUnavailable
from smsbridge.core.pacing import TokenBucket
from smsbridge.core.questions import CHOICES, Answer
from smsbridge.core.words.say import Language, Phrase, Say, Words
from smsbridge.core.words.wording import worded
from smsbridge.failpoints import failpoint
from smsbridge.log import Event, Log
from smsbridge.store import questions
from smsbridge.store.database import P, T, Transaction
from smsbridge.store.questions import Question

MOST_QUESTIONS: Final = 50  # in a list
MOST_DIGITS: Final = 9
# Two machines that do not understand each other would talk for ever.
UNKNOWN_RATE, UNKNOWN_BURST = 1 / 30, 10

_log = Log("commands")


class Rank(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"


class Shape(StrEnum):
    """What a value may be: one of the options, a number of ours, a word, or all the rest of the line (perhaps none).

    Words and the rest are for the act to judge.
    """

    CHOICE = "choice"
    COUNT = "count"
    WORD = "word"
    REST = "rest"

    @property
    def is_typed(self) -> bool:
        """Whether there is nothing to choose from."""
        return self in {Shape.WORD, Shape.REST}


EVERYBODY: Final = frozenset(Rank)
_FORGIVEN: Final = "[]#.!,'\""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks: the bare JID of the outer `from`, what it is here, and the language of what it said, if it told."""

    jid: str
    ranks: frozenset[Rank]
    asked: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """A value that an argument may have, and what a form shows for it."""

    value: str
    label: Words


def _no_options(_desk: Desk, _caller: Caller) -> Transaction[tuple[Option, ...]]:
    return ()
    yield  # a transaction without a statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One field of the form. `sign` stands for it in a line of help; `none` is said when there is nothing to choose."""

    name: str
    sign: Words
    label: Phrase
    options: Callable[[Desk, Caller], Transaction[tuple[Option, ...]]] = _no_options
    none: Words = ""
    shape: Shape = Shape.CHOICE


Act = Callable[[Desk, Caller, Sequence[str]], Transaction[Words]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A row of the table. The act gets a value for each argument, in their order.

    `name` is its own in every language, `word` what is typed for it.
    """

    name: str
    word: Phrase
    does: Phrase
    act: Act
    arguments: tuple[Argument, ...] = ()
    ranks: frozenset[Rank] = EVERYBODY

    @property
    def usage(self) -> Phrase:
        signs = tuple(argument.sign for argument in self.arguments)
        return Say.USAGE(word=self.word, signs=Say.SIGNS(signs=signs)) if signs else self.word

    def is_typed(self, word: str) -> bool:
        """Whether this is its name, or its word in any language, accents or not."""
        return _bare(word) in {self.name, *(_bare(worded(self.word, language)) for language in Language)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """An argument with the options that this caller has."""

    argument: Argument
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """The words for the caller. Not `is_done`: it was refused, and nothing has changed."""

    words: Words
    is_done: bool = True


class Commands:
    """The table at work. Whatever is asked by a stranger raises `Refused`; all may raise `StoreUnavailable`."""

    def __init__(self, desk: Desk, follow: Callable[[str], Awaitable[None]] | None = None) -> None:
        """`follow` is awaited with the name of a command that was committed, before its caller is answered."""
        self._desk = desk
        self._follow = follow
        self._unknown: dict[str, TokenBucket] = {}  # of owners and admins, so there are few

    def offered(self, jid: str) -> tuple[Command, ...]:
        """The commands that this bare JID may use; none for a stranger."""
        return _offered(self._caller(jid))

    async def form(self, jid: str, name: str) -> tuple[Field, ...]:
        """What a command has to be told."""
        caller = self._caller(jid)
        return await self._desk.database.run(self._fields, caller, _named(caller, name))

    async def run(self, jid: str, name: str, values: Mapping[str, str]) -> Said:
        """Do it, with a value for each argument. What it did is committed when this returns."""
        caller = self._caller(jid)
        command = _named(caller, name)
        given = [values.get(argument.name, "") for argument in command.arguments]
        try:
            return Said(await self._commit(command, self._act, caller, command, given))
        except Refused as refused:
            return Said(refused.words or refused.reason.words, is_done=False)

    async def typed(self, jid: str, line: str, asked: str = "") -> None:
        """Do what a line of chat says, and answer in the same commit; `asked` is the line's own language."""
        caller = self._caller(jid, asked)
        if not caller.ranks:
            raise Refused(Reason.NOT_OWNER)
        said = _said(line)
        command = next((each for each in _offered(caller) if each.is_typed(_plain(said[:1]))), None)
        if command is None and self._is_babble(jid):
            return
        given = _given(command, said[1:]) if command else []
        try:
            await self._commit(command, self._type, caller, command, given)
        except Refused as refused:
            await self._commit(command, self._say, caller, refused.words or refused.reason.words)

    def _caller(self, jid: str, asked: str = "") -> Caller:
        rules = self._desk.rules()
        ranks = {Rank.ADMIN: jid in rules.admins, Rank.OWNER: bool(rules.directory.lines_of(jid))}
        return Caller(jid=jid, ranks=frozenset(rank for rank, holds in ranks.items() if holds), asked=asked)

    def _is_babble(self, jid: str) -> bool:
        bucket = self._unknown.setdefault(jid, TokenBucket(rate=UNKNOWN_RATE, burst=UNKNOWN_BURST))
        return bucket.take(self._desk.clock.monotonic()) > 0

    async def _commit(
        self, command: Command | None, work: Callable[P, Transaction[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        failpoint("commands.taking", StoreUnavailable)
        result = await self._desk.database.run(work, *args, **kwargs)
        failpoint("commands.committed", StoreUnavailable)
        _log.info(Event.COMMAND_RUN, command=command.name if command else "unknown")
        if command is not None and self._follow is not None:
            await self._follow(command.name)
        self._desk.wake_stream()
        self._desk.wake_senders()
        self._desk.wake_media()  # what was confirmed may have files
        return result

    def _fields(self, caller: Caller, command: Command) -> Transaction[tuple[Field, ...]]:
        fields = []
        for argument in command.arguments:
            options = yield from argument.options(self._desk, caller)
            fields.append(Field(argument=argument, options=options))
        return tuple(fields)

    def _type(self, caller: Caller, command: Command | None, given: Sequence[str]) -> Transaction[None]:
        if command is None:
            words: Words = Say.UNKNOWN_WORD(commands=_list(caller))
        else:
            words = yield from self._act(caller, command, given)
        yield from self._say(caller, words)

    def _act(self, caller: Caller, command: Command, given: Sequence[str]) -> Transaction[Words]:
        if len(given) != len(command.arguments):
            raise Refused(Reason.BAD_ADDRESS, Say.WRITE(usage=command.usage))
        for field, value in zip((yield from self._fields(caller, command)), given, strict=True):
            if not _is_good(value, field):
                raise Refused(Reason.BAD_ADDRESS, Say.WRITE(usage=command.usage))
        return (yield from command.act(self._desk, caller, given))

    def _say(self, caller: Caller, words: Words) -> Transaction[None]:
        yield from telling.say(self._desk, [caller.jid], words, "command", self._desk.ids.new(), asked=caller.asked)


def _offered(caller: Caller) -> tuple[Command, ...]:
    return tuple(command for command in COMMANDS if command.ranks & caller.ranks)


def _named(caller: Caller, name: str) -> Command:
    if not caller.ranks:
        raise Refused(Reason.NOT_OWNER)
    for command in _offered(caller):
        if command.name == name:
            return command
    raise Refused(Reason.BAD_ADDRESS, Say.NO_SUCH_COMMAND())


def _said(line: str) -> list[str]:
    """The words that were typed, without what they quote."""
    words = " ".join(part for part in line.splitlines() if not part.startswith(">")).split()
    return [word for word in words if word.strip(_FORGIVEN)]


def _given(command: Command, words: Sequence[str]) -> list[str]:
    """The arguments, forgiving of case and of the brackets of `[7]`; the rest of a line is as it was written."""
    if not command.arguments or command.arguments[-1].shape is not Shape.REST:
        return [_plain([word]) for word in words]
    before = len(command.arguments) - 1
    rest = [" ".join(words[before:])] if len(words) >= before else []
    return [*(_plain([word]) for word in words[:before]), *rest]


def _plain(words: Sequence[str]) -> str:
    return "".join(words).casefold().strip(_FORGIVEN)


def _is_good(value: str, field: Field) -> bool:
    match field.argument.shape:
        case Shape.CHOICE:
            return value in {option.value for option in field.options}
        case Shape.COUNT:
            return _is_number(value)
        case Shape.WORD:
            return bool(value.strip())
        case Shape.REST:
            return True


def _bare(word: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFD", word) if not unicodedata.combining(sign))


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= MOST_DIGITS


def _list(caller: Caller) -> Phrase:
    lines = (Say.COMMAND(usage=command.usage, does=command.does) for command in _offered(caller))
    return Say.COMMANDS_ARE(commands=tuple(lines))


def _help(_desk: Desk, caller: Caller, _given: Sequence[str]) -> Transaction[Words]:
    return _list(caller)
    yield  # a transaction without a statement


def _questions(_desk: Desk, caller: Caller, _given: Sequence[str]) -> Transaction[Words]:
    found = yield from questions.open_of(caller.jid, MOST_QUESTIONS)
    lines = [
        Say.OPEN_QUESTION(
            question=_labelled(question), choices=tuple(answer.typed for answer in CHOICES[question.kind])
        )
        for question in found
    ]
    return Say.OPEN_QUESTIONS(questions=tuple(lines)) if lines else Say.NO_OPEN_QUESTION()


def _answer(word: Answer, desk: Desk, caller: Caller, given: Sequence[str]) -> Transaction[Words]:
    return (yield from answers.answer(desk, caller.jid, int(given[0]), word))


def _open_for(word: Answer, _desk: Desk, caller: Caller) -> Transaction[tuple[Option, ...]]:
    found = yield from questions.open_of(caller.jid, MOST_QUESTIONS)
    return tuple(_option(question) for question in found if word in CHOICES[question.kind])


def _option(question: Question) -> Option:
    return Option(str(question.number), _labelled(question))


def _labelled(question: Question) -> Phrase:
    return Say.NUMBERED(number=question.number, words=question.words or Say.WORDS_NOT_KEPT(at=question.asked_at))


def _lockdown(desk: Desk, caller: Caller, given: Sequence[str]) -> Transaction[Words]:
    is_admin = Rank.ADMIN in caller.ranks
    return (yield from lockdown.switch(desk, caller.jid, is_admin=is_admin, is_on=given[0] == "on"))


def _name(desk: Desk, caller: Caller, given: Sequence[str]) -> Transaction[Words]:
    return (yield from naming.call(desk, caller.jid, *given))


def _on_or_off(_desk: Desk, _caller: Caller) -> Transaction[tuple[Option, ...]]:
    return (Option("on", Say.LOCKDOWN_ON()), Option("off", Say.LOCKDOWN_OFF()))
    yield  # a transaction without a statement


def _answering(word: Answer, does: Phrase) -> Command:
    number = Argument(
        name="number",
        sign="N",
        label=Say.LABEL_QUESTION(),
        options=partial(_open_for, word),
        none=Say.NOTHING_TO_ANSWER(),
        shape=Shape.COUNT,
    )
    return Command(name=word, word=word.typed, does=does, act=partial(_answer, word), arguments=(number,))


COMMANDS: Final = (
    Command(name="help", word=Say.WORD_HELP(), does=Say.DOES_HELP(), act=_help),
    Command(name="questions", word=Say.WORD_QUESTIONS(), does=Say.DOES_QUESTIONS(), act=_questions),
    _answering(Answer.RESEND, Say.DOES_RESEND()),
    _answering(Answer.ARRIVED, Say.DOES_ARRIVED()),
    _answering(Answer.DISCARD, Say.DOES_DISCARD()),
    _answering(Answer.CONFIRM, Say.DOES_CONFIRM()),
    Command(
        name="lockdown",
        word=Say.WORD_LOCKDOWN(),
        does=Say.DOES_LOCKDOWN(),
        act=_lockdown,
        arguments=(Argument(name="switch", sign="on|off", label=Say.LABEL_LOCKDOWN(), options=_on_or_off),),
    ),
    Command(
        name=naming.NAME,
        word=Say.WORD_NAME(),
        does=Say.DOES_NAME(),
        act=_name,
        arguments=(
            Argument(name="number", sign=Say.SIGN_NUMBER(), label=Say.LABEL_NUMBER(), shape=Shape.WORD),
            Argument(name="as", sign=Say.SIGN_NAME(), label=Say.LABEL_NAME(), shape=Shape.REST),
        ),
        ranks=frozenset({Rank.OWNER}),
    ),
)
