//! How streams end: END_STREAM is a FIN, and a reset is a reset, from either side.

use futures_util::{SinkExt, StreamExt};
use h2::Reason;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::client::Client;
use super::support::{backend, closed, in_time, raw};
use super::{gateway, nobody};

#[tokio::test(flavor = "multi_thread")]
async fn a_close_passes_from_either_side_and_ends_the_stream() {
    let backend = backend::speaking(|mut socket| async move {
        match socket.next().await {
            Some(Ok(Message::Text(text))) if text == "close" => {
                let frame = CloseFrame { code: 4321.into(), reason: "from the backend".into() };
                _ = socket.close(Some(frame)).await;
                while let Some(Ok(_)) = socket.next().await {}
            }
            _ => while let Some(Ok(_)) = socket.next().await {},
        }
    })
    .await;
    let mut gateway = gateway(backend);
    let mut client = Client::to(gateway.address("public")).await;
    for path in ["/relay", "/count", "/read"] {
        let mut socket = client.socket(path, &[]).await;
        socket.send(Message::text("close")).await.unwrap();
        assert_eq!(closed(&mut socket).await, (4321, "from the backend".to_owned()), "{path}");
        assert!(in_time(socket.next()).await.is_none(), "{path}: END_STREAM behind it");
        drop(socket);
        let close = gateway.event("close");
        assert_eq!((&close["by"], &close["code"]), (&json!("upstream"), &json!(4321)), "{close}");

        let mut socket = client.socket(path, &[]).await;
        let frame = CloseFrame { code: 4322.into(), reason: "from the client".into() };
        socket.close(Some(frame)).await.unwrap();
        assert_eq!(closed(&mut socket).await.0, 4322, "{path}");
        drop(socket);
        let close = gateway.event("close");
        assert_eq!((&close["by"], &close["code"]), (&json!("client"), &json!(4322)), "{close}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_and_a_reset_of_a_client_are_a_lost_client() {
    let (address, mut seen) = backend::witness(Vec::new()).await;
    let mut gateway = gateway(address);
    let mut client = Client::to(gateway.address("public")).await;
    for path in ["/relay", "/count", "/read"] {
        let mut stream = client.stream(path, &[]).await;
        stream.write_all(&raw::frame(0x81, b"hello")).await.unwrap();
        stream.shutdown().await.unwrap();
        let close = gateway.event("close");
        assert_eq!((&close["outcome"], &close["by"]), (&json!("client_lost"), &json!("client")), "{path} {close}");
        assert!(in_time(seen.recv()).await.unwrap().starts_with(&raw::frame(0x81, b"hello")), "{path}");
        // There was no Close, so there is none that could be answered.
        assert_eq!(stream.reset().await, Some(Reason::CANCEL), "{path}");

        let mut stream = client.stream(path, &[]).await;
        stream.send.send_reset(Reason::CANCEL);
        let close = gateway.event("close");
        assert_eq!((&close["outcome"], &close["by"]), (&json!("client_lost"), &json!("client")), "{path} {close}");
        in_time(seen.recv()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_goes_in_mid_frame_resets_the_stream_as_it_would_a_socket() {
    let backend = backend::upgraded(b"\x81\x05he", |stream| async move { drop(stream) }).await;
    let mut gateway = gateway(backend);
    let mut client = Client::to(gateway.address("public")).await;
    let mut stream = client.stream("/relay", &[]).await;
    let mut got = Vec::new();
    _ = in_time(stream.read_to_end(&mut got)).await;
    assert_eq!(got, b"\x81\x05he", "nothing can be said within a frame");
    drop(stream);
    assert_eq!(gateway.event("close")["outcome"], "upstream_lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_frame_is_told_and_ends_its_own_stream_alone() {
    let mut gateway = gateway(nobody());
    let mut client = Client::to(gateway.address("public")).await;
    let mut other = client.socket("/echo", &[]).await;
    let mut stream = client.stream("/echo", &[]).await;
    stream.write_all(b"\x83\x80\0\0\0\0").await.unwrap();
    let mut got = Vec::new();
    in_time(stream.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got[2..4], 1002_u16.to_be_bytes(), "{got:?}");
    drop(stream);
    assert_eq!(gateway.event("close")["outcome"], "protocol_error");
    assert!(super::support::ask(&mut other, "hello").await.ends_with("hello"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_off_ends_all_its_streams() {
    let mut gateway = gateway(nobody());
    let before = gateway.descriptors();
    let mut client = Client::to(gateway.address("public")).await;
    let _streams = [client.stream("/echo", &[]).await, client.stream("/echo", &[]).await];
    client.connection.abort();
    for _ in 0..2 {
        assert_eq!(gateway.event("close")["outcome"], "client_lost");
    }
    gateway.settles_at(before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_ended_or_reset_while_its_backend_is_asked_is_a_lost_client() {
    let (backend, mut told) = backend::silent().await;
    let mut gateway = gateway(backend);
    let mut client = Client::to(gateway.address("public")).await;
    for is_reset in [false, true] {
        let asked = super::client::request(http::Method::CONNECT, "/relay", &[("sec-websocket-version", "13")]);
        let asked = asked.extension(h2::ext::Protocol::from_static("websocket")).body(()).unwrap();
        let (_answer, mut send) = client.send.send_request(asked, false).unwrap();
        in_time(told.recv()).await.unwrap();
        if is_reset {
            send.send_reset(Reason::CANCEL);
        } else {
            send.send_data(bytes::Bytes::new(), true).unwrap();
        }
        in_time(told.recv()).await.unwrap();
        assert_eq!(gateway.event("refused")["outcome"], "client_lost", "{is_reset}");
    }
}
