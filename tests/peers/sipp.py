"""SIPp (Debian's sip-tester) as a scripted SIP peer: what a well-behaved one would never do.

A script is a list of steps, one call long. take() is what has to arrive next, say() what is sent
then; SIPp ends with 0 only if everything came as written.
"""

import asyncio
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from .process import HOST, Child, free_ports

DOCUMENT = ("<?xml version='1.0' encoding='UTF-8'?>\n<presence xmlns='urn:ietf:params:xml:ns:pidf' "
            "entity='pres:romeo@example.net'><tuple id='ID-orchard'><status><basic>open</basic>"
            "<show xmlns='jabber:client'>{show}</show></status></tuple></presence>")

KEPT = {"From": ".*", "To": ".*", "Via": ".*", "Contact": "sip:[^&gt;]*"}  # of which header field what


def take(what: str | int, *keep: str, **fits: str) -> str:
    """The next message: a method or a status. `keep`: header fields that later steps repeat by
    [$Name], see KEPT. `fits`: expressions for others (Retry_After for Retry-After)."""
    kind = "response" if isinstance(what, int) else "request"
    actions = [f'<ereg regexp="{KEPT[name]}" search_in="hdr" header="{name}:" assign_to="{name}"/>'
               for name in keep]
    actions += [f'<ereg regexp={quoteattr(pattern)} search_in="hdr" '
                f'header="{name.replace("_", "-")}:" check_it="true" assign_to="seen{i}"/>'
                for i, (name, pattern) in enumerate(fits.items())]
    return f'<recv {kind}="{what}"><action>{"".join(actions)}</action></recv>' if actions \
        else f'<recv {kind}="{what}"/>'


def say(text: str, body: str = "", kind: str = "") -> str:
    """Sends; `text` is the message's head without Content-Length."""
    lines = [line.strip() for line in text.strip().splitlines()]
    if body:
        lines.append(f"Content-Type: {kind or 'application/pidf+xml'}")
    lines += ["Content-Length: [len]", "", body]
    return "<send><![CDATA[\n" + "\n".join(lines) + "\n]]></send>"


def pause(ms: int) -> str:
    return f'<pause milliseconds="{ms}"/>'


def answer(status: int, reason: str, *fields: str, tag: str = "tag=sipp[call_number]") -> str:
    """The answer to the request taken last."""
    head = [f"SIP/2.0 {status} {reason}", "[last_Via:]", "[last_From:]",
            f"[last_To:];{tag}" if tag else "[last_To:]", "[last_Call-ID:]", "[last_CSeq:]"]
    if 200 <= status < 300:
        head.append("Contact: <sip:romeo@[local_ip]:[local_port]>")
    return say("\n".join([*head, *fields]))


def answer_late(status: int, reason: str, *fields: str) -> str:
    """The answer to the first SUBSCRIBE when something else came meanwhile; From, To and Via kept."""
    return say("\n".join([f"SIP/2.0 {status} {reason}", "Via:[$Via]", "From:[$From]",
                          "To:[$To];tag=sipp[call_number]", "[last_Call-ID:]", "CSeq: 1 SUBSCRIBE",
                          "Contact: <sip:romeo@[local_ip]:[local_port]>", *fields]))


def notify(state: str, cseq: int = 1, show: str = "chat", body: str | None = None,
           tag: str = "sipp[call_number]", kind: str = "", event: str = "presence") -> str:
    """NOTIFY in the dialog of the SUBSCRIBE that was taken with From and Contact kept."""
    text = f"""
        NOTIFY [$Contact] SIP/2.0
        Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
        Max-Forwards: 70
        From: <sip:romeo@example.net>;tag={tag}
        To:[$From]
        [last_Call-ID:]
        CSeq: {cseq} NOTIFY
        Contact: <sip:romeo@[local_ip]:[local_port]>
        Event: {event}
        Subscription-State: {state}"""
    return say(text, DOCUMENT.format(show=show) if body is None else body, kind)


class Sipp:
    """One run of a script for one call. `peer`: where a script that begins with say() sends to."""

    def __init__(self, root: Path, name: str, steps: list[str], port: int = 0, peer: int = 0,
                 transport: str = "u1", timeout_s: int = 60, calls: int = 1):
        self.dir = root / f"sipp-{name}"
        self.dir.mkdir(parents=True)
        self.port = port or free_ports()
        self.peer, self.transport, self.timeout_s, self.calls = peer, transport, timeout_s, calls
        self.script = self.dir / "script.xml"
        self.script.write_text(self._document(name, steps))
        self.child = Child(f"sipp {name}", self.dir / "sipp.log")

    @staticmethod
    def _document(name: str, steps: list[str]) -> str:
        used = {f"seen{i}" for i in range(8)} & set("".join(steps).replace('"', " ").split())
        kept = {word for word in KEPT if f'assign_to="{word}"' in "".join(steps)}
        unread = sorted(used | {word for word in kept if f"[${word}]" not in "".join(steps)})
        reference = f'<Reference variables="{",".join(unread)}"/>' if unread else ""
        return ('<?xml version="1.0" encoding="UTF-8"?>\n'
                f"<scenario name={quoteattr(escape(name))}>\n" + "\n".join(steps) +
                f"\n{reference}\n</scenario>\n")

    def start(self) -> "Sipp":
        target = [f"{HOST}:{self.peer}"] if self.peer else []
        self.child.start(["sipp", *target, "-sf", str(self.script), "-i", HOST, "-p",
                          str(self.port), "-t", self.transport, "-m", str(self.calls), "-nostdin",
                          "-timeout", f"{self.timeout_s}s", "-timeout_error", "-trace_err",
                          "-error_file", str(self.dir / "errors.log"), "-trace_msg",
                          "-message_file", str(self.dir / "messages.log")])
        return self

    async def done(self) -> None:
        """Returns when the call went as written."""
        code = await asyncio.to_thread(self.child.process.wait, self.timeout_s + 10)
        if code != 0:
            errors = self.dir / "errors.log"
            told = errors.read_text(errors="replace")[-2500:] if errors.exists() else ""
            raise AssertionError(f"{self.child.name} ended with {code}: {told}\n"
                                 f"{self.child.log_tail(5)}")

    def kill(self) -> None:
        self.child.kill()
