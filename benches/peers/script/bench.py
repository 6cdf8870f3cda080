"""What is measured of whom, in which order."""

import json
import random
import sys
from contextlib import ExitStack

import install
import machine
from measures import Churn, Echo, chat
from proxies import MANY_NETWORKS, MANY_ROUTES, Ends, Proxy, envoy, haproxy, nginx, relay, wsgate

RUN = install.TARGET / "run"

# By the name they go by in figures; `direct` is no proxy at all.
PROXIES = {
    "direct": None,
    "relay": relay,
    "wsgate": wsgate(),
    "nginx": nginx(""),
    "nginx-64k": nginx("proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 64k;"),
    "haproxy": haproxy(""),
    "haproxy-64k": haproxy("tune.bufsize 65536"),
    "envoy": envoy,
}

# Connections that messages go over, that wait while memory is measured, and that growth is measured with.
FEW, IDLE, MANY = 64, 2000, 8000

# Connections that have come and gone before memory is measured: what a process keeps once, as the latest events, is no connection's.
BEFORE = 1200

ROUND = [
    Echo("32 B", 32, FEW, messages=40_000),
    Echo("1 KiB", 1 << 10, FEW, messages=40_000),
    Echo("16 KiB", 16 << 10, 32, messages=10_000),
    Echo("256 KiB", 256 << 10, 8, messages=1000),
    Echo("pipelined", 32, FEW, messages=200_000, depth=16),
    Churn("churn", 500),
]


def measure(args, names, kit, cores):
    """Measures what was asked for. What a part has found is written down when it is over, whatever becomes of the next one."""
    share = 10 if args.quick else 1
    rounds = min(args.rounds, 3) if args.quick else args.rounds
    found = {"machine": machine.described(), "versions": install.versions(kit), "rounds": rounds, "quick": args.quick}
    noise = machine.Noise(cores)
    with ExitStack() as stack:
        bench = Bench(stack, kit, cores, rounds, share)
        for part in args.parts.split(","):
            found |= PARTS[part](bench, names)
            found["noise"] = noise.share(bench.spent())
            (install.TARGET / ("tried.json" if args.quick else "results.json")).write_text(json.dumps(found, indent=1))
    return found


class Bench:
    """`share` is by how much everything is smaller than it should be: 1, or 10 for a quick look."""

    def __init__(self, stack, kit, cores, rounds, share):
        self.kit, self.cores, self.rounds, self.share = kit, cores, rounds, share
        # Seconds of processor time of what has been measured and has ended.
        self.over = 0
        self.ends = self.start_ends(stack)

    def messages(self, names):
        """All of them run at the same time, and are asked in turn."""
        with ExitStack() as stack:
            there = {name: self.start(stack, name, PROXIES[name]) if PROXIES[name] else self.ends for name in names}
            for name, proxy in there.items():
                self.open(stack, name, proxy, FEW)
            return {"messages": self.take([(measure.shared(self.share), there) for measure in ROUND])}

    def idle(self, names):
        """KiB that each connection adds to a process which has served many and has none. Connections have had a message answered."""
        dials = {name: {} for name in names if PROXIES[name]}
        if "wsgate" in dials:
            dials["wsgate, anonymous"] = {"path": "/anonymous", "has_tokens": False}
        told = {name: [] for name in dials}
        connections = IDLE // self.share
        for number in range(repetitions := max(1, self.rounds // 5)):
            progress(f"idle connections, {number + 1} of {repetitions}")
            for name, dial in dials.items():
                with ExitStack() as stack:
                    proxy = self.start(stack, "idle", PROXIES[name.partition(",")[0]])
                    self.ends.ask(churn={"dial": proxy.dial() | dial, "connections": BEFORE // self.share})
                    empty = proxy.pss()
                    self.open(stack, "idle", proxy, connections, **dial)
                    told[name].append((proxy.pss() - empty) / connections)
        return {"idle": told}

    def growth(self, names):
        """Many connections, routes and networks beside few; of the byte relay, connections alone."""
        if not {"wsgate", "relay"} <= set(names):
            return {}
        many = min(MANY // self.share, machine.connections())
        grown = wsgate(MANY_ROUTES // self.share, MANY_NETWORKS // self.share)
        with ExitStack() as stack:
            # Each between ends of its own: one process may not be allowed files enough for both.
            relays = self.start(stack, "relay", relay, self.start_ends(stack))
            asked = []
            for connections, make in ((FEW, wsgate()), (many, grown)):
                there = {"relay": relays, "wsgate": self.start(stack, f"wsgate-{connections}", make)}
                there = {f"{name}, {connections}": proxy for name, proxy in there.items()}
                for group, proxy in there.items():
                    self.open(stack, group, proxy, connections)
                asked.append((Echo(f"{connections} connections", 32, connections, messages=80_000).shared(self.share), there))
            return {"growth": self.take(asked)}

    def read(self, names):
        """Messages of 1 KiB that are read and held against a schema, beside the same messages passing on."""
        measure = Echo("read", 1 << 10, FEW, messages=40_000, text=chat(1 << 10)).shared(self.share)
        with ExitStack() as stack:
            proxy = self.start(stack, "reads", wsgate(reads=True))
            for name, path in (("forward", "/"), ("read", "/read")):
                self.open(stack, name, proxy, FEW, path=path, text=measure.text)
            return {"read": self.take([(measure, {"forward": proxy, "read": proxy})])["read"]}

    def take(self, asked):
        """Samples, by measure and proxy: one a round. Who is asked first is another one each round; a round before the first warms up."""
        told = {measure.name: {name: [] for name in there} for measure, there in asked}
        for number in range(self.rounds + 1):
            progress(f"{', '.join(told)}: round {number} of {self.rounds}")
            for measure, there in asked:
                for name in random.Random(number).sample(list(there), len(there)):
                    sample = measure.take(name, there[name])
                    if number > 0:
                        told[measure.name][name].append(sample)
        return told

    def start(self, stack, name, make, ends=None):
        """A proxy that runs as long as the stack holds."""
        return self.run(stack, Proxy(name, make, self.kit, RUN, self.cores[1], ends or self.ends))

    def start_ends(self, stack):
        return self.run(stack, Ends(self.kit, RUN, self.cores[0], MANY // self.share))

    def run(self, stack, process):
        stack.enter_context(process)

        def count():
            self.over += process.cpu() / 1e6

        stack.callback(count)
        return process

    def spent(self):
        """Seconds of processor time so far, of all that is measured."""
        return self.over + self.ends.cpu() / 1e6

    def open(self, stack, group, proxy, connections, **dial):
        """Connections that are there as long as the stack holds, and nothing has gone wrong."""
        proxy.ends.ask(open={"group": group, "dial": proxy.dial() | dial, "connections": connections})

        def end(failure, *_):
            if not failure:
                proxy.ends.ask(end={"group": group})

        stack.push(end)


PARTS = {"messages": Bench.messages, "idle": Bench.idle, "growth": Bench.growth, "read": Bench.read}


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text} ", end="", file=sys.stderr, flush=True)
