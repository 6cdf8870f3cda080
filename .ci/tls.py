"""Python's `ssl`, which is OpenSSL, and `websockets` against the gateway's TLS on either side.

Usage: tls.py WSGATE, from the package's root. Prints what it does; ends with an error where something is not as it should be.
"""

import asyncio
import pathlib
import ssl
import sys

from gateway import Gateway, take
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

TRIAL = pathlib.Path("examples/configs").resolve()

CONFIG = """
[listener.public]
address = "127.0.0.1:8765"
tls     = { cert = "TRIAL/trial-server.pem", key = "TRIAL/trial-server.key" }

[listener.secure]
address = "127.0.0.1:8888"
tls     = { cert = "TRIAL/trial-server.pem", key = "TRIAL/trial-server.key", client_ca = "TRIAL/trial-ca.pem" }

[client_cert.services]
user = "san.email"

[route.echo]
listener = "public"
endpoint = "echo"

[route.services]
listener = "secure"
pipeline = ["client_cert.services"]
endpoint = "authenticated"

[upstream.far]
servers = "wss://127.0.0.1:PORT"
tls     = { ca = "TRIAL/trial-ca.pem", cert = "TRIAL/trial-client.pem", key = "TRIAL/trial-client.key" }

[route.far]
listener       = "public"
path           = "/far/*"
endpoint       = "upstream.far"
"""


def trusting(version=None, own=None):
    context = ssl.create_default_context(cafile=TRIAL / "trial-ca.pem")
    if version:
        context.minimum_version = context.maximum_version = version
    if own:
        context.load_cert_chain(TRIAL / f"{own}.pem", TRIAL / f"{own}.key")
    return context


def asking():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=TRIAL / "trial-ca.pem")
    context.load_cert_chain(TRIAL / "trial-server.pem", TRIAL / "trial-server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def url(gateway, listener, path="/"):
    return gateway.url(listener, path).replace("ws://", "wss://")


async def echo_over_each_version(gateway):
    for version in [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]:
        async with connect(url(gateway, "public"), ssl=trusting(version), max_size=None) as socket:
            for message in ["hello", "x" * 1_000_000, b"\x00\xff" * 300_000]:
                await socket.send(message)
                assert await socket.recv() == message


async def a_client_is_known_by_its_certificate(gateway):
    async with connect(url(gateway, "secure"), ssl=trusting(own="trial-client")) as socket:
        assert await socket.recv() == "Authenticated!"
    await gateway.logs("user=alice@example.com")


async def a_client_without_one_is_not_let_in(gateway):
    try:
        async with connect(url(gateway, "secure"), ssl=trusting()) as socket:
            raise AssertionError(await socket.recv())
    # With TLS 1.3 a client learns of it when it reads the answer to its request.
    except (ssl.SSLError, InvalidMessage, InvalidStatus, ConnectionClosed, EOFError, ConnectionError) as refused:
        assert not isinstance(refused, InvalidStatus), refused
    await gateway.logs("outcome=tls_failed")


async def relayed_to_a_backend_over_tls(gateway):
    async with connect(url(gateway, "public", "/far/room"), ssl=trusting(), max_size=None) as socket:
        assert await socket.recv() == "/far/room alice"
        for message in ["hello", "x" * 1_000_000]:
            await socket.send(message)
            assert await socket.recv() == message


async def backend(socket):
    shown = dict(pair[0] for pair in socket.transport.get_extra_info("peercert")["subject"])
    await socket.send(f"{socket.request.path} {shown['commonName']}")
    async for message in socket:
        await socket.send(message)


async def main(binary):
    print(f"{ssl.OPENSSL_VERSION}, Python {sys.version.split()[0]}, {binary}")
    async with serve(backend, "127.0.0.1", 0, ssl=asking()) as server:
        port = server.sockets[0].getsockname()[1]
        gateway = Gateway(binary, CONFIG.replace("TRIAL", str(TRIAL)).replace("PORT", str(port)))
        steps = [
            echo_over_each_version,
            a_client_is_known_by_its_certificate,
            a_client_without_one_is_not_let_in,
            relayed_to_a_backend_over_tls,
        ]
        await take("tls", steps, gateway)


asyncio.run(main(sys.argv[1]))
