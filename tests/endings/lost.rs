//! A peer that is gone without a Close: the other end is told where it can be, and its TCP ends where it cannot.

use std::time::Duration;

use serde_json::{Value, json};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::support::{self, Gateway, backend, raw};
use super::{TEXT, close, counts, ending, routes, told, url, witnessed};

/// A text as a client sends it, and how much of its payload has gone on where its last three bytes have not come.
fn hello() -> Vec<u8> {
    raw::frame(TEXT, b"hello")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_lost_between_frames_is_reported_to_its_backend_as_1001() {
    let (address, mut seen) = backend::witness(Vec::new()).await;
    let mut gateway = Gateway::run(&routes([url(address)], ""));
    let mut client = raw::upgraded(gateway.address("public"), "/0").await;
    client.write_all(&hello()).await.unwrap();
    drop(client);
    assert_eq!(raw::frames(&witnessed(&mut seen).await), [(TEXT, b"hello".to_vec()), close(1001, "")]);
    let event = gateway.event("close");
    assert_eq!(ending(&event), [&json!("client"), &json!("client_lost"), &json!(1006), &Value::Null], "{event}");
    assert_eq!(counts(&event), json!([1, 5, 0, 0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_lost_in_mid_frame_ends_its_backends_tcp() {
    let (address, mut seen) = backend::witness(Vec::new()).await;
    let mut gateway = Gateway::run(&routes([url(address)], ""));
    let mut client = raw::upgraded(gateway.address("public"), "/0").await;
    client.write_all(&hello()[..8]).await.unwrap();
    drop(client);
    assert_eq!(witnessed(&mut seen).await, hello()[..8], "no Close can be sent into a frame");
    let event = gateway.event("close");
    assert_eq!(ending(&event)[..3], [&json!("client"), &json!("client_lost"), &json!(1006)], "{event}");
    assert_eq!(counts(&event), json!([1, 2, 0, 0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_resets_is_lost_too() {
    let (address, mut seen) = backend::witness(raw::unmasked(TEXT, b"are you there?")).await;
    let mut gateway = Gateway::run(&routes([url(address), "echo".to_owned()], ""));
    for path in ["/0", "/1"] {
        let client = raw::upgraded(gateway.address("public"), path).await;
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        let event = gateway.event("close");
        assert_eq!(ending(&event)[..3], [&json!("client"), &json!("client_lost"), &json!(1006)], "{event}");
    }
    assert_eq!(raw::frames(&witnessed(&mut seen).await), [close(1001, "")]);
}

/// A backend that says this and is gone as soon as it has been sent a byte.
async fn mortal(says: &'static [u8]) -> String {
    let address = backend::upgraded(says, |mut stream| async move { drop(stream.read_u8().await) });
    url(address.await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_lost_between_frames_is_1011_to_its_client() {
    let mut gateway = Gateway::run(&routes([mortal(b"\x81\x02hi").await], ""));
    let received = told(&gateway, "/0", &hello()).await;
    assert_eq!(raw::frames(&received), [(TEXT, b"hi".to_vec()), close(1011, "backend lost")]);
    let event = gateway.event("close");
    assert_eq!(ending(&event), [&json!("upstream"), &json!("upstream_lost"), &json!(1011), &Value::Null], "{event}");
    assert_eq!(event["reason"], "backend lost");
    assert_eq!(counts(&event), json!([1, 5, 1, 2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_lost_in_mid_frame_ends_its_clients_tcp_and_the_code_is_logged() {
    let mut gateway = Gateway::run(&routes([mortal(b"\x81\x0ahalf").await], ""));
    assert_eq!(told(&gateway, "/0", &hello()).await, b"\x81\x0ahalf");
    let event = gateway.event("close");
    assert_eq!(ending(&event)[..3], [&json!("upstream"), &json!("upstream_lost"), &json!(1011)], "{event}");
    assert_eq!(counts(&event), json!([1, 5, 1, 4]));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_lost_leave_nothing_behind() {
    let (sender, mut seen) = mpsc::channel(64);
    let address = backend::upgraded(b"\x01\x02hi", move |mut stream| {
        let sender = sender.clone();
        async move {
            let mut all = Vec::new();
            _ = stream.read_to_end(&mut all).await;
            _ = sender.send(all.len()).await;
        }
    });
    let mut gateway = Gateway::run(&routes([url(address.await), mortal(b"\x81\x0ahalf").await, "echo".to_owned()], ""));
    let before = gateway.descriptors();
    for round in 0..8 {
        let mut clients = Vec::new();
        for path in ["/0", "/1", "/2"] {
            let mut client = raw::upgraded(gateway.address("public"), path).await;
            client.write_all(&hello()[..5 + round % 3]).await.unwrap();
            clients.push(client);
        }
        drop(clients);
        for _ in 0..3 {
            gateway.event("close");
        }
        support::in_time(seen.recv()).await.unwrap();
    }
    let mut socket = gateway.connect("public", "/2").await;
    assert_eq!(support::ask(&mut socket, "still here").await, "still here");
    drop(socket);
    gateway.settles_at(before).await;
}
