"""A callback brings the pictures themselves: they are safe when it reads its answer, and shown like any other."""

import pytest

from smsbridge.providers.contract import discover_kinds
from smsbridge.sim import stage as stage_module
from smsbridge.sim.pictures import tiny_jpeg
from smsbridge.sim.stage import DID, LOOPBACK, StageConfig
from tests.fakes.pictures import KEY, KIND, PATH, callback_of

from .cues import bodies_from, from_

pytestmark = pytest.mark.asyncio(loop_scope="module")

LARGE = tiny_jpeg() + bytes(range(256)) * 2000
AMR = b"#!AMR\n" + b"\x3c" * 400


@pytest.fixture(scope="module", autouse=True)
def _a_carrier_more():
    patch = pytest.MonkeyPatch()
    patch.setattr(stage_module, "discover_kinds", lambda: {**discover_kinds(), KIND.kind: KIND})
    yield
    patch.undo()


@pytest.fixture(scope="module")
def stage_config(_a_carrier_more):
    return StageConfig(
        account_yaml=f"  pictures:\n    kind: pictures\n    key: {KEY}\n",
        extra_yaml=f'lines:\n  "{DID}": {{provider: pictures}}\n',
    )


async def test_text_and_files_are_thanked_once_they_are_kept_and_shown_each_by_its_link(stage, login, http, peer):
    alice = await login("alice")
    url = f"http://{LOOPBACK}:{stage.service.web.public_port}{PATH}?key={KEY}"
    for _ in range(2):
        async with http.post(url, data=callback_of(peer, DID, peer, "look!", LARGE, AMR)) as answer:
            assert (answer.status, await answer.read()) == (200, b"kept")
    assert (await alice.next(from_(stage.contact(peer)))).body == "look!"
    links = []
    for name, content in (("image.jpg", LARGE), ("audio.amr", AMR)):
        shown = await alice.next(from_(stage.contact(peer)))
        assert shown.body == shown.oob_url
        assert shown.oob_url.endswith(f"/{name}")
        links.append(shown.oob_url)
        async with http.get(shown.oob_url) as file:
            assert await file.read() == content
    async with http.post(url, data=callback_of(f"{peer}, later", DID, peer, "(curtain)")) as answer:
        assert answer.status == 200
    await alice.next(lambda stanza: stanza.body == "(curtain)")
    assert bodies_from(alice, stage.contact(peer)) == ["look!", *links, "(curtain)"]
