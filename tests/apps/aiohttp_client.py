"""aiohttp's client against a gateway: aiohttp.mjs starts it, says where, and holds it to what it prints."""

import asyncio
import os
import ssl
import sys

import aiohttp
from aiohttp import WSMsgType

WS, WSS, PAGE, TOKEN, FIRST = (os.environ[name] for name in ("WS", "WSS", "PAGE", "TOKEN", "FIRST"))


async def asks(what):
    """Has the operator do it, and waits until that is done."""
    print(f"do: {what}", flush=True)
    assert await asyncio.to_thread(sys.stdin.readline) == "done\n"


async def closed(socket):
    while (message := await socket.receive()).type not in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED):
        pass
    return message.data, message.extra


async def texts_and_bytes_pass__compressed_from_end_to_end_and_where_they_are_read(session):
    for path, is_compressed in (("/relay/x", True), ("/read/x", None), ("/echo", True)):
        async with session.ws_connect(WS + path, compress=15, max_msg_size=0) as socket:
            if is_compressed is not None:
                assert bool(socket.compress) == is_compressed, path
            if path != "/echo":
                await socket.receive_json()
            for text in ("hello", "grüße " * 50_000, ""):
                await socket.send_str(text)
                assert await socket.receive_str() == text
            data = bytes(range(256)) * (2000 if path == "/echo" else 8000)
            await socket.send_bytes(data)
            assert await socket.receive_bytes() == data


async def it_is_asked_whether_it_is_there__and_who_does_not_answer_is_closed(session):
    async with session.ws_connect(f"{WS}/relay/x", autoping=False) as socket:
        await socket.receive_json()
        for _ in range(2):
            ping = await socket.receive()
            assert ping.type == WSMsgType.PING, ping
            await socket.pong(ping.data)
        await socket.ping(b"payload")
        while (pong := await socket.receive()).type != WSMsgType.PONG:
            await socket.pong(pong.data)
        assert pong.data == b"payload"
        # From here on it is silent.
        assert (await closed(socket))[0] == 1011


async def it_is_known_by_a_token_in_the_header__the_subprotocol__a_cookie_and_the_first_message(session):
    for options in (
        {"headers": {"Authorization": f"Bearer {TOKEN}"}},
        {"protocols": ("bearer", TOKEN, "chat.v1")},
        {"headers": {"Cookie": f"theme=dark; session={TOKEN}"}, "origin": PAGE},
    ):
        async with session.ws_connect(f"{WS}/users/x", **options) as socket:
            told = await socket.receive_json()
            assert told["user"] == "alice" and TOKEN not in str(told), told
            assert socket.protocol == ("chat.v1" if "protocols" in options else None)
    async with session.ws_connect(f"{WS}/first/x") as socket:
        await socket.send_str(FIRST)
        assert (await socket.receive_json())["user"] == "alice"


async def who_has_none_is_told_why(session):
    cookie = {"Cookie": f"session={TOKEN}"}
    for options, status in (({}, 401), ({"headers": cookie, "origin": "https://evil.example"}, 403)):
        try:
            await session.ws_connect(f"{WS}/users/x", **options)
            raise AssertionError("let in")
        except aiohttp.WSServerHandshakeError as refused:
            assert refused.status == status, refused


async def it_goes_on_through_an_edit__and_is_told_codes_and_reasons(session):
    async with session.ws_connect(f"{WS}/relay/x") as socket:
        await socket.receive_json()
        await asks("edit")
        await socket.send_str("undisturbed")
        assert await socket.receive_str() == "undisturbed"
        await asks("kick")
        assert await closed(socket) == (4001, "moved")
    async with session.ws_connect(f"{WS}/relay/x") as socket:
        await socket.receive_json()
        await socket.send_str("close 4321 as you said")
        assert await closed(socket) == (4321, "as you said")


async def over_TLS__of_an_authority_that_it_trusts_and_of_none_other(session):
    trusting = ssl.create_default_context(cafile=os.environ["AUTHORITY"])
    async with session.ws_connect(f"{WSS}/relay/x", ssl=trusting) as socket:
        assert (await socket.receive_json())["path"] == "/relay/x"
    try:
        await session.ws_connect(f"{WSS}/relay/x")
        raise AssertionError("trusted")
    except aiohttp.ClientConnectorCertificateError:
        pass


async def main():
    async with aiohttp.ClientSession() as session:
        for case in (
            texts_and_bytes_pass__compressed_from_end_to_end_and_where_they_are_read,
            it_is_asked_whether_it_is_there__and_who_does_not_answer_is_closed,
            it_is_known_by_a_token_in_the_header__the_subprotocol__a_cookie_and_the_first_message,
            who_has_none_is_told_why,
            it_goes_on_through_an_edit__and_is_told_codes_and_reasons,
            over_TLS__of_an_authority_that_it_trusts_and_of_none_other,
        ):
            await case(session)
            print(f"ok: {case.__name__.replace('__', ', ').replace('_', ' ')}", flush=True)


asyncio.run(main())
