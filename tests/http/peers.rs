//! Peers that go, or answer before they were asked in full; and which server is asked.

use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use crate::support::backend::{header, nobody};
use crate::support::{Gateway, in_time};
use crate::{Backend, Talk, config, gateway};

#[tokio::test]
async fn a_client_that_goes_ends_the_request_to_the_backend() {
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhi",
    ] {
        for answers in [false, true] {
            let (sender, mut asked) = mpsc::channel(2);
            let backend = Backend::of(move |mut talk| {
                let sender = sender.clone();
                async move {
                    talk.head().await;
                    if answers {
                        talk.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n").await;
                    }
                    sender.send(()).await.unwrap();
                    talk.rest().await;
                    sender.send(()).await.unwrap();
                }
            });
            let mut gateway = gateway(backend.await.address);
            let mut client = Talk::to(gateway.address("public")).await;
            client.say(request).await;
            in_time(asked.recv()).await.unwrap();
            if answers {
                client.until("hi\r\n").await;
            }
            drop(client);
            in_time(asked.recv()).await.unwrap();
            let event = gateway.event("request");
            assert_eq!((event["outcome"].as_str(), event["status"].is_null()), (Some("client_lost"), !answers), "{event}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_ends_in_a_reset_where_a_fin_would_be_its_end() {
    for (head, all, is_whole) in [("", "hi", true), ("Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n", false)] {
        let backend = Backend::of(move |mut talk| async move {
            talk.head().await;
            talk.say(format!("HTTP/1.1 200 OK\r\n{head}\r\n{all}")).await;
        });
        let mut gateway = gateway(backend.await.address);
        let mut client = Talk::to(gateway.address("public")).await;
        client.say("GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
        let mut got = Vec::new();
        let read = in_time(client.stream.read_to_end(&mut got)).await;
        assert_eq!(read.is_ok(), is_whole, "{read:?}: {:?}", String::from_utf8_lossy(&got));
        assert_eq!(gateway.event("request")["outcome"], if is_whole { "answered" } else { "upstream_lost" });
    }
}

#[tokio::test]
async fn a_backend_that_goes_within_its_answer_cuts_it_and_the_client_can_tell() {
    for (head, all) in [("Content-Length: 9\r\n", "hi"), ("Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n")] {
        let backend = Backend::of(move |mut talk| async move {
            talk.head().await;
            talk.say(format!("HTTP/1.1 200 OK\r\n{head}\r\n{all}")).await;
        });
        let mut gateway = gateway(backend.await.address);
        let mut client = Talk::to(gateway.address("public")).await;
        let got = client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.rest().await;
        assert!(got.ends_with(&format!("\r\n\r\n{all}")), "{got}");
        assert_eq!(gateway.event("request")["outcome"], "upstream_lost");
    }
}

#[tokio::test]
async fn a_backend_may_answer_before_it_has_the_whole_body_and_the_connection_ends_with_that() {
    let backend = Backend::of(|mut talk| async move {
        talk.head().await;
        talk.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno").await;
    });
    let gateway = gateway(backend.await.address);
    let mut client = Talk::to(gateway.address("public")).await;
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhi").await;
    let all = client.rest().await;
    assert!(all.starts_with("HTTP/1.1 413 ") && all.contains("\r\nConnection: close\r\n") && all.ends_with("no"), "{all}");
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_replaced_by_another_whatever_is_asked() {
    let (backend, _seen) = Backend::mirror().await;
    let dead = nobody().await;
    let upstream = format!("[upstream.app]\nservers = [\"ws://{dead}\", \"ws://{}\"]\nbalance = \"round_robin\"\n", backend.address);
    let gateway = Gateway::run(&format!(
        "[listener.public]\naddress = \"127.0.0.1:0\"\n[route.app]\nendpoint = \"upstream.app\"\nhttp = true\n{upstream}"
    ));
    for _ in 0..4 {
        let mut client = Talk::to(gateway.address("public")).await;
        client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi").await;
        assert!(client.rest().await.starts_with("HTTP/1.1 200 "));
    }
    let gateway = crate::gateway(dead);
    let all = Talk::to(gateway.address("public")).await.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.rest().await;
    assert!(all.starts_with("HTTP/1.1 502 "), "{all}");
}

#[tokio::test]
async fn a_poll_and_the_socket_behind_it_come_to_the_server_that_the_cookie_names() {
    let (one, _one) = Backend::mirror().await;
    let (other, _other) = Backend::mirror().await;
    let gateway = Gateway::run(&format!(
        "[listener.public]\naddress = \"127.0.0.1:0\"\n[route.app]\nendpoint = \"upstream.app\"\nhttp = true\n\
         [upstream.app]\nservers = [\"ws://{}\", \"ws://{}\"]\nsticky = \"cookie:node\"\nbalance = \"round_robin\"\n",
        one.address, other.address
    ));
    let mut client = Talk::to(gateway.address("public")).await;
    let head = client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.head().await;
    let cookie = header(&head, "set-cookie").unwrap().split(';').next().unwrap().to_owned();
    for _ in 0..6 {
        let mut client = Talk::to(gateway.address("public")).await;
        let all =
            client.say(format!("POST / HTTP/1.1\r\nHost: a\r\nCookie: {cookie}; own=1\r\nConnection: close\r\n\r\n")).await.rest().await;
        assert!(all.starts_with("HTTP/1.1 200 ") && !all.contains("Set-Cookie") && all.contains("Cookie: own=1"), "{all}");
    }
    assert!([one.connections(), other.connections()].contains(&0), "{} and {}", one.connections(), other.connections());
}

#[tokio::test]
async fn a_backend_is_told_what_is_true_of_the_client_and_nothing_of_its_connection() {
    let (backend, mut seen) = Backend::mirror().await;
    let gateway = Gateway::run(&config(backend.address, "", ""));
    let mut client = Talk::to(gateway.address("public")).await;
    client
        .say(
            "GET /p?q=1 HTTP/1.1\r\nHost: app.example\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nUpgrade: h2c\r\n\
             HTTP2-Settings: x\r\nX-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\nX-Real-IP: 192.0.2.1\r\nCookie: a=b\r\n\r\n",
        )
        .await
        .head()
        .await;
    assert_eq!(
        seen.recv().await.unwrap(),
        "GET /p?q=1 HTTP/1.1\r\nHost: app.example\r\nCookie: a=b\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: app.example\r\n\
         X-Forwarded-Proto: http\r\nX-Real-Ip: 127.0.0.1\r\n\r\n"
    );
}

#[tokio::test]
async fn an_answer_that_lacks_its_date_is_given_one_and_a_426_says_what_to_upgrade_to() {
    let rows = [
        ("200 OK\r\n", None, false),
        ("200 OK\r\nDate: its own\r\n", Some("its own"), false),
        ("426 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", None, true),
        ("426 X\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0\r\n", None, false),
    ];
    let upgrade = crate::support::raw::upgrade("/", "");
    for (said, date, upgrades) in rows {
        let backend = Backend::of(move |mut talk| async move {
            talk.head().await;
            talk.say(format!("HTTP/1.1 {said}Content-Length: 0\r\n\r\n")).await;
        });
        let gateway = gateway(backend.await.address);
        // Whether an upgrade is declined or a request is answered.
        for request in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", &upgrade] {
            let head = Talk::to(gateway.address("public")).await.say(request).await.head().await;
            assert!(head.starts_with(&format!("HTTP/1.1 {} ", &said[..3])), "{head}");
            let dated = header(&head, "date").unwrap();
            assert!(date.map_or(dated.ends_with(" GMT"), |date| date == dated), "{head}");
            assert_eq!(header(&head, "upgrade"), upgrades.then_some("websocket"), "{head}");
            let tokens = head.lines().filter_map(|line| line.strip_prefix("Connection: ")).any(|line| line.contains("Upgrade"));
            assert_eq!(tokens, upgrades, "{head}");
        }
    }
}
