"""Names come from address books, a CardDAV server's and a file: into cards, presence and contact lists."""

import asyncio
import base64

import pytest
import pytest_asyncio

from smsbridge.sim.stage import DID, SECOND_DID, Stage, StageConfig
from tests.fakes.photos import PNG
from tests.fakes.radicale import PASSWORD, USER, radicale
from tests.fakes.waiting import PATIENCE

from .commanding import run
from .test_names import EXCHANGE, VCARD, card_of, entry_of, name_of, shown

pytestmark = pytest.mark.asyncio(loop_scope="module")

MUM, PLUMBER, SILENT, FRIEND = "+15559880102", "+15559880103", "+15559880104", "+15559880105"
CARD = "BEGIN:VCARD\r\nVERSION:{version}\r\nUID:{uid}\r\nFN:{name}\r\nN:;;;;\r\nTEL:{number}\r\n{more}END:VCARD\r\n"
PHOTO = f"PHOTO;ENCODING=b;TYPE=PNG:{base64.b64encode(PNG).decode()}\r\n"


def card(name, number, *, version="3.0", more=""):
    return CARD.format(version=version, uid=number, name=name, number=number, more=more)


def offered_in(stanza):
    return {item.get("jid") for item in stanza.element.iterfind(f"{EXCHANGE}x/{EXCHANGE}item")}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(on_server, tmp_path_factory):
    """Alice has two address books, Bob has none."""
    directory = tmp_path_factory.mktemp("books")
    file = directory / "phone.vcf"
    file.write_text(card("Joe’s pipes", "(555) 988-0103") + card("Nobody spoke to", SILENT, version="4.0"))
    async with radicale(directory) as book:
        await book.put("mum", card("Mum", MUM, more=PHOTO))
        only_hers = "owners: [alice@example.com]"
        home = f'{{url: "{book.url}", username: {USER}, password: {PASSWORD}, {only_hers}}}'
        config = StageConfig(
            owners={"alice": (DID,), "bob": (DID, SECOND_DID)},
            extra_yaml=f"address_books:\n  home: {home}\n  phone: {{file: {file}, {only_hers}}}\n",
        )
        async with Stage(on_server(config)) as built:
            yield built


async def test_cards_are_called_as_the_books_have_them_for_whoever_has_the_books(stage, login):
    alice, bob = await login("alice"), await login("bob")
    for number, name in ((MUM, "Mum"), (PLUMBER, "Joe’s pipes")):
        async with asyncio.timeout(PATIENCE):  # they are read beside all else, and perhaps between two questions
            while (await card_of(alice, stage.contact(number))).findtext(f"{VCARD}FN") != name:
                pass
        assert await name_of(alice, stage.contact(number)) == name
    photo = (await card_of(alice, stage.contact(MUM))).find(f"{VCARD}PHOTO")
    assert base64.b64decode(photo.findtext(f"{VCARD}BINVAL")) == PNG
    assert await name_of(bob, stage.contact(MUM)) == "+1 555-988-0102"


async def test_who_has_texted_is_put_into_the_list_or_offered_and_nobody_else(stage, login):
    alice, mum = await login("alice"), stage.contact(MUM)
    await alice.roster()
    await stage.carrier.text_in(MUM, DID, "are you there?")
    assert (await alice.next(lambda stanza: stanza.body is not None)).body == "are you there?"
    await run(stage, alice, "name", number=FRIEND, **{"as": "Friend"})  # so that it is looked at now
    await alice.next_presence(shown(mum, "Mum"))
    friend = stage.contact(FRIEND)
    if stage.server.name == "prosody":
        await entry_of(alice, friend, "Friend")
        entry = await entry_of(alice, mum, "Mum")
        assert (entry.groups, entry.subscription) == (frozenset({"SMS"}), "both")
        listed = {each.jid for each in await alice.roster()}
    else:
        await alice.next(lambda stanza: friend in offered_in(stanza))
        await alice.next_presence(lambda each: (each.kind, each.sender) == ("subscribe", friend))
        assert mum not in {each.sender for each in alice.presences if each.kind == "subscribe"}
        listed = set().union(*map(offered_in, alice.received))
    assert listed == {mum, friend}
