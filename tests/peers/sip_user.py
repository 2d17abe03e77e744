"""A SIP user agent over UDP: registers, publishes, subscribes with real dialogs, answers NOTIFY.

Transactions are RFC 3261 §17.1.2 and §17.2.2 (retransmission both ways), dialogs §12 and RFC 6665,
publications RFC 3903, watchers' approval pres-rules over XCAP (RFC 5025, RFC 4825).
"""

import asyncio
import secrets
import time
from dataclasses import dataclass, field

from . import pidf
from .inbox import Inbox, Message, Trace, untraced
from .process import HOST
from .servers import SIP_DOMAIN
from .sip_message import SipMessage, bare_uri, param, parse, uri_of

T1_S, T2_S, TRANSACTION_S = 0.5, 4.0, 32.0
BODY_TYPE = {"presence": "application/pidf+xml", "presence.winfo": "application/watcherinfo+xml"}


class SipFailure(Exception):
    """A request was answered with an error, or (status 408) not at all."""

    def __init__(self, method: str, status: int, reason: str):
        super().__init__(f"{method}: {status} {reason}")
        self.status = status


@dataclass
class Notification:
    """A NOTIFY as the user sees it."""

    sender: str  # user@domain
    event: str
    state: str   # active, pending, terminated
    reason: str = ""
    tuples: list[pidf.Tuple] = field(default_factory=list)
    watchers: dict[str, str] = field(default_factory=dict)
    dialog: str = ""  # Call-ID
    cseq: int = 0
    person: set[str] = field(default_factory=set)  # RPID's words
    etag: str = ""
    body: str = ""

    @property
    def basic(self) -> str:
        """open if any device is, closed if none of some, "" when nothing is said."""
        if not self.tuples:
            return ""
        return "open" if any(t.basic == "open" for t in self.tuples) else "closed"

    @property
    def show(self) -> str:
        return next((t.show for t in self.tuples if t.basic == "open"), "")

    @property
    def note(self) -> str:
        return next((t.note for t in self.tuples if t.note), "")

    def summary(self) -> str:
        state = f"{self.state};reason={self.reason}" if self.reason else self.state
        told = [t.summary() for t in self.tuples]
        told += [f"watcher {bare_uri(uri)} {status}" for uri, status in self.watchers.items()]
        return f"{state} · {', '.join(told)}" if told else state


class _Wire(asyncio.DatagramProtocol):
    def __init__(self, user: "SipUser"):
        self.user = user

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data.strip():
            self.user._datagram(parse(data), addr)


class Subscription:
    """One notification dialog as subscriber, refreshed until end() is called.

    `more`: header fields that each of its SUBSCRIBEs has besides, or an Event with parameters.
    """

    def __init__(self, user: "SipUser", target: str, event: str, expires_s: int,
                 more: dict[str, str] | None = None):
        self.user, self.target, self.event, self.expires_s = user, target, event, expires_s
        self.more = more or {}
        self.state, self.reason = "neutral", ""
        self.tuples: list[pidf.Tuple] = []
        self.ended = False  # by us
        self._refresh: asyncio.Task | None = None
        self._new_dialog()

    def _new_dialog(self) -> None:
        self.call_id = secrets.token_hex(12)
        self.local_tag = secrets.token_hex(6)
        self.remote_tag = ""
        self.remote_target = f"sip:{self.target}"
        self.route: list[str] = []
        self.cseq, self.remote_cseq = 0, 0

    def request(self, expires_s: int) -> SipMessage:
        self.cseq += 1
        message = SipMessage("SUBSCRIBE", self.remote_target)
        for hop in self.route:
            message.add("Route", hop)
        tag = f";tag={self.remote_tag}" if self.remote_tag else ""
        message.add("From", f"<sip:{self.user.aor}>;tag={self.local_tag}")
        message.add("To", f"<sip:{self.target}>{tag}")
        message.add("Call-ID", self.call_id)
        message.add("CSeq", f"{self.cseq} SUBSCRIBE")
        message.add("Contact", f"<{self.user.contact}>")
        message.add("Accept", BODY_TYPE[self.event])
        message.add("Expires", expires_s)
        for name, value in {"Event": self.event, **self.more}.items():
            message.add(name, value)
        return message

    async def subscribe(self, expires_s: int | None = None) -> SipMessage:
        """First SUBSCRIBE or refresh. 423 is heeded; 481 begins a new dialog (RFC 6665 §4.1.2.2)."""
        wanted = self.expires_s if expires_s is None else expires_s
        self.ended = wanted == 0
        answer = await self.user.transaction(self.request(wanted), self.route)
        if answer.status == 423 and wanted:
            self.expires_s = int(answer.get("Min-Expires"))
            return await self.subscribe()
        if answer.status == 481 and wanted and self.remote_tag:
            self._new_dialog()
            return await self.subscribe()
        if answer.status >= 300:
            raise SipFailure("SUBSCRIBE", answer.status, answer.reason)
        self._accepted(answer, wanted)
        return answer

    def _accepted(self, answer: SipMessage, wanted: int) -> None:
        if not self.remote_tag:
            self.remote_tag = param(answer.get("To"), "tag")
            self.route = list(reversed(answer.get_all("Record-Route")))
        if answer.get("Contact"):
            self.remote_target = uri_of(answer.get("Contact"))
        granted = int(answer.get("Expires") or wanted)
        if granted and self.state != "terminated":
            self._schedule(granted)
        elif self._refresh:
            self._refresh.cancel()

    def _schedule(self, granted_s: int) -> None:
        if self._refresh and self._refresh is not asyncio.current_task():
            self._refresh.cancel()
        self._refresh = asyncio.create_task(self._refresh_after(max(granted_s * 0.5, granted_s - 30)))

    async def _refresh_after(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        try:
            await self.subscribe()
        except SipFailure as failure:
            if failure.status in (403, 489, 603):
                return
            self._new_dialog()
            self._refresh = asyncio.create_task(self._refresh_after(2))

    def matches(self, message: SipMessage) -> bool:
        return (message.get("Call-ID") == self.call_id
                and param(message.get("To"), "tag") == self.local_tag
                and self.remote_tag in ("", param(message.get("From"), "tag")))

    def notified(self, message: SipMessage) -> int:
        """Takes a NOTIFY; the status to answer with."""
        number, _ = message.cseq
        if number <= self.remote_cseq:
            return 500  # RFC 3261 §12.2.2
        self.remote_cseq = number
        if not self.remote_tag:  # NOTIFY came before the 2xx (RFC 6665 §4.4.1)
            self.remote_tag = param(message.get("From"), "tag")
            self.route = message.get_all("Record-Route")
        if message.get("Contact"):
            self.remote_target = uri_of(message.get("Contact"))
        header = message.get("Subscription-State")
        self.state = header.split(";")[0].strip().lower()
        self.reason = param(header, "reason")
        if self.state == "terminated":
            self._terminated()
        return 200

    def _terminated(self) -> None:
        """The notifier has ended it; some reasons ask for another try (RFC 6665 §4.1.3)."""
        if self._refresh:
            self._refresh.cancel()
        if not self.ended and self.reason in ("deactivated", "timeout", "probation", "giveup"):
            self._new_dialog()
            self._refresh = asyncio.create_task(self._refresh_after(1))

    async def end(self) -> None:
        """SUBSCRIBE Expires 0 within the dialog."""
        await self.subscribe(0)

    def abandon(self) -> None:
        """Forgets the dialog without a word, as a device that lost its network does."""
        if self._refresh:
            self._refresh.cancel()
        self.user.subscriptions.remove(self)


class SipUser:
    """One account on one device."""

    def __init__(self, name: str, proxy_port: int, trace: Trace = untraced,
                 device: str = "orchard"):
        self.aor = f"{name}@{SIP_DOMAIN}"
        self.proxy = (HOST, proxy_port)
        self.trace = trace
        self.device = device
        self.inbox: Inbox[Notification] = Inbox(self.aor)
        self.subscriptions: list[Subscription] = []
        self.retransmissions = 0
        self._pending: dict[str, asyncio.Future[SipMessage]] = {}
        self._answered: dict[str, bytes] = {}
        self._register_call = secrets.token_hex(12)
        self._cseq = 0
        self._etag = ""
        self._tasks: dict[str, asyncio.Task] = {}
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: _Wire(self), local_addr=(HOST, 0))
        self.port = self._transport.get_extra_info("sockname")[1]
        user = self.aor.split("@")[0]
        self.contact = f"sip:{user}@{HOST}:{self.port};transport=udp"

    def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        for subscription in list(self.subscriptions):
            subscription.abandon()
        if self._transport:
            self._transport.close()

    # Transactions

    async def transaction(self, message: SipMessage, route: list[str] = []) -> SipMessage:
        """Sends a request, again and again until there is a final response (Timer E, F)."""
        branch = "z9hG4bK" + secrets.token_hex(8)
        message.headers.insert(0, ("Via", f"SIP/2.0/UDP {HOST}:{self.port};rport;branch={branch}"))
        message.add("Max-Forwards", 70)
        message.add("User-Agent", "isthmus-test-ua")
        data, future = message.to_bytes(), asyncio.get_running_loop().create_future()
        self._pending[branch] = future
        self._show(message, True)
        try:
            answer = await self._send_until(data, future)
        finally:
            del self._pending[branch]
        self._show(answer, False)
        return answer

    async def _send_until(self, data: bytes, future: asyncio.Future) -> SipMessage:
        wait_s, deadline = T1_S, time.monotonic() + TRANSACTION_S
        self._transport.sendto(data, self.proxy)
        while time.monotonic() < deadline:
            try:
                return await asyncio.wait_for(asyncio.shield(future), wait_s)
            except asyncio.TimeoutError:
                self.retransmissions += 1
                self._transport.sendto(data, self.proxy)
                wait_s = min(wait_s * 2, T2_S)
        return SipMessage(status=408, reason="no answer", headers=[("CSeq", "0 -")])

    def _datagram(self, message: SipMessage, source: tuple[str, int]) -> None:
        if message.is_request:
            self._request(message, source)
            return
        future = self._pending.get(param(message.get("Via"), "branch"))
        if future and not future.done() and message.status >= 200:
            future.set_result(message)

    def _request(self, message: SipMessage, source: tuple[str, int]) -> None:
        key = param(message.get("Via"), "branch") + message.method
        if key not in self._answered:
            self._show(message, False)
            answer = self._respond(message, self._status_for(message))
            self._show(answer, True, self._peer(message))
            self._answered[key] = answer.to_bytes()
            asyncio.get_running_loop().call_later(TRANSACTION_S, self._answered.pop, key, None)
        self._transport.sendto(self._answered[key], source)

    @staticmethod
    def _respond(request: SipMessage, status: int) -> SipMessage:
        reasons = {200: "OK", 405: "Method Not Allowed", 481: "Subscription does not exist",
                   500: "Out of order"}
        answer = SipMessage(status=status, reason=reasons[status])
        for name in ("Via", "From", "To", "Call-ID", "CSeq", "Record-Route"):
            for header, value in request.headers:
                if header.lower() == name.lower():
                    answer.add(name, value)
        return answer

    def _status_for(self, message: SipMessage) -> int:
        if message.method == "OPTIONS":
            return 200
        if message.method != "NOTIFY":
            return 405
        for subscription in self.subscriptions:
            if subscription.matches(message):
                return self._take(subscription, message)
        return 481

    def _take(self, subscription: Subscription, message: SipMessage) -> int:
        status = subscription.notified(message)
        if status == 200:
            notification = self._notification(message)
            subscription.tuples = notification.tuples
            self.inbox.put(notification)
        return status

    @staticmethod
    def _notification(message: SipMessage) -> Notification:
        event = message.get("Event").split(";")[0].strip()
        header = message.get("Subscription-State")
        note = Notification(bare_uri(uri_of(message.get("From"))), event,
                            header.split(";")[0].strip().lower(), param(header, "reason"),
                            dialog=message.get("Call-ID"), cseq=message.cseq[0],
                            etag=message.get("SIP-ETag"), body=message.body)
        if event == "presence.winfo":
            note.watchers = pidf.read_watchers(message.body)
        else:
            note.tuples = pidf.read(message.body)
            note.person = pidf.read_person(message.body)
        return note

    # What the user does

    def _out_of_dialog(self, method: str, expires_s: int, call_id: str = "") -> SipMessage:
        self._cseq += 1
        uri = f"sip:{SIP_DOMAIN}" if method == "REGISTER" else f"sip:{self.aor}"
        message = SipMessage(method, uri)
        message.add("From", f"<sip:{self.aor}>;tag={secrets.token_hex(6)}")
        message.add("To", f"<sip:{self.aor}>")
        message.add("Call-ID", call_id or secrets.token_hex(12))
        message.add("CSeq", f"{self._cseq} {method}")
        message.add("Expires", expires_s)
        return message

    def _again(self, name: str, delay_s: float, action) -> None:
        async def later() -> None:
            await asyncio.sleep(delay_s)
            await action()
        old = self._tasks.get(name)
        if old and old is not asyncio.current_task():
            old.cancel()
        self._tasks[name] = asyncio.create_task(later())

    async def register(self, expires_s: int = 600) -> None:
        message = self._out_of_dialog("REGISTER", expires_s, self._register_call)
        message.add("Contact", f"<{self.contact}>")
        answer = await self.transaction(message)
        if answer.status != 200:
            raise SipFailure("REGISTER", answer.status, answer.reason)
        self._again("register", expires_s / 2, self.register)

    async def publish(self, basic: str, show: str = "", note: str = "", activity: str = "",
                      expires_s: int = 600, mood: str = "") -> None:
        """Publishes this device's state, or changes what it has published (SIP-If-Match)."""
        await self.publish_document(
            pidf.write(self.aor, basic, show, note, self.device, activity, mood), expires_s)

    async def publish_document(self, body: str, expires_s: int = 600) -> None:
        """Publishes a document as it stands in place of what this device has said."""
        answer = await self._publish(body, expires_s)
        if answer.status == 412:  # the server has forgotten our publication (RFC 3903 §4.1)
            self._etag = ""
            answer = await self._publish(body, expires_s)
        if answer.status != 200:
            raise SipFailure("PUBLISH", answer.status, answer.reason)
        self._etag = answer.get("SIP-ETag")
        self._again("publish", expires_s / 2, lambda: self.publish_document(body, expires_s))

    async def _publish(self, body: str, expires_s: int) -> SipMessage:
        message = self._out_of_dialog("PUBLISH", expires_s)
        message.add("Event", "presence")
        if self._etag:
            message.add("SIP-If-Match", self._etag)
        if body:
            message.add("Content-Type", BODY_TYPE["presence"])
            message.body = body
        return await self.transaction(message)

    async def unpublish(self) -> None:
        """Takes the publication away."""
        if "publish" in self._tasks:
            self._tasks.pop("publish").cancel()
        if self._etag:
            await self._publish("", 0)
            self._etag = ""

    async def subscribe(self, target: str, event: str = "presence",
                        expires_s: int = 600,
                        more: dict[str, str] | None = None) -> Subscription:
        subscription = Subscription(self, target, event, expires_s, more)
        self.subscriptions.append(subscription)
        try:
            await subscription.subscribe()
        except SipFailure:
            self.subscriptions.remove(subscription)
            raise
        return subscription

    async def fetch(self, target: str) -> Subscription:
        """The state once, without a subscription (RFC 6665 §4.4.3)."""
        return await self.subscribe(target, expires_s=0)

    async def watchers(self) -> Subscription:
        """Subscribes to who is watching this user (RFC 3857)."""
        return await self.subscribe(self.aor, "presence.winfo")

    async def set_rules(self, allowed: list[str] = [], blocked: list[str] = []) -> None:
        """Puts the user's pres-rules document on the XCAP server."""
        body = pidf.rules([f"sip:{one}" for one in allowed], [f"sip:{one}" for one in blocked])
        path = f"/xcap-root/pres-rules/users/sip:{self.aor}/index"
        reader, writer = await asyncio.open_connection(*self.proxy)
        head = (f"PUT {path} HTTP/1.1\r\nHost: {HOST}:{self.proxy[1]}\r\n"
                f"Content-Type: application/auth-policy+xml\r\nContent-Length: {len(body)}\r\n\r\n")
        writer.write((head + body).encode())
        answer = (await asyncio.wait_for(reader.readline(), 10)).decode()
        writer.close()
        told = [f"allow {one}" for one in allowed] + [f"block {one}" for one in blocked]
        self.trace(Message(self.aor, "sip", True, self.aor, "XCAP pres-rules", ", ".join(told)))
        if answer.split()[1:2] not in (["200"], ["201"]):
            raise SipFailure("XCAP PUT", int((answer.split() + ["0", "0"])[1]), answer)

    async def sees(self, sender: str, timeout_s: float = 15, **fields: str) -> Notification:
        """Waits for a NOTIFY from this user with these fields: state, basic, show, note, reason."""

        def fits(n: Notification) -> bool:
            return n.sender == sender and all(getattr(n, k) == v for k, v in fields.items())

        told = ", ".join(f"{k} {v or 'missing'}" for k, v in fields.items())
        return await self.inbox.take(f"NOTIFY from {sender} with {told}", fits, timeout_s)

    async def sees_watcher(self, watcher: str, status: str, timeout_s: float = 15) -> Notification:
        return await self.inbox.take(
            f"watcher {watcher} {status}",
            lambda n: n.watchers.get(f"sip:{watcher}") == status, timeout_s)

    # For whoever watches the exchange

    def _peer(self, message: SipMessage) -> str:
        ends = [bare_uri(uri_of(message.get(name))) for name in ("From", "To")]
        return next((end for end in ends if end != self.aor), self.aor)

    def _show(self, message: SipMessage, sent: bool, peer: str = "") -> None:
        if message.is_request:
            what, detail = message.method, self._detail(message)
        else:
            number, method = message.cseq
            what, detail = f"{message.status} {message.reason}", method
        self.trace(Message(self.aor, "sip", sent, peer or self._peer(message), what, detail,
                           message.to_bytes().decode()))

    def _detail(self, message: SipMessage) -> str:
        if message.method == "NOTIFY":
            return self._notification(message).summary()
        words = []
        if message.method == "PUBLISH":
            words = [t.summary() for t in pidf.read(message.body)]
        if message.get("Event") == "presence.winfo":
            words.append("watchers")
        if message.get("Expires") == "0":
            words.append("Expires: 0")
        return " ".join(words)
