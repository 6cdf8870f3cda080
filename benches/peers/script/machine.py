"""What it runs on: cores, limits, and how much else the machine was doing."""

import os
import pathlib
import platform
import resource


def cores(asked=None):
    """The core for both ends, and that for the proxy."""
    if asked:
        ends, proxy = (int(core) for core in asked.split(","))
        return ends, proxy
    there = sorted(os.sched_getaffinity(0))
    last = there[-1]
    siblings = pathlib.Path(f"/sys/devices/system/cpu/cpu{last}/topology/thread_siblings_list")
    shared = spread(siblings.read_text()) if siblings.exists() else {last}
    others = [core for core in there if core not in shared] or [core for core in there if core != last]
    if not others:
        raise SystemExit("two cores are needed: one for both ends, one for the proxy")
    return others[-1], last


def spread(ranges):
    """The numbers in `0-3,8`."""
    parts = (part.partition("-") for part in ranges.strip().split(","))
    return {number for first, _, last in parts for number in range(int(first), int(last or first) + 1)}


# Files that a process may need besides those of connections.
SPARE = 1000


def raise_limits():
    """As many open files as may be."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (max(hard, 1 << 16), hard):
        try:
            return resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
        except (ValueError, OSError):
            pass


def connections():
    """How many connections can go through one process."""
    return (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE) // 2


def described():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    memory = next(line for line in pathlib.Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    virtual = "a virtual machine with " if any("hypervisor" in line for line in lines) else ""
    system = next(line for line in pathlib.Path("/etc/os-release").read_text().splitlines() if line.startswith("PRETTY_NAME"))
    congestion = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    return {
        "processor": f"{virtual}{os.cpu_count()} cores of {model}",
        "memory": f"{round(int(memory.split()[1]) / 2**20)} GiB",
        "system": f"{system.split('=')[1].strip(chr(34))}, Linux {'.'.join(platform.release().split('.')[:2])}, TCP's {congestion}",
    }


class Noise:
    """How much of both cores went to anything that is not measured."""

    def __init__(self, cores):
        self.cores = cores
        self.began = self.times()

    def times(self):
        rows = (line.split() for line in pathlib.Path("/proc/stat").read_text().splitlines())
        rows = [list(map(int, row[1:9])) for row in rows if row[0] in {f"cpu{core}" for core in self.cores}]
        busy = sum(sum(row) - row[3] - row[4] for row in rows)
        return busy / os.sysconf("SC_CLK_TCK"), sum(map(sum, rows)) / os.sysconf("SC_CLK_TCK")

    def share(self, measured):
        """Of the time since, in percent; `measured` seconds of it were spent by what is measured."""
        busy, all_of_it = (now - then for now, then in zip(self.times(), self.began))
        return max(0.0, (busy - measured) / all_of_it * 100)
