"""What every use case works with."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from smsbridge.bridge.carriers import Carriers
from smsbridge.bridge.pulse import Pulse
from smsbridge.clock import Clock, system_clock
from smsbridge.core.doubt import Unknowns
from smsbridge.core.faces import Book, Roster
from smsbridge.core.gate import Policy
from smsbridge.core.line import AddressStyle, CatchUp, Directory, Mirror, Republish
from smsbridge.core.message import ProviderName
from smsbridge.core.ration import Ration
from smsbridge.core.words.say import Language, Words
from smsbridge.core.words.wording import language_named, worded
from smsbridge.media.fetch import File
from smsbridge.metrics import Metrics
from smsbridge.store.database import Database
from smsbridge.store.ids import Ids
from smsbridge.store.retention import Spans


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """How attachments that come in are given to owners. `public_url`: where our own door is reached from outside."""

    how: Republish = Republish.UPLOAD
    public_url: str | None = None
    serve_for: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the configuration decides; a reload replaces it whole.

    `media_places`: from where attachments are fetched; what an account that is not there brings is linked to.
    `language`: of everybody who has none in `languages` (by bare JIDs), None if the operator chose none.
    `fetch_from`: from where files are fetched that owners attach, besides the XMPP server's upload service.
    """

    directory: Directory
    policy: Policy = field(default_factory=Policy)
    address_style: AddressStyle = AddressStyle.PLAIN
    admins: tuple[str, ...] = ()
    rations: Mapping[ProviderName, Ration] = field(default_factory=dict)
    unknowns: Mapping[ProviderName, Unknowns] = field(default_factory=dict)
    spans: Spans = field(default_factory=Spans)
    mirror: Mirror = Mirror.CARBON
    named: tuple[Book, ...] = ()
    roster: Roster = Roster.AUTO
    catch_up: Mapping[ProviderName, CatchUp] = field(default_factory=dict)
    media_places: Mapping[ProviderName, frozenset[str]] = field(default_factory=dict)
    publishing: Publishing = field(default_factory=Publishing)
    fetch_from: frozenset[str] = frozenset()
    language: Language | None = None
    languages: Mapping[str, Language] = field(default_factory=dict)

    def language_of(self, jid: str, asked: str = "") -> Language:
        """In which language somebody is told. `asked`, an `xml:lang`, decides where the operator chose none."""
        chosen = self.languages.get(jid.partition("/")[0]) or self.language
        return chosen or language_named(asked) or Language.ENGLISH


async def _no_file(_file_id: str) -> File | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The store, the time and the rules.

    `domain` is the component's; `holder` is the name under which this process claims, and no other ever did;
    `wake_stream`, `wake_senders` and `wake_media` are called after a commit that gave them work;
    `speaks_for` says whether an owner's server lets us write in their name (None: nobody knows yet);
    `has_room`: whether there is room to take anything new; `uploads`: from where users' own uploads are had (origins),
    as far as is known; `load_file`: the bytes that are kept under an id;
    `pulse` is where a loop that lives as long as the process promises to turn again; `carriers` knows which cannot be
    reached.
    """

    database: Database
    ids: Ids
    clock: Clock
    metrics: Metrics
    domain: str
    holder: str
    rules: Callable[[], Rules]
    wake_stream: Callable[[], None]
    wake_senders: Callable[[], None]
    wake_media: Callable[[], None] = lambda: None
    speaks_for: Callable[[str], bool | None] = lambda _: False
    has_room: Callable[[], bool] = lambda: True
    uploads: Callable[[], frozenset[str]] = frozenset
    load_file: Callable[[str], Awaitable[File | None]] = _no_file
    pulse: Pulse = field(default_factory=lambda: Pulse(system_clock()))
    carriers: Carriers = field(default_factory=lambda: Carriers(system_clock()))

    def unknowns(self, provider: ProviderName) -> Unknowns:
        """How this account's unknown sends are dealt with."""
        return self.rules().unknowns.get(provider) or Unknowns()

    def language_of(self, jid: str, asked: str = "") -> Language:
        """As in `Rules`, by those that are in force."""
        return self.rules().language_of(jid, asked)

    def worded(self, jid: str, words: Words, asked: str = "") -> str:
        """Words as this JID is told them; `asked` as in `Rules.language_of`."""
        return worded(words, self.language_of(jid, asked))

    def now(self) -> datetime:
        return self.clock.now()
