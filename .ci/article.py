"""The clients of the article that this project began with, against `examples/configs/article.toml`: `websockets` and PyJWT.

Usage: article.py WSGATE, from the package's root. Prints what it does; ends with an error where something is not as it should be.
"""

import asyncio
import pathlib
import sys
import warnings
from datetime import datetime, timedelta

import jwt
import websockets
from gateway import PATIENCE, Gateway

# PyJWT and Python have a word on the article's short key and on its utcnow(), too.
warnings.simplefilter("ignore")


# As the article writes them, but for the ports.


async def hello(uri):
    async with websockets.connect(uri) as websocket:
        await websocket.send("Hello")
        return await websocket.recv()


async def authenticate(uri, token):
    async with websockets.connect(uri) as websocket:
        await websocket.send(token)
        return await websocket.recv()


def token(minutes, secret="secret_key"):
    payload = {"user_id": 123, "exp": datetime.utcnow() + timedelta(minutes=minutes)}
    return jwt.encode(payload, secret, algorithm="HS256")


async def vanish(uri):
    """Is gone without a Close frame, as when the client's process is killed."""
    async with websockets.connect(uri) as websocket:
        websocket.transport.abort()


async def talk(gateway):
    """What each of them is told."""
    echo, secure = (gateway.url(listener).replace("127.0.0.1", "localhost") for listener in ("public", "secure"))
    return [
        (await hello(echo), "Server received: Hello"),
        (await authenticate(secure, token(minutes=30)), "Authenticated!"),
        (await authenticate(secure, jwt.encode({"user_id": 123}, "secret_key", algorithm="HS256")), "Authenticated!"),
        (await authenticate(secure, token(minutes=-30)), "Token Expired"),
        (await authenticate(secure, token(minutes=30, secret="another_key")), "Invalid Token"),
        (gateway.path("websocket_errors.log").read_text(), ""),
    ]


async def main(binary):
    print(f"websockets {websockets.__version__}, PyJWT {jwt.__version__}, Python {sys.version.split()[0]}, {binary}")
    gateway = Gateway(binary, pathlib.Path("examples/configs/article.toml").read_text())
    try:
        told = await asyncio.wait_for(talk(gateway), PATIENCE)
        for said, expected in told:
            assert said == expected, (said, expected)
            print(f"ok: {said or 'nothing in websocket_errors.log'}")
        await vanish(gateway.url("public"))
        await asyncio.wait_for(gateway.logs("outcome=client_lost"), PATIENCE)
    finally:
        gateway.stop()
    errors = gateway.path("websocket_errors.log").read_text().splitlines()
    assert len(errors) == 1 and " ERROR close " in errors[0] and "outcome=client_lost" in errors[0], errors
    print(f"ok: {errors[0]}")
    print(f"article: {len(told) + 1} passed, 0 failed")


asyncio.run(main(sys.argv[1]))
