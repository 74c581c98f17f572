"""The rules in force, and how new ones take their place: whole, or not at all.

    SIGHUP ─▶ the file is read and judged, in a thread ─▶ may all that changed, change? ─▶ accounts, rules, journal
                └ wrong: its lines and keys are told          └ no: likewise               (in one step of the loop)

What is told names lines and keys, and never what stands there. A key is told as far as it is one of ours: what the
operator made up himself (a JID, a number, a misspelt key) is "…", since anything may have slipped into its place.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, Final

from smsbridge import log
from smsbridge.bridge.desk import Rules
from smsbridge.clock import Clock
from smsbridge.config import Config, ConfigError, Loaded, Problem
from smsbridge.config_contacts import books_of
from smsbridge.config_rules import advice, catch_ups, directory, media_places, policy, publishing, rations, unknowns
from smsbridge.config_schema import SECTIONS, known_keys
from smsbridge.config_yaml import Place
from smsbridge.core.message import ProviderName
from smsbridge.log import Event, Log
from smsbridge.notify import notify, reloading, status
from smsbridge.providers.contract import Provider, Resettable

TELL_AT_MOST: Final = 10
TAKES_A_RESTART: Final = "systemctl restart smsbridge takes it over; until then what was in force stays in force"
SEE_CHECK: Final = "smsbridge check tells what is wrong; what was in force stays in force"

# What is built into sockets and files when the process starts, but for the keys that nothing is built from.
_BUILT_IN: Final = ("xmpp", "http", "store", "media")
_FREE: Final = frozenset({
    ("http", "public_url"), ("media", "inbound"), ("media", "serve_days"), ("media", "fetch_from"),
})  # fmt: skip
_KNOWN: Final = frozenset({"kind", *(key for model in SECTIONS.values() for key in known_keys(model))})

Changed = tuple[Place, ...]
FollowUp = Callable[[Changed], Coroutine[Any, Any, None]]

_log = Log("rules")


class NotReloadable(Exception):
    """The new configuration holds, and changes what only a restart can change."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(", ".join(".".join(map(str, problem.place)) for problem in problems))


class RulesBook:
    """The rules in force; `replace` turns all the pages at once."""

    def __init__(self, config: Config, providers: Mapping[ProviderName, Provider]) -> None:
        self._config = config
        self._providers = providers
        self._rules = self._rules_of(config)

    @property
    def config(self) -> Config:
        """What is in force."""
        return self._config

    def rules(self) -> Rules:
        """What the bridge asks with every text."""
        return self._rules

    def replace(self, loaded: Loaded) -> Changed:
        """What has changed, and is in force now. Raises `NotReloadable`, or whatever else, and nothing is changed."""
        new, old = loaded.config, self._config
        if fixed := [*self._built_in(new)]:
            raise NotReloadable([
                Problem(line=loaded.line_of(place), words=TAKES_A_RESTART, place=place) for place in fixed
            ])  # fmt: skip
        rules = self._rules_of(new)
        self._reset_accounts(new)
        if new.log != old.log:
            log.configure(new.log.format, new.log.threshold)
        self._rules, self._config = rules, new
        return tuple(_changed(old, new))

    def _built_in(self, new: Config) -> Iterator[Place]:
        """What differs from what is in force, and cannot."""
        for section in _BUILT_IN:
            before, after = getattr(self._config, section), getattr(new, section)
            yield from ((section, key) for key in _differing(before, after) if (section, key) not in _FREE)
        accounts = self._config.providers
        for name in sorted(accounts.keys() | new.providers.keys()):
            place = ("providers", name)
            if name not in accounts or name not in new.providers:
                yield place
            elif accounts[name].kind != new.providers[name].kind:
                yield (*place, "kind")
            elif not isinstance(self._providers[name], Resettable):
                for key in _differing(accounts[name].settings, new.providers[name].settings):
                    yield (*place, key)

    def _reset_accounts(self, new: Config) -> None:
        accounts, done = self._config.providers, list[ProviderName]()
        try:
            for name, provider in self._providers.items():
                if accounts[name].settings != new.providers[name].settings and isinstance(provider, Resettable):
                    done.append(name)
                    provider.reset(new.providers[name].settings)
        except Exception:
            for name in done:
                provider = self._providers[name]
                if isinstance(provider, Resettable):
                    provider.reset(accounts[name].settings)
            raise

    def _rules_of(self, config: Config) -> Rules:
        capabilities = {name: provider.capabilities for name, provider in self._providers.items()}
        return Rules(
            directory=directory(config, capabilities),
            media_places=media_places(config, capabilities),
            publishing=publishing(config),
            fetch_from=frozenset(config.media.fetch_from),
            policy=policy(config),
            address_style=config.address_style,
            admins=config.admins,
            language=config.language,
            languages=config.languages,
            mirror=config.sent_elsewhere,
            named=books_of(config.contacts, config.contacts_of),
            roster=config.roster,
            catch_up=catch_ups(config),
            spans=config.retention.spans,
            rations=rations(config),
            unknowns=unknowns(config),
        )


class Reloader:
    """Turns the book's pages when asked, one reload after the other; the supervisor hears of each."""

    def __init__(self, book: RulesBook, reread: Callable[[], Loaded], clock: Clock, on_change: FollowUp) -> None:
        """`reread` raises `ConfigError`; it is called in a thread. `on_change` may take its time.

        It is called though nothing has changed in the file: something may have in what the file names.
        """
        self._book = book
        self._reread = reread
        self._clock = clock
        self._on_change = on_change
        self._asked = asyncio.Event()
        self._refusal = ""

    def ask(self) -> None:
        """Reload as soon as may be; to ask again meanwhile is not lost."""
        self._asked.set()

    @property
    def refusal(self) -> str:
        """Why the last reload changed nothing, for the status line; empty if it did."""
        return self._refusal

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                await self._asked.wait()
                self._asked.clear()
                notify(*reloading(self._clock.monotonic()))
                changed = await self._reload()
                notify("READY=1", status(self._refusal or "reloaded"))
                if changed is not None:
                    group.create_task(self._on_change(changed))

    async def _reload(self) -> Changed | None:
        try:
            loaded = await asyncio.to_thread(self._reread)
            changed = self._book.replace(loaded)
        except ConfigError as error:
            self._refuse([problem for problem in error.problems if not problem.is_warning], "is wrong", SEE_CHECK)
        except NotReloadable as error:
            self._refuse(error.problems, "takes a restart", TAKES_A_RESTART)
        except Exception as error:  # noqa: BLE001  # a fault of ours, or of a carrier's: the old rules stay in force
            _log.crash(Event.CONFIG_REFUSED, error)
            self._refusal = f"reload failed at {self._now()}: the journal says where"
        else:
            self._refusal = ""
            _log.info(Event.CONFIG_RELOADED, changed=[self._key(place) for place in changed])
            tell_warnings(loaded)
            return changed
        return None

    def _refuse(self, problems: Sequence[Problem], verdict: str, words: str) -> None:
        told = [self._where(problem) for problem in problems]
        _log.error(Event.CONFIG_REFUSED, count=len(told), at=told[:TELL_AT_MOST], look_at=words)
        more = f", and {len(told) - 1} more" if len(told) > 1 else ""
        self._refusal = f"reload refused at {self._now()}: {told[0]} {verdict}{more}"

    def _where(self, problem: Problem) -> str:
        line = f"line {problem.line}" if problem.line else ""
        return f"{line} {self._key(problem.place)}".strip() or "the file"

    def _key(self, place: Place) -> str:
        known = {name: known_keys(type(account.settings)) for name, account in self._book.config.providers.items()}
        ours = _KNOWN.union(known, *known.values())
        return ".".join(step if step in ours else "…" for step in place if isinstance(step, str))

    def _now(self) -> str:
        return f"{self._clock.now():%H:%M} UTC"


def tell_warnings(loaded: Loaded) -> None:
    """Their lines go to the journal; their words may hold numbers."""
    for warning in (*loaded.warnings, *advice(loaded.config)):
        _log.warning(Event.CONFIG_WARNED, line=warning.line, look_at="smsbridge check")


def _changed(old: Config, new: Config) -> Iterator[Place]:
    for section in _differing(old, new):
        if section != "providers":
            yield (section,)
    for name, account in old.providers.items():
        yield from (("providers", name, key) for key in _differing(account.settings, new.providers[name].settings))


def _differing(before: object, after: object) -> list[str]:
    """The fields of two models of one class that are not equal."""
    fields: Mapping[str, object] = getattr(type(before), "model_fields", {})
    return [name for name in fields if getattr(before, name) != getattr(after, name)]
