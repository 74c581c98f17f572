"""What every throw-away server does for those who use it."""

import socket

import pytest

from smsbridge.sim import ports
from smsbridge.sim.client import Client, StreamEnded
from smsbridge.sim.ejabberd import Ejabberd, EjabberdConfig
from smsbridge.sim.prosody import Prosody, ProsodyConfig
from smsbridge.sim.xmpp_server import LOOPBACK, PortTaken, ProgramMissing, StartFailed

from .component import component

PASSWORD = "pässwörd \"'\\"


@pytest.fixture
def build(server_name):
    """`build(second_domain="example.org")` is a server by its own words, not started."""
    if server_name == "ejabberd":
        return lambda **config: Ejabberd(EjabberdConfig(**config))
    return lambda **config: Prosody(ProsodyConfig(**config))


def ports_of(server):
    return server.c2s_port, server.component_port, server.http_port


async def test_a_component_with_the_secret_is_let_in_and_one_without_is_not(build):
    async with build(component_secret='s3cret "\\ é') as server:
        for secret, said in ((server.component_secret, "<handshake"), ("not it", "not-authorized")):
            async with component(server, secret) as attempt:
                assert said in attempt.answer


@pytest.mark.parametrize(("server_name", "storage"), [("prosody", "internal"), ("prosody", "sql"), ("ejabberd", "sql")])
async def test_what_was_acknowledged_survives_a_kill_and_a_restart(build, storage):
    async with build(storage=storage) as server:
        ports = ports_of(server)
        jid, peer = server.add_account("alice", "pw"), server.add_account("bob", PASSWORD)
        async with await Client.login(jid, "pw", port=server.c2s_port) as alice:
            sent = await alice.send_text(peer, "kept")
            await alice.ping()
            await server.kill()
            with pytest.raises(StreamEnded):
                await alice.next()
        assert not server.is_running
        assert server.pid is None
        await server.restart()
        assert ports_of(server) == ports
        async with await Client.login(peer, PASSWORD, port=server.c2s_port) as bob:
            assert [m.stanza_id for m in await bob.archive()] == [sent]
            assert (await bob.next()).stanza_id == sent


async def test_a_server_stopped_for_a_while_keeps_ports_and_accounts_and_a_new_password_counts(fresh_server):
    ports = ports_of(fresh_server)
    jid = fresh_server.add_account("alice", "pw")
    await fresh_server.stop(keep=True)
    assert not fresh_server.is_running
    fresh_server.add_account("alice", "another")
    await fresh_server.restart()
    assert ports_of(fresh_server) == ports
    for password in ("another", "a third one"):
        fresh_server.add_account("alice", password)  # while it runs, too
        async with await Client.login(jid, password, port=fresh_server.c2s_port) as alice:
            await alice.ping()


async def test_a_second_host_and_an_echo_component_are_there_when_asked_for(build):
    async with build(second_domain="example.org", echo_jid="echo.example.com") as server:
        alice, carol = server.add_account("alice", "pw"), server.add_account("alice", "other", domain="example.org")
        async with (
            await Client.login(alice, "pw", port=server.c2s_port) as here,
            await Client.login(carol, "other", port=server.c2s_port) as there,
        ):
            await here.send_text(carol, "hello over there")
            assert (await there.next()).sender == here.jid
        async with component(server, server.component_secret, "echo.example.com") as attempt:
            assert attempt.answer.startswith("<handshake")


async def test_a_named_port_that_is_taken_is_told_before_anything_starts(build, tmp_path):
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {port} on 127.0.0.1 is already in use"):
            await build(directory=tmp_path / "server", component_port=port).start()
        assert not (tmp_path / "server").exists()


async def test_a_free_port_lost_to_somebody_else_is_replaced(build, monkeypatch):
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        taken = other.getsockname()[1]
        draws = [[taken, 0, 1]]
        sample = ports._draw.sample
        monkeypatch.setattr(ports._draw, "sample", lambda *a: [*draws.pop(), *sample(*a)] if draws else sample(*a))
        monkeypatch.setattr(ports, "is_free", lambda port: port > 1)
        async with build() as server:
            assert draws == []
            assert taken not in ports_of(server)
            assert str(taken) in server.log_text()


async def test_a_server_that_cannot_read_its_configuration_says_so_with_its_last_words(build, tmp_path):
    (tmp_path / "included").write_text("port: 1\n{ this is neither Lua nor YAML")
    with pytest.raises(StartFailed, match="(?i)ended at once: .*configur"):
        await build(include=tmp_path / "included").start()


async def test_a_server_that_was_never_started_cannot_be_started_again(build):
    with pytest.raises(StartFailed, match="was never started"):
        await build().restart()


async def test_a_machine_without_the_server_is_told_what_to_install(build, server_name, monkeypatch, tmp_path):
    packages = {"prosody": "prosody and prosody-modules", "ejabberd": "ejabberd and erlang-p1-sqlite3"}[server_name]
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramMissing, match=f"install the packages {packages}"):
        await build().start()


async def test_a_temporary_directory_goes_with_the_server_and_a_given_one_stays(build, tmp_path):
    async with build() as temporary:
        directory = temporary.directory
        assert (directory / "console.log").exists()
    assert not directory.exists()
    async with build(directory=tmp_path) as given:
        assert given.directory == tmp_path
        assert given.pid is not None
    assert (tmp_path / "console.log").exists()
