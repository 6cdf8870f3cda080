//! SIGTERM and SIGINT: connections are ended with 1001, over time; a second signal ends what is left at once.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use super::support::{self, Gateway, backend, raw};
use super::{close, ending, routes, told, url, witnessed};

fn draining(over: &str) -> String {
    format!("[gateway]\nthreads = 1\ndrain = {{ over = \"{over}\" }}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_every_connection_with_1001_and_then_the_process() {
    for signal in ["TERM", "INT"] {
        let (address, mut seen) = backend::witness(Vec::new()).await;
        let mut gateway = Gateway::run(&(draining("200ms") + &routes([url(address), "echo".to_owned()], "")));
        let clients = [raw::upgraded(gateway.address("public"), "/0").await, raw::upgraded(gateway.address("public"), "/1").await];
        gateway.event("open");
        gateway.event("open");
        gateway.signal(signal);
        for mut client in clients {
            assert_eq!(raw::frames(&raw::rest(&mut client).await), [close(1001, "shutting down")], "{signal}");
        }
        assert_eq!(raw::frames(&witnessed(&mut seen).await), [close(1001, "")], "{signal}");
        for _ in 0..2 {
            let event = gateway.event("close");
            assert_eq!(ending(&event), [&json!("gateway"), &json!("shutting_down"), &json!(1001), &Value::Null], "{event}");
        }
        let event = gateway.event("drained");
        assert_eq!((&event["closed"], &event["cut"]), (&json!(2), &json!(0)), "{event}");
        gateway.event("stopped");
        assert_eq!(gateway.wait().code(), Some(0), "{signal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn usr1_reopens_log_files_and_ends_nothing() {
    let gateway = Gateway::run(&(routes(["echo".to_owned()], "") + "[log.own]\nfile = \"own.log\"\n"));
    let mut socket = gateway.connect("public", "/0").await;
    let path = |name: &str| gateway.folder.path().join(name);
    std::fs::rename(path("own.log"), path("moved.log")).unwrap();
    gateway.signal("USR1");
    support::in_time(async {
        while !path("own.log").exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(support::ask(&mut socket, "still").await, "still");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_is_spread_lets_nobody_in_and_a_second_signal_ends_it() {
    let mut gateway = Gateway::run(&(draining("1h") + &routes(["echo".to_owned()], "")));
    let mut first = gateway.connect("public", "/0").await;
    // So many that the last is not told for a long time yet.
    let mut others = Vec::new();
    for _ in 0..150 {
        others.push(gateway.connect("public", "/0").await);
    }
    gateway.signal("TERM");
    assert_eq!(gateway.event("draining")["connections"], 151);
    assert!(TcpStream::connect(gateway.address("public")).await.is_err(), "nobody listens any more");
    assert_eq!(support::closed(&mut first).await, (1001, "shutting down".to_owned()));
    let last = others.last_mut().unwrap();
    assert_eq!(support::ask(last, "still served").await, "still served");
    gateway.signal("TERM");
    assert_eq!(support::closed(last).await.0, 1006, "its TCP ends with the process");
    assert_eq!(gateway.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_is_under_way_when_a_drain_begins_gets_503() {
    let mut gateway = Gateway::run(&(draining("1h") + &routes(["echo".to_owned()], "")));
    let mut open = gateway.connect("public", "/0").await;
    let mut late = TcpStream::connect(gateway.address("public")).await.unwrap();
    late.write_all(b"GET /0 HTTP/1.1\r\n").await.unwrap();
    // A request that is answered shows that the one before it has been accepted.
    raw::exchange(gateway.address("public"), b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n").await;
    gateway.signal("TERM");
    assert_eq!(support::closed(&mut open).await.0, 1001);
    late.write_all(raw::upgrade("/0", "").split_once("\r\n").unwrap().1.as_bytes()).await.unwrap();
    let answer = support::in_time(backend::read_head(&mut late)).await.to_lowercase();
    assert!(answer.starts_with("http/1.1 503 ") && answer.contains("\r\nretry-after: "), "{answer}");
    let event = gateway.event_where("refused", |event| event["status"] == 503);
    assert_eq!(event["outcome"], "shutting_down");
    drop((open, late));
    assert_eq!(gateway.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stays_is_cut_off_at_the_close_timeout() {
    let mut gateway = Gateway::run(&(draining("100ms") + &routes(["echo".to_owned()], "close_timeout = \"200ms\"")));
    let client = raw::upgraded(gateway.address("public"), "/0").await;
    gateway.event("open");
    gateway.signal("TERM");
    assert_eq!(gateway.event("close")["outcome"], "shutting_down");
    assert_eq!(gateway.wait().code(), Some(0));
    drop(client);
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_drain_begins_its_delay_lets_clients_in() {
    let delayed = draining("100ms").replace("over =", "delay = \"3s\", over =");
    let mut gateway = Gateway::run(&(delayed + &routes(["echo".to_owned()], "")));
    gateway.signal("TERM");
    gateway.event("stopping");
    assert_eq!(raw::frames(&told(&gateway, "/0", b"").await), [close(1001, "shutting down")]);
    assert_eq!(gateway.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_drain_is_delayed_probes_are_sent_away_and_clients_let_in_until_a_second_signal() {
    for signal in ["TERM", "INT"] {
        let delayed = draining("1h").replace("over =", "delay = \"1h\", over =");
        let probes = "[route.probes]\npath = \"/health/*\"\nendpoint = \"health\"\n";
        let mut gateway = Gateway::run(&(delayed + &routes(["echo".to_owned()], "") + probes));
        let address = gateway.address("public");
        let probe = |path: &'static str| async move {
            let request = format!("GET /health/{path} HTTP/1.1\r\nHost: a\r\n\r\n");
            let answer = raw::exchange(address, request.as_bytes()).await;
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            format!("{} {body}", head.split(' ').nth(1).unwrap())
        };
        let mut early = gateway.connect("public", "/0").await;
        assert_eq!((probe("readyz").await, probe("livez").await), ("200 ready\n".to_owned(), "200 ok\n".to_owned()));
        gateway.signal(signal);
        assert_eq!(gateway.event("stopping")["delay"], json!(3600.0));
        assert_eq!((probe("readyz").await, probe("livez").await), ("503 draining\n".to_owned(), "200 ok\n".to_owned()));
        let mut late = gateway.connect("public", "/0").await;
        for socket in [&mut early, &mut late] {
            assert_eq!(support::ask(socket, "still served").await, "still served");
        }
        gateway.signal(signal);
        assert_eq!(support::closed(&mut late).await.0, 1006, "its TCP ends with the process");
        assert_eq!(gateway.wait().code(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_backend_answers_only_after_the_drain_is_told_too() {
    let (asked, mut asks) = mpsc::channel(1);
    let (go, went) = watch::channel(false);
    let address = backend::scripted(move |mut stream| {
        let (asked, mut went) = (asked.clone(), went.clone());
        async move {
            let head = backend::read_head(&mut stream).await;
            asked.send(()).await.unwrap();
            went.wait_for(|went| *went).await.unwrap();
            stream.write_all(backend::switching(&head).as_bytes()).await.unwrap();
            raw::rest(&mut stream).await;
        }
    })
    .await;
    let mut gateway = Gateway::run(&(draining("100ms") + &routes([url(address)], "")));
    let mut client = TcpStream::connect(gateway.address("public")).await.unwrap();
    client.write_all(raw::upgrade("/0", "").as_bytes()).await.unwrap();
    support::in_time(asks.recv()).await.unwrap();
    gateway.signal("TERM");
    gateway.event("draining");
    go.send_replace(true);
    let head = support::in_time(backend::read_head(&mut client)).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(raw::frames(&raw::rest(&mut client).await), [close(1001, "shutting down")]);
    assert_eq!(gateway.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_has_not_asked_for_anything_is_not_waited_for() {
    let mut gateway = Gateway::run(
        &(draining("100ms")
            + "[listener.slow]\naddress = \"127.0.0.1:0\"\nhandshake_timeout = \"1h\"\n"
            + &routes(["echo".to_owned()], "listener = \"slow\"")),
    );
    let mut silent = TcpStream::connect(gateway.address("slow")).await.unwrap();
    gateway.connect("slow", "/0").await;
    gateway.event("open");
    gateway.signal("TERM");
    let event = gateway.event("drained");
    assert_eq!(event["cut"], 0, "{event}");
    assert_eq!(raw::rest(&mut silent).await, b"");
}
