"""Tokens that are shorter than connections: Python's `websockets` and PyJWT, against `examples/configs/renewal.toml`.

Usage: renewal.py WSGATE, from the package's root. Prints what it does; ends with an error where something is not as it should be.
"""

import asyncio
import json
import pathlib
import secrets
import sys
import time
import urllib.error
import urllib.request

import jwt
import websockets
from gateway import Gateway, take
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

# The example's endpoint is the gateway's own; here is one with a backend, and the second listener that this gateway has to have.
MORE = """
[listener.secure]
address = "127.0.0.1:8888"
[route.relayed]
listener = ["public", "secure"]
path     = "/relayed/*"
pipeline = ["jwt.users"]
endpoint = "ws://127.0.0.1:{port}"
"""


def token(seconds, user="alice"):
    claims = {"sub": user, "exp": time.time() + seconds}
    return jwt.encode(claims, "for-local-trials-only-0123456789abcdef", algorithm="HS256")


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


def auth(text):
    return json.dumps({"type": "auth", "token": text})


async def told(socket):
    return json.loads(await socket.recv())


async def renewed(gateway, ticket, text):
    """The status and body of a request to renew."""
    headers = {"X-Wsgate-Ticket": ticket, **bearer(text)}
    request = urllib.request.Request(gateway.url("public", "/.well-known/wsgate/renew").replace("ws:", "http:"), b"", headers)

    def ask():
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read()

    return await asyncio.to_thread(ask)


async def warned_and_renewed_in_a_message(gateway):
    for path in ("/", "/relayed/room"):
        end = time.time() + 3
        async with connect(gateway.url("public", path), additional_headers=bearer(token(3))) as socket:
            assert [extension.name for extension in socket.protocol.extensions] == ["permessage-deflate"]
            warning = await told(socket)
            assert warning["type"] == "auth_expiring" and warning["seconds"] <= 13, warning
            await socket.send(auth("nonsense"))
            assert await told(socket) == {"type": "auth_failed", "error": "token_invalid"}
            await socket.send(auth(token(600)))
            renewal = await told(socket)
            assert renewal["type"] == "auth_ok" and renewal["seconds"] > 500, renewal
            # `grace` is 1s here.
            while time.time() < end + 1.5:
                await socket.send("hello")
                assert await socket.recv() == "hello"
                await asyncio.sleep(0.1)


async def closed_with_its_token_where_nothing_renews_it(gateway):
    async with connect(gateway.url("public"), additional_headers=bearer(token(1))) as socket:
        assert (await told(socket))["type"] == "auth_expiring"
        try:
            raise AssertionError(await socket.recv())
        except ConnectionClosed as closed:
            assert (closed.rcvd.code, closed.rcvd.reason) == (3000, "Token Expired"), closed


async def renewed_with_the_ticket_that_it_was_given(gateway):
    async with connect(gateway.url("public"), additional_headers=bearer(token(60))) as socket:
        ticket = socket.response.headers["X-Wsgate-Ticket"]
        assert (await told(socket))["type"] == "auth_expiring"
        assert await renewed(gateway, ticket, token(600)) == (204, b"")
        status, body = await renewed(gateway, ticket, token(600, "bob"))
        assert status == 403 and b"(forbidden)" in body, (status, body)
        await socket.send("hello")
        assert await socket.recv() == "hello"
    status, body = await renewed(gateway, ticket, token(600))
    assert status == 404 and b"(ticket_unknown)" in body, (status, body)


async def renewed_with_a_ticket_of_its_own_which_no_backend_sees(gateway):
    ticket = secrets.token_urlsafe(16)
    url = gateway.url("public", f"/relayed/room?a=1&wsgate_ticket={ticket}")
    async with connect(url, additional_headers=bearer(token(600))) as socket:
        assert "X-Wsgate-Ticket" not in socket.response.headers
        await socket.send("path")
        assert await socket.recv() == "/relayed/room?a=1"
        assert await renewed(gateway, ticket, token(600)) == (204, b"")


async def flooded_with_tokens_of_which_few_are_looked_at(gateway):
    async with connect(gateway.url("public"), additional_headers=bearer(token(600))) as socket:
        for _ in range(200):
            await socket.send(auth("x"))
        errors = [(await told(socket))["error"] for _ in range(200)]
        assert errors == ["token_invalid"] * 10 + ["rate_limited"] * 190, errors
        await socket.send("hello")
        assert await socket.recv() == "hello"


async def backend(socket):
    async for message in socket:
        await socket.send(socket.request.path if message == "path" else message)


async def main(binary):
    print(f"websockets {websockets.__version__}, PyJWT {jwt.__version__}, Python {sys.version.split()[0]}, {binary}")
    example = pathlib.Path("examples/configs/renewal.toml").read_text()
    example = example.replace('"10s"', '"1s"').replace("[route.chat]", '[route.chat]\nlistener = ["public", "secure"]')
    async with serve(backend, "127.0.0.1", 0) as server:
        gateway = Gateway(binary, example + MORE.format(port=server.sockets[0].getsockname()[1]))
        steps = [
            warned_and_renewed_in_a_message,
            closed_with_its_token_where_nothing_renews_it,
            renewed_with_the_ticket_that_it_was_given,
            renewed_with_a_ticket_of_its_own_which_no_backend_sees,
            flooded_with_tokens_of_which_few_are_looked_at,
        ]
        await take("renewal", steps, gateway)


asyncio.run(main(sys.argv[1]))
