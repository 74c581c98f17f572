"""What is particular to the throw-away ejabberd."""

import asyncio

import pytest

from smsbridge.sim import client
from smsbridge.sim import ejabberd as ejabberd_module
from smsbridge.sim.client import Client
from smsbridge.sim.ejabberd import Ejabberd, EjabberdConfig, with_port
from smsbridge.sim.xmpp_server import ProgramMissing


@pytest.mark.parametrize("server_name", ["ejabberd"])
async def test_it_finds_nothing_to_complain_about(fresh_server):
    """But for the stranger who is refused at its start, which it may write while the test reads."""
    stranger = f"for nobody@{fresh_server.domain} from 127.0.0.1: Invalid username or password"
    complaints = [line for line in fresh_server.log_text().splitlines() if "[info]" not in line]
    assert [line for line in complaints if not line.endswith(stranger)] == []


async def test_its_first_users_may_come_all_at_once(monkeypatch):
    """A third of all starts refused some of them: their queries opened the same connections."""
    monkeypatch.setattr(client, "LOGINS", 1)
    server = Ejabberd(EjabberdConfig(second_domain="example.net"))
    jids = [
        server.add_account(f"user{n}", "secret", domain=f"example.{tld}") for n in range(6) for tld in ("com", "net")
    ]
    async with server:
        users = await asyncio.gather(*(Client.login(jid, "secret", port=server.c2s_port) for jid in jids))
        await asyncio.gather(*(user.logout() for user in users))
    assert len(users) == len(jids)


async def test_with_mnesia_it_warns_by_itself():
    async with Ejabberd(EjabberdConfig(storage="mnesia")) as server:
        assert "Mnesia backend for mod_mam is not recommended" in server.log_text()


async def test_erlang_without_ejabberd_is_told_as_well(monkeypatch, tmp_path):
    monkeypatch.setattr(ejabberd_module, "LIBRARIES", tmp_path)
    with pytest.raises(ProgramMissing, match="ejabberd was not found; install the packages ejabberd and"):
        await Ejabberd().start()


def test_the_port_of_an_included_file_is_changed_and_nothing_else():
    text = "listen:\n  -\n    port: 5347  # here\n    module: ejabberd_service\n# port 1\n"
    assert with_port(text, 26347) == text.replace("5347", "26347")
    with pytest.raises(ValueError, match="2 listeners"):
        with_port(text + text, 26347)


def test_an_included_file_and_an_echo_component_exclude_each_other(tmp_path):
    with pytest.raises(ValueError, match="a listener of its own"):
        EjabberdConfig(include=tmp_path / "smsbridge.yml", echo_jid="echo.example.com")
