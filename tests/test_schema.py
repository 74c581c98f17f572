"""The JSON Schema of the configuration takes what the loader takes, and refuses what is built wrongly."""

import json
import re
from pathlib import Path

import pytest
import yaml

from smsbridge.cli import main
from smsbridge.config import ConfigError, load
from smsbridge.config_json import DRAFT, descriptions, json_schema
from smsbridge.config_schema import SECTIONS
from smsbridge.providers.voipms import KIND

EXAMPLE = (Path(__file__).parents[1] / "config.example.yaml").read_text()
KINDS = {"voipms": KIND}
SCHEMA = json_schema(KINDS)
SMALL = """\
xmpp: {jid: sms.example.com, secret: pretended-secret}
providers:
  voipms: {kind: voipms, username: john, password: pretended, query_key: pretended-key-00001}
jids:
  john@example.com: ["+15551230001"]
"""
POSTGRES = "url: 'postgresql://smsbridge@127.0.0.1/smsbridge'"
TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}
SPEECH = {"$schema", "$defs", "title", "description", "default", "format", "writeOnly"}


def holds(value, schema):
    """JSON Schema, as much as ours needs; a keyword that is not known here is an error."""
    if schema is True or schema is False:
        return schema
    return all(holds_keyword(keyword, bound, value, schema) for keyword, bound in schema.items())


def holds_keyword(keyword, bound, value, schema):
    match keyword:
        case "$ref":
            return holds(value, SCHEMA["$defs"][bound.removeprefix("#/$defs/")])
        case "type":
            is_bool = isinstance(value, bool)
            return isinstance(value, TYPES[bound]) and (not is_bool or bound == "boolean")
        case "const":
            return value == bound
        case "enum":
            return value in bound
        case "allOf":
            return all(holds(value, inner) for inner in bound)
        case "anyOf":
            return any(holds(value, inner) for inner in bound)
        case "oneOf":
            return sum(holds(value, inner) for inner in bound) == 1
        case "not":
            return not holds(value, bound)
        case "pattern":
            return not isinstance(value, str) or re.search(bound, value) is not None
        case "minLength":
            return not isinstance(value, str) or len(value) >= bound
        case "minimum":
            return not isinstance(value, int | float) or value >= bound
        case "maximum":
            return not isinstance(value, int | float) or value <= bound
        case "minItems":
            return not isinstance(value, list) or len(value) >= bound
        case "maxItems":
            return not isinstance(value, list) or len(value) <= bound
        case "items":
            return not isinstance(value, list) or all(holds(item, bound) for item in value)
        case _ if keyword in SPEECH:
            return True
    return not isinstance(value, dict) or holds_keys(keyword, bound, value, schema)


def holds_keys(keyword, bound, value, schema):
    patterns = schema.get("patternProperties", {})
    match keyword:
        case "required":
            return set(bound) <= value.keys()
        case "minProperties":
            return len(value) >= bound
        case "properties":
            return all(holds(value[key], inner) for key, inner in bound.items() if key in value)
        case "propertyNames":
            return all(holds(key, bound) for key in value)
        case "patternProperties":
            return all(
                holds(value[key], inner) for form, inner in bound.items() for key in value if re.search(form, key)
            )
        case "additionalProperties":
            known = schema.get("properties", {}).keys()
            others = [key for key in value if key not in known and not any(re.search(form, key) for form in patterns)]
            return all(holds(value[key], bound) for key in others)
    raise AssertionError(keyword)


def changed(*edits, text=SMALL):
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def test_the_example_is_what_the_schema_takes():
    assert holds(yaml.safe_load(EXAMPLE), SCHEMA)


GOOD = {
    "the smallest": SMALL,
    "a secret in a file": changed(("secret: pretended-secret", "secret_file: ./secret")),
    "a list of keys": changed(
        ("query_key: pretended-key-00001", "query_keys: [pretended-key-00001, pretended-key-00002]")
    ),
    "keys in a file": changed(("query_key: pretended-key-00001", "query_key_file: ./secret")),
    "no internal listener": f"{SMALL}http: {{internal: null}}\n",
    "an IPv6 address": f"{SMALL}http: {{listen: '[::1]:8080'}}\n",
    "a price in words": f"{SMALL}prices: {{sms: '0.0075', mms: 1}}\n",
    "a database of several": f"{SMALL}store: {{{POSTGRES}, password_file: ./secret}}\n",
    "nobody may be texted": f"{SMALL}destinations: []\n",
    "an owner without a number": changed(('["+15551230001"]', "[]")),
    "a line": f'{SMALL}lines:\n  "+15551230001": {{receipts: delivered, mms: false, provider: voipms}}\n',
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_what_the_loader_takes_the_schema_takes(tmp_path, text):
    (tmp_path / "secret").write_text("pretended-secret-00001\n")
    (tmp_path / "config.yaml").write_text(text)
    load(tmp_path / "config.yaml", KINDS)
    assert holds(yaml.safe_load(text), SCHEMA)


BAD = {
    "an unknown section": f"{SMALL}nonsense: 1\n",
    "a misspelt key": changed(("jid: sms", "jdi: sms")),
    "a misspelt key of an account": changed(("username: john", "user: john, username: john")),
    "no secret": changed((", secret: pretended-secret", "")),
    "a secret twice": changed(("secret: pretended-secret", "secret: pretended-secret, secret_file: ./secret")),
    "a secret that is a number": changed(("secret: pretended-secret", "secret: 12345")),
    "no password": changed((" password: pretended,", "")),
    "an empty password": changed(("password: pretended,", 'password: "",')),
    "three keys": changed(("query_key: pretended-key-00001", "query_keys: [pretended-1, pretended-2, pretended-3]")),
    "keys in two forms": changed(
        ("query_key: pretended-key-00001", "query_key: pretended-1, query_keys: [pretended-2]")
    ),
    "no kind": changed(("kind: voipms, ", "")),
    "an unknown kind": changed(("kind: voipms", "kind: voipsm")),
    "no account": changed(
        ("  voipms: {kind: voipms, username: john, password: pretended, query_key: pretended-key-00001}", "  {}")
    ),
    "an account with a capital letter": changed(("  voipms: {", "  Voipms: {")),
    "a time-out of a second": changed(("username: john", "username: john, timeout: 1")),
    "no jids": changed(('jids:\n  john@example.com: ["+15551230001"]\n', "")),
    "an unquoted number": changed(('"+15551230001"', "+15551230001")),
    "a careless number": changed(('"+15551230001"', '"5551230001"')),
    "a number instead of a list": changed(('["+15551230001"]', '"+15551230001"')),
    "an owner without a name": changed(("john@example.com", "example.com")),
    "an owner with a resource": changed(("john@example.com", "john@example.com/phone")),
    "a line of no number": f"{SMALL}lines: {{mine: {{mms: true}}}}\n",
    "a password twice": f"{SMALL}store: {{{POSTGRES}, password: a, password_file: ./secret}}\n",
    "an unknown receipt": f'{SMALL}lines:\n  "+15551230001": {{receipts: always}}\n',
    "admins without a list": f"{SMALL}admins: john@example.com\n",
    "an unknown style": f"{SMALL}address_style: fancy\n",
    "a country in small letters": f"{SMALL}destinations: [us]\n",
    "a cap of nothing": f"{SMALL}caps: {{per_owner: {{minute: 0}}}}\n",
    "a negative price": f"{SMALL}prices: {{sms: -1, mms: 0}}\n",
    "a price in letters": f"{SMALL}prices: {{sms: cheap, mms: 0}}\n",
    "half the prices": f"{SMALL}prices: {{sms: 1}}\n",
    "a currency by its sign": f"{SMALL}prices: {{sms: 1, mms: 1, currency: $}}\n",
    "an unknown format": f"{SMALL}log: {{format: xml}}\n",
    "an unknown level": f"{SMALL}log: {{level: loud}}\n",
    "a span without a unit": f"{SMALL}retention: {{bodies: 7}}\n",
    "a span in words": f"{SMALL}retention: {{keys: long}}\n",
    "a port alone": f"{SMALL}http: {{listen: 8080}}\n",
    "an address without a port": f"{SMALL}http: {{listen: localhost}}\n",
}  # fmt: skip


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_is_built_wrongly_both_refuse(tmp_path, text):
    (tmp_path / "secret").write_text("pretended-secret-00001\n")
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError):
        load(tmp_path / "config.yaml", KINDS)
    assert not holds(yaml.safe_load(text), SCHEMA)


def test_it_is_written_to_the_terminal(capsys):
    assert main(["schema"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert written["$schema"] == DRAFT
    assert written["title"] == "The configuration of smsbridge"
    assert written["properties"].keys() == SCHEMA["properties"].keys()


def test_every_key_of_ours_says_what_it_is_for():
    """A section of its own has its docstring, a key its description."""
    described = {model.__name__ for place, model in SECTIONS.items() if place}
    assert all(SCHEMA["$defs"][name]["description"] for name in described if name in SCHEMA["$defs"])
    whole = ("XmppSettings.", "HttpSettings.", "StoreSettings.")  # the docstring speaks for all their keys
    assert [key for key, words in descriptions(SCHEMA) if not words and not key.startswith(whole)] == []


def test_the_example_says_how_an_editor_learns_of_it():
    assert "# yaml-language-server: $schema=smsbridge.schema.json" in EXAMPLE
    assert "smsbridge schema > smsbridge.schema.json" in EXAMPLE
