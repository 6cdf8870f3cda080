//! How much and how long: bodies, rates, answers that do not come.

use crate::support::Gateway;
use crate::support::backend::header;
use crate::{Backend, Talk, config};

#[tokio::test]
async fn a_body_that_is_too_large_is_a_413_whether_it_says_so_or_not() {
    let (backend, mut seen) = Backend::mirror().await;
    let mut gateway = Gateway::run(&config(backend.address, "http = { max_body = \"4B\" }", ""));
    for (fields, body, passes) in [
        ("Content-Length: 4\r\n", "four", true),
        ("Content-Length: 5\r\n", "fiver", false),
        ("Content-Length: 5\r\nExpect: 100-continue\r\n", "", false),
        ("Transfer-Encoding: chunked\r\n", "2\r\nfo\r\n2\r\nur\r\n0\r\n\r\n", true),
        ("Transfer-Encoding: chunked\r\n", "2\r\nfi\r\n3\r\nver\r\n0\r\n\r\n", false),
        ("Transfer-Encoding: chunked\r\n", "5\r\nfi", false),
    ] {
        let mut client = Talk::to(gateway.address("public")).await;
        client.say(format!("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n{body}")).await;
        if fields.contains("chunked") && body.ends_with("fi") {
            client.say("ver").await;
        }
        let all = client.rest().await;
        assert!(all.starts_with(if passes { "HTTP/1.1 200 " } else { "HTTP/1.1 413 " }), "{fields:?} {body:?}: {all}");
        if passes {
            assert!(seen.recv().await.is_some());
        } else {
            assert_eq!(gateway.event("refused")["outcome"], "body_too_large");
        }
    }
    assert!(seen.try_recv().is_err());
}

#[tokio::test]
async fn a_413_that_comes_when_the_answer_has_begun_cuts_it() {
    let backend = Backend::of(|mut talk| async move {
        talk.head().await;
        talk.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n").await;
        talk.rest().await;
    });
    let mut gateway = Gateway::run(&config(backend.await.address, "http = { max_body = \"4B\" }", ""));
    let mut client = Talk::to(gateway.address("public")).await;
    client.say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n").await.until("hi\r\n").await;
    let all = client.say("1\r\nr\r\n").await.rest().await;
    assert!(!all.contains("0\r\n\r\n"), "{all}");
    let event = gateway.event("request");
    assert_eq!((event["outcome"].as_str(), event["status"].as_u64()), (Some("body_too_large"), Some(200)), "{event}");
}

#[tokio::test]
async fn a_backend_that_does_not_answer_in_time_is_a_504() {
    let backend = Backend::of(|mut talk| async move {
        talk.rest().await;
    });
    let mut gateway = Gateway::run(&config(backend.await.address, "http = { answer_timeout = \"50ms\" }", ""));
    for request in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"] {
        let all = Talk::to(gateway.address("public")).await.say(request).await.rest().await;
        assert!(all.starts_with("HTTP/1.1 504 "), "{all}");
        let event = gateway.event("refused");
        assert_eq!(event["outcome"], "upstream_timeout");
        assert!(event["rule"].as_str().unwrap().ends_with("no answer within `http.answer_timeout`"), "{event}");
    }
}

#[tokio::test]
async fn requests_over_a_client_s_rate_are_a_429_and_upgrades_do_not_count() {
    let (backend, _seen) = Backend::mirror().await;
    let mut gateway = Gateway::run(&config(backend.address, "http = { requests = { rate = \"1/h\", burst = 3 } }", ""));
    let mut client = Talk::to(gateway.address("public")).await;
    for _ in 0..3 {
        client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.head().await;
        client.until("\r\n\r\n").await;
    }
    let head = client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.head().await;
    assert!(head.starts_with("HTTP/1.1 429 ") && header(&head, "retry-after").is_some(), "{head}");
    let event = gateway.event("refused");
    assert_eq!((event["stage"].as_str(), event["rule"].as_str()), (Some("route.app"), Some("http.requests 1/h")), "{event}");
    let all = Talk::to(gateway.address("public")).await.say(crate::support::raw::upgrade("/", "")).await.rest().await;
    assert!(!all.starts_with("HTTP/1.1 429 "), "{all}");
}

#[tokio::test]
async fn an_answer_in_which_nothing_passes_for_longer_than_idle_is_cut() {
    let backend = Backend::of(|mut talk| async move {
        talk.head().await;
        talk.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n").await;
        talk.rest().await;
    });
    let mut gateway = Gateway::run(&config(backend.await.address, "idle = \"100ms\"", ""));
    let mut client = Talk::to(gateway.address("public")).await;
    client.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.until("hi\r\n").await;
    assert!(client.is_ended().await);
    assert_eq!(gateway.event("request")["outcome"], "idle");
}
