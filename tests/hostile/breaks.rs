//! Connections that break off, stall, or end by half, at every moment there is: all of it is given back.

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{backend, raw};
use super::{Before, an_ordinary_client_is_served, gateway};

/// How a peer goes.
#[derive(Clone, Copy, Debug)]
enum Goes {
    /// Its socket is reset.
    Reset,
    /// It closes, with or without unread bytes.
    Away,
    /// It says that it will send no more, and reads on.
    Half,
}

async fn go(mut stream: TcpStream, how: Goes) {
    match how {
        Goes::Reset => SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap(),
        Goes::Away => {}
        Goes::Half => {
            _ = stream.shutdown().await;
            _ = stream.read_to_end(&mut Vec::new()).await;
        }
    }
}

/// What a client has sent when it goes, from nothing to a message that is nearly whole.
fn moments() -> Vec<(&'static str, Vec<u8>)> {
    let request = |path: &str| raw::upgrade(path, "").into_bytes();
    let message = raw::frame(0x81, b"a message");
    let behind = |path: &str, count: usize| [request(path), message[..count].to_vec()].concat();
    let part = raw::frame(0x01, b"a part");
    vec![
        ("before a word", Vec::new()),
        ("within the first line", request("/relay")[..7].to_vec()),
        ("within a name", request("/relay")[..30].to_vec()),
        ("before the last line feed", request("/relay").split_last().unwrap().1.to_vec()),
        ("behind the head, relayed", request("/relay")),
        ("behind the head, read", request("/read")),
        ("behind the head, answered", request("/echo")),
        ("within a frame's head, relayed", behind("/relay", 1)),
        ("within a mask, read", behind("/read", 4)),
        ("within a payload, relayed", behind("/relay", 10)),
        ("within a payload, read", behind("/read", 10)),
        ("within a payload, answered", behind("/echo", 10)),
        ("behind a message, relayed", behind("/relay", message.len())),
        ("between two parts, relayed", [request("/relay"), part.clone()].concat()),
        ("between two parts, read", [request("/read"), part.clone()].concat()),
        ("between two parts, answered", [request("/echo"), part].concat()),
        ("behind its Close, relayed", [request("/relay"), raw::frame(0x88, &raw::closing(1000, ""))].concat()),
        ("within a body", b"POST /http HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nsome".to_vec()),
        ("within a chunk's size", b"POST /http HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1".to_vec()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_go_at_any_moment_and_in_any_way() {
    let (backend, _requests) = backend::echo().await;
    let gateway = gateway(backend);
    let before = Before::of(&gateway);
    for (what, sent) in moments() {
        for how in [Goes::Reset, Goes::Away, Goes::Half] {
            let mut client = TcpStream::connect(gateway.address("public")).await.unwrap();
            client.write_all(&sent).await.unwrap();
            go(client, how).await;
            assert!(gateway.descriptors() < 1000, "{what}, {how:?}");
        }
    }
    an_ordinary_client_is_served(&gateway, "/relay").await;
    before.is_restored(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stalls_is_given_up() {
    let (backend, _requests) = backend::echo().await;
    let gateway = gateway(backend);
    let before = Before::of(&gateway);
    let mut clients = Vec::new();
    // Those whose handshake is done are not given up: they may be silent for as long as their route lets them.
    for (_, sent) in moments().into_iter().take(4) {
        let mut client = TcpStream::connect(gateway.address("public")).await.unwrap();
        client.write_all(&sent).await.unwrap();
        clients.push(client);
    }
    an_ordinary_client_is_served(&gateway, "/relay").await;
    for (index, client) in clients.iter_mut().enumerate() {
        let told = String::from_utf8(raw::rest(client).await).unwrap();
        assert_eq!(told.starts_with("HTTP/1.1 408 "), index > 0, "{index}: {told:?}");
    }
    drop(clients);
    before.is_restored(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_may_go_at_any_moment_and_in_any_way() {
    let whole = raw::unmasked(0x81, b"a message");
    let behind: Vec<Vec<u8>> = vec![Vec::new(), whole[..1].to_vec(), whole[..5].to_vec(), whole, raw::unmasked(0x01, b"a part")];
    for how in [Goes::Reset, Goes::Away, Goes::Half] {
        for says in behind.clone() {
            let address = backend::upgraded(b"", move |mut stream: TcpStream| {
                let says = says.clone();
                async move {
                    _ = stream.write_all(&says).await;
                    go(stream, how).await;
                }
            })
            .await;
            let gateway = gateway(address);
            let before = Before::of(&gateway);
            for path in ["/relay", "/read"] {
                let mut client = raw::upgraded(gateway.address("public"), path).await;
                let told = raw::close_code(&raw::rest(&mut client).await);
                assert!(matches!(told, 1011 | 1006), "{how:?}, {path}: {told}");
            }
            an_ordinary_client_is_served(&gateway, "/echo").await;
            before.is_restored(&gateway).await;
        }
    }
}
