//! Where the client really is: PROXY headers and trusted proxies, and that one address is what everything goes by.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking, and so do its helpers")]

mod support;

use std::net::SocketAddr;

use serde_json::{Value, json};
use support::{Gateway, backend, closed, raw};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use wsgate::wire::proxy_protocol::{Ends, Version};

/// A listener with these keys, and a route to an echo.
fn listening(keys: &str, more: &str) -> String {
    format!("[listener.public]\naddress = \"127.0.0.1:0\"\n{keys}\n[route.echo]\npath = \"/echo\"\nendpoint = \"echo\"\n{more}")
}

/// Denies 203.0.113.0/24, and this machine: a balancer there is not judged in its client's place.
const FIREWALL: &str = "[firewall.door]\ndeny = [\"203.0.113.0/24\", \"127.0.0.0/8\"]\n";

const ANNOUNCED: &str = "proxy_protocol = { from = \"127.0.0.1\" }";
const TRUSTED: &str = "trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]";

fn client(source: &str) -> Ends {
    Ends { source: source.parse().unwrap(), destination: "198.51.100.1:443".parse().unwrap() }
}

/// A header of version 2 that names nobody: `LOCAL`, or `PROXY` without a family.
fn nobody(command: u8) -> Vec<u8> {
    [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[command, 0, 0, 0]].concat()
}

/// Connects from this address of the loopback.
async fn from(ip: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(ip.parse().unwrap(), 0)).unwrap();
    socket.connect(to).await.unwrap()
}

/// What an upgrade from there with these lines is answered, behind these bytes: the status.
async fn status(gateway: &Gateway, ip: &str, before: &[u8], lines: &str) -> u16 {
    let mut stream = from(ip, gateway.address("public")).await;
    let bytes = [before, raw::upgrade("/echo", lines).as_bytes()].concat();
    // The gateway may answer and close before it has read all of it.
    _ = stream.write_all(&bytes).await;
    let head = support::in_time(backend::read_head(&mut stream)).await;
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// The client's address and port in a line of the log, and its proxy's address.
fn ends(event: &Value) -> (&str, bool, &str) {
    let peer = event["peer"].as_str().and_then(|peer| peer.rsplit_once(':'));
    (event["ip"].as_str().unwrap(), event["port"].is_u64(), peer.map_or("", |(ip, _)| ip))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_header_says_who_the_client_is() {
    let pipeline = format!("{ANNOUNCED}\npipeline = [\"firewall.door\"]");
    let mut gateway = Gateway::run(&listening(&pipeline, FIREWALL));
    let (good, denied) = (client("192.0.2.7:50000"), client("203.0.113.9:50000"));
    let mapped = client("[::ffff:203.0.113.9]:50000");
    let rows: [(&str, Vec<u8>, u16, &str); 9] = [
        ("version 1", Version::V1.header(good), 101, "192.0.2.7"),
        ("version 2", Version::V2.header(good), 101, "192.0.2.7"),
        ("IPv6", Version::V2.header(client("[2001:db8::7]:50000")), 101, "2001:db8::7"),
        ("denied in version 1", Version::V1.header(denied), 403, "203.0.113.9"),
        ("denied in version 2", Version::V2.header(denied), 403, "203.0.113.9"),
        ("denied as mapped", Version::V1.header(mapped), 403, "203.0.113.9"),
        ("UNKNOWN", b"PROXY UNKNOWN\r\n".to_vec(), 403, "127.0.0.1"),
        ("LOCAL", nobody(0x20), 403, "127.0.0.1"),
        ("no family", nobody(0x21), 403, "127.0.0.1"),
    ];
    for (what, header, expected, ip) in rows {
        assert_eq!(status(&gateway, "127.0.0.1", &header, "").await, expected, "{what}");
        let event = gateway.event(if expected == 101 { "open" } else { "refused" });
        let is_balancer = ip == "127.0.0.1";
        assert_eq!(ends(&event), (ip, is_balancer, if is_balancer { "" } else { "127.0.0.1" }), "{what}: {event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_in_pieces_and_all_that_follows_it_is_read() {
    let gateway = Gateway::run(&listening(ANNOUNCED, ""));
    for version in [Version::V1, Version::V2] {
        let mut stream = TcpStream::connect(gateway.address("public")).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let header = version.header(client("192.0.2.7:50000"));
        let (last, first) = header.split_last().unwrap();
        for byte in first {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let rest = [&[*last], raw::upgrade("/echo", "").as_bytes(), &raw::frame(0x81, b"early")].concat();
        stream.write_all(&rest).await.unwrap();
        assert!(support::in_time(backend::read_head(&mut stream)).await.starts_with("HTTP/1.1 101 "));
        assert_eq!(raw::next_frame(&mut stream).await, (0x81, b"early".to_vec()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_to_begin_with_a_header_and_does_not_is_told_nothing() {
    let keys = format!("{ANNOUNCED}\nhandshake_timeout = \"300ms\"");
    let mut gateway = Gateway::run(&listening(&keys, ""));
    let large = [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[0x21, 0x11, 0xff, 0xff]].concat();
    let rows: [(Vec<u8>, &str); 5] = [
        (raw::upgrade("/echo", "").into_bytes(), "no PROXY header"),
        (b"PROXY TCP4 here there 1 2\r\n".to_vec(), "a malformed address in a PROXY header"),
        (b"PROXY UNKNOWN ".repeat(12), "a PROXY header of more than 107 bytes"),
        (large, "a PROXY header of more than 4096 bytes"),
        (b"PROXY TCP4 192.0.2.7".to_vec(), "a PROXY header that did not come in time"),
    ];
    for (bytes, rule) in rows {
        assert_eq!(raw::exchange(gateway.address("public"), &bytes).await, "", "{rule}");
        let event = gateway.event("refused");
        assert_eq!((&event["outcome"], &event["rule"], &event["status"]), (&json!("bad_proxy_header"), &json!(rule), &Value::Null));
        assert_eq!(ends(&event), ("127.0.0.1", true, ""));
    }
    // Nobody else may send one, and needs to.
    let header = Version::V1.header(client("192.0.2.7:50000"));
    assert_eq!(status(&gateway, "127.0.0.2", &header, "").await, 400);
    assert_eq!(gateway.event("refused")["outcome"], "bad_handshake");
    assert_eq!(status(&gateway, "127.0.0.2", b"", "").await, 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_that_says_nothing_leaves_without_a_line() {
    let mut gateway = Gateway::run(&listening(ANNOUNCED, ""));
    for bytes in [&b""[..], b"PROXY TC", &Version::V1.header(client("192.0.2.7:50000"))] {
        let mut stream = TcpStream::connect(gateway.address("public")).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(raw::rest(&mut stream).await, b"");
    }
    assert_eq!(status(&gateway, "127.0.0.2", b"", "").await, 101);
    gateway.event("open");
    assert!(gateway.events().iter().all(|event| event["event"] != "refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_s_one_header_says_who_the_client_is() {
    let pipeline = "pipeline = [\"firewall.door\"]";
    let list = format!("{TRUSTED}\n{pipeline}");
    let table = |header: &str| format!("trusted_proxies = {{ cidrs = \"127.0.0.0/8\", header = \"{header}\" }}\n{pipeline}");
    let rows: [(String, &str, u16, &str); 11] = [
        (list.clone(), "X-Forwarded-For: 192.0.2.7\r\n", 101, "192.0.2.7"),
        (list.clone(), "X-Forwarded-For: 203.0.113.9, 192.0.2.7\r\nX-Forwarded-For: 10.0.0.9\r\n", 101, "192.0.2.7"),
        (list.clone(), "X-Forwarded-For: 192.0.2.7, 203.0.113.9:443\r\n", 403, "203.0.113.9"),
        (list.clone(), "X-Forwarded-For: [2001:db8::7]:443\r\n", 101, "2001:db8::7"),
        (list.clone(), "CF-Connecting-IP: 192.0.2.7\r\n", 403, "127.0.0.1"),
        (list.clone(), "X-Forwarded-For: 192.0.2.7, unknown\r\n", 400, "127.0.0.1"),
        (table("forwarded"), "Forwarded: for=203.0.113.9, for=\"[2001:db8::7]:443\";proto=https\r\n", 101, "2001:db8::7"),
        (table("forwarded"), "X-Forwarded-For: 192.0.2.7\r\n", 403, "127.0.0.1"),
        (table("CF-Connecting-IP"), "CF-Connecting-IP: 192.0.2.7\r\nX-Forwarded-For: 203.0.113.9\r\n", 101, "192.0.2.7"),
        (table("CF-Connecting-IP"), "CF-Connecting-IP: 192.0.2.7, 192.0.2.8\r\n", 400, "127.0.0.1"),
        (table("CF-Connecting-IP"), "CF-Connecting-IP: 192.0.2.7\r\nCF-Connecting-IP: 192.0.2.7\r\n", 400, "127.0.0.1"),
    ];
    for (keys, lines, expected, ip) in rows {
        let mut gateway = Gateway::run(&listening(&keys, FIREWALL));
        assert_eq!(status(&gateway, "127.0.0.1", b"", lines).await, expected, "{lines}");
        let event = gateway.event(if expected == 101 { "open" } else { "refused" });
        assert_eq!(event["ip"], ip, "{lines}: {event}");
        // Who is denied behind a proxy has asked for something already.
        assert!(expected != 403 || event["path"] == "/echo", "{event}");
        assert!(expected != 400 || event["rule"].as_str().unwrap().contains(": "), "{event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_trusted_proxy_speaks_for_itself_alone() {
    let keys = "trusted_proxies = \"127.0.0.1\"\npipeline = [\"firewall.door\"]";
    let mut gateway = Gateway::run(&listening(keys, "[firewall.door]\nallow = \"192.0.2.7\"\n"));
    assert_eq!(status(&gateway, "127.0.0.2", b"", "X-Forwarded-For: 192.0.2.7\r\n").await, 403);
    let event = gateway.event("refused");
    // It is judged before its request is read.
    assert_eq!((&event["ip"], &event["path"]), (&json!("127.0.0.2"), &Value::Null));
    assert_eq!(status(&gateway, "127.0.0.1", b"", "X-Forwarded-For: 192.0.2.7\r\n").await, 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_balancer_and_a_cdn_each_is_believed_in_its_turn() {
    let keys = format!(
        "{ANNOUNCED}\npipeline = [\"firewall.door\"]\ntrusted_proxies = {{ cidrs = \"198.51.100.0/24\", header = \"cf-connecting-ip\" }}"
    );
    let mut gateway = Gateway::run(&listening(&keys, FIREWALL));
    let says = |ip: &str| format!("CF-Connecting-IP: {ip}\r\n");
    for (edge, says, expected, ip) in [
        ("198.51.100.20:50000", says("192.0.2.7"), 101, "192.0.2.7"),
        ("198.51.100.20:50000", says("203.0.113.9"), 403, "203.0.113.9"),
        // Somebody who has found the balancer, and goes around the CDN.
        ("203.0.113.9:50000", says("192.0.2.7"), 403, "203.0.113.9"),
        ("192.0.2.8:50000", says("192.0.2.7"), 101, "192.0.2.8"),
    ] {
        assert_eq!(status(&gateway, "127.0.0.1", &Version::V2.header(client(edge)), &says).await, expected, "{edge} {says}");
        let event = gateway.event(if expected == 101 { "open" } else { "refused" });
        assert_eq!(ends(&event), (ip, false, "127.0.0.1"), "{event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_one_balancer_have_a_limit_each() {
    let limit = "[rate_limit.door]\nkey = \"ip\"\nconnect = \"1/h\"\n";
    for keys in [ANNOUNCED, TRUSTED] {
        let gateway = Gateway::run(&listening(&format!("{keys}\npipeline = [\"rate_limit.door\"]"), limit));
        for (ip, expected) in [("192.0.2.7", 101), ("192.0.2.8", 101), ("192.0.2.7", 429)] {
            let (header, line) = match keys == ANNOUNCED {
                true => (Version::V1.header(client(&format!("{ip}:50000"))), String::new()),
                false => (Vec::new(), format!("X-Forwarded-For: {ip}\r\n")),
            };
            assert_eq!(status(&gateway, "127.0.0.1", &header, &line).await, expected, "{keys}: {ip}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_behind_a_proxy_is_refused_in_a_close_frame_too() {
    let keys = format!("{TRUSTED}\npipeline = [\"firewall.door\", \"errors.browsers\"]");
    let gateway = Gateway::run(&listening(&keys, &format!("{FIREWALL}[errors.browsers]\nreject = \"accept_close\"\n")));
    let request = support::request(&gateway.url("public", "/echo"), &[("x-forwarded-for", "203.0.113.9")]);
    assert_eq!(closed(&mut support::connect(request).await.unwrap()).await.0, 3003);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_is_told_the_way_as_far_as_it_is_believed() {
    let (address, mut requests) = backend::echo().await;
    let route = format!("[route.chat]\npath = \"/chat\"\nendpoint = \"ws://{address}\"\n");
    let of = |header: &str| {
        listening(&format!("trusted_proxies = {{ cidrs = [\"127.0.0.1\", \"10.0.0.0/8\"], header = \"{header}\" }}"), &route)
    };
    let lines = [
        ("x-forwarded-for", "1.2.3.4, 192.0.2.7, 10.0.0.9"),
        ("x-forwarded-proto", "https"),
        ("x-real-ip", "1.2.3.4"),
        ("x-client-at", "192.0.2.8"),
        ("forwarded", "for=1.2.3.4"),
    ];
    let told = ["x-forwarded-for", "x-real-ip", "x-forwarded-proto", "x-client-at", "forwarded"];
    for (header, ip, expected) in [
        ("x-forwarded-for", "127.0.0.1", ["192.0.2.7, 10.0.0.9, 127.0.0.1", "192.0.2.7", "https", "192.0.2.8", ""]),
        ("x-forwarded-for", "127.0.0.2", ["127.0.0.2", "127.0.0.2", "http", "192.0.2.8", ""]),
        ("x-client-at", "127.0.0.1", ["192.0.2.8, 127.0.0.1", "192.0.2.8", "https", "192.0.2.8", ""]),
        ("x-client-at", "127.0.0.2", ["127.0.0.2", "127.0.0.2", "http", "127.0.0.2", ""]),
    ] {
        let gateway = Gateway::run(&of(header));
        let request = support::request(&gateway.url("public", "/chat"), &lines);
        let stream = from(ip, gateway.address("public")).await;
        support::in_time(tokio_tungstenite::client_async(request, stream)).await.unwrap();
        let seen = support::in_time(requests.recv()).await.unwrap();
        let all = |name: &str| seen.headers().get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>().join(" | ");
        assert_eq!(told.map(all), expected, "{header} from {ip}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_expects_a_proxy_header_gets_one_before_the_request() {
    let (sender, mut seen) = tokio::sync::mpsc::channel(4);
    let address = backend::scripted(move |mut stream| {
        let sender = sender.clone();
        async move {
            let mut first = [0; 512];
            let length = stream.read(&mut first).await.unwrap();
            let mut bytes = first[..length].to_vec();
            while !bytes.ends_with(b"\r\n\r\n") {
                bytes.push(stream.read_u8().await.unwrap());
            }
            let request = bytes.windows(4).position(|start| start == b"GET ").unwrap();
            let head = String::from_utf8(bytes.split_off(request)).unwrap();
            stream.write_all(backend::switching(&head).as_bytes()).await.unwrap();
            sender.send(bytes).await.unwrap();
        }
    });
    let address = address.await;
    for (version, written) in [("v1", Version::V1), ("v2", Version::V2)] {
        let route = format!(
            "[route.chat]\npath = \"/chat\"\nendpoint = \"upstream.chat\"\n[upstream.chat]\nservers = \"ws://{address}\"\nproxy_protocol = \"{version}\"\n"
        );
        let gateway = Gateway::run(&listening(&format!("{ANNOUNCED}\ntrusted_proxies = \"10.0.0.0/8\""), &route));
        // What the balancer said goes on as it was; what a header says has no port.
        let direct = client("192.0.2.7:50000");
        let through = Ends { source: "192.0.2.8:0".parse().unwrap(), ..direct };
        for (announced, line, told) in [(direct, "", direct), (client("10.0.0.1:1"), "X-Forwarded-For: 192.0.2.8\r\n", through)] {
            let mut stream = TcpStream::connect(gateway.address("public")).await.unwrap();
            let bytes = [&*Version::V2.header(announced), raw::upgrade("/chat", line).as_bytes()].concat();
            stream.write_all(&bytes).await.unwrap();
            assert!(support::in_time(backend::read_head(&mut stream)).await.starts_with("HTTP/1.1 101 "));
            assert_eq!(support::in_time(seen.recv()).await.unwrap(), written.header(told));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_connection_keeps_the_address_it_opened_with() {
    let of = |keys: &str, denied: &str| {
        listening(&format!("{keys}\npipeline = [\"firewall.door\"]"), &format!("[firewall.door]\ndeny = \"{denied}\"\n"))
    };
    let mut gateway = Gateway::run(&of(TRUSTED, "198.51.100.1"));
    let request = support::request(&gateway.url("public", "/echo"), &[("x-forwarded-for", "192.0.2.7")]);
    let mut socket = support::connect(request).await.unwrap();
    assert_eq!(support::ask(&mut socket, "hi").await, "hi");
    // By the socket's address it would have to go.
    assert_eq!(gateway.reload(&of("", "127.0.0.1"))["event"], "reloaded");
    assert_eq!(support::ask(&mut socket, "still here").await, "still here");
    gateway.reload(&of("", "192.0.2.7"));
    assert_eq!(closed(&mut socket).await.0, 3003);
    assert_eq!(gateway.event("close")["ip"], "192.0.2.7");
}

#[test]
fn a_test_of_the_file_may_come_through_a_proxy() {
    let row = |name: &str, ip: &str, header: &str, expect: &str| {
        format!(
            "[test.{name}]\nconnect = {{ path = \"/echo\", ip = \"{ip}\", headers = {{ X-Forwarded-For = \"{header}\" }} }}\nexpect = \"{expect}\"\n"
        )
    };
    let tests = [
        row("client", "10.0.0.1", "203.0.113.9, 192.0.2.7", "open"),
        row("denied", "10.0.0.1", "203.0.113.9", "ip_denied"),
        row("garbage", "10.0.0.1", "unknown", "bad_handshake"),
        row("direct", "203.0.113.9", "192.0.2.7", "ip_denied"),
    ];
    let config = listening(&format!("{TRUSTED}\npipeline = [\"firewall.door\"]"), &(FIREWALL.to_owned() + &tests.concat()));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gateway.toml"), config).unwrap();
    let checked = support::command(folder.path()).arg("check").output().unwrap();
    let told = String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && told.contains("4 tests"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_networks_is_watched_as_the_config_is() {
    let folder = tempfile::tempdir().unwrap();
    let edges = folder.path().join("edges.txt");
    std::fs::write(&edges, "198.51.100.0/24\n").unwrap();
    let keys = "trusted_proxies = { files = \"edges.txt\" }\npipeline = [\"firewall.door\"]";
    let mut gateway = Gateway::run_in(folder, &listening(keys, "[firewall.door]\nallow = \"192.0.2.7\"\n"));
    assert_eq!(status(&gateway, "127.0.0.1", b"", "X-Forwarded-For: 192.0.2.7\r\n").await, 403);
    std::fs::write(&edges, "127.0.0.1 # the edge that was missing\n").unwrap();
    assert_eq!(gateway.reloaded()["changed"], "listener.public");
    assert_eq!(status(&gateway, "127.0.0.1", b"", "X-Forwarded-For: 192.0.2.7\r\n").await, 101);
}
