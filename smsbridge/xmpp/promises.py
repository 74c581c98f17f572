"""Does the XMPP server keep what our own promises rest on? Asked when a stream opens, and again every ten minutes.

What is found is told once, when it changes: to the journal with what to do about it, to the metrics, and as data.
Nothing here stops the bridge, and silence proves nothing: what was seen before still counts then.

ejabberd accepts a second connection for our JID, and gives every stanza to a random one of them. So probes are sent
from us to us. A stream keeps its order: a probe that is missing while a later one is back went to somebody else, and
one that is not ours is theirs.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

from smsbridge.clock import Clock
from smsbridge.log import Event, Log
from smsbridge.metrics import Metrics
from smsbridge.xmpp import server_config
from smsbridge.xmpp.asking import Asking
from smsbridge.xmpp.findings import Finding, Promise, Verdict, broken, decisive, kept, unseen
from smsbridge.xmpp.oracles import EJABBERD, PROSODY, Software, archive_of, patches_of, software_of, uptime_of

REPEAT_SECONDS: Final = 600.0
DOUBT_SECONDS: Final = 60.0  # while we are not alone, or not sure of it
PROBES: Final = 12
MAX_CONTACTS: Final = 8

PROBE: Final = "urn:x-smsbridge:probe"

_SHARED: Final = (
    "another connection holds our JID, and stanzas go to either at random: look for a second smsbridge, or restart the "
    "server if a dead connection of ours is left there"
)
_NO_FILE: Final = (
    "ejabberd loses acknowledged texts when it is killed, unless it keeps them in SQL; that cannot be seen from here: "
    "write server_config: /etc/ejabberd/ejabberd.yml in our section xmpp, or see there that default_db is sql"
)
_UNKNOWN_SERVER: Final = "this server is not known here: see that what it accepts for a user outlives its kill"

_log = Log("xmpp")


class Promises:
    """What is known of one server. `run` as long as a stream lasts; `take` everything that comes in."""

    def __init__(
        self,
        *,
        jid: str,
        server: str,
        owners: Callable[[], Iterable[str]],
        asking: Asking,
        write: Callable[[bytes], None],
        metrics: Metrics,
        clock: Clock,
        server_config: Path | None = None,
        probe_seconds: float = 10.0,
    ) -> None:
        """`server` is the host that is asked, `owners` bare JIDs, `server_config` ejabberd's own file."""
        self._jid = jid
        self._server = server
        self._owners = owners
        self._asking = asking
        self._write = write
        self._metrics = metrics
        self._clock = clock
        self._server_config = server_config
        self._probe_seconds = probe_seconds
        self._prefix = f"probe-{secrets.token_hex(12)}-"
        self._probes: list[str] = []
        self._returned: set[str] = set()
        self._last_is_back = asyncio.Event()
        self._stranger_at: float | None = None
        self._contacts: dict[str, str] = {}
        self._stirred = asyncio.Event()
        self._software = Software()
        self._findings: dict[Promise, Finding] = {}

    @property
    def software(self) -> Software:
        """What the server last said that it is."""
        return self._software

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found out last, one for each promise that was looked at."""
        return tuple(self._findings.values())

    def take(self, stanza: ET.Element) -> bool:
        """Whether this is a probe, ours or another's."""
        if stanza.get("from") != self._jid or stanza.find(f"{{{PROBE}}}probe") is None:
            return False
        probe_id = stanza.get("id", "")
        if not probe_id.startswith(self._prefix):
            self._stranger_at = self._clock.monotonic()
            self._tell(broken(Promise.CONNECTION, _SHARED))
        elif probe_id in self._probes and stanza.get("type") != "error":
            self._returned.add(probe_id)
            if probe_id == self._probes[-1]:
                self._last_is_back.set()
        return True

    def see(self, owner: str, number: str) -> None:
        """An owner has let a number of ours see their presence; a full JID will do, as will an old conversation."""
        owner, number = owner.partition("/")[0], number.partition("/")[0]
        if owner.partition("@")[2] != self._server:
            return
        is_promising = owner not in self._contacts and len(self._contacts) < MAX_CONTACTS
        self._contacts.pop(owner, None)
        self._contacts[owner] = number
        if len(self._contacts) > MAX_CONTACTS:
            del self._contacts[next(iter(self._contacts))]
        if is_promising and self._verdict_on(Promise.ARCHIVE) in (None, Verdict.UNSEEN):
            self._stirred.set()

    async def run(self) -> None:
        """Ask now and then, until the stream is gone and this is cancelled."""
        while True:
            self._stirred.clear()
            try:
                await self.ask()
            except Exception as error:  # noqa: BLE001 - to look at the server is no reason to lose the stream
                _log.crash(Event.SERVER_CHECK_FAILED, error)
            is_alone = self._verdict_on(Promise.CONNECTION) is Verdict.KEPT
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REPEAT_SECONDS if is_alone else DOUBT_SECONDS):
                    await self._stirred.wait()

    async def ask(self) -> None:
        """Ask everything once, and tell what is new."""
        if not await self._is_alone():
            return  # half of the answers would go there
        findings = await self._look_at_server()
        if any(finding.verdict is Verdict.UNSEEN for finding in findings) and not await self._is_alone():
            return  # and that is where they went
        for finding in findings:
            self._tell(finding)

    async def _look_at_server(self) -> list[Finding]:
        software = await software_of(self._asking, self._server)
        if software.name and software != self._software:
            self._software = software
            self._forget()
            _log.info(Event.SERVER_CHECKED, software=software.name, version=software.version)
        software = self._software
        findings = [patches_of(software), await uptime_of(self._asking, self._server, software)]
        archive = await self._look_for_archive(software)
        for finding in await self._look_into_file(software):
            if finding.promise is Promise.ARCHIVE:
                archive = decisive(archive, finding)
            else:
                findings.append(finding)
        return [*findings, archive]

    async def _is_alone(self) -> bool:
        self._tell(await self._look_for_others())
        return self._verdict_on(Promise.CONNECTION) is not Verdict.BROKEN

    async def _look_for_others(self) -> Finding:
        probes = self._probes = [f"{self._prefix}{secrets.token_hex(12)}" for _ in range(PROBES)]
        self._returned.clear()
        self._last_is_back.clear()
        us = quoteattr(self._jid)
        for probe_id in probes:
            probe = f'<message type="headline" id="{probe_id}" from={us} to={us}><probe xmlns="{PROBE}"/></message>'
            self._write(probe.encode())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._probe_seconds):
                await self._last_is_back.wait()
        back = [probe_id in self._returned for probe_id in probes]
        is_stranger_near = (
            self._stranger_at is not None and self._clock.monotonic() - self._stranger_at < 2 * REPEAT_SECONDS
        )
        if is_stranger_near or back != sorted(back, reverse=True):
            return broken(Promise.CONNECTION, _SHARED)
        if not all(back):
            return unseen(Promise.CONNECTION, "the server does not return what we send to ourselves")
        return kept(Promise.CONNECTION)

    async def _look_for_archive(self, software: Software) -> Finding:
        owner = min((jid for jid in self._owners() if jid.partition("@")[2] == self._server), default=None)
        if owner is None:
            return unseen(Promise.ARCHIVE, f"no owner lives on {self._server}: ping should name the host of your users")
        return await archive_of(self._asking, software, owner, dict(self._contacts))

    async def _look_into_file(self, software: Software) -> tuple[Finding, ...]:
        if software.name == PROSODY:
            return (kept(Promise.STORAGE),)
        if self._server_config is not None:
            path, host, component = self._server_config, self._server, self._jid
            return await asyncio.to_thread(server_config.look_into, path, host=host, component=component)
        return (unseen(Promise.STORAGE, _NO_FILE if software.name == EJABBERD else _UNKNOWN_SERVER),)

    def _verdict_on(self, promise: Promise) -> Verdict | None:
        finding = self._findings.get(promise)
        return None if finding is None else finding.verdict

    def _forget(self) -> None:
        """It is another server now."""
        for promise in self._findings.keys() - {Promise.CONNECTION}:
            del self._findings[promise]
            self._count(promise, None)

    def _count(self, promise: Promise, found: Verdict | None) -> None:
        for verdict in Verdict:
            gauge = self._metrics.server_promises.labels(promise=promise.value, verdict=verdict.value)
            gauge.set(verdict is found)

    def _tell(self, finding: Finding) -> None:
        """Keep a finding, and say it if it is new."""
        before = self._findings.get(finding.promise)
        if finding == before:
            return
        if finding.verdict is Verdict.UNSEEN and before is not None and before.verdict is not Verdict.UNSEEN:
            return
        self._findings[finding.promise] = finding
        self._count(finding.promise, finding.verdict)
        if finding.verdict is not Verdict.KEPT:
            say = _log.info
            if finding.promise is Promise.CONNECTION and finding.verdict is Verdict.BROKEN:
                say = _log.error
            elif finding.verdict is Verdict.BROKEN or finding.look_at == _NO_FILE:
                say = _log.warning
            say(
                Event.SERVER_PROMISE_DOUBTED,
                promise=finding.promise.value,
                verdict=finding.verdict.value,
                look_at=finding.look_at,
            )
        elif before is not None:
            _log.info(Event.SERVER_PROMISE_KEPT, promise=finding.promise.value)
