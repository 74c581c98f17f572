"""How a client runs the ad-hoc commands of the bridge (XEP-0050)."""

from xml.etree import ElementTree as ET

NODE = "http://jabber.org/protocol/commands"
COMMAND, DATA = f"{{{NODE}}}command", "{jabber:x:data}"


async def execute(stage, client, name, form=None, **attributes):
    """The answering `<command/>`."""
    command = ET.Element(COMMAND, {"node": name, **attributes})
    if form is not None:
        x = ET.SubElement(command, f"{DATA}x", {"type": "submit"})
        for field, value in form.items():
            ET.SubElement(ET.SubElement(x, f"{DATA}field", {"var": field}), f"{DATA}value").text = value
    answer = await client.request("set", stage.server.component_jid, command)
    return answer.find(COMMAND)


async def run(stage, client, name, **values):
    """As a client does it: ask, fill in the form if there is one, and read the note."""
    command = await execute(stage, client, name, action="execute")
    if command.get("status") == "executing":
        fields = command.findall(f"{DATA}x/{DATA}field")
        assert [field.get("var") for field in fields] == list(values)
        for field in fields:
            if field.get("type") == "text-single":
                continue
            offered = [option.findtext(f"{DATA}value") for option in field.findall(f"{DATA}option")]
            assert values[field.get("var")] in offered
        command = await execute(stage, client, name, values, action="complete", sessionid=command.get("sessionid"))
    assert command.get("status") == "completed"
    return command.findtext(f"{{{NODE}}}note")
