"""What the test user writes in pieces (`received` is what it reads)."""

from xml.etree import ElementTree as ET

from smsbridge.sim.received import HINTS, MAM, RSM, Received

DATA_FORM = "{jabber:x:data}"


def about(tag: str, message: Received) -> list[ET.Element]:
    # The hint keeps receipts and markers for a recipient who is away (XEP-0334, 4.4).
    return [ET.Element(tag, {"id": message.stanza_id}), ET.Element(f"{HINTS}store")]


def archive_query(query_id: str, with_jid: str | None, after: str | None, page: int) -> ET.Element:
    query = ET.Element(f"{MAM}query", {"queryid": query_id})
    form = ET.SubElement(query, f"{DATA_FORM}x", {"type": "submit"})
    fields = {"FORM_TYPE": MAM.strip("{}"), "with": with_jid}
    for name, value in fields.items():
        if value is not None:
            hidden = {"type": "hidden"} if name == "FORM_TYPE" else {}
            field = ET.SubElement(form, f"{DATA_FORM}field", {"var": name, **hidden})
            ET.SubElement(field, f"{DATA_FORM}value").text = value
    pages = ET.SubElement(query, f"{RSM}set")
    ET.SubElement(pages, f"{RSM}max").text = str(page)
    if after is not None:
        ET.SubElement(pages, f"{RSM}after").text = after
    return query


def attributes(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}
