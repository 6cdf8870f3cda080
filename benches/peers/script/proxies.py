"""The proxies, each as somebody would run it in production: one worker, no access log, timeouts as for WebSocket."""

import base64
import hashlib
import hmac
import ipaddress
import json
import pathlib
import random
import shutil

import install
from process import Process, free_port

CONFIGS = pathlib.Path(__file__).parents[1] / "configs"

# Of wsgate.toml.
SECRET = b"for-this-benchmark-only-0123456789abcdef"

# In wsgate's firewall and among its routes, and where growth is measured.
NETWORKS, MANY_NETWORKS = 20, 100_000
ROUTES, MANY_ROUTES = 3, 10_000


def prepared(name, text, folder):
    """The config `name` with `text` in its places, in this folder."""
    config = (CONFIGS / name).read_text()
    for mark, value in text.items():
        config = config.replace(f"@{mark}@", str(value))
    path = folder / name
    path.write_text(config)
    return path


def relay(kit, folder, port, backend):
    return [kit["peers"], "relay", f"127.0.0.1:{port}", f"127.0.0.1:{backend}"], {}


def nginx(buffers):
    def command(kit, folder, port, backend):
        text = {"PORT": port, "BACKEND": backend, "FOLDER": folder, "BUFFERS": buffers}
        config = prepared("nginx.conf", text, folder)
        return [kit["nginx"], "-e", folder / "error.log", "-p", folder, "-c", config], install.libraries()

    return command


def haproxy(buffers):
    def command(kit, folder, port, backend):
        config = prepared("haproxy.cfg", {"PORT": port, "BACKEND": backend, "BUFFERS": buffers}, folder)
        return [kit["haproxy"], "-db", "-f", config], install.libraries()

    return command


def envoy(kit, folder, port, backend):
    config = prepared("envoy.yaml", {"PORT": port, "BACKEND": backend}, folder)
    return [kit["envoy"], "--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c", config], {}


def wsgate(routes=ROUTES, networks=NETWORKS, reads=False):
    def command(kit, folder, port, backend):
        beside = ["read.toml", "chat.schema.json"] if reads else []
        for name in ["wsgate.toml", *beside]:
            shutil.copy(CONFIGS / name, folder)
        (folder / "networks.txt").write_text("\n".join(random_networks(networks)))
        table = '[route.r{0}]\npath = "/r{0}/*"\npipeline = ["firewall.networks", "jwt.users"]\nendpoint = "upstream.echo"\n'
        (folder / "routes.toml").write_text("".join(table.format(number) for number in range(ROUTES, routes)))
        return [kit["wsgate"], "run", "--config", folder], {"PORT": str(port), "BACKEND": str(backend)}

    return command


def random_networks(count):
    """Distinct networks of no client here, the same ones every time."""
    numbers = random.Random(count).sample(range(0x80000000 >> 8, 0xE0000000 >> 8), count)
    return (f"{ipaddress.ip_address(number << 8)}/24" for number in numbers)


class Proxy(Process):
    """One of them between these ends."""

    def __init__(self, name, make, kit, scratch, core, ends):
        port = free_port()
        folder = fresh(scratch / f"{name}-{port}")
        command, environment = make(kit, folder, port, ends.port)
        super().__init__(name, command, core, folder, port, environment)
        self.ends = ends

    def dial(self):
        """What its clients ask for."""
        return {"address": f"127.0.0.1:{self.port}", "path": "/", "has_tokens": True}


class Ends(Process):
    """The load generator and the echo backend, in one process on one core."""

    answers = True

    def __init__(self, kit, scratch, core, tokens):
        port = free_port()
        folder = fresh(scratch / f"ends-{port}")
        (folder / "tokens.txt").write_text("\n".join(token(f"user-{number:06}") for number in range(tokens)))
        super().__init__("the load generator", [kit["peers"], "load", f"127.0.0.1:{port}", folder / "tokens.txt"], core, folder, port)
        # Where nothing is between them, they are their own proxy.
        self.ends = self

    dial = Proxy.dial

    def ask(self, **command):
        """Has it done, and says how many seconds that took."""
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"what failed: {json.dumps(command)[:200]}\n{self.output.read_text()}")
        return json.loads(answer).get("seconds")


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def token(user):
    """A JSON Web Token for this user, with the claims one usually has."""
    claims = {
        "iss": "https://id.example.com",
        "aud": "chat",
        "sub": user,
        "name": "Somebody of Somewhere",
        "roles": ["member", "moderator"],
        "iat": 1767225600,
        "exp": 4102444800,
    }
    signed = b".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return (signed + b"." + encoded(hmac.digest(SECRET, signed, hashlib.sha256))).decode()


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")
