"""A process on its core: started, measured and ended, with whatever it has forked."""

import os
import pathlib
import signal
import socket
import subprocess
import time
from contextlib import suppress

PATIENCE = 20  # seconds for a start or an end: a bound, never a measure


class Process:
    """Runs until the end of its `with`. Should the script be killed, the kernel ends it."""

    # Whether it tells something on standard output.
    answers = False

    def __init__(self, name, command, core, folder, port, environment=None):
        self.name, self.port, self.folder = name, port, folder
        self.output = folder / "output.txt"
        self.command = ["setpriv", "--pdeathsig", "TERM", "taskset", "--cpu-list", str(core), *map(str, command)]
        self.environment = os.environ | (environment or {})

    def __enter__(self):
        with self.output.open("wb") as output:
            # A session of its own, so that Ctrl-C reaches the script alone, and the script ends things in their order.
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if self.answers else output,
                stderr=output,
                start_new_session=True,
            )
        try:
            self.wait_for_port()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait_for_port(self):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{self.name} did not start:\n{self.output.read_text()}") from None
                time.sleep(0.02)

    def __exit__(self, *_):
        tree = self.tree()
        # Nothing here has anything to finish, and what it has forked is in its session.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        for pipe in filter(None, (self.process.stdin, self.process.stdout)):
            pipe.close()
        deadline = time.monotonic() + PATIENCE
        while left := [pid for pid in tree if is_running(pid)]:
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.name} has not ended: {left}")
            time.sleep(0.01)

    def tree(self):
        """Its process ids: its own, and those of its workers."""
        found = [self.process.pid]
        for pid in found:
            try:
                found += map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
            except OSError:
                pass
        return found

    def cpu(self):
        """Microseconds of processor time so far, of all its threads, as the scheduler counts them."""
        tasks = (task for pid in self.tree() for task in pathlib.Path(f"/proc/{pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1000

    def pss(self):
        """KiB of memory; pages that several processes share count by their share."""
        rollups = (pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.tree())
        return sum(int(line.split()[1]) for rollup in rollups for line in rollup.splitlines() if line.startswith("Pss:"))


def is_running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def free_port():
    """One below those that the kernel gives to outgoing connections, so that none of them takes it meanwhile."""
    lowest = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in range(lowest - 1, 1024, -1):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            if port not in given:
                given.add(port)
                return port
    raise SystemExit("no port is free")


given = set()
