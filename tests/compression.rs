//! permessage-deflate with the gateway itself at the other end: what is agreed on, and what is sent by it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking, and so do its helpers")]

mod support;

use support::backend::{header, read_head};
use support::raw::{closing, frame, next_frame, upgrade};
use support::{Gateway, in_time, token};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use wsgate::wire::deflate::{Deflater, Inflater, Window};

/// The first bytes of a text message in one frame, as it is and compressed.
const TEXT: u8 = 0x81;
const PACKED: u8 = 0xc1;
const CLOSE: u8 = 0x88;

/// The gateway over an echo endpoint; `{}` is more of the route.
fn echo(more: &str) -> Gateway {
    Gateway::run(&format!("[listener.l]\naddress = \"127.0.0.1:0\"\n[route.r]\nendpoint = \"echo\"\n{more}"))
}

/// Upgrades with this offer; gives the socket, and what was agreed on.
async fn offering(gateway: &Gateway, offer: &str) -> (TcpStream, Option<String>) {
    let mut stream = TcpStream::connect(gateway.address("l")).await.unwrap();
    let offer = format!("Sec-WebSocket-Extensions: {offer}\r\n");
    stream.write_all(upgrade("/", &offer).as_bytes()).await.unwrap();
    let head = in_time(read_head(&mut stream)).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let agreed = header(&head, "sec-websocket-extensions").map(str::to_owned);
    (stream, agreed)
}

/// One direction's codec at the client's end.
struct Peer {
    stream: TcpStream,
    deflater: Deflater,
    inflater: Inflater,
}

impl Peer {
    fn new(stream: TcpStream, sends: Window, reads: Window) -> Self {
        Self { stream, deflater: Deflater::new(sends), inflater: Inflater::new(reads) }
    }

    /// Sends text compressed, and gives how many bytes that took.
    async fn say(&mut self, text: &str) -> usize {
        let mut payload = Vec::new();
        assert!(self.deflater.deflate(text.as_bytes(), &mut payload), "it gets no smaller");
        self.stream.write_all(&frame(PACKED, &payload)).await.unwrap();
        payload.len()
    }

    /// Whether what comes next is compressed, its text, and how many bytes that took.
    async fn hear(&mut self) -> (bool, String, usize) {
        let (first, payload) = next_frame(&mut self.stream).await;
        let mut text = Vec::new();
        match first {
            PACKED => self.inflater.inflate(&payload, 1 << 20, &mut text).unwrap(),
            TEXT => text = payload.clone(),
            other => panic!("{other:x}: {}", String::from_utf8_lossy(&payload)),
        }
        (first == PACKED, String::from_utf8(text).unwrap(), payload.len())
    }
}

#[tokio::test]
async fn an_endpoint_takes_what_it_is_offered_as_its_route_says() {
    const ALONE: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    for (more, offer, agreed) in [
        ("", "permessage-deflate; client_max_window_bits", Some(ALONE)),
        ("", "x-other, permessage-deflate; server_max_window_bits=10", Some(&*format!("{ALONE}; server_max_window_bits=10"))),
        ("", "x-other", None),
        ("compression = \"takeover\"", "permessage-deflate; client_max_window_bits", Some("permessage-deflate")),
        (
            "compression = \"takeover\"",
            "permessage-deflate; server_no_context_takeover",
            Some("permessage-deflate; server_no_context_takeover"),
        ),
        ("compression = \"off\"", "permessage-deflate", None),
    ] {
        let gateway = echo(more);
        let (stream, found) = offering(&gateway, offer).await;
        assert_eq!(found.as_deref(), agreed, "{more}: {offer}");
        let keeps = |side: &str| agreed.is_some_and(|agreed| !agreed.contains(&format!("{side}_no_context_takeover")));
        let mut peer = Peer::new(stream, Window::new(15, keeps("client")), Window::new(15, keeps("server")));
        let text = "to and fro, ".repeat(100);
        if agreed.is_some() {
            peer.say(&text).await;
            assert_eq!(peer.hear().await.1, text);
        }
        peer.stream.write_all(&frame(TEXT, text.as_bytes())).await.unwrap();
        let (is_packed, heard, length) = peer.hear().await;
        assert_eq!((is_packed, heard), (agreed.is_some(), text.clone()), "{more}: {offer}");
        assert!(!is_packed || length < text.len() / 10, "{length} bytes");
        peer.stream.write_all(&frame(TEXT, b"short")).await.unwrap();
        assert_eq!(peer.hear().await, (false, "short".to_owned(), 5), "what gets no shorter goes as it is");
    }
}

#[tokio::test]
async fn with_takeover_each_side_refers_to_what_it_has_sent_before() {
    let gateway = echo("compression = \"takeover\"");
    let (stream, _) = offering(&gateway, "permessage-deflate").await;
    let window = Window::new(15, true);
    let mut peer = Peer::new(stream, window, window);
    let text: String = (0..60).map(|number| format!("{number} bottles; ")).collect();
    let first = (peer.say(&text).await, peer.hear().await);
    let again = (peer.say(&text).await, peer.hear().await);
    assert_eq!((&first.1.1, &again.1.1), (&text, &text));
    assert!(again.0 * 4 < first.0 && again.1.2 * 4 < first.1.2, "{first:?} {again:?}");
}

#[tokio::test]
async fn a_first_message_may_be_compressed_where_the_gateway_itself_answers() {
    let gateway = Gateway::run(
        "[listener.l]\naddress = \"127.0.0.1:0\"\n[jwt.users]\nalgorithms = [\"HS256\"]\nsources = [\"first_message\"]\n\
         secret = { env = \"NOBODY_SETS_THIS\", default = \"@secret\" }\n\
         [route.r]\npipeline = [\"jwt.users\"]\nendpoint = \"authenticated\"\ncompression = \"takeover\""
            .replace("@secret", support::SECRET)
            .as_str(),
    );
    let (stream, agreed) = offering(&gateway, "permessage-deflate").await;
    assert_eq!(agreed.as_deref(), Some("permessage-deflate"));
    let window = Window::new(15, true);
    let mut peer = Peer::new(stream, window, window);
    let token = token(&serde_json::json!({ "sub": "alice", "exp": 4_000_000_000_u64, "note": "again and again ".repeat(20) }));
    peer.say(&token).await;
    assert_eq!(peer.hear().await.1, "Authenticated!");
    let again = peer.say(&token).await;
    assert!(again < 50, "it refers to the first message: {again} bytes");
    assert_eq!(peer.hear().await.1, token);
}

#[tokio::test]
async fn a_bomb_costs_its_limit_and_what_is_no_deflate_is_refused() {
    let mut gateway = echo("");
    let mut bomb = Vec::new();
    assert!(Deflater::new(Window::new(15, false)).deflate(&vec![0; 1 << 26], &mut bomb));
    for (payload, code, reason, outcome, rule) in [
        (&bomb[..], 1009, "message too large", "message_too_large", "message over max_message"),
        (b"\x07", 1002, "protocol error", "protocol_error", "compressed data is corrupt"),
    ] {
        let (mut stream, _) = offering(&gateway, "permessage-deflate").await;
        stream.write_all(&frame(0xc2, payload)).await.unwrap();
        assert_eq!(next_frame(&mut stream).await, (CLOSE, closing(code, reason)));
        drop(stream);
        let close = gateway.event("close");
        assert_eq!((&close["outcome"], &close["rule"]), (&outcome.into(), &rule.into()));
    }
}

#[tokio::test]
async fn a_connection_whose_messages_depend_on_one_another_cannot_go_on_where_some_are_left_out() {
    let mut gateway = echo("compression = \"takeover\"");
    let (mut depends, _) = offering(&gateway, "permessage-deflate").await;
    let (mut stands, _) = offering(&gateway, "permessage-deflate; server_no_context_takeover; client_no_context_takeover").await;
    let reloaded = gateway.reload(
        "[gateway]\nreload = { spread = \"1ms\", rate = \"10000/s\" }\n[listener.l]\naddress = \"127.0.0.1:0\"\n\
         [rate_limit.r]\nkey = \"connection\"\nmessages = \"1000/s\"\non_excess = \"drop\"\n\
         [route.r]\npipeline = [\"rate_limit.r\"]\nendpoint = \"echo\"",
    );
    assert_eq!(reloaded["event"], "reloaded", "{reloaded}");
    assert_eq!(next_frame(&mut depends).await, (CLOSE, closing(1012, "please reconnect")));
    let close = gateway.event("close");
    assert_eq!(close["rule"], "rate_limit.r leaves out or reads messages, and this connection's depend on one another");
    stands.write_all(&frame(TEXT, b"still here")).await.unwrap();
    assert_eq!(next_frame(&mut stands).await, (TEXT, b"still here".to_vec()));
}
