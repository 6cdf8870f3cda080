//! One connection after the other: kept alive on both sides, pipelined, upgraded, hung up on.

use tokio::io::AsyncWriteExt;

use crate::support::backend::{header, read_head, switching};
use crate::support::{Gateway, raw};
use crate::{Backend, Talk, config, gateway};

#[tokio::test]
async fn requests_of_one_connection_share_one_to_the_backend_and_each_has_its_own_id() {
    let (backend, _seen) = Backend::mirror().await;
    let mut gateway = gateway(backend.address);
    let mut client = Talk::to(gateway.address("public")).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        client.say(format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n")).await.head().await;
        client.until("\r\n\r\n").await;
        let event = gateway.event("request");
        assert_eq!((event["path"].as_str(), event["status"].as_u64()), (Some(&*format!("/{number}")), Some(200)), "{event}");
        assert_eq!((event["outcome"].as_str(), event["method"].as_str()), (Some("answered"), Some("GET")), "{event}");
        assert!(!ids.contains(&event["connection"]), "{event}");
        ids.push(event["connection"].clone());
    }
    assert_eq!(backend.connections(), 1);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_connection_that_is_kept_for_another_request_is_asked_after() {
    let (backend, _seen) = Backend::mirror().await;
    let gateway = gateway(backend.address);
    let mut client = Talk::to(gateway.address("public")).await;
    client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.head().await;
    client.until("\r\n\r\n").await;
    assert!(crate::support::is_asked_after(backend.address));
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let (backend, _seen) = Backend::mirror().await;
    let gateway = gateway(backend.address);
    let mut client = Talk::to(gateway.address("public")).await;
    let body = "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    client.say(format!("GET /a HTTP/1.1\r\nHost: a\r\n\r\n{body}GET /c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
    let all = client.rest().await;
    let places: Vec<_> =
        ["GET /a HTTP/1.1", "POST /b HTTP/1.1", "3\r\nabc\r\n0", "GET /c HTTP/1.1"].iter().map(|part| all.find(part)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{all}");
}

#[tokio::test]
async fn one_empty_line_before_the_next_request_is_passed_over() {
    let (backend, _seen) = Backend::mirror().await;
    let gateway = gateway(backend.address);
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let rows: [(&[&str], u16); 5] = [(&["\r\n"], 200), (&["\r", "\n"], 200), (&["\r\n\r\n"], 400), (&["\n"], 400), (&["\rG"], 400)];
    for (between, status) in rows {
        let mut client = Talk::to(gateway.address("public")).await;
        for piece in [&[request], between].concat() {
            client.say(piece).await;
        }
        client.head().await;
        client.until("\r\n\r\n").await;
        let head = client.say(request).await.head().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{between:?}: {head}");
    }
}

#[tokio::test]
async fn a_connection_may_upgrade_behind_an_ordinary_request() {
    let backend = crate::support::backend::scripted(|mut stream| async move {
        loop {
            let head = read_head(&mut stream).await;
            if head.is_empty() {
                return;
            }
            if header(&head, "upgrade").is_none() {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
                continue;
            }
            stream.write_all(switching(&head).as_bytes()).await.unwrap();
            stream.write_all(&raw::unmasked(0x81, b"open")).await.unwrap();
            return Talk::over(stream).rest().await.clear();
        }
    });
    let backend = backend.await;
    let mut gateway = gateway(backend);
    let mut client = Talk::to(gateway.address("public")).await;
    client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.until("hi").await;
    assert_eq!(gateway.event("request")["outcome"], "answered");
    let head = client.say(raw::upgrade("/", "")).await.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    client.until("open").await;
    assert_eq!(gateway.event("open")["path"], "/");
}

#[tokio::test]
async fn a_refused_request_ends_the_connection_and_nothing_behind_it_is_read() {
    let (backend, mut seen) = Backend::mirror().await;
    let gateway = gateway(backend.address);
    let mut client = Talk::to(gateway.address("public")).await;
    client.say("GET /ok HTTP/1.1\r\nHost: a\r\n\r\nGET /a//b HTTP/1.1\r\nHost: a\r\n\r\nGET /later HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let all = client.rest().await;
    assert!(all.starts_with("HTTP/1.1 200 ") && all.contains("HTTP/1.1 400 "), "{all}");
    assert!(seen.recv().await.unwrap().starts_with("GET /ok "));
    assert!(seen.try_recv().is_err());
}

#[tokio::test]
async fn a_backend_that_hangs_up_on_a_kept_connection_is_asked_again_where_that_is_the_same() {
    for (method, retried) in [("GET", true), ("DELETE", true), ("POST", false)] {
        // Each connection answers once, and takes a second request without a word.
        let backend = Backend::of(|mut talk| async move {
            talk.head().await;
            talk.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
            talk.head().await;
        })
        .await;
        let gateway = gateway(backend.address);
        let mut client = Talk::to(gateway.address("public")).await;
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
        client.say(&request).await.until("hi").await;
        let head = client.say(&request).await.head().await;
        assert_eq!(head.starts_with("HTTP/1.1 200 "), retried, "{method}: {head}");
        assert_eq!(head.starts_with("HTTP/1.1 502 "), !retried, "{method}: {head}");
        assert_eq!(backend.connections(), if retried { 2 } else { 1 }, "{method}");
    }
}

#[tokio::test]
async fn a_backend_that_ends_or_says_more_than_it_was_asked_is_not_asked_over_the_same_connection() {
    for answer in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    ] {
        let backend = Backend::of(move |mut talk| async move {
            talk.head().await;
            talk.say(answer).await;
            talk.rest().await;
        })
        .await;
        let gateway = gateway(backend.address);
        for _ in 0..2 {
            let mut client = Talk::to(gateway.address("public")).await;
            let all = client.say("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.rest().await;
            assert!(all.ends_with("\r\n\r\nhi"), "{answer:?}: {all}");
        }
        assert_eq!(backend.connections(), 2, "{answer:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_told_whom_a_connection_is_for_gets_one_for_each_request() {
    let backend = Backend::of(|mut talk| async move {
        let line = talk.until("\r\n").await;
        assert!(line.starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 "), "{line}");
        let head = talk.head().await;
        assert_eq!(header(&head, "connection"), Some("close"), "{head}");
        talk.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
    })
    .await;
    let config = format!(
        "[listener.public]\naddress = \"127.0.0.1:0\"\n[upstream.app]\nservers = \"ws://{}\"\nproxy_protocol = \"v1\"\n\
         [route.app]\nendpoint = \"upstream.app\"\nhttp = true\n",
        backend.address
    );
    let gateway = Gateway::run(&config);
    let mut client = Talk::to(gateway.address("public")).await;
    for _ in 0..2 {
        client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.until("hi").await;
    }
    assert_eq!(backend.connections(), 2);
}

#[tokio::test]
async fn a_drain_ends_connections_between_two_requests_and_lets_an_answer_finish() {
    let (tell, told) = tokio::sync::watch::channel(false);
    let backend = Backend::of(move |mut talk| {
        let mut told = told.clone();
        async move {
            while let Some(head) = talk.find("\r\n\r\n").await {
                if head.starts_with("GET /slow ") {
                    talk.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n").await;
                    told.wait_for(|told| *told).await.unwrap();
                    talk.say("3\r\nbye\r\n0\r\n\r\n").await;
                } else {
                    talk.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
                }
            }
        }
    });
    let config = config(backend.await.address, "", "[gateway]\ndrain = { over = \"1s\" }");
    let mut gateway = Gateway::run(&config);
    let (mut idle, mut busy) = (Talk::to(gateway.address("public")).await, Talk::to(gateway.address("public")).await);
    idle.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.until("hi").await;
    busy.say("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.until("hi").await;
    gateway.signal("TERM");
    assert!(idle.is_ended().await);
    tell.send_replace(true);
    busy.until("bye\r\n0\r\n\r\n").await;
    assert!(busy.is_ended().await);
    assert_eq!(gateway.event_where("request", |event| event["path"] == "/slow")["outcome"], "answered");
    assert!(gateway.wait().success());
}
