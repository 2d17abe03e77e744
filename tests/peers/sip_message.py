"""SIP messages as the test user agent reads and writes them (RFC 3261 §7)."""

import re
from dataclasses import dataclass, field

COMPACT = {"v": "Via", "f": "From", "t": "To", "i": "Call-ID", "m": "Contact", "l": "Content-Length",
           "c": "Content-Type", "o": "Event", "k": "Supported"}


@dataclass
class SipMessage:
    """A request has a method and a uri, a response a status and a reason."""

    method: str = ""
    uri: str = ""
    status: int = 0
    reason: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: str = ""

    @property
    def is_request(self) -> bool:
        return bool(self.method)

    def add(self, name: str, value: object) -> None:
        self.headers.append((name, str(value)))

    def get(self, name: str, default: str = "") -> str:
        return next((v for n, v in self.headers if n.lower() == name.lower()), default)

    def get_all(self, name: str) -> list[str]:
        """All values of a header, comma-separated ones taken apart."""
        values: list[str] = []
        for n, v in self.headers:
            if n.lower() == name.lower():
                values += [part.strip() for part in re.split(r",(?=[^>]*(?:<|$))", v)]
        return values

    @property
    def cseq(self) -> tuple[int, str]:
        number, _, method = self.get("CSeq").partition(" ")
        return int(number), method.strip()

    def to_bytes(self) -> bytes:
        first = (f"{self.method} {self.uri} SIP/2.0" if self.is_request
                 else f"SIP/2.0 {self.status} {self.reason}")
        body = self.body.encode()
        lines = [first, *(f"{n}: {v}" for n, v in self.headers), f"Content-Length: {len(body)}"]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def parse(data: bytes) -> SipMessage:
    head, _, body = data.partition(b"\r\n\r\n")
    text = re.sub(r"\r\n[ \t]+", " ", head.decode())
    first, *lines = text.split("\r\n")
    message = SipMessage(body=body.decode())
    if first.startswith("SIP/2.0 "):
        _, status, message.reason = (part.strip() for part in (first + " ").split(" ", 2))
        message.status = int(status)
    else:
        message.method, message.uri, version = first.split(" ")
        if version != "SIP/2.0":
            raise ValueError(f"not SIP: {first}")
    for line in lines:
        name, _, value = line.partition(":")
        name = name.strip()
        if name.lower() != "content-length" and name.lower() != "l":
            message.add(COMPACT.get(name.lower(), name), value.strip())
    return message


def uri_of(address: str) -> str:
    """The URI of a name-addr or addr-spec."""
    match = re.search(r"<([^>]*)>", address)
    return match.group(1) if match else address.split(";")[0].strip()


def param(value: str, name: str) -> str:
    """A header parameter: the tag of From, the branch of Via …"""
    match = re.search(rf";\s*{name}\s*=\s*\"?([^;,\s\"]+)", re.sub(r"<[^>]*>", "", value), re.I)
    return match.group(1) if match else ""


def bare_uri(uri: str) -> str:
    """user@domain, without scheme, port and parameters."""
    return re.sub(r"^(sips?|pres):", "", uri).split(";")[0].split("?")[0].rsplit(":", 1)[0]
