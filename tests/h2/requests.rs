//! Ordinary requests over streams: as HTTP/1.1 to the backend, their bodies as they come.

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::client::{Client, request, whole};
use super::support::{Gateway, ask, backend, in_time, raw};
use super::{config, gateway, nobody};

/// A backend that tells what it is asked, up to `end`, and answers this; it then closes.
async fn answering(end: &'static [u8], answer: &'static str) -> (std::net::SocketAddr, mpsc::Receiver<String>) {
    let (sender, seen) = mpsc::channel(16);
    let address = backend::scripted(move |mut stream: TcpStream| {
        let sender = sender.clone();
        async move {
            let mut all = Vec::new();
            while !all.ends_with(end) {
                if !matches!(stream.read_buf(&mut all).await, Ok(1..)) {
                    break;
                }
            }
            _ = sender.send(String::from_utf8_lossy(&all).into_owned()).await;
            _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address.await, seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_reaches_the_backend_as_http_1_1_and_its_answer_comes_back() {
    let (address, mut seen) =
        answering(b"\r\n\r\n", "HTTP/1.1 201 Created\r\nContent-Length: 5\r\nX-Own: a\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\nhello").await;
    let mut gateway = gateway(address);
    let mut client = Client::to(gateway.address("public")).await;
    let (status, head, body) = client.answer(Method::GET, "/app/a?b=c", &[("cookie", "a=1"), ("cookie", "b=2"), ("x-own", "b")]).await;
    assert_eq!((status, body.as_str()), (201, "hello"));
    assert_eq!((&head["x-own"], &head["content-length"]), (&"a".parse().unwrap(), &"5".parse().unwrap()));
    assert!(!head.contains_key("x-hop") && !head.contains_key("connection"), "{head:?}");
    let asked = in_time(seen.recv()).await.unwrap();
    assert!(asked.starts_with("GET /app/a?b=c HTTP/1.1\r\nHost: localhost\r\n"), "{asked}");
    assert!(asked.contains("\r\nCookie: a=1; b=2\r\n") && asked.contains("\r\nX-Forwarded-For: 127.0.0.1\r\n"), "{asked}");
    let event = gateway.event("request");
    assert_eq!((&event["method"], &event["status"], &event["path"]), (&json!("GET"), &json!(201), &json!("/app/a")), "{event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_trailers_pass_both_ways_and_a_websocket_beside_them() {
    let answer =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\nCookie: no\r\n\r\n";
    let (address, mut seen) = answering(b"X-End: 1\r\n\r\n", answer).await;
    let gateway = gateway(address);
    let mut client = Client::to(gateway.address("public")).await;
    let mut socket = client.socket("/echo", &[]).await;
    let (answer, mut send) = client.send.send_request(request(Method::POST, "/app/", &[]).body(()).unwrap(), false).unwrap();
    send.send_data(Bytes::from_static(b"one\r\n\r\n"), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-end", "1".parse().unwrap());
    trailers.insert("authorization", "no".parse().unwrap());
    send.send_trailers(trailers).unwrap();
    let asked = in_time(seen.recv()).await.unwrap();
    assert!(asked.contains("\r\nTransfer-Encoding: chunked\r\n") && asked.contains("7\r\none\r\n\r\n\r\n0\r\n"), "{asked}");
    assert!(!asked.to_lowercase().contains("authorization"), "{asked}");
    let answer = in_time(answer).await.unwrap();
    let (head, mut body) = answer.into_parts();
    let mut all = Vec::new();
    while let Some(chunk) = in_time(body.data()).await {
        all.extend_from_slice(&chunk.unwrap());
    }
    let trailers = in_time(body.trailers()).await.unwrap().unwrap();
    assert_eq!((head.status.as_u16(), all.as_slice(), &trailers["x-sum"]), (200, &b"abcde"[..], &"5".parse().unwrap()));
    assert!(!trailers.contains_key("cookie"));
    assert!(ask(&mut socket, "hello").await.ends_with("hello"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_nobody_takes_stalls_its_own_stream_and_no_other() {
    let (release, released) = tokio::sync::watch::channel(false);
    let backend = backend::scripted(move |mut stream: TcpStream| {
        let mut released = released.clone();
        async move {
            backend::read_head(&mut stream).await;
            _ = released.wait_for(|released| *released).await;
            let mut left = 8 << 20;
            let mut chunk = vec![0; 65_536];
            while left > 0 {
                left -= in_time(stream.read(&mut chunk)).await.unwrap();
            }
            _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").await;
        }
    })
    .await;
    let gateway = Gateway::run(&config(backend, "").replace("http     = true", "http     = { max_body = \"16MiB\" }"));
    let mut client = Client::to(gateway.address("public")).await;
    let mut socket = client.socket("/echo", &[]).await;
    let request = request(Method::PUT, "/app/", &[("content-length", "8388608")]).body(()).unwrap();
    let (answer, mut send) = client.send.send_request(request, false).unwrap();
    let (mut left, mut beside) = (8 << 20, 0);
    while left > 0 {
        send.reserve_capacity(left.min(65_536));
        let capacity = tokio::select! {
            biased;
            capacity = std::future::poll_fn(|cx| send.poll_capacity(cx)) => capacity.unwrap().unwrap(),
            answer = ask(&mut socket, "hello") => {
                assert!(answer.ends_with("hello"));
                beside += 1;
                // It stands still, and what is asked beside it is answered.
                if beside == 20 {
                    release.send_replace(true);
                }
                continue;
            }
        };
        beside = 0;
        let count = capacity.min(left);
        send.send_data(Bytes::from(vec![0; count]), count == left).unwrap();
        left -= count;
    }
    release.send_replace(true);
    assert_eq!(whole(in_time(answer).await.unwrap()).await.2, "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_request_is_answered_and_what_is_wrong_behind_its_head_resets_it() {
    let (address, _seen) = answering(b"\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await;
    let mut gateway = gateway(address);
    let mut client = Client::to(gateway.address("public")).await;
    let (answer, _send) =
        client.send.send_request(request(Method::POST, "/app/", &[("content-length", "99999999")]).body(()).unwrap(), false).unwrap();
    let (status, _, body) = whole(in_time(answer).await.unwrap()).await;
    assert!(status == 413 && body.contains("(body_too_large)"), "{body}");
    assert_eq!(gateway.event("refused")["outcome"], "body_too_large");
    let answer = client.ask(Method::GET, "/app/", &[]).await.unwrap();
    let mut body = answer.into_body();
    let cut = async {
        loop {
            if let Err(error) = body.data().await.expect("not all of the answer") {
                return error.reason();
            }
        }
    };
    assert_eq!(in_time(cut).await, Some(h2::Reason::CANCEL));
    assert_eq!(gateway.event("request")["outcome"], "upstream_lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_its_client_resets_is_let_go_by_the_backend_too() {
    let (sender, mut seen) = mpsc::channel(1);
    let backend = backend::scripted(move |mut stream: TcpStream| {
        let sender = sender.clone();
        async move {
            backend::read_head(&mut stream).await;
            _ = sender.send("asked").await;
            _ = sender.send(if raw::rest(&mut stream).await.is_empty() { "left" } else { "more" }).await;
        }
    })
    .await;
    let mut gateway = gateway(backend);
    let mut client = Client::to(gateway.address("public")).await;
    let (answer, mut send) = client.send.send_request(request(Method::GET, "/app/", &[]).body(()).unwrap(), true).unwrap();
    assert_eq!(in_time(seen.recv()).await, Some("asked"));
    send.send_reset(h2::Reason::CANCEL);
    drop(answer);
    assert_eq!(in_time(seen.recv()).await, Some("left"));
    assert_eq!(gateway.event("request")["outcome"], "client_lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_informational_answer_comes_before_the_final_one() {
    let (address, _seen) =
        answering(b"\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let gateway = gateway(address);
    let mut client = Client::to(gateway.address("public")).await;
    let (mut answer, _) = client.send.send_request(request(Method::GET, "/app/", &[]).body(()).unwrap(), true).unwrap();
    let hints = in_time(std::future::poll_fn(|cx| answer.poll_informational(cx))).await.unwrap().unwrap();
    assert_eq!((hints.status().as_u16(), &hints.headers()["link"]), (103, &"</a>".parse().unwrap()));
    assert_eq!(whole(in_time(answer).await.unwrap()).await.2, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_are_answered() {
    let gateway = gateway(nobody());
    let mut client = Client::to(gateway.address("public")).await;
    assert_eq!(client.answer(Method::GET, "/health/livez", &[]).await.0, 200);
    let (status, head, _) = client.answer(Method::POST, "/health/livez", &[]).await;
    assert_eq!((status, &head["allow"]), (405, &"GET, HEAD".parse().unwrap()));
    let (status, head, body) = client.answer(Method::HEAD, "/health/livez", &[]).await;
    assert!(status == 200 && body.is_empty() && head.contains_key("content-length"), "{head:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_a_lot_and_lets_go_of_a_lot_keeps_its_connection() {
    let gateway = gateway(nobody());
    let mut client = Client::to(gateway.address("public")).await;
    let mut socket = client.socket("/echo", &[]).await;
    // The end of each body comes by itself; each is refused.
    for _ in 0..1200 {
        let (answer, mut send) = client.send.send_request(request(Method::POST, "/none", &[]).body(()).unwrap(), false).unwrap();
        _ = send.send_data(Bytes::from_static(b"x"), false);
        assert_eq!(in_time(answer).await.unwrap().status(), 404);
        _ = send.send_data(Bytes::new(), true);
    }
    // A hundred that are asked for and not wanted any more before anybody has heard of them.
    for _ in 0..5 {
        let asked: Vec<_> =
            (0..90).map(|_| client.send.send_request(request(Method::GET, "/app/", &[]).body(()).unwrap(), true).unwrap()).collect();
        drop(asked);
        client.send = in_time(client.send.clone().ready()).await.unwrap();
        assert!(ask(&mut socket, "hello").await.ends_with("hello"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_before_the_end_of_a_body_arrives_and_the_body_is_read_away() {
    let early = backend::scripted(|mut stream: TcpStream| async move {
        backend::read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 409 Conflict\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly").await.unwrap();
        raw::rest(&mut stream).await;
    })
    .await;
    let text = config(early, "").replace("http     = true", "http     = { max_body = \"200KiB\" }");
    let gateway = Gateway::run(&text);
    let mut client = Client::to(gateway.address("public")).await;
    let rows = [("/none", None, 404), ("/app/", Some("204801"), 413), ("/app/", None, 409), ("/health/livez", None, 405)];
    for (path, length, status) in rows {
        let head = request(Method::POST, path, &length.map(|length| ("content-length", length)).into_iter().collect::<Vec<_>>());
        let (answer, mut send) = client.send.send_request(head.body(()).unwrap(), false).unwrap();
        let answer = in_time(answer).await.unwrap();
        // As a client does that means to send all of it before it looks at the answer.
        let size = length.map_or(200_000, |length| length.parse().unwrap());
        send_all(&mut send, size).await;
        let (answered, _, body) = whole(answer).await;
        assert!(answered == status && !body.is_empty(), "{path}: {answered} {body}");
    }
}

/// Sends a body of so many bytes, as fast as it is taken.
async fn send_all(send: &mut h2::SendStream<Bytes>, mut size: usize) {
    while size > 0 {
        send.reserve_capacity(size);
        let count = in_time(std::future::poll_fn(|cx| send.poll_capacity(cx))).await.unwrap().unwrap();
        send.send_data(Bytes::from(vec![0; count]), count == size).unwrap();
        size -= count;
    }
}
