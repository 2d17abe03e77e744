"""What a user has received or sent, in order: to be waited for, and to be shown."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Generic, TypeVar

T = TypeVar("T")


class Missing(AssertionError):
    """Something that should have been seen was not."""


class Inbox(Generic[T]):
    """Received things; take() waits for the first that fits and removes it."""

    def __init__(self, owner: str):
        self.owner = owner
        self.items: list[T] = []
        self._news = asyncio.Event()

    def put(self, item: T) -> None:
        self.items.append(item)
        self._news.set()

    def clear(self) -> None:
        self.items.clear()

    def _take_now(self, fits: Callable[[T], bool]) -> T | None:
        for index, item in enumerate(self.items):
            if fits(item):
                return self.items.pop(index)
        return None

    async def take(self, what: str, fits: Callable[[T], bool], timeout_s: float = 15) -> T:
        deadline = time.monotonic() + timeout_s
        while True:
            item = self._take_now(fits)
            if item is not None:
                return item
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), deadline - time.monotonic())
            except asyncio.TimeoutError:
                got = "\n".join(f"  {item}" for item in self.items) or "  nothing"
                raise Missing(f"{self.owner} did not see {what} within {timeout_s:g} s; "
                              f"besides there was\n{got}") from None


@dataclass
class Message:
    """One message at a user's end of the wire, for whoever watches the exchange."""

    who: str         # bare address of the user whose client it is
    protocol: str    # "xmpp" or "sip"
    sent: bool       # by the user's client; else received
    peer: str        # whom it is for, or who it is from
    what: str        # "presence", "SUBSCRIBE", "200" …
    detail: str = ""  # "show=away", "active · open, away"
    raw: str = ""
    at: float = field(default_factory=time.monotonic)


Trace = Callable[[Message], Any]


def untraced(_: Message) -> None:
    """Nobody watches."""
