"""The files that administrators are told to add to their server's configuration, as they are."""

import pytest

from .component import component


async def test_a_component_is_let_in_with_the_secret_of_the_file_and_no_other(server):
    own_words = {"prosody": "prosody.cfg.lua", "ejabberd": "ejabberd.yml"}[server.name]
    assert server.component_secret not in (server.directory / own_words).read_text()  # the file alone defines it
    for secret, said in (("not it", "not-authorized"), (server.component_secret, "<handshake")):
        async with component(server, secret) as attempt:
            assert said in attempt.answer


@pytest.mark.parametrize("server_name", ["prosody"])  # ejabberd keeps both, and says nothing
async def test_a_connection_that_died_does_not_keep_the_next_one_out(server, account, login):
    async with (
        component(server, server.component_secret) as dead,
        component(server, server.component_secret) as living,
    ):
        assert living.answer.startswith("<handshake")
        assert b"conflict" in await dead.until(b"</stream:stream>")
        alice = await login(account("alice"))
        await alice.send_text(f"+15559870002@{server.component_jid}", "hello")
        await living.until(b"<body>hello</body>")


async def test_a_user_of_the_server_reaches_the_component(server, account, login):
    alice = await login(account("alice"))
    async with component(server, server.component_secret) as attempt:
        await alice.send_text(f"+15559870002@{server.component_jid}", "hello")
        await attempt.until(b"<body>hello</body>")


@pytest.mark.parametrize("server_name", ["ejabberd"])  # Prosody gives a component nothing but its own name
async def test_the_listener_lets_nobody_speak_for_another_host(server):
    async with component(server, server.component_secret, "other.example.com") as attempt:
        assert "not-authorized" in attempt.answer
