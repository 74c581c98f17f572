"""The files that administrators are told to add to their server's configuration: the tests' servers run with them."""

import re
from dataclasses import replace
from pathlib import Path

from smsbridge.sim.ejabberd import Ejabberd, EjabberdConfig
from smsbridge.sim.prosody import Prosody, ProsodyConfig
from smsbridge.sim.stage import StageConfig
from smsbridge.sim.xmpp_server import ServerName, XmppServer

SERVERS: tuple[ServerName, ...] = ("prosody", "ejabberd")
JID = "sms.example.com"

_CONTRIB = Path(__file__).parents[2] / "contrib"
FILES: dict[ServerName, Path] = {
    "prosody": _CONTRIB / "prosody" / "smsbridge.cfg.lua",
    "ejabberd": _CONTRIB / "ejabberd" / "smsbridge.yml",
}
MODULE = _CONTRIB / "prosody" / "mod_smsbridge.lua"
_SECRET = re.compile(r'^ *(?:component_secret =|password:) "([^"]+)"', re.MULTILINE)


def secret_in(name: ServerName) -> str:
    """The one secret of the file."""
    [secret] = _SECRET.findall(FILES[name].read_text(encoding="utf-8"))
    return str(secret)


def server_of(name: ServerName, *, has_module: bool = True) -> XmppServer:
    """A server that is not started yet, with the component of the file; on Prosody with our module, unless not."""
    if name == "ejabberd":
        return Ejabberd(EjabberdConfig(include=FILES[name], component_jid=JID, component_secret=secret_in(name)))
    module = MODULE if has_module else None
    secret = secret_in(name)
    return Prosody(ProsodyConfig(include=FILES[name], component_jid=JID, component_secret=secret, module=module))


def stage_on(name: ServerName, config: StageConfig) -> StageConfig:
    """The same stage on this server."""
    module = MODULE if name == "prosody" else None
    return replace(
        config, server=name, component_file=FILES[name], component_secret=secret_in(name), component_module=module
    )
