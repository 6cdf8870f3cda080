"""A foreign client, Python's `websockets`, against the gateway on the file that ships with six lines added.

Usage: clients.py WSGATE, from the package's root. Prints what it does; ends with an error where something is not as it should be.
"""

import asyncio
import pathlib
import sys

import websockets
from gateway import Gateway, take
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

ROUTE = """
[upstream.mine]
servers = "ws://127.0.0.1:{port}"
[route.mine]
listener = "public"
path     = "/mine/*"
endpoint = "upstream.mine"
"""


async def echo(gateway):
    async with connect(gateway.url("public")) as socket:
        # The library offers permessage-deflate, and the gateway itself is at the other end of it.
        assert [extension.name for extension in socket.protocol.extensions] == ["permessage-deflate"]
        await socket.send("to and fro, " * 1000)
        assert await socket.recv() == "Server received: " + "to and fro, " * 1000
        await socket.send("hello")
        assert await socket.recv() == "Server received: hello"
        await socket.send(b"\x00\xff" * 5000)
        assert await socket.recv() == b"\x00\xff" * 5000
        await socket.send(["in ", "three ", "fragments"])
        assert await socket.recv() == "Server received: in three fragments"
        await (await socket.ping())


async def authenticated_with_a_token(gateway):
    headers = {"Authorization": f"Bearer {gateway.token()}"}
    async with connect(gateway.url("secure"), additional_headers=headers) as socket:
        assert await socket.recv() == "Authenticated!"
        await socket.send("it is me")
        assert await socket.recv() == "it is me"


async def authenticated_by_the_first_message(gateway):
    async with connect(gateway.url("secure")) as socket:
        await socket.send(gateway.token())
        assert await socket.recv() == "Authenticated!"


async def turned_away_with_a_bad_token(gateway):
    try:
        async with connect(gateway.url("secure"), additional_headers={"Authorization": "Bearer nonsense"}):
            raise AssertionError("let in")
    except InvalidStatus as refusal:
        assert refusal.response.status_code == 401, refusal
        assert b"token_invalid" in refusal.response.body, refusal.response.body


async def closed_with_a_bad_first_message(gateway):
    async with connect(gateway.url("secure")) as socket:
        await socket.send("nonsense")
        try:
            raise AssertionError(await socket.recv())
        except ConnectionClosed as closed:
            assert closed.rcvd.code == 3000, closed


async def relayed(gateway):
    async with connect(gateway.url("public", "/mine/room?a=1"), subprotocols=["chat.v1"]) as socket:
        # The library offers permessage-deflate, and so does the backend: it passes end to end.
        assert [extension.name for extension in socket.protocol.extensions] == ["permessage-deflate"]
        assert socket.subprotocol == "chat.v1"
        assert await socket.recv() == "/mine/room?a=1"
        for message in ("hello", "x" * 300_000, b"\x00" * 70_000):
            await socket.send(message)
            assert await socket.recv() == message
        await socket.send("close 4321")
        try:
            raise AssertionError(await socket.recv())
        except ConnectionClosed as closed:
            assert (closed.rcvd.code, closed.rcvd.reason) == (4321, "as you said"), closed


async def backend(socket):
    await socket.send(socket.request.path)
    async for message in socket:
        if message == "close 4321":
            await socket.close(4321, "as you said")
            return
        await socket.send(message)


async def main(binary):
    print(f"websockets {websockets.__version__}, Python {sys.version.split()[0]}, {binary}")
    async with serve(backend, "127.0.0.1", 0, subprotocols=["chat.v1"]) as server:
        mine = ROUTE.format(port=server.sockets[0].getsockname()[1])
        gateway = Gateway(binary, pathlib.Path("gateway.toml").read_text() + mine)
        steps = [
            echo,
            authenticated_with_a_token,
            authenticated_by_the_first_message,
            turned_away_with_a_bad_token,
            closed_with_a_bad_first_message,
            relayed,
        ]
        await take("clients", steps, gateway)


asyncio.run(main(sys.argv[1]))
