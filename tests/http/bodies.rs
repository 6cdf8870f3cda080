//! Bodies pass as they come, both ways at once, and no faster than they are taken.

use tokio::io::AsyncWriteExt;

use crate::support::Gateway;
use crate::support::backend::header;
use crate::support::in_time;
use crate::{Backend, Talk, config, gateway};

#[tokio::test]
async fn each_side_hears_what_the_other_says_before_either_has_finished() {
    let backend = Backend::of(|mut talk| async move {
        talk.head().await;
        talk.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        for number in 0..5 {
            talk.until(&format!("ping {number}\r\n")).await;
            talk.say(format!("6\r\npong {number}\r\n")).await;
        }
        talk.until("0\r\n\r\n").await;
        talk.say("0\r\n\r\n").await;
    });
    let gateway = gateway(backend.await.address);
    let mut client = Talk::to(gateway.address("public")).await;
    client.say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await.head().await;
    for number in 0..5 {
        client.say(format!("6\r\nping {number}\r\n")).await.until(&format!("pong {number}\r\n")).await;
    }
    client.say("0\r\n\r\n").await.until("0\r\n\r\n").await;
}

#[tokio::test]
async fn a_stream_of_events_reaches_the_client_event_by_event() {
    let backend = Backend::of(|mut talk| async move {
        talk.head().await;
        talk.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n").await;
        for number in 0..3 {
            talk.say(format!("data: {number}\n\n")).await;
            // The next comes once this has arrived.
            let mut knock = Talk::over(talk.stream);
            knock.stream.flush().await.unwrap();
            talk = knock;
        }
        talk.rest().await;
    });
    let gateway = gateway(backend.await.address);
    let mut client = Talk::to(gateway.address("public")).await;
    client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    for number in 0..3 {
        client.until(&format!("data: {number}\n\n")).await;
    }
}

#[tokio::test]
async fn a_large_body_passes_whole_and_waits_for_whoever_takes_it() {
    const SIZE: usize = 24 << 20;
    let backend = Backend::of(|mut talk| async move {
        let head = talk.head().await;
        assert_eq!(header(&head, "content-length"), Some(&*SIZE.to_string()));
        // It answers with what it gets, without having taken all of it first.
        talk.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n")).await;
        let mut left = SIZE;
        while left > 0 {
            let part = talk.exactly(left.min(1 << 16)).await;
            left -= part.len();
            talk.say(part).await;
        }
    });
    let gateway = Gateway::run(&config(backend.await.address, "http = { max_body = \"off\" }", ""));
    let client = Talk::to(gateway.address("public")).await;
    let (read, mut write) = client.stream.into_split();
    let send = async move {
        write.write_all(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes()).await.unwrap();
        for number in 0..SIZE / 1024 {
            write.write_all(&[(number % 251) as u8; 1024]).await.unwrap();
        }
        write
    };
    let receive = async {
        let mut read = tokio::io::BufReader::new(read);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            tokio::io::AsyncBufReadExt::read_line(&mut read, &mut line).await.unwrap();
        }
        let mut block = [0; 1024];
        for number in 0..SIZE / 1024 {
            tokio::io::AsyncReadExt::read_exact(&mut read, &mut block).await.unwrap();
            assert!(block.iter().all(|byte| *byte == (number % 251) as u8), "block {number}");
        }
    };
    in_time(async { tokio::join!(send, receive) }).await;
}

#[tokio::test]
async fn a_client_that_asks_first_sends_its_body_when_the_backend_wants_it() {
    let backend = Backend::of(|mut talk| async move {
        let head = talk.head().await;
        assert_eq!(header(&head, "expect"), Some("100-continue"), "{head}");
        talk.say("HTTP/1.1 100 Continue\r\n\r\n").await;
        assert_eq!(talk.exactly(5).await, b"hello");
        talk.say("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").await;
    });
    let gateway = gateway(backend.await.address);
    let mut client = Talk::to(gateway.address("public")).await;
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").await;
    assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    let head = client.say("hello").await.head().await;
    assert!(head.starts_with("HTTP/1.1 201 ") && header(&head, "connection").is_none(), "{head}");
}

#[tokio::test]
async fn a_server_that_has_asked_for_the_body_is_not_blamed_for_a_client_that_takes_its_time() {
    let backend = Backend::of(|mut talk| async move {
        if talk.head().await.starts_with("POST ") {
            talk.say("HTTP/1.1 100 Continue\r\n\r\n").await;
            assert_eq!(talk.exactly(5).await, b"hello");
            talk.say("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").await;
        }
        talk.rest().await;
    });
    let mut gateway = Gateway::run(&config(backend.await.address, "http = { answer_timeout = \"500ms\" }", ""));
    let mut slow = Talk::to(gateway.address("public")).await;
    slow.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").await;
    assert_eq!(slow.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    // As long again, as another waits in vain.
    let mut other = Talk::to(gateway.address("public")).await;
    assert!(other.say("GET /other HTTP/1.1\r\nHost: a\r\n\r\n").await.head().await.starts_with("HTTP/1.1 504 "));
    assert_eq!(gateway.event_of(&["refused", "request"], |_| true)["path"], "/other");
    let head = slow.say("hello").await.head().await;
    assert!(head.starts_with("HTTP/1.1 201 "), "{head}");
}

#[tokio::test]
async fn a_client_whose_body_is_not_wanted_is_told_so_instead() {
    let backend = Backend::of(|mut talk| async move {
        talk.head().await;
        talk.say("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno").await;
        talk.rest().await;
    });
    let gateway = gateway(backend.await.address);
    let mut client = Talk::to(gateway.address("public")).await;
    client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").await;
    let all = client.rest().await;
    assert!(all.starts_with("HTTP/1.1 401 ") && all.contains("\r\nConnection: close\r\n") && all.ends_with("no"), "{all}");
}

#[tokio::test]
async fn early_hints_pass_before_the_answer() {
    let backend = Backend::of(|mut talk| async move {
        talk.head().await;
        talk.say("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n").await;
        talk.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    });
    let gateway = gateway(backend.await.address);
    let mut client = Talk::to(gateway.address("public")).await;
    client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    for (status, link) in [(103, Some("</a.css>")), (103, Some("</b.css>")), (200, None)] {
        let head = client.head().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert_eq!(header(&head, "link"), link);
    }
}

#[tokio::test]
async fn trailers_pass_but_for_those_a_server_could_take_for_who_asks() {
    let (backend, mut seen) = Backend::mirror().await;
    let gateway = gateway(backend.address);
    let mut client = Talk::to(gateway.address("public")).await;
    client.say("POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    client.say("0\r\nX-Sum: 1\r\nX-Forwarded-For: 192.0.2.1\r\nAuthorization: x\r\nContent-Length: 3\r\nHost: b\r\n\r\n").await;
    client.head().await;
    let asked = seen.recv().await.unwrap();
    assert!(asked.ends_with("\r\n\r\n0\r\nX-Sum: 1\r\n\r\n"), "{asked}");
    assert_eq!((header(&asked, "te"), header(&asked, "connection")), (Some("trailers"), Some("te")));
}
