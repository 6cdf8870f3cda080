"""Python's `h2` and `wsproto`, WebSocket over HTTP/2 as other hands have written it, against the gateway with and without TLS.

Usage: http2.py WSGATE, from the package's root. Prints what it does; ends with an error where something is not as it should be.
"""

import asyncio
import pathlib
import ssl
import sys

from gateway import Gateway, take
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RemoteSettingsChanged, ResponseReceived, StreamEnded
from h2.settings import SettingCodes
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, TextMessage

TRIAL = pathlib.Path("examples/configs").resolve()

CONFIG = """
[listener.public]
address = "127.0.0.1:8765"

[listener.secure]
address = "127.0.0.1:8888"
tls     = { cert = "TRIAL/trial-server.pem", key = "TRIAL/trial-server.key" }

[route.echo]
listener = ["public", "secure"]
endpoint = "echo"
"""


class Client:
    """A connection of HTTP/2 to one of the gateway's listeners."""

    @classmethod
    async def to(cls, gateway, listener):
        client = cls()
        client.address = gateway.addresses[listener]
        host, port = client.address.split(":")
        context = None
        if listener == "secure":
            context = ssl.create_default_context(cafile=TRIAL / "trial-ca.pem")
            context.set_alpn_protocols(["h2", "http/1.1"])
        client.reader, client.writer = await asyncio.open_connection(host, port, ssl=context)
        if context:
            assert client.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
        client.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        client.h2.initiate_connection()
        client.seen = []
        settings = await client.next(RemoteSettingsChanged)
        assert settings.changed_settings[SettingCodes.ENABLE_CONNECT_PROTOCOL].new_value == 1
        return client

    async def next(self, kind, stream=None):
        """The next event of this kind, of this stream where it matters."""
        while True:
            for event in self.seen:
                if isinstance(event, kind) and (stream is None or stream == event.stream_id):
                    self.seen.remove(event)
                    return event
            self.writer.write(self.h2.data_to_send())
            read = await self.reader.read(65536)
            assert read, f"it has ended without {kind.__name__}"
            for event in self.h2.receive_data(read):
                if isinstance(event, DataReceived):
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self.seen.append(event)

    def ask(self, method, more=(), end=False):
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, [(":method", method), (":scheme", "https"), (":authority", self.address), (":path", "/"), *more], end)
        return stream

    async def socket(self):
        """A stream that a WebSocket is spoken over."""
        stream = self.ask("CONNECT", [(":protocol", "websocket"), ("sec-websocket-version", "13")])
        answer = await self.next(ResponseReceived, stream)
        assert (":status", "200") in answer.headers, answer
        return Socket(self, stream)


class Socket:
    def __init__(self, client, stream):
        self.client, self.stream, self.ws = client, stream, Connection(ConnectionType.CLIENT)

    def say(self, event):
        self.client.h2.send_data(self.stream, self.ws.send(event))

    async def next(self):
        while True:
            for event in self.ws.events():
                return event
            self.ws.receive_data((await self.client.next(DataReceived, self.stream)).data)


async def two_sockets_of_one_connection_echo_beside_each_other(gateway):
    for listener in ["public", "secure"]:
        client = await Client.to(gateway, listener)
        sockets = [await client.socket(), await client.socket()]
        for turn in range(10):
            for socket in sockets:
                socket.say(TextMessage(f"{turn} of {socket.stream}"))
            for socket in reversed(sockets):
                assert (await socket.next()).data == f"{turn} of {socket.stream}"


async def a_close_is_answered_and_ends_its_stream(gateway):
    client = await Client.to(gateway, "secure")
    first, second = await client.socket(), await client.socket()
    first.say(CloseConnection(1000, "bye"))
    event = await first.next()
    assert (event.code, event.reason) == (1000, "bye"), event
    await client.next(StreamEnded, first.stream)
    client.h2.end_stream(first.stream)
    second.say(TextMessage("still here"))
    assert (await second.next()).data == "still here"


async def an_ordinary_request_is_told_which_method_there_is(gateway):
    client = await Client.to(gateway, "public")
    answer = await client.next(ResponseReceived, client.ask("GET", end=True))
    assert {(":status", "405"), ("allow", "CONNECT")} <= set(answer.headers), answer


STEPS = [
    two_sockets_of_one_connection_echo_beside_each_other,
    a_close_is_answered_and_ends_its_stream,
    an_ordinary_request_is_told_which_method_there_is,
]

asyncio.run(take("http2", STEPS, Gateway(sys.argv[1], CONFIG.replace("TRIAL", str(TRIAL)))))
