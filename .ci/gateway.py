"""A gateway for the clients beside this file: a config on ports the system picks, in a folder of its own."""

import asyncio
import pathlib
import re
import signal
import subprocess
import tempfile

PATIENCE = 20  # seconds for anything: a bound, never a measure


class Gateway:
    """Runs `config`, whose listeners are named public and secure, on 8765 and 8888."""

    def __init__(self, binary, config):
        self.binary = binary
        self.folder = tempfile.TemporaryDirectory()
        config, listeners = re.subn(r'"(127\.0\.0\.1|localhost):(8765|8888)"', '"127.0.0.1:0"', config)
        assert listeners == 2, config
        self.file = self.path("gateway.toml")
        self.file.write_text(config)
        self.process = subprocess.Popen([binary, "run", "--config", self.file], stderr=subprocess.PIPE, text=True)
        self.addresses = {}
        for line in self.process.stderr:
            fields = dict(field.split("=", 1) for field in line.split() if "=" in field)
            if " listening " in line:
                self.addresses[fields["listener"]] = fields["address"]
            if " started " in line:
                break
        assert set(self.addresses) == {"public", "secure"}, "it did not start"

    def path(self, name):
        return pathlib.Path(self.folder.name) / name

    def url(self, listener, path="/"):
        return f"ws://{self.addresses[listener]}{path}"

    def token(self):
        command = [self.binary, "token", "--stage", "jwt.users", "--sub", "alice", "--config", self.file]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    async def logs(self, words):
        """Waits for a line with these words."""
        while words not in (line := await asyncio.to_thread(self.process.stderr.readline)):
            assert line, f"it has ended without {words}"

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        rest = self.process.stderr.read()
        assert self.process.wait(PATIENCE) == 0, rest


async def take(name, steps, gateway):
    """Takes each step against the gateway, in bounded time, and stops it."""
    try:
        for step in steps:
            await asyncio.wait_for(step(gateway), PATIENCE)
            print(f"ok: {step.__name__.replace('_', ' ')}")
    finally:
        gateway.stop()
    print(f"{name}: {len(steps)} passed, 0 failed")
