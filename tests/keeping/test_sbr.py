"""SMS Backup & Restore's XML, both ways: what the app writes is read, what is hostile is refused."""

import io
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsbridge.core.address import Did, Peer
from smsbridge.core.message import Kind, Media
from smsbridge.core.story import Entry
from smsbridge.core.text import xml_clean
from smsbridge.keeping import sbr
from smsbridge.keeping.archive import CannotKeep

DID, PEER = Did("+15551230001"), Peer("+15559870002")
AT = datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC)
ID = "0195519c-9a00-7000-8000-000000000001"


def entry(text="hello", *, is_inbound=True, kind=Kind.SMS, media=()):
    return Entry(
        id=ID, is_inbound=is_inbound, kind=kind, did=DID, peer=PEER, at=AT, text=text, media=media,
        state="" if is_inbound else "sent",
    )  # fmt: skip


def read(text, did=DID):
    return list(sbr.entries(io.BytesIO(text if isinstance(text, bytes) else text.encode()), did))


def written(*entries):
    return "\n".join(sbr.lines(entries, len(entries)))


@given(text=st.text(min_size=1), is_inbound=st.booleans(), kind=st.sampled_from([Kind.SMS, Kind.MMS]))
def test_whatever_was_written_is_read_again(text, is_inbound, kind):
    if not xml_clean(text):
        return
    original = entry(text, is_inbound=is_inbound, kind=kind)
    (found,) = read(written(original))
    assert found == Entry(**{**{f: getattr(original, f) for f in original.__slots__}, "text": xml_clean(text)})


def test_a_picture_is_named_by_its_address():
    (found,) = read(written(entry("look", kind=Kind.MMS, media=(Media(url="https://media.example.com/1.jpg"),))))
    assert found.text == "look\nhttps://media.example.com/1.jpg"


def test_it_is_the_format_that_the_app_reads():
    root = ET.fromstring(  # noqa: S314
        written(entry('say "hi" & <go>\n2'), entry("x", is_inbound=False, kind=Kind.MMS))
    )
    assert (root.tag, root.get("count")) == ("smses", "2")
    sms, mms = root
    assert (sms.tag, sms.get("address"), sms.get("date"), sms.get("type")) == ("sms", PEER, "1772366400123", "1")
    assert sms.get("body") == 'say "hi" & <go>\n2'
    assert {"protocol", "subject", "toa", "sc_toa", "service_center", "read", "status", "locked"} <= set(sms.attrib)
    assert (mms.tag, mms.get("msg_box"), mms.get("m_type")) == ("mms", "2", "128")
    assert mms.find("parts/part").get("text") == "x"
    assert [addr.get("type") for addr in mms.findall("addrs/addr")] == ["137", "151"]


APP = """<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>
<!--File Created By SMS Backup & Restore v10.20.002 on 28/11/2026 03:10:00-->
<?xml-stylesheet type="text/xsl" href="sms.xsl"?>
<smses count="5" backup_set="x" backup_date="1772366400000" type="full">
  <sms protocol="0" address="(555) 987-0002" date="1772366400000" type="1" subject="null" toa="null"
       body="wine &#55356;&#57207;&#10;?" sc_toa="null" service_center="+15550000000" read="1" status="-1" locked="0"
       contact_name="Friend" />
  <sms address="+15559870002" date="1772366500000" type="2" body="yes" />
  <sms address="+15559870002" date="1772366600000" type="3" body="a draft" />
  <sms address="" date="never" type="1" body="no date" />
  <mms date="1772366700000" address="+15559870002" msg_box="1" m_type="132">
    <parts><part seq="-1" ct="application/smil" text="&lt;smil/&gt;"/><part seq="0" ct="image/jpeg" data="AAAA"/>
    <part seq="0" ct="text/plain" text="a picture"/></parts>
    <addrs><addr address="+15559870002" type="137" charset="106"/></addrs></mms>
  <mms date="1772366700000" address="+15559870002~+15559870003" msg_box="1">
    <parts><part ct="text/plain" text="group"/></parts></mms>
</smses>"""


@pytest.mark.parametrize("chunk", [1, 7, 64 * 1024])
def test_what_the_app_writes_is_read(monkeypatch, chunk):
    monkeypatch.setattr(sbr, "CHUNK", chunk)
    found = read(APP)
    assert [(one.text, one.is_inbound, one.kind, one.peer) for one in found] == [
        ("wine 🍷\n?", True, Kind.SMS, PEER),
        ("yes", False, Kind.SMS, PEER),
        ("a picture", True, Kind.MMS, PEER),
    ]
    assert {one.did for one in found} == {DID}
    assert found[0].at == datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("reference", ["&#55356;", "&#57207;", "&#57207;&#55356;", "&#55356;x&#57207;"])
def test_half_a_character_is_replaced(reference):
    (found,) = read(f'<smses><sms address="29283" date="1772366400000" type="1" body="a{reference}b"/></smses>')
    assert "\ufffd" in found.text


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE smses [<!ENTITY a "b">]><smses/>',
        '<!DOCTYPE smses SYSTEM "file:///etc/passwd"><smses/>',
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><smses><sms body="&b;"/></smses>',
        '<smses><sms body="&unknown;"/></smses>',
        "<calls/>",
        "<smses>",
        "",
        "hello",
        "<smses><sms body='\x01'/></smses>",
    ],
)
def test_what_is_hostile_or_broken_is_refused(text):
    with pytest.raises(CannotKeep):
        read(text)


def test_an_element_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(sbr, "LARGEST", 1_000_000)
    with pytest.raises(CannotKeep, match="larger than"):
        read('<smses><sms body="' + "x" * 2_000_000 + '"/></smses>')
