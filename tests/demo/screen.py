"""The terminal: a ladder with the XMPP user on the left, the SIP user on the right."""

import re
import sys
import time

from peers.inbox import Message

MIDDLE = 68  # column of the line that stands for the gateway
SHORT = re.compile(r"@example\.(com|net)")  # the columns' heads have the full addresses
COLOURS = {"xmpp": "36", "sip": "33", "dim": "2", "bold": "1", "good": "32", "bad": "31"}


class Screen:
    def __init__(self) -> None:
        self.colours = sys.stdout.isatty()
        self.began = time.monotonic()

    def paint(self, text: str, colour: str) -> str:
        return f"\033[{COLOURS[colour]}m{text}\033[0m" if self.colours and text else text

    def say(self, text: str = "", colour: str = "") -> None:
        print(self.paint(text, colour) if colour else text, flush=True)

    def title(self, text: str) -> None:
        self.say()
        self.say(f"── {text} " + "─" * max(2, 2 * MIDDLE - 12 - len(text)), "bold")

    def columns(self, left: str, right: str) -> None:
        self.say(f"{'':9}{left:<{MIDDLE - 13}}{'ISTHMUS':^8}{right:>{MIDDLE - 8}}", "bold")

    def message(self, message: Message) -> None:
        at = self.paint(f"{message.at - self.began:7.2f}  ", "dim")
        text = self._text(message)
        left, right = (self._left(message, text), "") if message.protocol == "xmpp" else \
            ("", self._right(message, text))
        colour = "dim" if self._is_answer(message) else message.protocol
        pad = " " * max(0, MIDDLE - 9 - len(left))
        print(f"{at}{self.paint(left, colour)}{pad}│{self.paint(right, colour)}", flush=True)

    @staticmethod
    def _is_answer(message: Message) -> bool:
        return message.protocol == "sip" and message.what[:3].isdigit()

    @staticmethod
    def _text(message: Message) -> str:
        peer = SHORT.sub("", message.peer) if message.peer not in ("", message.who) else ""
        towards = (" to " if message.sent else " from ") + peer if peer else ""
        return f"{message.what}{towards}" + (f": {message.detail}" if message.detail else "")

    @staticmethod
    def _left(message: Message, text: str) -> str:
        if message.sent:
            return text + " " + "─" * max(1, MIDDLE - 13 - len(text)) + "▶ "
        return "◀── " + text

    @staticmethod
    def _right(message: Message, text: str) -> str:
        return (" ◀── " if message.sent else " ──▶ ") + text

    def check(self, done: bool, text: str) -> None:
        mark = self.paint("✔", "good") if done else self.paint("✘", "bad")
        self.say(f"  {mark} {text}")
