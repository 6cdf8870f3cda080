//! Peers that close properly: codes and reasons reach the other end byte by byte.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::support::{self, Gateway, backend, raw};
use super::{CLOSE, PING, PONG, TEXT, counts, ending, routes, told, url, witnessed};

/// Payloads of Close frames, with the code and reason that the log has of them.
fn payloads() -> [(Vec<u8>, u16, Value); 5] {
    [
        (raw::closing(1000, "done"), 1000, json!("done")),
        (raw::closing(1014, "bad gateway"), 1014, json!("bad gateway")),
        (raw::closing(3999, ""), 3999, Value::Null),
        (raw::closing(4999, &"é".repeat(61)), 4999, json!("é".repeat(61))),
        (Vec::new(), 1005, Value::Null),
    ]
}

/// A backend that answers a Close with the same, tells what it was, and ends its TCP, as servers do.
async fn answering() -> (String, mpsc::Receiver<Vec<u8>>) {
    let (sender, seen) = mpsc::channel(16);
    let address = backend::upgraded(b"", move |mut stream: TcpStream| {
        let sender = sender.clone();
        async move {
            let (first, payload) = raw::next_frame(&mut stream).await;
            assert_eq!(first, CLOSE);
            stream.write_all(&raw::unmasked(CLOSE, &payload)).await.unwrap();
            sender.send(payload).await.unwrap();
        }
    });
    (url(address.await), seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_close_and_the_backends_answer_pass_byte_exact() {
    let (backend, mut seen) = answering().await;
    let mut gateway = Gateway::run(&routes([backend], ""));
    let before = gateway.descriptors();
    for (payload, code, reason) in payloads() {
        let received = told(&gateway, "/0", &raw::frame(CLOSE, &payload)).await;
        assert_eq!(raw::frames(&received), [(CLOSE, payload.clone())], "{code}");
        assert_eq!(witnessed(&mut seen).await, payload, "{code}");
        let event = gateway.event("close");
        assert_eq!(ending(&event), [&json!("client"), &json!("closed"), &json!(code), &Value::Null], "{event}");
        assert_eq!((&event["reason"], &event["level"]), (&reason, &json!("info")), "{event}");
    }
    gateway.settles_at(before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backends_close_and_the_clients_answer_pass_byte_exact() {
    let mut backends = Vec::new();
    for (payload, ..) in payloads() {
        let says = [raw::unmasked(TEXT, b"bye"), raw::unmasked(CLOSE, &payload)].concat();
        let (sender, seen) = mpsc::channel(1);
        let address = backend::upgraded(b"", move |mut stream: TcpStream| {
            let (says, sender) = (says.clone(), sender.clone());
            async move {
                stream.write_all(&says).await.unwrap();
                sender.send(raw::next_frame(&mut stream).await).await.unwrap();
            }
        });
        backends.push((address.await, seen));
    }
    let mut gateway = Gateway::run(&routes(backends.iter().map(|(address, _)| url(*address)), ""));
    let before = gateway.descriptors();
    for (index, (payload, code, reason)) in payloads().into_iter().enumerate() {
        let mut client = raw::upgraded(gateway.address("public"), &format!("/{index}")).await;
        assert_eq!(raw::next_frame(&mut client).await, (TEXT, b"bye".to_vec()));
        assert_eq!(raw::next_frame(&mut client).await, (CLOSE, payload.clone()), "{code}");
        client.write_all(&raw::frame(CLOSE, &payload)).await.unwrap();
        assert_eq!(raw::rest(&mut client).await, b"", "the gateway ends the client's TCP");
        drop(client);
        assert_eq!(support::in_time(backends[index].1.recv()).await.unwrap(), (CLOSE, payload), "{code}");
        let event = gateway.event("close");
        assert_eq!(ending(&event), [&json!("upstream"), &json!("closed"), &json!(code), &Value::Null], "{event}");
        assert_eq!(event["reason"], reason, "{event}");
        assert_eq!(counts(&event), json!([0, 0, 1, 3]));
    }
    gateway.settles_at(before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_that_nobody_answers_is_answered_by_the_gateway() {
    let (address, mut seen) = backend::witness(Vec::new()).await;
    let mut gateway = Gateway::run(&routes([url(address)], "close_timeout = \"200ms\""));
    let close = raw::frame(CLOSE, &raw::closing(4001, "enough"));
    assert_eq!(raw::frames(&told(&gateway, "/0", &close).await), [super::close(4001, "enough")]);
    assert_eq!(witnessed(&mut seen).await, close);
    let event = gateway.event("close");
    assert_eq!(ending(&event)[..3], [&json!("client"), &json!("closed"), &json!(4001)], "{event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateways_own_endpoints_answer_a_close_with_the_same() {
    let mut gateway = Gateway::run(&routes(["echo".to_owned()], ""));
    for (payload, code, reason) in payloads() {
        let received = told(&gateway, "/0", &[raw::frame(TEXT, b"hi"), raw::frame(CLOSE, &payload)].concat()).await;
        assert_eq!(raw::frames(&received), [(TEXT, b"hi".to_vec()), (CLOSE, payload)], "{code}");
        let event = gateway.event("close");
        assert_eq!(ending(&event)[..3], [&json!("client"), &json!("closed"), &json!(code)], "{event}");
        assert_eq!(event["reason"], reason, "{event}");
        assert_eq!(counts(&event), json!([1, 2, 1, 2]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_closed_is_not_waited_for_any_longer() {
    let (backend, _seen) = answering().await;
    let mut gateway = Gateway::run(&routes([backend, "echo".to_owned()], "close_timeout = \"1h\""));
    let before = gateway.descriptors();
    for path in ["/0", "/1"] {
        let mut client = raw::upgraded(gateway.address("public"), path).await;
        client.write_all(&raw::frame(CLOSE, &raw::closing(1000, "done"))).await.unwrap();
        assert_eq!(raw::frames(&raw::rest(&mut client).await), [super::close(1000, "done")], "{path}");
        // It keeps its end open, as one may that the network has taken away.
        assert_eq!(ending(&gateway.event("close"))[..3], [&json!("client"), &json!("closed"), &json!(1000)], "{path}");
        gateway.settles_at(before).await;
        drop(client);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_sends_behind_its_close_takes_nothing_of_the_answer() {
    let (backend, mut seen) = answering().await;
    let mut gateway = Gateway::run(&routes([backend, "echo".to_owned()], ""));
    let close = raw::frame(CLOSE, &raw::closing(1000, "done"));
    for path in ["/0", "/1"] {
        let received = told(&gateway, path, &[close.clone(), vec![0; 1 << 20]].concat()).await;
        assert_eq!(raw::frames(&received), [super::close(1000, "done")], "{path}");
        assert_eq!(ending(&gateway.event("close"))[..3], [&json!("client"), &json!("closed"), &json!(1000)], "{path}");
    }
    assert_eq!(witnessed(&mut seen).await, raw::closing(1000, "done"), "and none of it reaches the backend");
}

/// A backend that says this, answers the Close, ends its TCP, and tells when the gateway has, too.
async fn parting(says: Vec<u8>) -> (String, mpsc::Receiver<()>) {
    let (sender, ended) = mpsc::channel(1);
    let address = backend::upgraded(b"", move |mut stream: TcpStream| {
        let (says, sender) = (says.clone(), sender.clone());
        async move {
            stream.write_all(&says).await.unwrap();
            let payload = loop {
                match raw::next_frame(&mut stream).await {
                    (CLOSE, payload) => break payload,
                    (first, _) => assert_eq!(first, PONG),
                }
            };
            stream.write_all(&raw::unmasked(CLOSE, &payload)).await.unwrap();
            stream.shutdown().await.unwrap();
            raw::rest(&mut stream).await;
            sender.send(()).await.unwrap();
        }
    });
    (url(address.await), ended)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_owes_a_pong_behind_its_close_reads_everything_that_is_under_way() {
    const SIZE: usize = 512 << 10;
    let pings = [raw::unmasked(PING, b"first"), raw::unmasked(PING, b"second")].concat();
    let (backend, mut ended) = parting([pings, raw::unmasked(0x82, &vec![7; SIZE])].concat()).await;
    let mut gateway = Gateway::run(&routes([backend], ""));
    let mut client = raw::upgraded(gateway.address("public"), "/0").await;
    let close = raw::frame(CLOSE, &raw::closing(1000, "done"));
    client.write_all(&[raw::frame(PONG, b"first"), raw::frame(PONG, b""), close].concat()).await.unwrap();
    // It has read nothing yet, and the gateway is done with both.
    support::in_time(ended.recv()).await.unwrap();
    client.write_all(&raw::frame(PONG, b"second")).await.unwrap();
    let received = raw::rest(&mut client).await;
    assert_eq!(received.len(), 7 + 8 + 10 + SIZE + 8, "of a reset connection less comes");
    let shapes: Vec<_> = raw::frames(&received).iter().map(|(first, payload)| (*first, payload.len())).collect();
    assert_eq!(shapes, [(PING, 5), (PING, 6), (0x82, SIZE), (CLOSE, 6)]);
    drop(client);
    assert_eq!(ending(&gateway.event("close"))[..3], [&json!("client"), &json!("closed"), &json!(1000)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_answered_the_last_ping_is_not_waited_for() {
    let pings = [raw::unmasked(PING, b"first"), raw::unmasked(PING, b"second")].concat();
    let (backend, _ended) = parting(pings).await;
    let mut gateway = Gateway::run(&routes([backend], "close_timeout = \"1h\""));
    let mut client = raw::upgraded(gateway.address("public"), "/0").await;
    assert_eq!([raw::next_frame(&mut client).await.0, raw::next_frame(&mut client).await.0], [PING; 2]);
    let close = raw::frame(CLOSE, &raw::closing(1000, "done"));
    client.write_all(&[raw::frame(PONG, b"second"), close].concat()).await.unwrap();
    assert_eq!(raw::frames(&raw::rest(&mut client).await), [super::close(1000, "done")]);
    assert_eq!(ending(&gateway.event("close"))[..3], [&json!("client"), &json!("closed"), &json!(1000)]);
}
