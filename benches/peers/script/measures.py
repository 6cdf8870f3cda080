"""One sample of one proxy: so many messages, or so many connections."""

import json
from dataclasses import dataclass, replace

# By this number in it, which both ends write anew each time, an answer is known to be the right one.
MARK = "0" * 16


def plain(size):
    """A message of so many bytes."""
    short = f'{{"id":"{MARK}","n":10}}'
    long = f'{{"id":"{MARK}","text":""}}'
    return short if size == len(short) else long[:-2] + "x" * (size - len(long)) + long[-2:]


def chat(size):
    """The same, as configs/chat.schema.json wants it."""
    message = {
        "id": MARK,
        "room": "7d444840-9dc0-11d1-b245-5ffdce74fad2",
        "sender": {"name": "Somebody of Somewhere", "email": "somebody@example.com"},
        "sent": "2026-11-30T12:00:00Z",
        "reply_to": 4711,
        "mentions": ["alice", "bob"],
        "text": "",
    }
    words = "It must read aloud at three in the morning. " * size
    return json.dumps(message | {"text": words[: size - len(json.dumps(message))]})


@dataclass(frozen=True)
class Echo:
    """Messages that go to the backend and come back, `depth` on their way at a time on each connection."""

    name: str
    size: int
    connections: int
    messages: int
    depth: int = 1
    text: str = ""

    def shared(self, share):
        return replace(self, messages=max(self.messages // share, self.connections * self.depth))

    def take(self, group, proxy):
        command = {"group": group, "connections": self.connections, "depth": self.depth, "text": self.text or plain(self.size)}
        each = self.messages // self.connections * self.connections
        return spent(proxy, each, echo=command | {"messages": each})


@dataclass(frozen=True)
class Churn:
    """Connections that are opened, have a message answered, and are closed, 16 at a time."""

    name: str
    connections: int

    def shared(self, share):
        return replace(self, connections=self.connections // share)

    def take(self, group, proxy):
        return spent(proxy, self.connections, churn={"dial": proxy.dial(), "connections": self.connections})


def spent(proxy, each, **command):
    """What one of `each` takes: processor time of the proxy and of both ends, and time by the clock; in µs."""
    before = (proxy.cpu(), proxy.ends.cpu())
    seconds = proxy.ends.ask(**command)
    cpu, of_ends = (now - then for now, then in zip((proxy.cpu(), proxy.ends.cpu()), before))
    return {"cpu": 0 if proxy is proxy.ends else cpu / each, "ends": of_ends / each, "clock": seconds * 1e6 / each}
