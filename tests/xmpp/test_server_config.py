"""What ejabberd's own configuration tells about the promises."""

import pytest
import yaml

from smsbridge.config_schema import XmppSettings
from smsbridge.xmpp.findings import Promise, Verdict
from smsbridge.xmpp.server_config import MAX_BYTES, Unreadable, judge, look_into, read

KEPT, BROKEN, UNSEEN = Verdict.KEPT, Verdict.BROKEN, Verdict.UNSEEN

SQL = """
hosts: [example.com]
default_db: sql
listen:
  - {port: 5347, module: ejabberd_service, hosts: {sms.example.com: {password: s3cret}}}
modules:
  mod_mam: {default: always}
  mod_offline: {}
"""


def verdicts(text, host="example.com"):
    findings = judge(yaml.safe_load(text), host=host, component="sms.example.com")
    return {finding.promise: finding.verdict for finding in findings}


def test_a_configuration_as_it_should_be_keeps_all_promises():
    assert verdicts(SQL) == {Promise.STORAGE: KEPT, Promise.ARCHIVE: KEPT, Promise.LISTENER: KEPT}


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ("default_db: sql", "default_db: mnesia", BROKEN),
        ("default_db: sql\n", "", BROKEN),
        ("default_db: sql", "default_db: DB", UNSEEN),
        ("default_db: sql", "default_db: [sql]", UNSEEN),
        ("{default: always}", "{default: always, db_type: mnesia}", BROKEN),
        ("mod_offline: {}", "mod_offline: {db_type: mnesia}", BROKEN),
        ("mod_offline: {}", "mod_offline:", KEPT),
        ("mod_offline: {}", "mod_offline: []", KEPT),
        ("  mod_offline: {}\n", "", KEPT),
        ("default_db: sql\n", "host_config: {example.com: {default_db: sql}}\n", KEPT),
        ("default_db: sql", "default_db: sql\nhost_config: {example.com: {default_db: mnesia}}", BROKEN),
        ("default_db: sql", "default_db: sql\nhost_config: {other.example.com: {default_db: mnesia}}", KEPT),
        (
            "default_db: sql",
            "default_db: sql\nappend_host_config: {example.com: {modules: {mod_offline: {db_type: mnesia}}}}",
            BROKEN,
        ),
        ("default_db: sql\n", "modules: {}\n", BROKEN),
    ],
)
def test_everything_that_is_not_sql_loses_texts(old, new, verdict):
    assert old in SQL
    assert verdicts(SQL.replace(old, new))[Promise.STORAGE] is verdict


def test_sql_for_both_modules_is_enough():
    text = SQL.replace("default_db: sql", "default_db: mnesia").replace("always", "always, db_type: sql")
    assert verdicts(text)[Promise.STORAGE] is BROKEN
    assert verdicts(text.replace("mod_offline: {}", "mod_offline: {db_type: sql}"))[Promise.STORAGE] is KEPT


def test_it_is_named_which_module_loses_texts():
    tree = yaml.safe_load(SQL.replace("mod_offline: {}", "mod_offline: {db_type: mnesia}"))
    storage = judge(tree, host="example.com", component="sms.example.com")[0]
    assert storage.look_at.startswith("mod_offline keep")


@pytest.mark.parametrize(
    ("new", "verdict"),
    [
        ("mod_ping: {}", BROKEN),
        ("mod_mam: {}", BROKEN),
        ("mod_mam:", BROKEN),
        ("mod_mam: {default: never}", BROKEN),
        ("mod_mam: {default: roster}", BROKEN),
        ("mod_mam: {default: always, db_type: mnesia}", KEPT),
    ],
)
def test_an_archive_is_one_that_keeps_everything_unasked(new, verdict):
    assert verdicts(SQL.replace("mod_mam: {default: always}", new))[Promise.ARCHIVE] is verdict


def test_the_modules_of_a_host_take_the_place_of_all_others():
    text = SQL + "host_config: {example.com: {modules: {mod_offline: {}}}}\n"
    assert verdicts(text)[Promise.ARCHIVE] is BROKEN
    assert verdicts(text, host="other.example.com")[Promise.ARCHIVE] is KEPT


@pytest.mark.parametrize(
    ("hosts", "verdict"),
    [
        ("hosts: {sms.example.com: {}, irc.example.com: {}}", BROKEN),
        ("hosts: {sms.example.com: {}, irc.example.com: {}}, global_routes: true", BROKEN),
        ("hosts: {sms.example.com: {}, irc.example.com: {}}, global_routes: false", KEPT),
        ("hosts: {irc.example.com: {}}", UNSEEN),
        ("password: s3cret", UNSEEN),
    ],
)
def test_a_listener_of_our_own_is_not_shared(hosts, verdict):
    assert verdicts(SQL.replace("hosts: {sms.example.com: {password: s3cret}}", hosts))[Promise.LISTENER] is verdict


@pytest.mark.parametrize(
    "text", ["{}", "listen: 5", "listen: [1, {}]\nmodules: 3", "modules: [mod_mam]\nhost_config: x"]
)
def test_odd_trees_are_no_accident(text):
    assert verdicts(text)[Promise.ARCHIVE] is BROKEN


def test_included_files_count_within_their_limits(tmp_path):
    main = tmp_path / "ejabberd.yml"
    main.write_text("hosts: [example.com]\ninclude_config_file: {more.yml: {disallow: [modules]}, db.yml: {}}\n")
    (tmp_path / "more.yml").write_text(SQL.replace("default_db: sql\n", ""))
    (tmp_path / "db.yml").write_text("default_db: sql\nmodules: {mod_offline: {}}\ninclude_config_file: third.yml\n")
    tree = read(main)
    assert set(tree["modules"]) == {"mod_offline"}
    assert tree["default_db"] == "sql"
    assert tree["listen"][0]["port"] == 5347


def test_only_what_is_allowed_is_taken_from_an_included_file(tmp_path):
    main = tmp_path / "ejabberd.yml"
    main.write_text(f"listen: [{{port: 1}}]\ninclude_config_file:\n  {tmp_path}/more.yml: {{allow_only: [listen]}}\n")
    (tmp_path / "more.yml").write_text(SQL)
    tree = read(main)
    assert [listener["port"] for listener in tree["listen"]] == [1, 5347]
    assert "modules" not in tree


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"modules: {mod_mam: {secret: hunter2}", "it is not YAML (line 1)"),
        (b"a: 1\npassword: hunter2\n\tb: 2", "it is not YAML (line 3)"),
        (b"\xc3\x28hunter2: 1", "it is not YAML"),
        (b"password: hunter2\nwhen: 2026-99-99", "it is not YAML"),
        (b"- hunter2", "it is not an ejabberd.yml"),
        (b"password: hunter2", "this is not an ejabberd.yml"),
        (b"", "it is not an ejabberd.yml"),
        (b"-- hunter2\nVirtualHost 'example.com'", "it is not an ejabberd.yml"),
        (b"#" * (MAX_BYTES + 1), "it is larger than 1 MiB"),
        (b"[" * 500 + b"]" * 500, "it is not YAML"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_without_a_word_of_it(tmp_path, octets, why):
    path = tmp_path / "ejabberd.yml"
    path.write_bytes(octets)
    assert read(path) == Unreadable(why)
    (finding,) = look_into(path, host="example.com", component="sms.example.com")
    assert (finding.promise, finding.verdict) == (Promise.STORAGE, UNSEEN)
    assert "hunter2" not in finding.look_at


def test_a_file_that_is_not_there_is_told(tmp_path):
    assert "cannot be read" in read(tmp_path / "ejabberd.yml").why
    assert "cannot be read" in read(tmp_path).why


def test_an_included_file_that_is_not_there_is_told(tmp_path):
    main = tmp_path / "ejabberd.yml"
    main.write_text(SQL + "include_config_file: [gone.yml]\n")
    assert read(main).why.startswith("a file that it includes: it cannot be read")


@pytest.mark.parametrize("path", ["ejabberd.yml", "../ejabberd.yml", 5, "", "/etc/\0"])
def test_the_file_is_named_by_an_absolute_path(path):
    with pytest.raises(ValueError, match="an absolute path is expected"):
        XmppSettings(jid="sms.example.com", secret="s3cret", server_config=path)


def test_the_file_need_not_be_named():
    assert XmppSettings(jid="sms.example.com", secret="s3cret").server_config is None
