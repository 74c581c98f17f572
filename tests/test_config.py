"""The configuration: what holds, and in which words each mistake is told."""

import os
import re
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from pydantic import AliasChoices, BaseModel, Field, SecretStr, field_validator

from smsbridge.config import ConfigError, Endpoint, Problem, check, describe, load
from smsbridge.config_json import json_schema
from smsbridge.config_rules import caps_in_words, directory, policy
from smsbridge.core.address import Did
from smsbridge.core.caps import Caps, Prices, Whose
from smsbridge.core.line import AddressStyle, Receipts
from smsbridge.core.message import ProviderName
from smsbridge.core.segments import Limit, LimitUnit
from smsbridge.providers.contract import Capabilities, ProviderKind
from smsbridge.providers.voipms import KIND as VOIPMS
from smsbridge.store.retention import Spans

EXAMPLE = Path(__file__).parent.parent / "config.example.yaml"
SECRET = "correct-horse-battery"


class TestAccount(BaseModel):
    __test__ = False

    username: str
    password: SecretStr
    query_keys: tuple[SecretStr, ...] = Field(validation_alias=AliasChoices("query_keys", "query_key"))
    api_url: str = "https://carrier.example.com/"

    @field_validator("password")
    @classmethod
    def _refuse(cls, password: SecretStr) -> SecretStr:
        if password.get_secret_value().startswith("refused"):
            raise ValueError(f"{password.get_secret_value()} is not taken")
        return password


KINDS = {
    "voipms": ProviderKind(kind="voipms", settings=TestAccount, build=lambda *_: None),
    "envayasms": ProviderKind(kind="envayasms", settings=TestAccount, build=lambda *_: None),
}
GOOD = """\
xmpp:
  jid: sms.example.com
  secret_file: ./secret
providers:
  voipms:
    kind: voipms
    username: john@example.com
    password_file: ./secret
    query_key_file: ./secret
jids:
  john@example.com: ["+15551230001"]
"""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in ("CREDENTIALS_DIRECTORY", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def write(tmp_path):
    """Writes config.yaml beside a private file with a secret; returns its path."""
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n")
    secret.chmod(0o600)
    (tmp_path / "other").write_text(f"other-{SECRET}\n")
    (tmp_path / "other").chmod(0o600)

    def writer(text):
        path = tmp_path / "config.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return writer


@pytest.fixture
def told(write):
    """All that is told about a text, as the operator reads it, without the file's path."""

    def teller(text):
        path = write(text)
        lines = describe("config.yaml", check(path, KINDS)).splitlines()
        assert SECRET not in "\n".join(lines)
        return lines

    return teller


def changed(old, new):
    """The good configuration with one thing in it changed."""
    assert GOOD.count(old) >= 1
    return GOOD.replace(old, new, 1)


# What holds


def test_a_small_configuration_holds_without_a_word(write):
    loaded = load(write(GOOD), KINDS)
    config = loaded.config
    assert loaded.warnings == ()
    assert config.xmpp.server == Endpoint(host="127.0.0.1", port=5347)
    assert config.xmpp.ping == "example.com"
    assert config.http.listen == Endpoint(host="127.0.0.1", port=8080)
    assert config.http.internal == Endpoint(host="127.0.0.1", port=8081)
    assert config.store.url == "sqlite:///smsbridge.db"
    assert config.address_style is AddressStyle.PLAIN
    assert policy(config).regions == {"US"}
    account = config.providers[ProviderName("voipms")]
    assert (account.name, account.kind) == ("voipms", "voipms")
    assert isinstance(account.settings, TestAccount)
    assert account.settings.password.get_secret_value() == SECRET


def _example(tmp_path):
    """The example, untouched, with the files beside it that it names."""
    for name in re.findall(r"_file: (\S+)", EXAMPLE.read_text()):
        (tmp_path / name).write_text(f"{SECRET}\n")
        (tmp_path / name).chmod(0o600)
    path = tmp_path / "config.yaml"
    path.write_text(EXAMPLE.read_text())
    return path


def test_the_example_holds_with_the_real_carrier_and_without_a_warning(tmp_path):
    loaded = load(_example(tmp_path), {"voipms": VOIPMS})
    assert loaded.warnings == ()
    config = loaded.config
    assert config.store.path == Path("/var/lib/smsbridge/smsbridge.db")
    assert config.admins == ("john@example.com",)
    assert config.prices is not None
    assert config.prices.sms == Decimal("0.0075")
    assert config.caps.per_owner.new_peers_a_day == 20
    assert config.retention.spans == Spans()


def test_an_owner_has_caps_though_nobody_wrote_any_and_may_be_freed_of_each(write):
    limits = policy(load(write(GOOD), KINDS).config).limits
    assert limits.caps[Whose.OWNER] == Caps(minute=30, day=300, new_peers_a_day=20)
    assert limits.caps[Whose.DID] == limits.caps[Whose.WHOLE] == Caps()
    assert limits.prices is None
    free = (
        "caps: {per_owner: {minute: null, day: 1000}, whole: {spend_a_month: 12.50}}\nprices: {sms: 0.0075, mms: 2}\n"
    )
    limits = policy(load(write(GOOD + free), KINDS).config).limits
    assert limits.caps[Whose.OWNER] == Caps(day=1000, new_peers_a_day=20)
    assert limits.caps[Whose.WHOLE] == Caps(spend_a_month=12_500_000)
    assert limits.prices == Prices(sms=7_500, mms=2_000_000, currency="USD")


def test_the_journal_says_which_caps_are_in_force_and_that_money_is_not_counted_without_prices(write):
    assert caps_in_words(load(write(GOOD), KINDS).config) == {
        "per_owner": "minute 30, day 300, new_peers_a_day 20",
        "per_did": "no cap",
        "whole": "no cap",
        "money": "not counted, since there are no prices",
    }
    priced = "caps: {whole: {spend_a_month: 50}}\nprices: {sms: 0.0075, mms: 0.02}\n"
    words = caps_in_words(load(write(GOOD + priced), KINDS).config)
    assert (words["whole"], words["money"]) == ("spend_a_month 50", "counted by prices")


def test_only_the_usual_country_is_not_asked_about_unless_others_are_named(write):
    assert policy(load(write(GOOD), KINDS).config).usual == {"US"}
    assert policy(load(write(GOOD + "usual_destinations: [US, GB]\n"), KINDS).config).usual == {"US", "GB"}


def test_the_loop_breaker_is_on_unless_it_is_switched_off(write):
    assert policy(load(write(GOOD), KINDS).config).has_breaker
    assert not policy(load(write(GOOD + "loop_breaker: false\n"), KINDS).config).has_breaker


def test_the_example_names_every_key_of_the_schema():
    text = EXAMPLE.read_text()
    schema = json_schema({"voipms": VOIPMS})
    for name, section in {"": schema, **schema["$defs"]}.items():
        for key in section.get("properties", {}):
            assert re.search(rf"\b{key}:|\b{key}_file:", text), (name, key)


def test_the_schema_for_editors_takes_the_example():
    schema = json_schema({"voipms": VOIPMS})
    example = yaml.safe_load(EXAMPLE.read_text())
    assert set(schema["required"]) <= example.keys() <= set(schema["properties"])
    xmpp = schema["$defs"]["XmppSettings"]
    assert set(xmpp["required"]) <= example["xmpp"].keys() <= set(xmpp["properties"])
    (account,) = schema["properties"]["providers"]["additionalProperties"]["oneOf"]
    assert set(account["required"]) <= example["providers"]["voipms"].keys() <= set(account["properties"])


def test_a_shared_line_has_both_owners_and_each_keeps_his_own_first_line(write):
    text = GOOD + '  ann@example.com: ["+15551230002", "+15551230001"]\nlines: {"+15551230001": {mms: no}}\n'
    config = load(write(text), KINDS).config
    able = Capabilities(sms=(), mms_text=(Limit(units=1000, unit=LimitUnit.CHARACTERS),), shortcodes=True)
    lines = directory(config, {ProviderName("voipms"): able})
    first, second = lines.lines_of("ann@example.com")
    assert (first.did, second.did) == ("+15551230002", "+15551230001")
    assert second.owners == ("john@example.com", "ann@example.com")
    assert first.can_mms
    assert not second.can_mms
    assert first.can_text_shortcodes
    assert [line.did for line in lines.lines_of("john@example.com")] == ["+15551230001"]


def test_a_line_cannot_do_what_its_carrier_cannot(write):
    config = load(write(GOOD), KINDS).config
    (line,) = directory(config, {ProviderName("voipms"): Capabilities(sms=())})
    assert not line.can_mms
    assert not line.can_text_shortcodes


def test_with_two_providers_every_did_goes_over_the_one_it_names(write):
    text = changed(
        "jids:", "  phone: {kind: envayasms, username: x, password_file: ./secret, query_key_file: ./other}\njids:"
    )
    text += 'lines: {"+15551230001": {provider: phone, receipts: delivered}}\n'
    config = load(write(text), KINDS).config
    assert config.provider_of(Did("+15551230001")) == "phone"
    (line,) = directory(config, {ProviderName("phone"): Capabilities(sms=(), delivery_reports=True)})
    assert line.receipts is Receipts.DELIVERED
    (line,) = directory(config, {ProviderName("phone"): Capabilities(sms=())})
    assert line.receipts is Receipts.ACCEPTED  # a carrier without reports would never let the tick come


def test_pictures_that_are_served_without_https_are_warned_of_and_others_are_not(told):
    http = "http:\n  public_url: http://sms.example.com\nmedia:\n  inbound: {}\n"
    assert told(GOOD + http.format("serve")) == [
        "config.yaml:13: warning: http.public_url: not https: whoever listens on the way sees pictures and links"
    ]
    assert told(GOOD + http.format("upload")) == []


def test_two_accounts_with_one_query_key_are_a_problem_that_does_not_tell_it(told):
    second = "  phone: {kind: envayasms, username: x, password_file: ./secret, query_key_file: ./secret}\njids:"
    lines = 'lines: {"+15551230001": {provider: phone}}\n'
    assert told(changed("jids:", second) + lines) == [
        'config.yaml:10: providers.phone: the same query key as that of "voipms": give each its own'
    ]


def test_jids_are_normalised_as_xmpp_normalises_them(write):
    text = changed("john@example.com:", "John@Example.COM.:") + "admins: [Ann@EXAMPLE.com]\n"
    config = load(write(text), KINDS).config
    assert list(config.jids) == ["john@example.com"]
    assert config.admins == ("ann@example.com",)


def test_the_database_is_where_systemd_keeps_state(write, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/smsbridge:/var/lib/other")
    assert load(write(GOOD), KINDS).config.store.url == "sqlite:////var/lib/smsbridge/smsbridge.db"


def test_the_internal_listener_can_be_off(write):
    assert load(write(GOOD + "http: {internal: null}\n"), KINDS).config.http.internal is None


@pytest.mark.parametrize("key", ["roster", "sent_elsewhere"])
def test_off_needs_no_quotes_though_yaml_takes_it_for_false(write, key):
    assert getattr(load(write(GOOD + f"{key}: off\n"), KINDS).config, key) == "off"


def test_a_section_with_nothing_under_it_is_as_good_as_none(write):
    assert load(write(GOOD + "lines:\nhttp:\nadmins:\n"), KINDS).config.lines == {}


def test_a_database_of_several_machines_has_a_password_of_its_own(write):
    loaded = load(write(GOOD + "store: {url: 'postgresql://john@db.example.com/x', password_file: ./secret}\n"), KINDS)
    assert loaded.warnings == ()
    assert loaded.config.store.password is not None
    assert loaded.config.store.password.get_secret_value() == SECRET
    assert loaded.config.store.path is None


def test_an_ipv6_address_stands_in_brackets(write, told):
    text = changed("  secret_file", "  server: '[::1]:5347'\n  secret_file")
    assert load(write(text), KINDS).config.xmpp.server == Endpoint(host="::1", port=5347)
    assert told(text.replace("[::1]", "::1")) == [
        "config.yaml:3: xmpp.server: an IPv6 address stands in brackets, such as [::1]:8080"
    ]


def test_where_the_administrator_is_reached_are_uris(write, told):
    text = GOOD + 'contact: ["mailto:admin@example.com", "xmpp:admin@example.com"]\n'
    assert load(write(text), KINDS).config.contact == ("mailto:admin@example.com", "xmpp:admin@example.com")
    assert load(write(GOOD), KINDS).config.contact == ()
    for wrong in ("admin@example.com", "javascript:alert(1)", "mailto:a b", "mailto:<b>"):
        assert told(GOOD + f'contact: ["{wrong}"]\n') == [
            "config.yaml:12: contact: a URI is expected, such as mailto:admin@example.com or xmpp:admin@example.com"
        ]


def test_a_level_is_what_logging_counts(write):
    assert load(write(GOOD + "log: {level: warning, format: json}\n"), KINDS).config.log.threshold == 30


# Secrets


def test_an_environment_variable_can_be_a_secret_and_no_warning_is_due(write, monkeypatch):
    monkeypatch.setenv("SMS_SECRET", SECRET)
    loaded = load(write(changed("secret_file: ./secret", 'secret: "${SMS_SECRET}"')), KINDS)
    assert loaded.config.xmpp.secret.get_secret_value() == SECRET
    assert loaded.warnings == ()


def test_a_missing_environment_variable_is_named_and_nothing_else_said_of_it(told):
    assert told(changed("secret_file: ./secret", "secret: ${SMS_NOT_THERE}")) == [
        "config.yaml:3: the environment variable SMS_NOT_THERE is not set"
    ]


def test_a_bare_name_is_a_systemd_credential_or_a_file_beside_the_configuration(write, told, tmp_path, monkeypatch):
    text = changed("secret_file: ./secret", "secret_file: component")
    assert told(text) == ["config.yaml:3: xmpp.secret_file: the file cannot be read: no such file or directory"]
    (tmp_path / "component").write_text("from-beside")
    (tmp_path / "component").chmod(0o600)
    assert load(write(text), KINDS).config.xmpp.secret.get_secret_value() == "from-beside"
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "component").write_text("from-systemd")
    (credentials / "component").chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert load(write(text), KINDS).config.xmpp.secret.get_secret_value() == "from-systemd"


def test_a_file_may_hold_two_query_keys_for_a_change_over(write, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("old-key-0123456789\r\n\nnew-key-0123456789\n")
    keys.chmod(0o600)
    loaded = load(write(changed("query_key_file: ./secret", "query_key_file: ./keys")), KINDS)
    settings = loaded.config.providers[ProviderName("voipms")].settings
    assert [key.get_secret_value() for key in settings.query_keys] == ["old-key-0123456789", "new-key-0123456789"]


@pytest.mark.parametrize("written", [f'query_key: "{SECRET}"', f'query_keys: ["{SECRET}"]'])
def test_query_keys_can_be_one_or_a_list(write, written):
    loaded = load(write(changed("query_key_file: ./secret", written)), KINDS)
    settings = loaded.config.providers[ProviderName("voipms")].settings
    assert [key.get_secret_value() for key in settings.query_keys] == [SECRET]
    (warning,) = loaded.warnings
    assert warning.line == 9
    assert "in plain: better write query_key_file:" in warning.words


def test_a_secret_in_plain_is_taken_with_a_warning(write, told):
    text = changed("secret_file: ./secret", f"secret: {SECRET}")
    assert told(text) == [
        "config.yaml:3: warning: xmpp.secret: a secret in plain: better write secret_file: and the path of a file"
    ]
    assert load(write(text), KINDS).config.xmpp.secret.get_secret_value() == SECRET


def test_a_secret_in_two_forms_is_refused(told):
    assert told(changed("  secret_file", "  secret: x\n  secret_file")) == [
        'config.yaml:4: xmpp.secret_file: "secret" and "secret_file" are both given: keep one'
    ]


def test_a_missing_secret_is_told_with_the_forms_it_can_take(told):
    assert told(changed("    password_file: ./secret\n", "")) == [
        "config.yaml:5: providers.voipms.password: missing: write password or password_file"
    ]
    assert told(changed("    query_key_file: ./secret\n", "")) == [
        "config.yaml:5: providers.voipms.query_keys: missing: write query_key or query_key_file"
    ]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ('query_key: ""', "query_key: it is empty"),
        ("query_keys: []", "query_keys: it is empty"),
        ("query_key: [a]", "query_key: a secret is text: put it in quotes"),
        ("query_key_file: [a]", "query_key_file: the path of a file is expected"),
    ],
)
def test_a_secret_that_is_empty_or_of_another_shape_is_told(told, written, words):
    assert told(changed("query_key_file: ./secret", written)) == [f"config.yaml:9: providers.voipms.{words}"]


@pytest.mark.parametrize("number", ["12345678901234567890", "5551230001", "yes", "1.5"])
def test_an_unquoted_number_as_a_secret_is_refused_without_showing_it(told, number):
    (line,) = told(changed("secret_file: ./secret", f"secret: {number}"))
    assert line == "config.yaml:3: xmpp.secret: a secret is text: put it in quotes"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "the file is empty"),
        ("\n  \n", "the file is empty"),
        ("one\ntwo\n", "the file has more than one line: one secret is expected"),
        ("x" * 70_000, "the file is larger than a secret can be"),
        (b"\xff\xfe", "the file is not UTF-8 text"),
    ],
)
def test_a_secret_file_that_holds_no_secret_is_told(told, tmp_path, content, words):
    file = tmp_path / "odd"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    file.chmod(0o600)
    assert told(changed("./secret", "./odd")) == [f"config.yaml:3: xmpp.secret_file: {words}"]


def test_a_secret_file_that_is_not_there_is_told_without_what_was_written(told):
    # somebody may have put the secret itself behind secret_file
    for written in ("./hunter2/secret", "'hunter2\\0/'", "/"):
        (line,) = told(changed("./secret", written))
        assert line.startswith("config.yaml:3: xmpp.secret_file: th")
        assert "hunter2" not in line


def test_a_secret_file_that_may_not_be_read_is_told(told, monkeypatch):
    def refuse(self, *_, **__):
        raise PermissionError(13, "Permission denied", str(self))

    # the tests may run as root, whom no mode keeps out
    monkeypatch.setattr(Path, "read_text", refuse)
    assert told(GOOD)[0] == "config.yaml:3: xmpp.secret_file: the file cannot be read: permission denied"


def test_a_pipe_as_a_secret_file_does_not_hang(told, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert told(changed("./secret", "./pipe")) == ["config.yaml:3: xmpp.secret_file: this is no file"]


def test_a_secret_file_that_everybody_can_read_is_a_warning(told, tmp_path):
    (tmp_path / "open").write_text(SECRET)
    (tmp_path / "open").chmod(0o644)
    assert told(changed("./secret", "./open")) == [
        ("config.yaml:3: warning: xmpp.secret_file: everybody on this machine can read the file: chmod o-r helps")
    ]


def test_a_long_password_for_voipms_and_a_short_query_key_are_warnings(told, tmp_path):
    for name, length in (("long", 33), ("short", 15), ("fits", 32)):
        (tmp_path / name).write_text("k" * length)
        (tmp_path / name).chmod(0o600)
    text = changed("password_file: ./secret", "password_file: ./long")
    assert told(text.replace("query_key_file: ./secret", "query_key_file: ./short")) == [
        (
            "config.yaml:8: warning: providers.voipms.password_file: longer than 32 characters: "
            "VoIP.ms takes it in the portal and then refuses every call"
        ),
        (
            "config.yaml:9: warning: providers.voipms.query_key_file: shorter than 16 characters: "
            "who guesses it can pretend to be the carrier"
        ),
    ]
    assert told(changed("password_file: ./secret", "password_file: ./fits")) == []
    assert told(text.replace("kind: voipms", "kind: envayasms")) == []


def test_no_secret_is_in_a_repr_an_error_or_a_problem(write, told):
    config = load(write(GOOD), KINDS).config
    assert SECRET not in repr(config)
    assert SECRET not in str(config.providers)
    text = changed("password_file: ./secret", f"password: refused-{SECRET}") + "colour: red\n"
    path = write(text)
    with pytest.raises(ConfigError) as caught:
        load(path, KINDS)
    shown = repr(caught.value) + str(caught.value) + repr(caught.value.problems) + repr(caught.value.__context__)
    assert SECRET not in shown
    assert "providers.voipms.password: … is not taken" in shown
    told(text)


@pytest.mark.parametrize(
    "written", ["*{}", "&{} x", "!{} x", "%{}", '"{}', "'{}", "[{}", "{}: x", "@{}", "x: *{}", '"\\q{}"', "{{{}: "]
)
def test_a_secret_with_a_sign_of_yaml_is_not_shown_by_the_error(told, written):
    lines = told(changed("secret_file: ./secret", f"secret: {written.format(SECRET)}"))  # `told` looks for the secret
    assert any(re.match(r"config.yaml:\d+: ", line) for line in lines)


# Mistakes in the YAML


def test_an_unquoted_number_is_told_with_what_to_write(told):
    assert told(changed('"+15551230001"', "+15145550100")) == [
        'config.yaml:11: jids.john@example.com: +15145550100 without quotes is a number to YAML: write "+15145550100"'
    ]


@pytest.mark.parametrize("written", ["15551230001", "5551230001", "+1_555_123_0001"])
def test_an_unquoted_number_in_any_spelling_is_answered_with_the_right_one(told, written):
    (line,) = told(changed('"+15551230001"', written))
    assert line.endswith('write "+15551230001"')


def test_an_unquoted_number_as_a_key_is_told_and_nothing_follows_from_it(told):
    assert told(GOOD + "lines:\n  +15551230001: {mms: false}\n") == [
        'config.yaml:13: +15551230001 without quotes is a number to YAML: write "+15551230001"'
    ]


def test_an_unquoted_number_where_text_is_meant_is_told(told):
    assert told(changed("username: john@example.com", "username: 100000")) == [
        'config.yaml:7: providers.voipms.username: 100000 without quotes is a number to YAML: write "100000"'
    ]


def test_norway_is_a_country_and_not_false(told, write):
    assert told(GOOD + "destinations: [US, NO]\n") == [
        'config.yaml:12: destinations: NO without quotes is true or false to YAML: write "NO"'
    ]
    assert policy(load(write(GOOD + 'destinations: [US, "NO"]\n'), KINDS).config).regions == {"US", "NO"}


def test_a_careless_number_in_quotes_is_answered_with_the_right_one(told):
    assert told(changed('"+15551230001"', '"1-555-123-0001"')) == [
        (
            "config.yaml:11: jids.john@example.com: not a number in E.164 form "
            '(+ and digits, such as +15551230001): write "+15551230001"'
        )
    ]


def test_a_single_number_instead_of_a_list_is_told_with_what_to_write(told):
    for written in ('"+15551230001"', "+15551230001"):
        assert told(changed('["+15551230001"]', written)) == [
            'config.yaml:11: jids.john@example.com: a list is expected: write ["+15551230001"]'
        ]


def test_a_duplicate_key_is_told_with_the_line_of_the_first(told):
    assert told(GOOD + "xmpp: {}\n") == [
        'config.yaml:12: "xmpp" is here twice, first on line 1: YAML would keep only the last'
    ]
    assert told(changed("    username", "    kind: envayasms\n    username"))[0].startswith(
        'config.yaml:7: "kind" is here twice, first on line 6'
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "config.yaml: the file is empty"),
        ("# only a comment\n", "config.yaml: the file is empty"),
        ("- a\n- b\n", "config.yaml:1: keys and values are expected, such as xmpp: and jids:"),
        ("just text", "config.yaml:1: keys and values are expected, such as xmpp: and jids:"),
        ("xmpp:\n\tjid: x\n", "config.yaml:2: not valid YAML: indent with spaces, not with tabs"),
        ("a: b: c\n", "config.yaml:1: not valid YAML: wrong indentation, or a value with a colon that must be quoted"),
        ("a: 1\nb: [1,\n", "config.yaml:3: not valid YAML: expected the node content, but found '<stream end>'"),
        ("a: 1\nb: @x\n", "config.yaml:2: not valid YAML: a value that begins with such a sign must be quoted"),
        ("a: 1\n\0", "config.yaml:2: a control character that YAML does not allow"),
        (b"a: 1\nb: \xff\n", "config.yaml:2: not UTF-8 text: save the file as UTF-8"),
        (b"#" * (1024 * 1024 + 1), "config.yaml: larger than 1 MiB: this is no configuration"),
        ("a: " + "[" * 1000, "config.yaml:1: nested more than 32 levels deep"),
    ],
)
def test_what_is_no_yaml_mapping_is_told_with_its_line(told, text, line):
    assert told(text) == [line]


def test_a_file_that_is_not_there_is_one_problem(tmp_path):
    missing = tmp_path / "none.yaml"
    assert check(missing, KINDS) == [Problem(line=None, words="cannot be read: no such file or directory")]
    with pytest.raises(ConfigError, match="no such file"):
        load(missing, KINDS)


def test_laughs_by_the_billion_are_refused_quickly(told):
    bomb = ['a0: &a0 ["lol"]'] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    assert told("\n".join(bomb)) == ["config.yaml:7: more than 50 aliases (*name): write the values out"]
    slim = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 26)]
    (line,) = told("\n".join(slim))
    assert "expand to too much" in line


def test_an_alias_that_holds_itself_is_refused(told):
    (line,) = told("a: &a [*a]\n")
    assert "expand to too much" in line


def test_a_few_aliases_are_welcome(write):
    text = changed('["+15551230001"]', '&dids ["+15551230001"]') + "  ann@example.com: *dids\n"
    assert load(write(text), KINDS).config.jids["ann@example.com"] == ("+15551230001",)


@pytest.mark.parametrize(
    "text", ["? [a]\n: b\n", "<<: {a: b}\n", "a: !!python/object:os.system x\n", "a: !!set {b}\n", "a: !x [b]\n"]
)
def test_yaml_that_nobody_needs_is_refused_in_words(told, text):
    line = next(line for line in told(GOOD + text) if line.startswith("config.yaml:12: "))
    assert "must be" in line or "not understood" in line


@pytest.mark.parametrize("value", ["!!int abc", "!!bool x", '!!int ""', "0x_", "1" * 5000, "!!null x", "1e400", ".nan"])
def test_no_scalar_brings_the_reader_down(told, value):
    assert told(GOOD + f"http: {{per_address: {value}}}\n")


# Mistakes in what the keys say


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (GOOD + "addres_style: plain\n", 'config.yaml:12: addres_style: unknown key: did you mean "address_style"?'),
        (GOOD + "http: {lisen: x}\n", 'config.yaml:12: http.lisen: unknown key: did you mean "listen"?'),
        (
            GOOD + "caps:\n  per_owner:\n    minit: 3\n",
            'config.yaml:14: caps.per_owner.minit: unknown key: did you mean "minute"?',
        ),
        (
            GOOD + 'lines:\n  "+15551230001":\n    reciepts: accepted\n',
            'config.yaml:14: lines.+15551230001.reciepts: unknown key: did you mean "receipts"?',
        ),
        (
            changed("    username", "    pasword_file: x\n    username"),
            'config.yaml:7: providers.voipms.pasword_file: unknown key: did you mean "password_file"?',
        ),
        (
            changed("  secret_file", "  secretfile: x\n  secret_file"),
            'config.yaml:3: xmpp.secretfile: unknown key: did you mean "secret_file"?',
        ),
        (
            GOOD + "store: {zzz: 1}\n",
            "config.yaml:12: store.zzz: unknown key: known are url, password, password_file, min_free",
        ),
        (GOOD + "store: {min_free: much}\n", "config.yaml:12: store.min_free: a size is expected, such as 64M or 2G"),
        (GOOD + "store: {min_free: true}\n", "config.yaml:12: store.min_free: a size is expected, such as 64M or 2G"),
    ],
)
def test_an_unknown_key_is_told_with_the_nearest_right_one(told, text, line):
    assert told(text) == [line]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (changed("jid: sms.example.com\n", "ping: example.com\n"), "config.yaml:1: xmpp.jid: missing"),
        (changed("jid: sms", "jid: me@sms"), "config.yaml:2: xmpp.jid: a domain is expected, such as sms.example.com"),
        (
            changed("jid: sms.example.com", "jid: sms"),
            "config.yaml:1: xmpp: ping is missing: name the XMPP server's own domain, such as ping: example.com",
        ),
        (
            changed("  secret_file", "  server: 127.0.0.1\n  secret_file"),
            "config.yaml:3: xmpp.server: a host and a port are expected, such as 127.0.0.1:8080",
        ),
        (
            changed("  secret_file", "  server: 127.0.0.1:70000\n  secret_file"),
            "config.yaml:3: xmpp.server: a port is a number up to 65535",
        ),
        (
            changed("  secret_file", "  server: 127.0.0.1:0\n  secret_file"),
            "config.yaml:3: xmpp.server: a port is a number from 1 to 65535",
        ),
        (
            changed("  secret_file", "  server: 192.0.2.1:5347\n  secret_file"),
            (
                "config.yaml:3: warning: xmpp.server: not this machine: the component's traffic, texts and all, "
                "crosses the network in clear"
            ),
        ),
        (
            GOOD + "http: {listen: 8080}\n",
            "config.yaml:12: http.listen: a host and a port are expected, such as 127.0.0.1:8080",
        ),
        (
            GOOD + "http: {internal: 127.0.0.1:8080}\n",
            "config.yaml:12: http: listen and internal are the same address: give each a port of its own",
        ),
        (
            GOOD + "media:\n  inbound: serve\n",
            "config.yaml:13: media.inbound: serve makes links to this bridge: write where it is, http.public_url",
        ),
        (
            GOOD + "media: {fetch_from: [upload.example.net]}\n",
            (
                "config.yaml:12: media.fetch_from: scheme, host and port are expected, such as"
                " https://upload.example.com:5281"
            ),
        ),
        (
            GOOD + 'media: {fetch_from: ["http://upload.example.net"]}\n',
            (
                "config.yaml:12: media: fetch_from: http://upload.example.net does not speak https; name it in near as"
                " well if that is meant"
            ),
        ),
        (
            GOOD + "media: {serve_days: 91}\n",
            "config.yaml:12: media.serve_days: input should be less than or equal to 90",
        ),
        (
            GOOD + "http: {public_url: sms.example.com}\n",
            "config.yaml:12: http.public_url: a URL is expected, such as https://sms.example.com",
        ),
        (
            GOOD + "store: {url: mysql://db.example.com/x}\n",
            (
                "config.yaml:12: store.url: sqlite or postgresql is expected, such as "
                "sqlite:////var/lib/smsbridge/smsbridge.db or postgresql://smsbridge@db.example.com/smsbridge"
            ),
        ),
        (
            GOOD + "store: {url: 'postgresql://john@db.example.com/x?sslpassword=pretended'}\n",
            (
                "config.yaml:12: store.url: a password does not belong into the URL, which is logged: "
                "write it to a password_file"
            ),
        ),
        (
            GOOD + "store: {url: 'postgresql://john:pretended@db.example.com/x'}\n",
            (
                "config.yaml:12: store.url: a password does not belong into the URL, which is logged: "
                "write it to a password_file"
            ),
        ),
        (
            GOOD + "store: {password_file: ./secret}\n",
            "config.yaml:12: store: SQLite takes no password: file permissions protect it",
        ),
        (
            GOOD + "store: {url: sqlite://x.db}\n",
            (
                "config.yaml:12: store.url: sqlite:/// and the path of a file are expected: "
                "four slashes where the path is absolute"
            ),
        ),
        (
            GOOD + "xmpp2\n",
            "config.yaml:13: not valid YAML: a colon is missing after a key, or the line is indented wrongly",
        ),
        (GOOD + "address_style: bare\n", "config.yaml:12: address_style: plain or with_did is expected"),
        (GOOD + "log: {level: loud}\n", "config.yaml:12: log.level: debug, info or warning is expected"),
        (
            GOOD + "caps: {per_owner: {day: 0}}\n",
            "config.yaml:12: caps.per_owner.day: input should be greater than or equal to 1",
        ),
        (
            GOOD + "caps: {whole: {spend_a_day: 5.00}}\n",
            "config.yaml:12: caps.whole.spend_a_day: nothing is known of money without prices: write prices:",
        ),
        (GOOD + "caps: {per_owner: {day: many}}\n", "config.yaml:12: caps.per_owner.day: a whole number is expected"),
        (
            changed("jids:", '  spare: soon\nlines: {"+15551230001": {provider: voipms}}\njids:'),
            "config.yaml:10: providers.spare: keys and values are expected, such as kind: and username:",
        ),
        (
            GOOD + "retention: {bodies: soon}\n",
            "config.yaml:12: retention.bodies: a span of time is expected, such as 7d, 12h or 30m",
        ),
        (GOOD + "retention: {bodies: 9999d}\n", "config.yaml:12: retention.bodies: at most 3650d"),
        (
            GOOD + "retention: {bodies: -1}\n",
            "config.yaml:12: retention.bodies: a span of time is expected, such as 7d, 12h or 30m",
        ),
        (
            GOOD + "retention: {keys: 91d}\n",
            "config.yaml:12: retention: keys must last 92d at least and outlast metadata, or texts come twice",
        ),
        (
            GOOD + "retention: {keys: 100d, metadata: 101d}\n",
            "config.yaml:12: retention: keys must last 92d at least and outlast metadata, or texts come twice",
        ),
        (
            GOOD + "retention: {troubled: 0}\n",
            "config.yaml:12: retention: troubled must last 1d at least: its writer may still be asked about it",
        ),
        (
            GOOD + "retention: {bodies: 91d}\n",
            "config.yaml:12: retention: metadata must last 7d at least, and outlast bodies and troubled",
        ),
        (
            GOOD + "retention: {bodies: 0, troubled: 1d, metadata: 6d}\n",
            "config.yaml:12: retention: metadata must last 7d at least, and outlast bodies and troubled",
        ),
        (GOOD + "caps: 7\n", "config.yaml:12: caps: keys and values are expected"),
        (GOOD + "prices: {sms: 0.01}\n", "config.yaml:12: prices.mms: missing"),
        (GOOD + "prices: {sms: x, mms: 1}\n", "config.yaml:12: prices.sms: a number is expected"),
        (
            GOOD + "destinations: [US, CA]\n",
            "config.yaml:12: destinations: US stands for the United States and Canada: write US",
        ),
        (
            GOOD + "destinations: [us]\n",
            (
                "config.yaml:12: destinations: not a country: two capital letters after ISO 3166 are expected, "
                "such as US or GB"
            ),
        ),
    ],
)
def test_a_wrong_value_is_told_with_what_is_expected(told, text, line):
    assert told(text) == [line]


@pytest.mark.parametrize(
    ("jid", "words"),
    [
        ("john@example.com/phone", "not a bare JID: leave out the resource, write john@example.com"),
        ("example.com", "not a person's JID: a name and @ are missing, such as john@example.com"),
        ("jo hn@example.com", "not a valid JID, such as john@example.com"),
        ("@example.com", "not a valid JID, such as john@example.com"),
    ],
)
def test_an_owner_that_is_no_bare_jid_is_told(told, jid, words):
    assert told(changed("john@example.com:", f'"{jid}":')) == [f"config.yaml:11: jids.{jid}: {words}"]
    assert told(GOOD + f'admins:\n  - ann@example.com\n  - "{jid}"\n') == [f"config.yaml:14: admins: {words}"]


# Mistakes in what only the whole shows


def test_an_unknown_kind_is_told_with_the_nearest(told):
    assert told(changed("kind: voipms", "kind: voip.ms")) == [
        'config.yaml:6: providers.voipms.kind: unknown kind "voip.ms": did you mean "voipms"?'
    ]
    assert told(changed("    kind: voipms\n", "")) == [
        "config.yaml:5: providers.voipms: kind is missing: one of envayasms, voipms"
    ]


def test_an_unknown_provider_of_a_line_is_told_with_the_nearest(told):
    assert told(GOOD + 'lines:\n  "+15551230001": {provider: voipsm}\n') == [
        'config.yaml:13: lines.+15551230001.provider: unknown provider "voipsm": did you mean "voipms"?'
    ]


def test_without_a_provider_nothing_can_be_sent(told):
    text = re.sub(r"providers:.*jids:", "providers: {}\njids:", GOOD, flags=re.DOTALL)
    assert told(text) == ["config.yaml:4: providers: no provider is configured: name one, such as voipms:"]
    assert told(text.replace("providers: {}\n", "")) == ["config.yaml: providers: missing"]


def test_with_two_providers_every_did_names_its_own(told):
    second = "  phone: {kind: envayasms, username: x, password_file: ./secret, query_key_file: ./other}\njids:"
    assert told(changed("jids:", second) + '  ann@example.com: ["+15551230001"]\n') == [
        (
            "config.yaml:12: jids.john@example.com: with two providers every DID names its own: "
            'under lines, write "+15551230001": {provider: voipms or phone}'
        )
    ]


def test_a_line_that_nobody_owns_is_a_warning(told):
    assert told(GOOD + 'lines:\n  "+15551230002": {mms: false}\n') == [
        "config.yaml:13: warning: lines.+15551230002: nobody owns this number: it is under no JID"
    ]


def test_the_same_number_twice_for_one_owner_is_told(told):
    assert told(changed('["+15551230001"]', '\n    - "+15551230001"\n    - "+15551230001"')) == [
        'config.yaml:13: jids.john@example.com: "+15551230001" is here twice'
    ]


def test_one_owner_in_two_spellings_is_told(told):
    assert told(GOOD + '  John@Example.com: ["+15551230002"]\n') == [
        "config.yaml:12: jids.John@Example.com: the same JID as on line 11: put its numbers into one list"
    ]


def test_without_an_owner_there_is_a_warning(told):
    assert told(changed('\n  john@example.com: ["+15551230001"]', " {}")) == [
        "config.yaml:10: warning: jids: nobody owns a number: nothing can be sent or received"
    ]


def test_a_providers_name_is_fit_for_a_label_and_a_path(told):
    assert told(changed("  voipms:", "  Voip ms:")) == [
        "config.yaml:5: providers.Voip ms: a provider's name is up to 32 small letters, digits, - and _, a letter first"
    ]


def test_all_problems_are_told_in_one_go_and_in_the_order_of_the_file(write):
    text = """\
xmpp:
  jid: sms.example.com
  secret_file: ./none
  server: example.org:5347
provider: {}
providers:
  voipms: {kind: voipms, username: 12345, password_file: ./none, query_key_file: ./secret}
jids:
  john@example.com/x: [+15551230001]
lines:
  "+15551230001": {provider: nobody}
address_style: odd
"""
    path = write(text)
    with pytest.raises(ConfigError) as caught:
        load(path, KINDS)
    problems = caught.value.problems
    assert list(problems) == check(path, KINDS)
    assert [problem.line for problem in problems] == [3, 4, 5, 7, 7, 9, 9, 11, 12]
    assert [problem.line for problem in problems if problem.is_warning] == [4]


@pytest.mark.parametrize("text", ["7", "text", "[1, {a: b}]", "{a: {b: [c]}}", "null", '""', "true"])
@pytest.mark.parametrize("key", ["xmpp", "providers", "jids", "lines", "admins", "caps", "http", "log", "prices"])
def test_any_shape_under_any_key_is_told_and_never_a_traceback(write, key, text):
    good = yaml.safe_load(GOOD)
    good[key] = yaml.safe_load(text)
    path = write(yaml.safe_dump(good))
    problems = check(path, KINDS)
    assert all(problem.words and "\n" not in problem.words for problem in problems)
