//! The page as HTTP: which requests it answers, and which it does not.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::page::Page;
use super::support::{Gateway, command, in_time, raw};
use super::{get, scrape};

const CONFIG: &str = "[listener.public]\naddress = \"127.0.0.1:0\"\n[route.echo]\nendpoint = \"echo\"\n";

fn gateway() -> Gateway {
    Gateway::run(&format!(
        "{CONFIG}[metrics.local]\naddress = [\"127.0.0.1:0\", \"127.0.0.2:0\"]\n[metrics.other]\naddress = \"127.0.0.1:0\"\npath = \"/a/b\"\n"
    ))
}

#[tokio::test]
async fn the_format_is_what_is_asked_for_and_the_older_one_where_nothing_is() {
    let gateway = gateway();
    for (headers, kind) in [
        (
            "Accept: application/openmetrics-text;version=1.0.0;q=0.6,*/*;q=0.2\r\n",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        ("Accept: text/plain;version=0.0.4\r\n", "text/plain; version=0.0.4; charset=utf-8"),
        ("", "text/plain; version=0.0.4; charset=utf-8"),
    ] {
        let (head, body) = get(gateway.address("metrics.local"), "GET /metrics?all=yes", headers).await;
        assert!(head.contains(&format!("content-type: {kind}\r\n")), "{head}");
        let is_open_metrics = kind.starts_with("application");
        assert_eq!(body.ends_with("# EOF\n"), is_open_metrics);
        let typed = if is_open_metrics { "\n# TYPE wsgate_messages counter\n" } else { "\n# TYPE wsgate_messages_total counter\n" };
        assert!(body.contains(typed) && body.contains("\nwsgate_messages_total{route=\"echo\",from=\"client\"} 0\n"), "{body}");
    }
}

#[tokio::test]
async fn other_paths_methods_and_nonsense_are_told_no() {
    let gateway = gateway();
    let local = gateway.address("metrics.local");
    for (what, status) in [
        ("GET /", "404"),
        ("GET /metrics/", "404"),
        ("GET /a/b", "404"),
        ("POST /metrics", "405"),
        ("DELETE /metrics", "405"),
        ("GET http://localhost/metrics", "200"),
        ("GET /metr ics", "400"),
        ("G\0T /metrics", "400"),
    ] {
        let (head, _) = get(local, what, "").await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{what:?}: {head}");
        assert_eq!(head.contains("allow: GET, HEAD"), status == "405", "{head}");
    }
    let (head, _) = get(local, "GET /metrics", &format!("X: {}\r\n", "x".repeat(9 << 10))).await;
    assert!(head.starts_with("HTTP/1.1 431 "), "{head}");
    let (head, _) = get(local, "GET /metrics", &"X: y\r\n".repeat(100)).await;
    assert!(head.starts_with("HTTP/1.1 431 "), "{head}");
    let (head, _) = get(gateway.address("metrics.other"), "GET /a/b", "").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let (head, _) = get(local, "GET /metrics", "Connection: upgrade\r\nUpgrade: websocket\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    scrape(&gateway).await;
}

#[tokio::test]
async fn a_head_is_answered_without_a_body() {
    let gateway = gateway();
    let (head, body) = get(gateway.address("metrics.local"), "HEAD /metrics", "").await;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 ") && length.parse::<usize>().unwrap() > 1000 && body.is_empty(), "{head} {body}");
}

#[tokio::test]
async fn one_connection_serves_several_scrapes() {
    let gateway = gateway();
    let mut stream = TcpStream::connect(gateway.address("metrics.local")).await.unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: application/openmetrics-text\r\n\r\n").await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(in_time(stream.read_u8()).await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        let mut body = vec![0; length];
        in_time(stream.read_exact(&mut body)).await.unwrap();
        Page::parse(str::from_utf8(&body).unwrap());
    }
}

#[tokio::test]
async fn who_only_holds_connections_leaves_no_more_than_there_are_places() {
    let gateway = gateway();
    let address = gateway.address("metrics.local");
    let mut held = Vec::new();
    // Each is served once, so that it is known to have its place.
    for _ in 0..16 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        assert_eq!(in_time(stream.read_u8()).await.unwrap(), b'H');
        held.push(stream);
    }
    let mut beyond = TcpStream::connect(address).await.unwrap();
    assert!(raw::rest(&mut beyond).await.is_empty());
    held.clear();
    let served = async {
        loop {
            let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            if raw::exchange(address, request).await.starts_with("HTTP/1.1 200 ") {
                break;
            }
        }
    };
    in_time(served).await;
}

#[test]
fn an_address_that_is_taken_is_told_with_the_page_s_name() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gateway.toml"), format!("{CONFIG}[metrics.local]\naddress = \"{address}\"\n")).unwrap();
    let run = command(folder.path()).arg("run").output().unwrap();
    let told = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(1), "{told}");
    assert!(told.contains(&format!("cannot listen on {address} (metrics.local): ")), "{told}");
}
