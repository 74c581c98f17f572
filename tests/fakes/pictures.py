"""A carrier whose callbacks bring the files themselves, as telephones do, and that sends nothing.

    python -m tests.fakes.pictures CONFIG [FAILPOINTS]      a bridge that has it, until it is killed; says its port

Its callback is JSON: {"id", "from", "to", "text", "files": [base64, …]}, under ?key=….
"""

import asyncio
import base64
import binascii
import json
import sys
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, SecretStr

from smsbridge import failpoints
from smsbridge.config import load
from smsbridge.core.address import Did, Peer
from smsbridge.core.errors import Malformed, Unauthentic
from smsbridge.core.message import InboundMessage, Kind, Media, Part, ProviderMessageId, ProviderName, Source
from smsbridge.providers.contract import Answer, Callback, Capabilities, Parsed, ProviderKind, discover_kinds
from smsbridge.service import Service, serve

KEY = "pretended-picture-key-0001"
PATH = "/hook/pictures"


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    key: SecretStr


class PictureCarrier:
    kind = "pictures"
    paths = (PATH,)
    capabilities = Capabilities(sms=(), callback_bytes=8 * 2**20)

    def __init__(self, name: ProviderName, settings: Settings, _session: object) -> None:
        self.name = name
        self._key = settings.key.get_secret_value()

    def authenticate(self, callback: Callback) -> None:
        if ("key", self._key) not in callback.query:
            raise Unauthentic

    def parse(self, callback: Callback) -> Parsed:
        try:
            told = json.loads(callback.body)
            files = tuple(Media(url="", content=base64.b64decode(file, validate=True)) for file in told["files"])
        except (ValueError, KeyError, binascii.Error):
            raise Malformed("no JSON of ours") from None
        message = InboundMessage(
            provider=self.name,
            source=Source.WEBHOOK,
            kind=Kind.MMS if files else Kind.SMS,
            did=Did(told["to"]),
            peer=Peer(told["from"]),
            provider_id=ProviderMessageId(told["id"]),
            text=told["text"],
            media=files,
        )
        return Parsed(events=(message,))

    def answer(self, parsed: Parsed, parts: Sequence[Part]) -> Answer:
        return Answer(body=b"kept")


KIND = ProviderKind(kind="pictures", settings=Settings, build=PictureCarrier)


def callback_of(number: str, did: str, peer: str, text: str, *files: bytes) -> bytes:
    """The body of a callback."""
    encoded = [base64.b64encode(file).decode() for file in files]
    return json.dumps({"id": number, "from": peer, "to": did, "text": text, "files": encoded}).encode()


async def main(config: str, plan: str = "") -> None:
    kinds = {**discover_kinds(), KIND.kind: KIND}
    failpoints.arm(plan)

    def on_start(service: Service) -> None:
        print(service.web.public_port, flush=True)

    await serve(load(config, kinds).config, kinds, asyncio.Event(), on_start)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
