//! What passes over TLS, on one side or on both: large messages, slow readers, bytes that wait.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use super::certificates::{Authority, client, connect, dial, server};
use super::servers::{over_tls, upgraded_over_tls};
use super::support::{SECRET, ask, backend, in_time, now, raw, token, with_token};
use super::{SERVER, URL, listening, run};

/// Every pair of sides that TLS may be on: the client's, the backend's.
const SIDES: [(bool, bool); 3] = [(true, false), (false, true), (true, true)];

/// The file of a gateway between these sides.
fn between(is_tls: (bool, bool), server: SocketAddr) -> String {
    let (tls, scheme) = (if is_tls.0 { SERVER } else { "" }, if is_tls.1 { "wss" } else { "ws" });
    let more = if is_tls.1 { "tls = { ca = \"ca.pem\" }\n" } else { "" };
    let up = format!(
        "[upstream.up]\nservers = \"{scheme}://{server}\"\n{more}[route.up]\npath = \"/up\"\nendpoint = \"upstream.up\"\n\
         max_message = {{ client = \"8MiB\", upstream = \"64MiB\" }}\n"
    );
    listening(tls, &up)
}

/// A message of this size that is not the same anywhere.
fn large(size: usize) -> Vec<u8> {
    (0_u32..).flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()).take(size).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn large_messages_come_back_as_they_went() {
    let authority = Authority::new("ca");
    let own = authority.issue(&["127.0.0.1"]);
    for sides in SIDES {
        let server = if sides.1 { over_tls(server(&own, None)).await } else { backend::echo().await.0 };
        let gateway = run(&authority, &between(sides, server));
        let messages = [large(1), large(125), large(4096), large(16_384), large(16_385), large(65_536), large(1_000_003), large(4 << 20)];
        let address = gateway.address("public");
        if sides.0 {
            let socket = connect(address, &client(&authority, None), "wss://localhost/up").await.unwrap();
            echoes(socket, &messages).await;
        } else {
            echoes(gateway.connect("public", "/up").await, &messages).await;
        }
    }
}

/// Sends every message, reading meanwhile, and finds each again.
async fn echoes<S: super::support::Io>(socket: tokio_tungstenite::WebSocketStream<S>, messages: &[Vec<u8>]) {
    let (mut sink, mut stream) = socket.split();
    let sending = async {
        for message in messages {
            sink.send(Message::binary(message.clone())).await.unwrap();
        }
    };
    let reading = async {
        for message in messages {
            let came = in_time(stream.next()).await.unwrap().unwrap();
            assert!(came.into_data() == *message, "a message of {} bytes", message.len());
        }
    };
    tokio::join!(sending, reading);
}

/// How much a backend says that nobody hurries to read: more than all buffers on the way.
const FLOOD: usize = 24 << 20;

/// Says a flood in messages of 1 MiB, all of it at once.
async fn flood<S: super::support::Io>(mut stream: S) {
    let message = raw::unmasked(0x82, &large(1 << 20));
    for _ in 0..FLOOD >> 20 {
        stream.write_all(&message).await.unwrap();
    }
    stream.flush().await.unwrap();
    // Its end is the gateway's to bring about.
    _ = stream.read_to_end(&mut Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_takes_its_time_gets_all_of_it() {
    let authority = Authority::new("ca");
    let own = authority.issue(&["127.0.0.1"]);
    for sides in SIDES {
        let server = if sides.1 { upgraded_over_tls(server(&own, None), flood).await } else { backend::upgraded(b"", flood).await };
        let gateway = run(&authority, &between(sides, server));
        let read = async |mut stream: Box<dyn super::support::Io + Send>| {
            let (message, mut chunk, mut at) = (raw::unmasked(0x82, &large(1 << 20)), vec![0; 3000], 0);
            let all = message.len() * (FLOOD >> 20);
            while at < all {
                let count = in_time(stream.read(&mut chunk)).await.unwrap();
                assert!(count > 0, "it ended at {at}");
                for byte in &chunk[..count] {
                    assert!(*byte == message[at % message.len()], "at {at}");
                    at += 1;
                }
                tokio::task::yield_now().await;
            }
        };
        let asks = raw::upgrade("/up", "");
        if sides.0 {
            let mut stream = dial(gateway.address("public"), "localhost", &client(&authority, None)).await.unwrap();
            stream.write_all(asks.as_bytes()).await.unwrap();
            read_head(&mut stream).await;
            read(Box::new(stream)).await;
        } else {
            read(Box::new(raw::upgraded(gateway.address("public"), "/up").await)).await;
        }
    }
}

async fn read_head<S: super::support::Io>(stream: &mut S) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(in_time(stream.read_u8()).await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_glued_to_either_handshake_is_not_lost() {
    let authority = Authority::new("ca");
    let own = authority.issue(&["127.0.0.1"]);
    let server = upgraded_over_tls(server(&own, None), |mut stream| async move {
        stream.write_all(&raw::unmasked(0x81, b"glued")).await.unwrap();
        stream.flush().await.unwrap();
        let mut frame = vec![0; raw::frame(0x81, b"early").len()];
        stream.read_exact(&mut frame).await.unwrap();
        stream.write_all(&raw::unmasked(0x81, &raw::frames(&frame)[0].1)).await.unwrap();
        _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let gateway = run(&authority, &between((true, true), server.await));
    let mut stream = dial(gateway.address("public"), "localhost", &client(&authority, None)).await.unwrap();
    stream.write_all(&[raw::upgrade("/up", "").as_bytes(), &raw::frame(0x81, b"early")].concat()).await.unwrap();
    read_head(&mut stream).await;
    let mut frames = vec![0; 14];
    in_time(stream.read_exact(&mut frames)).await.unwrap();
    assert_eq!(raw::frames(&frames), [(0x81, b"glued".to_vec()), (0x81, b"early".to_vec())]);
}

/// A client in a PROXY header, as a balancer writes it.
const FROM: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 50000 443\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_header_comes_before_tls_in_one_piece_with_it_or_in_many() {
    let authority = Authority::new("ca");
    let tls = format!("{SERVER}\nproxy_protocol = {{ from = \"127.0.0.1\" }}");
    let mut gateway = run(&authority, &listening(&tls, ""));
    for pieces in [1, 7, FROM.len()] {
        let mut tcp = TcpStream::connect(gateway.address("public")).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        for piece in FROM.as_bytes().chunks(FROM.len().div_ceil(pieces)) {
            tcp.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        let connector = tokio_rustls::TlsConnector::from(client(&authority, None));
        let stream = in_time(connector.connect("localhost".try_into().unwrap(), tcp)).await.unwrap();
        let (mut socket, _) = in_time(tokio_tungstenite::client_async(URL, stream)).await.unwrap();
        assert_eq!(ask(&mut socket, "hello").await, "hello");
        assert_eq!(gateway.event("open")["ip"], "192.0.2.7");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_in_one_packet_with_a_proxy_header_is_the_hello() {
    let authority = Authority::new("ca");
    let tls = format!("{SERVER}\nproxy_protocol = {{ from = \"127.0.0.1\" }}");
    let mut gateway = run(&authority, &listening(&tls, ""));
    let tcp = TcpStream::connect(gateway.address("public")).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(client(&authority, None));
    let stream = connector.connect("localhost".try_into().unwrap(), super::hostile::Before::new(FROM.as_bytes(), tcp));
    let (mut socket, _) = in_time(tokio_tungstenite::client_async(URL, in_time(stream).await.unwrap())).await.unwrap();
    assert_eq!(ask(&mut socket, "hello").await, "hello");
    assert_eq!(gateway.event("open")["ip"], "192.0.2.7");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_nobody_reads_holds_up_its_backend_and_nobody_else() {
    let authority = Authority::new("ca");
    let own = authority.issue(&["127.0.0.1"]);
    let written = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counts = written.clone();
    let server = upgraded_over_tls(server(&own, None), move |mut stream| {
        let counts = counts.clone();
        async move {
            let message = raw::unmasked(0x82, &large(1 << 20));
            while stream.write_all(&message).await.is_ok() {
                counts.fetch_add(message.len(), std::sync::atomic::Ordering::Relaxed);
            }
        }
    });
    let gateway = run(&authority, &between((true, true), server.await));
    let config = client(&authority, None);
    let mut idle = dial(gateway.address("public"), "localhost", &config).await.unwrap();
    idle.write_all(raw::upgrade("/up", "").as_bytes()).await.unwrap();
    read_head(&mut idle).await;
    // The others are served while it stands still, and it does stand still.
    let mut before = usize::MAX;
    while before != written.load(std::sync::atomic::Ordering::Relaxed) {
        before = written.load(std::sync::atomic::Ordering::Relaxed);
        for _ in 0..20 {
            let mut socket = connect(gateway.address("public"), &config, URL).await.unwrap();
            assert_eq!(ask(&mut socket, "hello").await, "hello");
        }
    }
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_over_tls_as_without() {
    let authority = Authority::new("ca");
    let jwt = format!(
        "[jwt.users]\nalgorithms = \"HS256\"\nsecret = {{ env = \"NOBODY_SETS_THIS\", default = \"{SECRET}\" }}\n\
         renew.message = {{ match = {{ type = \"auth\" }}, field = \"token\", reply = \"renewed\" }}\nrenew.ticket = true\n"
    );
    let gateway =
        run(&authority, &listening(SERVER, &jwt).replace("endpoint = \"echo\"", "endpoint = \"echo\"\npipeline = [\"jwt.users\"]"));
    let (address, client) = (gateway.address("public"), client(&authority, None));
    let of_alice = || token(&serde_json::json!({ "sub": "alice", "exp": now() + 600 }));
    let ticket = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    let mut socket = connect(address, &client, with_token(&format!("{URL}?wsgate_ticket={ticket}"), &of_alice())).await.unwrap();
    let message = serde_json::json!({ "type": "auth", "token": of_alice() }).to_string();
    assert_eq!(ask(&mut socket, &message).await, "renewed");
    let mut asking = dial(address, "localhost", &client).await.unwrap();
    let request = format!(
        "POST /.well-known/wsgate/renew HTTP/1.1\r\nHost: localhost\r\nX-Wsgate-Ticket: {ticket}\r\nAuthorization: Bearer {}\r\n\r\n",
        of_alice()
    );
    asking.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 16];
    in_time(asking.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer, *b"HTTP/1.1 204 No ");
    assert_eq!(ask(&mut socket, "hello").await, "hello");
}
