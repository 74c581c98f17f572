"""What is particular to the throw-away ejabberd."""

import pytest

from smsbridge.sim import ejabberd as ejabberd_module
from smsbridge.sim.ejabberd import Ejabberd, EjabberdConfig, with_port
from smsbridge.sim.xmpp_server import ProgramMissing


@pytest.mark.parametrize("server_name", ["ejabberd"])
async def test_it_finds_nothing_to_complain_about(fresh_server):
    complaints = [line for line in fresh_server.log_text().splitlines() if "[info]" not in line]
    assert complaints == []


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
