//! Where a message ends is told in one way, and what could be read in two reaches nobody.

use crate::support::backend::header;
use crate::{Backend, Talk, gateway};

#[tokio::test]
async fn every_method_passes_with_every_framing_of_its_body_and_every_other_of_the_answer_s() {
    // What a client sends, and how the backend is sent it: chunks that come at once are one.
    let requests = [
        ("", "", ""),
        ("Content-Length: 5\r\n", "hello", "hello"),
        ("Content-Length: 0\r\n", "", ""),
        ("Transfer-Encoding: chunked\r\n", "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        (
            "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n",
            "005\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
            "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
        ),
        ("Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "0\r\n\r\n"),
    ];
    // What a backend answers, and what the client gets behind the head.
    let answers = [
        ("200 OK", "Content-Length: 2\r\n\r\nhi", "hi"),
        ("200 OK", "Content-Length: 0\r\n\r\n", ""),
        ("500 Internal Server Error", "Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1;q\r\ni\r\n0\r\n\r\n", "2\r\nhi\r\n0\r\n\r\n"),
        ("200 OK", "Transfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n2\r\nhi\r\n0\r\nX-A: b\r\n\r\n", "2\r\nhi\r\n0\r\nX-A: b\r\n\r\n"),
        ("200 OK", "Connection: close\r\n\r\nhi", "2\r\nhi\r\n0\r\n\r\n"),
        ("204 No Content", "\r\n", ""),
        ("304 Not Modified", "Content-Length: 2\r\n\r\n", ""),
    ];
    for (status, answer, got) in answers {
        let backend = Backend::of(move |mut talk| async move {
            while let Some(head) = talk.find("\r\n\r\n").await {
                let path = head.split(' ').nth(1).unwrap().to_owned();
                let sent = requests[path.trim_start_matches("/r").parse::<usize>().unwrap()].2;
                let body = String::from_utf8(talk.exactly(sent.len()).await).unwrap();
                assert_eq!(body, sent, "{head}");
                talk.say(format!("HTTP/1.1 {status}\r\n{answer}")).await;
                if answer.contains("close") {
                    return;
                }
            }
        });
        let backend = backend.await;
        let gateway = gateway(backend.address);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
            for (number, (fields, body, _)) in requests.iter().enumerate() {
                let mut client = Talk::to(gateway.address("public")).await;
                client.say(format!("{method} /r{number} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n{body}")).await;
                let all = client.rest().await;
                let (head, rest) = all.split_once("\r\n\r\n").unwrap();
                assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{method} {fields:?}: {head}");
                assert_eq!(rest, got, "{method} {fields:?} {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_to_a_head_has_its_length_and_no_body() {
    let backend = Backend::of(|mut talk| async move {
        for _ in 0..2 {
            talk.head().await;
            talk.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").await;
        }
    });
    let gateway = gateway(backend.await.address);
    let mut client = Talk::to(gateway.address("public")).await;
    for _ in 0..2 {
        let head = client.say("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await.head().await;
        assert_eq!(header(&head, "content-length"), Some("5"), "{head}");
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_its_answer_unchunked_and_the_end() {
    let backend = Backend::of(|mut talk| async move {
        let head = talk.head().await;
        assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head}");
        talk.say("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nDate: now\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")
            .await;
    });
    let gateway = gateway(backend.await.address);
    let mut client = Talk::to(gateway.address("public")).await;
    let all = client.say("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n").await.rest().await;
    assert_eq!(all, "HTTP/1.1 200 OK\r\nDate: now\r\nConnection: close\r\n\r\nhi");
}

#[tokio::test]
async fn what_two_readers_could_end_in_two_places_reaches_no_backend() {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let heads = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length : 5\r\n",
        "Content-Length:\r\n 5\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding:\r\n\tchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "X: y\nTransfer-Encoding: chunked\r\n",
        "X: y\rTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        " Transfer-Encoding: chunked\r\n",
    ];
    let (backend, mut seen) = Backend::mirror().await;
    let mut gateway = gateway(backend.address);
    for head in heads {
        let mut client = Talk::to(gateway.address("public")).await;
        let all = client.say(format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n0\r\n\r\n{smuggled}")).await.rest().await;
        assert!(all.starts_with("HTTP/1.1 400 ") && all.matches("HTTP/1.1 ").count() == 1, "{head:?}: {all}");
        assert_eq!(gateway.event("refused")["outcome"], "bad_handshake");
    }
    assert_eq!((backend.connections(), seen.try_recv().is_err()), (0, true));
}

#[tokio::test]
async fn a_body_that_is_not_framed_as_its_head_says_is_refused_and_nothing_behind_it_is_read() {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let bodies = [
        "5\nhello\n0\n\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhellooo\r\n0\r\n\r\n",
        "x\r\n",
        "\r\n",
        "-5\r\nhello\r\n",
        "0x5\r\nhello\r\n",
        "5 \r\nhello\r\n",
        "5;a\nb\r\nhello\r\n",
        "5;a\rb\r\nhello\r\n",
        "00000000000000005\r\nhello\r\n",
        "ffffffffffffffff0\r\n",
        "0\r\nbad trailer\r\n\r\n",
        "0\r\n folded: x\r\n\r\n",
        "0\r\nX: y\n\r\n",
    ];
    let (backend, mut seen) = Backend::mirror().await;
    let mut gateway = gateway(backend.address);
    for body in bodies {
        let mut client = Talk::to(gateway.address("public")).await;
        client.say(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}{smuggled}")).await;
        let all = client.rest().await;
        assert!(all.starts_with("HTTP/1.1 400 ") && all.matches("HTTP/1.1 ").count() == 1, "{body:?}: {all}");
        assert_eq!(gateway.event("refused")["outcome"], "bad_body");
    }
    assert!(seen.try_recv().is_err());
}

#[tokio::test]
async fn an_answer_that_is_none_is_a_502() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        "hello\r\n",
        "",
    ] {
        let backend = Backend::of(move |mut talk| async move {
            talk.head().await;
            talk.say(answer).await;
        });
        let mut gateway = gateway(backend.await.address);
        let mut client = Talk::to(gateway.address("public")).await;
        let all = client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await.rest().await;
        assert!(all.starts_with("HTTP/1.1 502 "), "{answer:?}: {all}");
        assert_eq!(gateway.event("refused")["outcome"], "upstream_bad_handshake", "{answer:?}");
    }
}

#[tokio::test]
async fn a_request_that_names_websocket_is_never_an_ordinary_one() {
    let (backend, mut seen) = Backend::mirror().await;
    let gateway = gateway(backend.address);
    for (request, status) in [
        ("POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 426),
        ("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c, websocket\r\n\r\n", 426),
        ("GET / HTTP/1.0\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 1\r\n\r\n", 400),
        ("CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", 426),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 426),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 426),
        ("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ] {
        let all = Talk::to(gateway.address("public")).await.say(request).await.rest().await;
        assert!(all.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {all}");
    }
    assert!(seen.try_recv().is_err());
}
