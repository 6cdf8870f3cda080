"""Runs the Autobahn testsuite against a gateway, at each depth and from either side, and holds what comes out to `expected.txt`.

`run` starts it, from the package's root, when it has fetched the suite. Ends with 1 where anything is not as it should be.
"""

import argparse
import asyncio
import collections
import contextlib
import fnmatch
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

HERE = pathlib.Path(__file__).parent
KEPT = pathlib.Path("target/autobahn")
PAGE = pathlib.Path("docs/conformance.md")
LARGEST = 32 << 20  # bytes in a message, as in gateway.toml
PATIENCE = 4 * 3600  # seconds for all of it: a bound, never a measure

# Framing, pings, opcodes, fragments, UTF-8, closing: none of it takes long.
RULES = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
# A process of the suite does one of these after the other; it keeps what it has sent, so that all at once would take much memory.
LIMITS = [[f"9.{kind}.*"] for kind in range(1, 9)]
DEFLATE = [[f"12.{data}.*"] for data in range(1, 6)] + [[f"13.{offer}.*"] for offer in range(1, 8)]
# And of those that take long, what every change has to pass.
QUICK_LIMITS = ["9.1.1", "9.1.4", "9.2.4", "9.3.4", "9.4.6", "9.5.5", "9.6.6", "9.7.1", "9.8.6"]
QUICK_DEFLATE = ["12.1.1", "12.2.4", "12.3.11", "12.4.5"] + [f"13.{offer}.4" for offer in range(1, 8)]

ALL = {"quick": [RULES + QUICK_LIMITS + QUICK_DEFLATE], "full": [RULES, *LIMITS, *DEFLATE]}
COMPRESSED = {"quick": [QUICK_DEFLATE], "full": DEFLATE}

# The routes of gateway.toml: those that clients are fuzzed through, and those whose backend is.
CLIENTS = {"echo": ALL, "echo_takeover": COMPRESSED, "relayed": ALL, "relayed_takeover": COMPRESSED, "read": ALL, "foreign": ALL}
BACKENDS = ["hostile", "hostile_read"]


@contextlib.asynccontextmanager
async def running(*command, **options):
    process = await asyncio.create_subprocess_exec(*command, **options)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


class Suite:
    """One run of the suite, and the folder that its reports go to."""

    def __init__(self, name, part, **spec):
        self.folder = KEPT / "reports" / name / str(part)
        self.folder.mkdir(parents=True)
        self.spec = self.folder / "spec.json"
        self.spec.write_text(json.dumps({"outdir": str(self.folder), **spec}))

    @contextlib.asynccontextmanager
    async def run(self):
        command = [KEPT / "python2", HERE / "suite.py", KEPT / "site", self.spec]
        async with running(*command, stdout=asyncio.subprocess.PIPE, limit=1 << 20) as process:
            self.process = process
            self.count = int((await self.says(r"Ok, will run (\d+) test cases"))[1])
            yield

    async def says(self, pattern):
        async for line in self.process.stdout:
            if found := re.match(pattern, line.decode()):
                return found
        raise AssertionError(f"the suite has ended without {pattern!r}")

    def results(self, name):
        results = json.loads((self.folder / "index.json").read_text()).get(name, {})
        assert len(results) == self.count, f"{name}: {len(results)} of {self.count} cases have been run"
        return results


async def as_client(name, part, url, cases):
    """What the suite says of a route whose clients it is."""
    suite = Suite(name, part, servers=[{"agent": name, "url": f"{url}/{name}"}], cases=cases)
    async with suite.run():
        await suite.process.stdout.read()
        await suite.process.wait()
    return suite.results(name)


async def as_backend(port, part, url, cases):
    """What the suite says of the routes whose backend it is, and of the strict client before each."""
    suite = Suite("hostile", part, port=port, url=None, cases=cases)
    async with suite.run():
        await suite.says("listening")
        output = asyncio.create_task(suite.process.stdout.read())
        for name in BACKENDS:
            for case in range(1, suite.count + 1):
                await answer(f"{url}/{name}/runCase?case={case}&agent={name}")
            await answer(f"{url}/{name}/updateReports?agent={name}")
    await output
    return {name: suite.results(name) for name in BACKENDS}


async def answer(url):
    """A client that sends back what it is sent."""
    with contextlib.suppress(ConnectionClosed):
        async with connect(url, max_size=LARGEST, ping_interval=None) as peer:
            await echo(peer)


async def echo(peer):
    with contextlib.suppress(ConnectionClosed):
        async for message in peer:
            await peer.send(message)


class Verdicts:
    """What came out, held to `expected.txt`: ROUTES CASES VERDICT WHY in each line, for what may be otherwise than OK."""

    def __init__(self):
        lines = (HERE / "expected.txt").read_text().splitlines()
        self.rows = [line.split(maxsplit=3) for line in lines if line and not line.startswith("#")]
        self.needed = []
        self.counts = {}
        self.failed = 0

    def is_expected(self, name, case, verdict):
        if verdict in ("OK", "INFORMATIONAL"):
            return True
        rows = [row for row in self.rows if matches(name, row[0]) and matches(case, row[1]) and row[2] == verdict]
        self.needed += rows
        return bool(rows)

    def take(self, name, results):
        """Takes a route's results in, and prints its score."""
        verdicts = {case: verdict(result) for case, result in results.items()}
        failed = [case for case, verdict in verdicts.items() if not self.is_expected(name, case, verdict)]
        counts = collections.Counter(verdict for case, verdict in verdicts.items() if case not in failed)
        self.counts[name] = counts
        self.failed += len(failed)
        parts = [f"{name}: {len(results)} cases", *(f"{count} {verdict}" for verdict, count in counts.most_common()), f"{len(failed)} failed"]
        print(", ".join(parts), flush=True)
        for case in failed:
            print(f"  {case} {verdicts[case]}, closed with {results[case]['remoteCloseCode']}: {report(name, case)}")

    def conclude(self):
        """Prints which lines of `expected.txt` nothing has needed, and says whether all is as it should be."""
        stale = [row for row in self.rows if row not in self.needed]
        for row in stale:
            print(f"expected.txt has what is not so: {' '.join(row)}")
        return not stale and not self.failed

    def table(self):
        kinds = dict.fromkeys(verdict for counts in self.counts.values() for verdict, _ in counts.most_common())
        yield ["route", "cases", *kinds]
        yield ["---", *(["---:"] * (1 + len(kinds)))]
        for name in [*CLIENTS, *BACKENDS]:
            counts = self.counts[name]
            yield [f"`{name}`", str(counts.total()), *(str(counts[kind]) for kind in kinds)]


def verdict(result):
    """The suite's own words for the case, and for how it was closed where those are others."""
    return "/".join(dict.fromkeys((result["behavior"], result["behaviorClose"]))).replace(" ", "_")


def report(name, case):
    return next((KEPT / "reports").glob(f"*/*/{name}_case_{case.replace('.', '_')}.html"))


def matches(text, patterns):
    return any(fnmatch.fnmatch(text, pattern) for pattern in patterns.split(","))


@contextlib.asynccontextmanager
async def gateway(binary, file, **environment):
    """Runs a gateway, whose log goes beside the reports, and gives its address."""
    log = (KEPT / "reports" / file).with_suffix(".log")
    with log.open("wb") as output:

        async def pass_on(until):
            async for line in process.stderr:
                output.write(line)
                if found := re.search(until, line):
                    return found[1].decode()
            return None

        async with running(binary, "run", "--config", HERE / file, stderr=asyncio.subprocess.PIPE, env=environment) as process:
            address = await pass_on(rb" listening .* address=(\S+)")
            rest = asyncio.create_task(pass_on(rb"(?!)"))
            yield address
        await rest
    assert process.returncode == 0 and b" internal_error " not in log.read_bytes(), f"the gateway has failed: {log}"


async def run(binary, extent):
    """Every route's pieces, as many at a time as there are processors."""
    shutil.rmtree(KEPT / "reports", ignore_errors=True)
    (KEPT / "reports").mkdir(parents=True)
    verdicts = Verdicts()
    turns = asyncio.Semaphore(os.cpu_count())

    async def turn(work):
        async with turns:
            return await work

    async def clients(name, pieces, url):
        parts = await asyncio.gather(*(turn(as_client(name, part, url, cases)) for part, cases in enumerate(pieces)))
        verdicts.take(name, merged(parts))

    async def backends(port, url):
        # One after the other: they take turns at the port that the gateway knows.
        parts = [await turn(as_backend(port, part, url, cases)) for part, cases in enumerate(ALL[extent])]
        for name in BACKENDS:
            verdicts.take(name, merged(part[name] for part in parts))

    async with serve(echo, "127.0.0.1", 0, max_size=LARGEST, ping_interval=None) as foreign, gateway(binary, "backend.toml") as backend:
        hostile = free_port()
        ports = {"BACKEND": backend.split(":")[1], "FOREIGN": str(foreign.sockets[0].getsockname()[1]), "HOSTILE": str(hostile)}
        async with gateway(binary, "gateway.toml", **ports) as address:
            url = f"ws://{address}"
            work = [clients(name, pieces[extent], url) for name, pieces in CLIENTS.items()]
            await asyncio.gather(*work, backends(hostile, url))
    return verdicts


def merged(parts):
    return {case: result for part in parts for case, result in part.items()}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def write(table):
    """Puts the scores into the page."""
    text = PAGE.read_text()
    begin, end = text.index("<!-- scores:"), text.index("<!-- end of scores -->")
    begin = text.index("\n", begin)
    rows = "\n".join(f"| {' | '.join(row)} |" for row in table)
    PAGE.write_text(f"{text[:begin]}\n\n{rows}\n\n{text[end:]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", help="the gateway")
    parser.add_argument("--quick", action="store_true", help="what a change has to pass each time, in a minute or two")
    parser.add_argument("--write", action="store_true", help=f"put the scores into {PAGE}")
    asked = parser.parse_args()
    if asked.write and asked.quick:
        parser.error("--quick is not what the page tells of")
    # What is started ends with the script, however that ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    verdicts = asyncio.run(asyncio.wait_for(run(asked.binary, "quick" if asked.quick else "full"), PATIENCE))
    if asked.write:
        write(verdicts.table())
    return 0 if verdicts.conclude() else 1


if __name__ == "__main__":
    sys.exit(main())
