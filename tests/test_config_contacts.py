"""Names, pictures and address books in the configuration: taken in their short and long forms, refused in words."""

import pytest

from smsbridge.config import ConfigError, check, load
from smsbridge.config_contacts import books_of
from smsbridge.core.faces import LARGEST_PICTURE, Face, Picture, Roster, face_in
from smsbridge.providers.contract import discover_kinds
from tests.fakes.photos import PNG

KINDS = discover_kinds()
MUM, PLUMBER = "+15559870002", "+15559870003"
JOHN, ANN = "john@example.com", "ann@example.com"
SMALL = """\
xmpp: {jid: sms.example.com, secret: pretended-secret}
providers:
  voipms: {kind: voipms, username: john, password: pretended, query_key: pretended-key-00001}
jids:
  john@example.com: ["+15551230001"]
  ann@example.com: ["+15551230001"]
"""


@pytest.fixture
def loaded(tmp_path):
    (tmp_path / "mum.png").write_bytes(PNG)
    (tmp_path / "dav.password").write_text("horse\n")
    (tmp_path / "dav.password").chmod(0o600)

    def load_with(extra):
        (tmp_path / "config.yaml").write_text(SMALL + extra)
        return load(tmp_path / "config.yaml", KINDS).config

    load_with.directory = tmp_path
    return load_with


def told(loaded, extra):
    """The problems, as line and words."""
    with pytest.raises(ConfigError) as wrong:
        loaded(extra)
    lines = SMALL.count("\n")
    return [(each.line - lines, each.words) for each in wrong.value.problems if not each.is_warning]


def test_names_and_pictures_are_for_all_or_for_one(loaded):
    config = loaded(f"""\
contacts:
  "{MUM}": Mum
  "{PLUMBER}": {{name: Plumber, photo: mum.png}}
  "29283": Bank
  AMAZON: The shop
contacts_of:
  ANN@example.com: {{"{MUM}": Grandma}}
""")
    books = books_of(config.contacts, config.contacts_of)
    assert face_in(books, JOHN, MUM) == Face(name="Mum")
    assert face_in(books, ANN, MUM) == Face(name="Grandma")
    assert face_in(books, JOHN, PLUMBER) == Face(name="Plumber", picture=Picture(kind="image/png", data=PNG))
    assert [face_in(books, JOHN, peer).name for peer in ("29283", "amazon")] == ["Bank", "The shop"]
    assert config.roster is Roster.AUTO


def test_address_books_have_their_secrets_and_paths(loaded):
    config = loaded("""\
roster: all
address_books:
  phone: {file: contacts.vcf, region: GB}
  home: {url: "https://dav.example.com/", username: john, password_file: ./dav.password, owners: [John@example.com]}
""")
    assert config.address_books["phone"].file == loaded.directory / "contacts.vcf"
    assert config.address_books["home"].password.get_secret_value() == "horse"
    assert config.address_books["home"].owners == (JOHN,)
    assert "horse" not in repr(config)
    assert config.roster is Roster.ALL


@pytest.mark.parametrize(
    ("extra", "line", "words"),
    [
        ('contacts:\n  +15559870002: Mum\n', 2, 'write "+15559870002"'),
        ('contacts:\n  "5559870002": Mum\n', 2, 'write "+15559870002"'),
        ('contacts:\n  "+1555": Mum\n', 2, "not a number in E.164 form"),
        (f'contacts:\n  "{MUM}": "+15559870003"\n', 2, "this cannot be a name"),
        (f'contacts:\n  "{MUM}": {{}}\n', 2, "a name or a photo is missing"),
        (f'contacts:\n  "{MUM}": No\n', 2, 'write "No"'),
        (f'contacts_of:\n  {ANN}: {{"{MUM}": 007}}\n', 2, 'write "007"'),
        (f'contacts:\n  "{MUM}": [Mum]\n', 2, "keys and values are expected"),
        (f'contacts:\n  "{MUM}": {{photo: gone.png}}\n', 2, "the file cannot be read"),
        (f'contacts:\n  "{MUM}": {{photo: config.yaml}}\n', 2, "this is no JPEG, PNG, GIF or WebP"),
        (f'contacts:\n  "{MUM}": {{photo: large.png}}\n', 2, "larger than 40 KiB"),
        (f'contacts:\n  "{MUM}": {{nme: Mum}}\n', 2, 'did you mean "name"?'),
        (f'contacts_of:\n  ann: {{"{MUM}": Mum}}\n', 2, "a name and @ are missing"),
        (f'contacts_of:\n  {ANN}:\n    "{MUM}": {{nme: Mum}}\n', 3, 'did you mean "name"?'),
        ("address_books:\n  Home: {file: a.vcf}\n", 2, "an address book's name is"),
        ("address_books:\n  home: {}\n", 2, "write either file: or url:"),
        ('address_books:\n  home: {file: a.vcf, url: "https://dav.example.com/"}\n', 2, "write either file: or url:"),
        ('address_books:\n  home: {url: "http://dav.example.com/"}\n', 2, "must begin with https://"),
        ('address_books:\n  home: {url: "https://j:horse@dav.example.com/"}\n', 2, "the URL of an address book"),
        ('address_books:\n  home: {url: "https://dav.example.com/", username: j}\n', 2, "belong together"),
        ('address_books:\n  home: {url: "https://dav.example.com/", usrname: j}\n', 2, 'did you mean "username"?'),
        ("roster: some\n", 1, "auto, all or off is expected"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(loaded, extra, line, words):
    (loaded.directory / "large.png").write_bytes(PNG.ljust(LARGEST_PICTURE + 1))
    found = told(loaded, extra)
    assert [each[0] for each in found] == [line]
    assert words in found[0][1]
    assert "horse" not in found[0][1]


def test_a_file_that_is_not_there_yet_is_a_warning(loaded):
    loaded("address_books:\n  phone: {file: later.vcf}\n")
    (warning,) = (one for one in check(loaded.directory / "config.yaml", KINDS) if "phone" in one.words)
    assert warning.is_warning
    assert warning.words.startswith("address_books.phone.file: the file cannot be read now")
    (loaded.directory / "later.vcf").touch()
    assert not [one for one in check(loaded.directory / "config.yaml", KINDS) if "phone" in one.words]


def test_a_password_in_plain_is_a_warning(loaded):
    extra = 'address_books:\n  home: {url: "https://dav.example.com/", username: j, password: horse}\n'
    loaded(extra)
    words = [each.words for each in check(loaded.directory / "config.yaml", KINDS)]
    assert any(each.startswith("address_books.home.password: a secret in plain") for each in words)
