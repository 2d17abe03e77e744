"""Prosody, ejabberd, Kamailio, Knot and the gateway on loopback, their configurations generated.

State, configuration and logs of each live in one folder below a throw-away root. start() returns
when the server answers; stop() ends it; kill() is kill -9; start() again goes on with its state.
"""

import asyncio
import json
import os
import socket
import sqlite3
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from .process import HOST, Child, accepts, free_ports, until

REPO = Path(__file__).resolve().parents[2]
XMPP_DOMAIN = "example.com"
SIP_DOMAIN = "example.net"
GATEWAY_DOMAIN = "gw.example.net"
COMPONENTS = (SIP_DOMAIN, GATEWAY_DOMAIN)
SECRET = "loopback-only"
PASSWORD = "loopback-only"
USERS = ("juliet", "nurse", "benvolio")


class Server:
    """What all of them share: a folder, a child, start and stop."""

    name = "server"

    def __init__(self, root: Path):
        self.dir = root / self.name
        self.dir.mkdir(parents=True, exist_ok=True)
        self.child = Child(self.name, self.dir / f"{self.name}.log")

    def argv(self) -> list[str]:
        raise NotImplementedError

    def env(self) -> dict[str, str]:
        return {}

    async def ready(self) -> bool:
        raise NotImplementedError

    async def start(self, timeout_s: float = 30) -> None:
        self.child.start(self.argv(), self.env())
        await until(self.ready, self.child, timeout_s)

    def stop(self) -> int | None:
        return self.child.stop()

    def kill(self) -> None:
        self.child.kill()


class XmppServer(Server):
    """A server of example.com with accounts, and the component port for the gateway."""

    def __init__(self, root: Path):
        super().__init__(root)
        self.c2s_port = free_ports()
        self.component_port = free_ports()

    async def ready(self) -> bool:
        return await accepts(self.c2s_port) and await accepts(self.component_port)

    async def on_disk(self) -> None:
        """Returns when what users have agreed on so far outlives kill()."""


class Prosody(XmppServer):
    name = "prosody"
    modules = ("roster", "saslauth", "disco", "ping")

    def __init__(self, root: Path):
        super().__init__(root)
        self._write_accounts()
        self.config = self.dir / "prosody.cfg.lua"
        self.config.write_text(self._config())

    def _write_accounts(self) -> None:
        """In the form in which Prosody's own file store keeps them."""
        folder = self.dir / "data" / XMPP_DOMAIN.replace(".", "%2e") / "accounts"
        folder.mkdir(parents=True)
        for user in USERS:
            (folder / f"{user}.dat").write_text(f'return {{ ["password"] = "{PASSWORD}"; }};\n')

    def _config(self) -> str:
        components = "".join(f'Component "{name}"\n    component_secret = "{SECRET}"\n'
                             for name in COMPONENTS)
        return f"""run_as_root = true
data_path = "{self.dir}/data"
log = {{ {{ levels = {{ min = "info" }}, to = "console" }} }}
interfaces = {{ "{HOST}" }}
c2s_ports = {{ {self.c2s_port} }}
component_ports = {{ {self.component_port} }}
component_interfaces = {{ "{HOST}" }}
modules_enabled = {{ {", ".join(f'"{name}"' for name in self.modules)} }}
modules_disabled = {{ "s2s", "tls" }}
authentication = "internal_plain"
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
VirtualHost "{XMPP_DOMAIN}"
{components}"""

    def argv(self) -> list[str]:
        return ["prosody", "-F", "--config", str(self.config)]


class ProsodyPep(Prosody):
    """With personal events, as it comes by default."""

    modules = (*Prosody.modules, "pep")


class Ejabberd(XmppServer):
    name = "ejabberd"
    more_modules = ""
    SYNC_MS = 20  # Mnesia left alone may lose the rosters of the last seconds to kill -9

    def __init__(self, root: Path):
        super().__init__(root)
        (self.dir / "mnesia").mkdir()
        self.config = self.dir / "ejabberd.yml"
        self.config.write_text(self._config())

    def _config(self) -> str:
        hosts = "".join(f'      "{name}":\n        password: "{SECRET}"\n' for name in COMPONENTS)
        return f"""hosts: ["{XMPP_DOMAIN}"]
loglevel: info
auth_method: internal
auth_password_format: plain
listen:
  - port: {self.c2s_port}
    ip: "{HOST}"
    module: ejabberd_c2s
  - port: {self.component_port}
    ip: "{HOST}"
    module: ejabberd_service
    global_routes: false # else every connection is given the routes of all hosts below
    hosts:
{hosts}modules:
  mod_roster: {{}}
  mod_disco: {{}}
  mod_ping: {{}}
{self.more_modules}"""

    def argv(self) -> list[str]:
        # Without a node name Erlang neither starts nor needs its port mapper, which all nodes share.
        accounts = " ".join(f'ejabberd_auth:try_register(<<"{user}">>, <<"{XMPP_DOMAIN}">>, '
                            f'<<"{PASSWORD}">>),' for user in USERS)
        mark = f'ok = file:write_file("{self._accounts_made}", "")'
        sync = f"spawn(fun L() -> mnesia:sync_log(), timer:sleep({self.SYNC_MS}), L() end)"
        return ["erl", "-noinput", "-mnesia", "dir", f'"{self.dir}/mnesia"', "-s", "ejabberd",
                "-eval", f"ejabberd:start_app(ejabberd), {accounts} {sync}, {mark}."]

    async def on_disk(self) -> None:
        await asyncio.sleep(5 * self.SYNC_MS / 1000)

    @property
    def _accounts_made(self) -> Path:
        return self.dir / "accounts-made"

    def env(self) -> dict[str, str]:
        return {"EJABBERD_CONFIG_PATH": str(self.config), "ERL_LIBS": "/usr/lib/x86_64-linux-gnu",
                "EJABBERD_LOG_PATH": str(self.dir / "server.log"), "HOME": str(self.dir),
                "ERL_CRASH_DUMP": str(self.dir / "erl_crash.dump")}

    async def ready(self) -> bool:
        return self._accounts_made.exists() and await super().ready()


class EjabberdPep(Ejabberd):
    """With personal events, as in the configuration that it comes with."""

    more_modules = """  mod_caps: {}
  mod_pubsub:
    plugins: ["flat", "pep"]
"""


class Certificates:
    """An authority, and certificates of it for servers at HOST, made with openssl(1)."""

    def __init__(self, root: Path):
        self.dir = root / "certificates"
        self.dir.mkdir()
        self.ca = self.chain("authority")
        self._openssl("req", "-x509", "-subj", "/CN=Test authority", "-days", "2", "-keyout",
                      self.key("authority"), "-out", self.ca)
        for name in ("kamailio", "gateway", "stranger"):
            self._make(name)

    def chain(self, name: str) -> Path:
        return self.dir / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self.dir / f"{name}.key"

    def _make(self, name: str) -> None:
        own = [] if name == "stranger" else ["-CA", self.ca, "-CAkey", self.key("authority")]
        self._openssl("req", "-x509", *own, "-subj", f"/CN={name}", "-days", "2", "-addext",
                      f"subjectAltName=IP:{HOST}", "-addext", "basicConstraints=CA:FALSE",
                      "-keyout", self.key(name), "-out", self.chain(name))

    @staticmethod
    def _openssl(*args: object) -> None:
        subprocess.run(["openssl", *map(str, args), "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes"], check=True, capture_output=True)


class Kamailio(Server):
    """Registrar and presence agent of example.net; hands example.com to the gateway.

    `ask`: watchers stay pending until the user's pres-rules document, put over XCAP, allows them.
    Without it everyone may watch (force_active).
    """

    name = "kamailio"
    SCHEMAS = "/usr/share/kamailio/db_sqlite"

    def __init__(self, root: Path, ask: bool = False, transport: str = "udp"):
        super().__init__(root)
        self.ask = ask
        self.transport = transport  # to the gateway; over TLS it takes and shows certificates
        self.tls_port = free_ports()
        self.port = free_ports()
        self.gateway_port = free_ports()  # the gateway's listen port, to which example.com goes
        self.database = self.dir / "kamailio.sqlite"
        self.config = self.dir / "kamailio.cfg"
        self._create_tables()
        self._write_config()

    def _create_tables(self) -> None:
        with sqlite3.connect(self.database) as db:
            db.execute("PRAGMA journal_mode = WAL")
            for part in ("standard", "presence"):
                db.executescript(Path(f"{self.SCHEMAS}/{part}-create.sql").read_text())

    def _write_config(self) -> None:
        text = (Path(__file__).parent / "kamailio.cfg").read_text()
        for key, value in {"HOST": HOST, "PORT": self.port, "GATEWAY_PORT": self.gateway_port,
                           "SIP_DOMAIN": SIP_DOMAIN, "XMPP_DOMAIN": XMPP_DOMAIN,
                           "DATABASE": self.database, "FORCE_ACTIVE": int(not self.ask),
                           "TRANSPORT": self.transport, "TLS_PORT": self.tls_port,
                           "TLS": "#!define WITH_TLS" if self.transport == "tls" else "",
                           "TLS_CONFIG": self.dir / "tls.cfg"}.items():
            text = text.replace(f"@{key}@", str(value))
        self.config.write_text(text)
        if self.transport == "tls":
            self.certificates = Certificates(self.dir)
            pair = f"certificate={self.certificates.chain('kamailio')}\n" \
                   f"private_key={self.certificates.key('kamailio')}\n" \
                   f"ca_list={self.certificates.ca}\nverify_certificate=yes\n"
            (self.dir / "tls.cfg").write_text(f"[server:default]\nmethod=TLSv1.2+\n{pair}"
                                              f"require_certificate=yes\n[client:default]\n{pair}")

    def argv(self) -> list[str]:
        return ["kamailio", "-DD", "-E", "-m", "64", "-f", str(self.config),
                "-w", str(self.dir), "-Y", str(self.dir), "-P", str(self.dir / "kamailio.pid")]

    async def ready(self) -> bool:
        return await answers_options(self.port)


async def answers_options(port: int) -> bool:
    """Does a SIP server there answer OPTIONS?"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind((HOST, 0))
        own = sock.getsockname()[1]
        tag = os.urandom(8).hex()
        request = (f"OPTIONS sip:{HOST}:{port} SIP/2.0\r\n"
                   f"Via: SIP/2.0/UDP {HOST}:{own};rport;branch=z9hG4bK{tag}\r\n"
                   f"From: <sip:ready@{HOST}>;tag={tag}\r\nTo: <sip:{HOST}:{port}>\r\n"
                   f"Call-ID: {tag}@{HOST}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n"
                   "Content-Length: 0\r\n\r\n")
        loop = asyncio.get_running_loop()
        try:
            sock.connect((HOST, port))
            await loop.sock_sendall(sock, request.encode())
            answer = await asyncio.wait_for(loop.sock_recv(sock, 65536), 0.3)
        except (OSError, asyncio.TimeoutError):
            return False
        return answer.startswith(b"SIP/2.0 ")


class Knot(Server):
    """The name server of example.net, and of nothing else; start() again takes a changed zone."""

    name = "knot"

    def __init__(self, root: Path, zone: str):
        super().__init__(root)
        self.port = free_ports()
        self.config = self.dir / "knot.conf"
        self.config.write_text(f"""server:
    rundir: {self.dir}
    listen: {HOST}@{self.port}
    background-workers: 1
    udp-workers: 1
    tcp-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: {self.dir}
zone:
  - domain: {SIP_DOMAIN}
    file: {self.dir}/zone
""")
        self.write_zone(zone)

    def write_zone(self, zone: str) -> None:
        (self.dir / "zone").write_text(
            f"$ORIGIN {SIP_DOMAIN}.\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 1\n"
            f"@ NS ns\nns A {HOST}\n{zone}")

    def argv(self) -> list[str]:
        return ["/usr/sbin/knotd", "-c", str(self.config)]

    async def ready(self) -> bool:
        return await accepts(self.port) and await self._knows_zone()

    async def _knows_zone(self) -> bool:
        """Does it answer for the zone's SOA, without an error?"""
        name = b"".join(bytes([len(part)]) + part.encode() for part in SIP_DOMAIN.split("."))
        question = b"\x12\x34\0\0\0\1\0\0\0\0\0\0" + name + b"\0\0\6\0\1"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            try:
                sock.connect((HOST, self.port))
                await loop.sock_sendall(sock, question)
                answer = await asyncio.wait_for(loop.sock_recv(sock, 512), 0.3)
            except (OSError, asyncio.TimeoutError):
                return False
        return answer[3] & 15 == 0 and answer[7] == 1


@dataclass
class GatewayOptions:
    shards: int = 1
    domain: str = ""         # of the gateway's own stream; "" probes as the SIP domain
    expires_s: int = 3600
    extra: dict[str, dict[str, object]] = field(default_factory=dict)  # section → key → value


class Gateway(Server):
    name = "isthmus"

    def __init__(self, root: Path, component_port: int, proxy_port: int, listen_port: int,
                 options: GatewayOptions | None = None):
        super().__init__(root)
        self.component_port = component_port
        self.proxy_port = proxy_port
        self.listen_port = listen_port
        self.shard_port = free_ports(8)
        self.api_port = free_ports()
        self.config = self.dir / "gateway.toml"
        self.configure(options or GatewayOptions())

    def configure(self, options: GatewayOptions) -> None:
        """Writes the file; it counts from the next start."""
        self.options = options
        sections: dict[str, dict[str, object]] = {
            "gateway": {"shards": options.shards, "store": str(self.dir / "store")},
            "xmpp": {"server": f"{HOST}:{self.component_port}", "secret": SECRET},
            "sip": {"listen": [f"udp:{HOST}:{self.listen_port}"], "shard_port": self.shard_port,
                    "advertise": HOST, "proxy": f"sip:{HOST}:{self.proxy_port};transport=udp"},
            "trust": {"sip_domains": [SIP_DOMAIN], "xmpp_domains": [XMPP_DOMAIN],
                      "sip_sources": ["127.0.0.0/8"]},
            "subscription": {"expires_s": options.expires_s},
            "api": {"listen": f"{HOST}:{self.api_port}"},
            "log": {"level": "debug"},
        }
        if options.domain:
            sections["gateway"]["domain"] = options.domain
        for section, keys in options.extra.items():
            sections.setdefault(section, {}).update(keys)
        self.config.write_text(_toml(sections))

    @staticmethod
    def binary() -> str:
        return (os.environ.get("ISTHMUS_BINARY") or os.environ.get("PEERS_BINARY")
                or str(REPO / "build" / "release" / "isthmus"))

    def argv(self) -> list[str]:
        return [self.binary(), "-c", str(self.config)]

    async def ready(self) -> bool:
        status, _ = await self.get("/readyz")
        return status == 200

    async def get(self, path: str) -> tuple[int, object]:
        """Status (0: no answer) and body of a GET to the admin API."""
        try:
            reader, writer = await asyncio.open_connection(HOST, self.api_port)
            writer.write(f"GET {path} HTTP/1.0\r\nHost: {HOST}\r\n\r\n".encode())
            answer = await asyncio.wait_for(reader.read(), 5)
            writer.close()
        except (OSError, asyncio.TimeoutError):
            return 0, None
        head, _, body = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/"):
            return 0, None
        status = int(head.split()[1])
        return status, json.loads(body) if b"json" in head else body.decode()


def _toml(sections: dict[str, dict[str, object]]) -> str:
    lines = []
    for section, keys in sections.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    return "\n".join(lines) + "\n"
