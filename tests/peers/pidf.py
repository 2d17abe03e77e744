"""Presence documents as the test user agent writes and reads them (RFC 3863, RFC 4480, RFC 3858)."""

from dataclasses import dataclass
from xml.etree import ElementTree
from xml.sax.saxutils import escape

PIDF = "urn:ietf:params:xml:ns:pidf"
DATA_MODEL = "urn:ietf:params:xml:ns:pidf:data-model"
RPID = "urn:ietf:params:xml:ns:pidf:rpid"
CLIENT = "jabber:client"
WATCHERS = "urn:ietf:params:xml:ns:watcherinfo"


@dataclass
class Tuple:
    """One device in a presence document."""

    id: str
    basic: str
    show: str = ""
    note: str = ""
    contact: str = ""
    priority: str = ""

    def summary(self) -> str:
        words = [self.basic, self.show, f'"{self.note}"' if self.note else ""]
        return " ".join(word for word in words if word)


def write(entity: str, basic: str, show: str = "", note: str = "", tuple_id: str = "orchard",
          activity: str = "", mood: str = "") -> str:
    """A document with one tuple; `activity` as Blink and Linphone send it, in the RPID person."""
    show_xml = f"<show xmlns='{CLIENT}'>{show}</show>" if show else ""
    note_xml = f"<note>{escape(note)}</note>" if note else ""
    said = f"<r:activities><r:{activity}/></r:activities>" if activity else ""
    said += f"<r:mood><r:{mood}/></r:mood>" if mood else ""
    person = (f"<dm:person xmlns:dm='{DATA_MODEL}' xmlns:r='{RPID}' id='p1'>{said}</dm:person>"
              if said else "")
    return (f"<?xml version='1.0' encoding='UTF-8'?>\n<presence xmlns='{PIDF}' "
            f"entity='pres:{entity}'><tuple id='ID-{tuple_id}'><status><basic>{basic}</basic>"
            f"{show_xml}</status>{note_xml}</tuple>{person}</presence>")


def read(body: str) -> list[Tuple]:
    if not body.strip():
        return []
    root = ElementTree.fromstring(body)
    return [_tuple(element) for element in root.iter(f"{{{PIDF}}}tuple")]


def read_person(body: str) -> set[str]:
    """What is said of the person: the words of RPID's activities and mood."""
    if not body.strip():
        return set()
    root = ElementTree.fromstring(body)
    return {word.tag.rpartition("}")[2] for name in ("activities", "mood")
            for element in root.iter(f"{{{RPID}}}{name}") for word in element}


def _tuple(element: ElementTree.Element) -> Tuple:
    contact = element.find(f"{{{PIDF}}}contact")
    return Tuple(element.get("id", ""), element.findtext(f"{{{PIDF}}}status/{{{PIDF}}}basic", ""),
                 element.findtext(f"{{{PIDF}}}status/{{{CLIENT}}}show", ""),
                 element.findtext(f"{{{PIDF}}}note", "") or "",
                 (contact.text or "") if contact is not None else "",
                 contact.get("priority", "") if contact is not None else "")


def read_watchers(body: str) -> dict[str, str]:
    """Watcher URI → status, from a document of the presence.winfo package (RFC 3858)."""
    if not body.strip():
        return {}
    root = ElementTree.fromstring(body)
    return {(w.text or "").strip(): w.get("status", "") for w in root.iter(f"{{{WATCHERS}}}watcher")}


def rules(allowed: list[str], blocked: list[str]) -> str:
    """A pres-rules document (RFC 5025) that lets some watch and refuses others."""
    def rule(name: str, uris: list[str], action: str) -> str:
        if not uris:
            return ""
        ones = "".join(f"<cr:one id='{uri}'/>" for uri in uris)
        return (f"<cr:rule id='{name}'><cr:conditions><cr:identity>{ones}</cr:identity>"
                f"</cr:conditions><cr:actions><pr:sub-handling>{action}</pr:sub-handling>"
                "</cr:actions><cr:transformations><pr:provide-services><pr:all-services/>"
                "</pr:provide-services><pr:provide-all-attributes/></cr:transformations></cr:rule>")
    return ("<?xml version='1.0' encoding='UTF-8'?>\n<cr:ruleset "
            "xmlns:cr='urn:ietf:params:xml:ns:common-policy' "
            "xmlns:pr='urn:ietf:params:xml:ns:pres-rules'>"
            + rule("allow", allowed, "allow") + rule("block", blocked, "block") + "</cr:ruleset>")
