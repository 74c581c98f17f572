"""Addresses that must not be called, in every form that was ever used to call them."""

from ipaddress import ip_address

INTERNAL_V4 = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1",  # noqa: S104
    "100.127.255.255", "169.254.169.254", "169.254.0.1", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.170",
    "192.0.2.1", "192.88.99.1", "192.168.0.1", "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "233.252.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
]  # fmt: skip
INTERNAL_V6 = [
    "::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:169.254.169.254",
    "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe",
    "64:ff9b::10.0.0.1", "64:ff9b::192.168.1.1", "64:ff9b:1::8.8.8.8", "100::1", "2001::1", "2001:0:7f00:1::1",
    "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::1", "2002:a9fe:a9fe::1", "2002:808:808::1",
    "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fdff::1", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1",
    "ff02::1", "ff0e::1", "4000::1", "::ffff:0.0.0.0",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "193.0.6.139", "2606:4700:4700::1111", "2a00:1450:4001::1", "64:ff9b::8.8.8.8"]

_NUMBERS = [
    "2130706433", "0x7f000001", "017700000001", "0x7f.0.0.1", "0177.0.0.1", "127.1", "127.0.1", "0x7f.1", "0177.1",
    "127.0.0.1.", "127.0.0.0x1", "127.0.0.01", "2852039166", "0xa9fea9fe", "0xA9.0xFE.0xA9.0xFE", "025177524776",
    "169.254.43518", "0", "0x0", "00000000000", "127.0.0.1.0", "1.2.3.4.5", "256.256.256.256", "4294967295", "999",
    "0x", "a.0x7f", "localhost.1",
]  # fmt: skip
_TRICKS = [
    "https://voip.ms@127.0.0.1/x", "https://voip.ms:443@127.0.0.1/x", "https://voip.ms%40127.0.0.1/x",
    "https://127.0.0.1#@voip.ms/", "https://127.0.0.1?@voip.ms/", "https://127.0.0.1\\@voip.ms/",
    "https://voip.ms\\@127.0.0.1/", "https://127.0.0.1%2f@voip.ms/", "https://voip.ms:x@voip.ms/", "https://@voip.ms/",
    "https://:@voip.ms/", "https://u@voip.ms/x", "https://voip.ms\t/x", "https://voip.ms\n/x", "https://vo\rip.ms/",
    " https://voip.ms/x", "https://voip.ms/ x", "https://voip.ms\x00.evil.example/", "https://voip.ms\x7f/",
    "https://voip.ms.evil.example/x", "https://evil-voip.ms/x", "https://xvoip.ms/x", "https://evil.example/voip.ms",
    "https://evil.example?voip.ms", "https://evil.example#voip.ms", "https://voip.ms:8443/x", "https://voip.ms:22/",
    "https://voip.ms:80/x", "https://voip.ms:0/x", "https://voip.ms:99999/x", "https://voip.ms:-1/x",
    "https://voip.ms:a/x", "https://voip.ms:４４３/x", "https://ｖoip.ms/x", "https://voip。ms/x", "https://①②⑦.0.0.1/",
    "https://voip.ms./x", "https://voip.ms../x", "https://.voip.ms/x", "https://VOIP.MS/x", "https://",
    "https:///voip.ms/x", "https:voip.ms/x", "https:/voip.ms/x", "//voip.ms/x", "/x", "x", "", "voip.ms/x", "https",
    "http://voip.ms/x", "HTTP://voip.ms/x", "http://voip.ms:443/x", "http://localhost/", "https://localhost/",
    "https://localhost:443/", "https://localhost.localdomain/", "https://ip6-localhost/", "https://[::1/x",
    "https://::1]/", "https://[v1.x]/", "https://[]/", "https://[::1]@voip.ms/", "https://[voip.ms]/", "ftp://voip.ms/",
    "file:///etc/passwd", "file://voip.ms/etc/passwd", "file:/etc/passwd", "FILE:///etc/passwd", "gopher://voip.ms/_x",
    "gopher://127.0.0.1:6379/_SET", "dict://127.0.0.1:11211/stat", "ldap://127.0.0.1/", "ldaps://voip.ms/",
    "jar:https://voip.ms!/x", "data:image/png;base64,AAAA", "javascript:alert(1)", "mailto:john@example.com",
    "xmpp:john@example.com", "aesgcm://voip.ms/x#00", "ws://voip.ms/", "wss://voip.ms/", "unix:///run/x.sock",
    "http+unix://%2Frun%2Fx.sock/", "about:blank", "view-source:https://voip.ms/", "netdoc:///etc/passwd",
    "sftp://voip.ms/", "tftp://voip.ms/x", "ssh://voip.ms/", "telnet://voip.ms:25/", "smtp://voip.ms:25/",
    "blob:https://voip.ms/x", "feed:https://voip.ms/", "https://metadata.google.internal/computeMetadata/v1/",
    "https://instance-data/latest/meta-data/", "https://127.0.0.1.nip.io/", "https://localtest.me/",
    "https://voip.ms/" + "a" * 5000, "https://sub.voip.ms/x", "https://www.voip.ms/x", "https://voip.ms,evil.example/",
    "https://voip.ms;evil.example/", "https://voip.ms&evil.example/", "https://$voip.ms/", "https://voip.ms%00/",
    "https://voip.ms%2eevil.example/", "https://voip%2ems/", "https://%76oip.ms/", "https://voip.ms%20/",
]  # fmt: skip


def _spelled(address: str) -> list[str]:
    """The same address as a decimal number, in hexadecimal and in octal, as C libraries read it."""
    number = int(ip_address(address))
    return [str(number), f"0x{number:x}", ".".join(f"0{int(byte):o}" for byte in address.split("."))]


CORPUS = [
    *(f"https://{address}/x" for address in INTERNAL_V4),
    *(f"https://[{address}]/x" for address in INTERNAL_V6),
    *(f"http://{address}/x" for address in INTERNAL_V4[:6]),
    *(f"http://[{address}]/x" for address in INTERNAL_V6[:6]),
    *(f"https://{address}/x" if ":" not in address else f"https://[{address}]/x" for address in PUBLIC),
    *(f"https://{number}/x" for number in _NUMBERS),
    *(f"https://{form}/x" for address in INTERNAL_V4 for form in _spelled(address)),
    *_TRICKS,
]
