"""What the bridge is told of the configuration: who owns which line, and what may be texted."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Final

from smsbridge.bridge.desk import Publishing
from smsbridge.config_schema import CapSettings, CapsSettings, Config, LineSettings
from smsbridge.config_schema import Prices as PriceSettings
from smsbridge.config_yaml import Problem
from smsbridge.core.address import Did
from smsbridge.core.caps import MILLION, Caps, Limits, Prices, Whose
from smsbridge.core.doubt import OnUnknown, Unknowns
from smsbridge.core.gate import Policy
from smsbridge.core.line import CatchUp, Directory, Line, Receipts, Republish
from smsbridge.core.message import ProviderName
from smsbridge.core.ration import Ration
from smsbridge.media.convert import can_convert
from smsbridge.providers.contract import AccountSettings, Capabilities, CatchingUp, Rationed

SHORTEST_SETTLE: Final = timedelta(seconds=60)  # a call may take as long


def directory(config: Config, capabilities: Mapping[ProviderName, Capabilities]) -> Directory:
    """Who owns which line. `capabilities` of every provider that is configured."""
    owners: dict[Did, list[str]] = {}
    for owner, dids in config.jids.items():
        for did in dids:
            owners.setdefault(did, []).append(owner)
    lines = []
    for did, of_line in owners.items():
        provider = config.provider_of(did)
        settings, able = config.lines.get(did, LineSettings()), capabilities[provider]
        line = Line(
            did=did,
            provider=provider,
            owners=tuple(of_line),
            # where nothing is ever reported the tick would never come
            receipts=settings.receipts if able.delivery_reports else Receipts.ACCEPTED,
            can_mms=settings.mms and bool(able.mms_text),
            can_text_shortcodes=able.shortcodes,
            honours_stop=settings.stop_words,
        )
        lines.append(line)
    return Directory(lines, {owner: dids[0] for owner, dids in config.jids.items() if dids})


def unknowns(config: Config) -> dict[ProviderName, Unknowns]:
    """How each account's unknown sends are dealt with."""
    return {
        account.name: account.settings.unknowns
        for account in config.providers.values()
        if isinstance(account.settings, AccountSettings)
    }


def policy(config: Config) -> Policy:
    """What the send gate needs to know."""
    return Policy(
        regions=frozenset(config.destinations),
        usual=frozenset(config.usual_destinations),
        limits=Limits(caps=_caps(config.caps), prices=_prices(config.prices)),
        has_breaker=config.loop_breaker,
    )


def rations(config: Config) -> dict[ProviderName, Ration]:
    """How many messages a day each account takes, where it takes no more."""
    found = {}
    for account in config.providers.values():
        settings = account.settings
        if isinstance(settings, Rationed) and settings.daily_limit is not None:
            found[account.name] = Ration(
                limit=settings.daily_limit,
                zone=settings.day_zone,
                is_refusing=settings.over_limit == "refuse",
            )
    return found


def catch_ups(config: Config) -> dict[ProviderName, CatchUp]:
    """Whether and from when on each account's list is read."""
    settings = {account.name: account.settings for account in config.providers.values()}
    return {name: its.catch_up for name, its in settings.items() if isinstance(its, CatchingUp)}


def publishing(config: Config) -> Publishing:
    """How attachments that come in are given to owners."""
    return Publishing(
        how=config.media.inbound,
        public_url=config.http.public_url,
        serve_for=timedelta(days=config.media.serve_days),
    )


def media_places(
    config: Config, capabilities: Mapping[ProviderName, Capabilities]
) -> dict[ProviderName, frozenset[str]]:
    """From where the attachments of each account are fetched, if they are."""
    if config.media.inbound is Republish.LINK:
        return {}
    return {
        name: able.media_places.union(config.media.near) for name, able in capabilities.items() if able.media_places
    }


def caps_in_words(config: Config) -> dict[str, str]:
    """What the journal says at the start: every cap that is in force, and whether money is capped at all."""
    words = {}
    for whose, its in config.caps:
        keys = [f"{key} {value}" for key, value in its if value is not None]
        words[whose] = ", ".join(keys) or "no cap"
    words["money"] = "counted by prices" if config.prices else "not counted, since there are no prices"
    return words


def _caps(settings: CapsSettings) -> dict[Whose, Caps]:
    found = {}
    for whose in Whose:
        section: CapSettings = getattr(settings, whose)
        found[whose] = Caps(
            minute=section.minute,
            day=section.day,
            new_peers_a_day=section.new_peers_a_day,
            spend_a_day=_millionths(section.spend_a_day),
            spend_a_month=_millionths(section.spend_a_month),
        )
    return found


def _prices(settings: PriceSettings | None) -> Prices | None:
    if settings is None:
        return None
    return Prices(sms=round(settings.sms * MILLION), mms=round(settings.mms * MILLION), currency=settings.currency)


def _millionths(amount: Decimal | None) -> int | None:
    return None if amount is None else round(amount * MILLION)


def advice(config: Config) -> tuple[Problem, ...]:
    """What is allowed, and will be regretted."""
    words = []
    if not config.admins:
        words.append("there are no admins: nobody is told of texts that reach no owner, or of faults of an account")
    silent = config.languages.keys() - {*config.jids, *config.admins}
    words.extend(f"languages: {jid} owns no number and is no admin, and is told nothing" for jid in sorted(silent))
    for name, unknown in unknowns(config).items():
        if unknown.on_unknown is OnUnknown.RESEND:
            words.append(f"on_unknown of {name}: what may have left already is sent again, and texts will go twice")
        if unknown.settle < SHORTEST_SETTLE:
            words.append(f"settle_seconds of {name}: the carrier may list a text later, and then it goes twice")
    if not can_convert():
        words.append(
            "the extra media is not installed whole: pictures that are too large or of a kind that phones do not"
            " know go as links (pip install 'smsbridge[media]')"
        )
    return tuple(Problem(line=None, words=text, is_warning=True) for text in words)
