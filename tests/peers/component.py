"""A bare external component (XEP-0114): to ask an XMPP server what it does, without the gateway."""

import asyncio
import hashlib
from xml.etree import ElementTree

from .inbox import Inbox
from .process import HOST
from .servers import SECRET

STREAMS = "http://etherx.jabber.org/streams"
ACCEPT = "jabber:component:accept"


class Component:
    def __init__(self, domain: str, port: int):
        self.domain, self.port = domain, port
        self.inbox: Inbox[ElementTree.Element] = Inbox(domain)
        self._reading: asyncio.Task | None = None

    async def connect(self) -> None:
        self.reader, self.writer = await asyncio.open_connection(HOST, self.port)
        self._parser = ElementTree.XMLPullParser(["start", "end"])
        self._depth = 0
        self.send(f"<?xml version='1.0'?><stream:stream xmlns='{ACCEPT}' "
                  f"xmlns:stream='{STREAMS}' to='{self.domain}'>")
        stream_id = await self._stream_id()
        digest = hashlib.sha1((stream_id + SECRET).encode()).hexdigest()
        self.send(f"<handshake>{digest}</handshake>")
        self._reading = asyncio.create_task(self._read())
        await self.inbox.take("handshake", lambda e: e.tag == f"{{{ACCEPT}}}handshake")

    async def _stream_id(self) -> str:
        while True:
            self._parser.feed(await self.reader.read(65536))
            for kind, element in self._parser.read_events():
                if kind == "start" and element.tag == f"{{{STREAMS}}}stream":
                    self._depth = 1
                    return element.get("id")

    async def _read(self) -> None:
        while data := await self.reader.read(65536):
            self._parser.feed(data)
            for kind, element in self._parser.read_events():
                self._depth += 1 if kind == "start" else -1
                if kind == "end" and self._depth == 1:
                    self.inbox.put(element)

    def send(self, xml: str) -> None:
        self.writer.write(xml.encode())

    async def answers(self, xml: str, quiet_s: float = 0.35) -> list[ElementTree.Element]:
        """Sends, and returns all that comes until nothing has come for `quiet_s`."""
        self.inbox.clear()
        if xml:
            self.send(xml)
        seen = -1
        while seen != len(self.inbox.items):
            seen = len(self.inbox.items)
            await asyncio.sleep(quiet_s)
        return list(self.inbox.items)

    def close(self) -> None:
        if self._reading:
            self._reading.cancel()
        self.writer.close()


def brief(element: ElementTree.Element) -> str:
    """A stanza in a few words: name, type, from, id, error condition or show."""
    words = [element.tag.rpartition("}")[2], element.get("type") or "-"]
    words += [f"{name}={element.get(name)}" for name in ("from", "to", "id") if element.get(name)]
    for child in element:
        name = child.tag.rpartition("}")[2]
        if name == "error":
            words.append("/".join(c.tag.rpartition("}")[2] for c in child))
        else:
            words.append(f"<{name}>{child.text or ''}")
    return " ".join(words)
