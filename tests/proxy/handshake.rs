//! The request as the backend sees it, and its 101 as the client does.

use http::HeaderMap;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::support::{self, Gateway, Socket, backend, now, raw, token};
use super::{guard, proxied};

/// Connects with these headers besides those of the upgrade, and gives the response's too.
async fn connect(gateway: &Gateway, path: &str, headers: &[(&'static str, &str)]) -> (Socket, HeaderMap) {
    let mut request = support::request(&gateway.url("public", path), &[]);
    for (name, value) in headers {
        if *name == "host" {
            request.headers_mut().remove("host");
        }
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    let (socket, response) = support::in_time(tokio_tungstenite::connect_async(request)).await.unwrap();
    (socket, response.into_parts().0.headers)
}

/// All values of a header.
fn all<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_sees_the_path_as_it_was_matched_the_query_and_the_clients_host() {
    let (address, mut requests) = backend::echo().await;
    let gateway = Gateway::run(&proxied(&[address], "", ""));
    let rows = [
        ("/chat", "/chat"),
        ("/chat/", "/chat/"),
        ("/chat/room/1?x=1&y=%2F&z", "/chat/room/1?x=1&y=%2F&z"),
        ("/chat/%7Ealice", "/chat/~alice"),
        ("/chat/a%20b?", "/chat/a%20b?"),
    ];
    for (asked, seen) in rows {
        let (mut socket, _) = connect(&gateway, asked, &[("host", "shop.example:8765")]).await;
        assert_eq!(support::ask(&mut socket, "hi").await, "hi");
        let request = requests.recv().await.unwrap();
        assert_eq!((request.uri().to_string().as_str(), all(request.headers(), "host")), (seen, vec!["shop.example:8765"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_proxy_may_say_is_dropped_and_said_truthfully() {
    let (address, mut requests) = backend::echo().await;
    let gateway = Gateway::run(&proxied(&[address], "", ""));
    let sent = "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: 10.0.0.2\r\nX_Forwarded_For: 10.0.0.3\r\nX-Forwarded-Proto: https\r\n\
                X-Forwarded-Host: evil.example\r\nX-Forwarded-Prefix: /admin\r\nX-Real-IP: 10.0.0.4\r\nForwarded: for=10.0.0.5\r\n\
                Connection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nX-Own: kept\r\nCookie: a=b\r\n\
                Origin: https://shop.example\r\nUser-Agent: a client\r\n";
    let mut client = TcpStream::connect(gateway.address("public")).await.unwrap();
    client.write_all(raw::upgrade("/chat", sent).as_bytes()).await.unwrap();
    assert!(support::in_time(backend::read_head(&mut client)).await.starts_with("HTTP/1.1 101 "));
    let request = requests.recv().await.unwrap();
    let headers = request.headers();
    let rows: [(&str, &[&str]); 17] = [
        ("x-forwarded-for", &["127.0.0.1"]),
        ("x_forwarded_for", &[]),
        ("x-forwarded-proto", &["http"]),
        ("x-forwarded-host", &["localhost"]),
        ("x-forwarded-prefix", &[]),
        ("x-real-ip", &["127.0.0.1"]),
        ("forwarded", &[]),
        ("x-hop", &[]),
        ("keep-alive", &[]),
        ("te", &[]),
        ("connection", &["Upgrade"]),
        ("upgrade", &["websocket"]),
        ("sec-websocket-version", &["13"]),
        ("x-own", &["kept"]),
        ("cookie", &["a=b"]),
        ("origin", &["https://shop.example"]),
        ("user-agent", &["a client"]),
    ];
    for (name, values) in rows {
        assert_eq!(all(headers, name), values, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_may_strip_a_prefix_and_be_told_another_host() {
    let rows = [
        ("strip_prefix = \"/chat\"", "/chat/room?x=1", "/room?x=1", "shop.example"),
        ("strip_prefix = \"/chat\"", "/chat", "/", "shop.example"),
        ("strip_prefix = \"/chat\"", "/chat?x", "/?x", "shop.example"),
        ("host_header = \"backend.internal\"", "/chat/a", "/chat/a", "backend.internal"),
        ("host_header = \"server\"", "/chat/a", "/chat/a", "the server's own"),
    ];
    for (keys, asked, seen, host) in rows {
        let (address, mut requests) = backend::echo().await;
        let gateway = Gateway::run(&proxied(&[address], "", keys));
        connect(&gateway, asked, &[("host", "shop.example")]).await;
        let request = requests.recv().await.unwrap();
        let host = if host.contains(' ') { address.to_string() } else { host.to_owned() };
        assert_eq!((request.uri().to_string().as_str(), all(request.headers(), "host")), (seen, vec![&*host]), "{keys}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_may_name_its_backend_by_its_url_alone() {
    let (address, mut requests) = backend::echo().await;
    let config = format!("[listener.public]\naddress = \"127.0.0.1:0\"\n[route.all]\nendpoint = \"ws://{address}\"\n");
    let mut gateway = Gateway::run(&config);
    let (mut socket, _) = connect(&gateway, "/any/where?x", &[]).await;
    assert_eq!(support::ask(&mut socket, "hi").await, "hi");
    assert_eq!(requests.recv().await.unwrap().uri(), "/any/where?x");
    assert_eq!(gateway.event("open")["upstream"], format!("ws://{address}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn subprotocols_are_agreed_on_end_to_end_within_what_the_route_allows() {
    let (address, mut requests) = backend::echo().await;
    // The backend picks the first it is offered.
    let rows: [(&str, &str, Option<&str>, Option<&str>); 5] = [
        ("", "chat, mqtt", Some("chat, mqtt"), Some("chat")),
        ("subprotocols = [\"mqtt\", \"chat\"]", "other, chat, mqtt", Some("chat, mqtt"), Some("chat")),
        ("subprotocols = [\"mqtt\"]", "chat, mqtt", Some("mqtt"), Some("mqtt")),
        ("subprotocols = [\"mqtt\"]", "chat", None, None),
        ("subprotocols = []", "chat", None, None),
    ];
    for (keys, offer, passed, agreed) in rows {
        let mut gateway = Gateway::run(&proxied(&[address], keys, ""));
        let mut client = TcpStream::connect(gateway.address("public")).await.unwrap();
        let offer = raw::upgrade("/chat", &format!("Sec-WebSocket-Protocol: {offer}\r\n"));
        client.write_all(offer.as_bytes()).await.unwrap();
        let answer = support::in_time(backend::read_head(&mut client)).await;
        assert_eq!(backend::header(&answer, "sec-websocket-protocol"), agreed, "{keys}: {answer}");
        let request = requests.recv().await.unwrap();
        assert_eq!(all(request.headers(), "sec-websocket-protocol"), passed.into_iter().collect::<Vec<_>>(), "{keys}");
        assert_eq!(gateway.event("open")["subprotocol"].as_str(), agreed, "{keys}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_is_told_claims_and_never_the_credential() {
    let (address, mut requests) = backend::echo().await;
    let route = "pipeline = [\"jwt.users\"]\nforward_claims = { X-User = \"sub\", X-Team = \"org.team\", X-None = \"missing\" }";
    let mut gateway = Gateway::run(&(proxied(&[address], route, "") + &guard("")));
    let token = token(&json!({ "sub": "alice", "exp": now() + 60, "org": { "team": 7 } }));
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", &*bearer), ("x-user", "root"), ("x_user", "root"), ("x-none", "spoofed")];
    let (mut socket, _) = connect(&gateway, "/chat", &headers).await;
    assert_eq!(support::ask(&mut socket, "hi").await, "hi");
    let request = requests.recv().await.unwrap();
    let rows: [(&str, &[&str]); 5] = [("x-user", &["alice"]), ("x-team", &["7"]), ("x_user", &[]), ("x-none", &[]), ("authorization", &[])];
    for (name, values) in rows {
        assert_eq!(all(request.headers(), name), values, "{name}");
    }
    assert!(!format!("{:?}", request.headers()).contains(&token));
    assert_eq!(gateway.event("open")["user"], "alice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_sees_what_its_backend_says_beside_the_upgrade() {
    let (sender, mut heads) = mpsc::channel(1);
    let address = backend::scripted(move |mut stream| {
        let sender = sender.clone();
        async move {
            let head = backend::read_head(&mut stream).await;
            let more = "Set-Cookie: a=b\r\nSet-Cookie: c=d\r\nConnection: x-hop\r\nX-Hop: 1\r\nServer: chat\r\n\r\n";
            let answer = backend::switching(&head).replace("\r\n\r\n", &format!("\r\n{more}"));
            stream.write_all(answer.as_bytes()).await.unwrap();
            sender.send(head).await.unwrap();
            _ = backend::read_head(&mut stream).await;
        }
    });
    let gateway = Gateway::run(&proxied(&[address.await], "", ""));
    let (_socket, headers) = connect(&gateway, "/chat", &[]).await;
    assert_eq!(all(&headers, "set-cookie"), ["a=b", "c=d"]);
    assert_eq!((all(&headers, "server"), all(&headers, "x-hop")), (vec!["chat"], vec![]));
    let head = heads.recv().await.unwrap();
    assert_eq!(backend::header(&head, "sec-websocket-extensions"), None);
}

/// The answer and the offer where the client and the backend say this of compression.
async fn negotiated(keys: &str, offer: &str, answer: &'static str) -> (String, String) {
    let (sender, mut heads) = mpsc::channel(1);
    let address = backend::scripted(move |mut stream| {
        let sender = sender.clone();
        async move {
            let head = backend::read_head(&mut stream).await;
            let lines = if answer.is_empty() { String::new() } else { format!("Sec-WebSocket-Extensions: {answer}\r\n") };
            let answer = backend::switching(&head).replace("\r\n\r\n", &format!("\r\n{lines}\r\n"));
            stream.write_all(answer.as_bytes()).await.unwrap();
            sender.send(head).await.unwrap();
            // A compressed message each way, byte by byte as it came.
            let frame = raw::next_frame(&mut stream).await;
            stream.write_all(&raw::unmasked(frame.0, &frame.1)).await.unwrap();
            _ = backend::read_head(&mut stream).await;
        }
    });
    let gateway = Gateway::run(&proxied(&[address.await], keys, ""));
    let mut client = TcpStream::connect(gateway.address("public")).await.unwrap();
    let request = raw::upgrade("/chat", &format!("Sec-WebSocket-Extensions: {offer}\r\n"));
    client.write_all(request.as_bytes()).await.unwrap();
    let answered = support::in_time(backend::read_head(&mut client)).await;
    assert!(answered.starts_with("HTTP/1.1 101 "), "{answered}");
    let answered = backend::header(&answered, "sec-websocket-extensions").unwrap_or_default().to_owned();
    let first = if answered.is_empty() { 0x81 } else { 0xc1 };
    client.write_all(&raw::frame(first, b"\xf2\x48\xcd\xc9\xc9\x07\x00")).await.unwrap();
    assert_eq!(raw::next_frame(&mut client).await, (first, b"\xf2\x48\xcd\xc9\xc9\x07\x00".to_vec()));
    let head = heads.recv().await.unwrap();
    (backend::header(&head, "sec-websocket-extensions").unwrap_or_default().to_owned(), answered)
}

#[tokio::test(flavor = "multi_thread")]
async fn compression_passes_end_to_end_and_every_message_stands_alone() {
    const ALONE: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let pass = negotiated("", "permessage-deflate, x-other", "permessage-deflate; server_no_context_takeover").await;
    assert_eq!(pass, (ALONE.to_owned(), ALONE.to_owned()));
    let windows = negotiated(
        "",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover; client_max_window_bits=10",
    )
    .await;
    assert_eq!(windows, (format!("{ALONE}; client_max_window_bits"), format!("{ALONE}; client_max_window_bits=10")));
    let takeover = negotiated("compression = \"takeover\"", "permessage-deflate", "permessage-deflate").await;
    assert_eq!(takeover, ("permessage-deflate".to_owned(), "permessage-deflate".to_owned()));
    let off = negotiated("compression = \"off\"", "permessage-deflate", "").await;
    assert_eq!(off, (String::new(), String::new()));
    let declined = negotiated("", "permessage-deflate", "").await;
    assert_eq!(declined, (ALONE.to_owned(), String::new()));
}
