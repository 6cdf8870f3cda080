//! The situations of the cookbook: each file is served, and does what its page says of it.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, client_async};

use super::served::{Served, config_of};
use super::support::{ask, backend, closed, command, connect, in_time, raw, request, with_token};

async fn served(page: &str) -> Served {
    Served::new(&config_of(page)).await
}

/// What `wsgate token` prints for the file that is served.
fn token(served: &Served, claims: &[&str]) -> String {
    let mut minting = command(served.gateway.folder.path());
    minting.args(["token", "--stage", "jwt.users", "--sub", "alice"]);
    for claim in claims {
        minting.args(["--claim", claim]);
    }
    let printed = minting.output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    String::from_utf8(printed.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn on_a_laptop_the_third_line_closes_a_connection_that_is_open() {
    let mut served = served("docs/cookbook/laptop.md").await;
    let mut socket = served.gateway.connect("local", "/any/path").await;
    assert_eq!(ask(&mut socket, "more than ten bytes").await, "more than ten bytes");
    let edit = served.config.clone() + "\n[route.app.max_message]\nclient = \"10B\"\n";
    assert_eq!(served.gateway.reload(&edit)["event"], "reloaded");
    socket.send(Message::text("more than ten bytes")).await.unwrap();
    assert_eq!(closed(&mut socket).await, (1009, "message too large".to_owned()));
}

#[tokio::test]
async fn socketio_finds_the_user_in_a_header_and_no_token_in_its_url() {
    let mut served = served("docs/cookbook/socketio.md").await;
    let token = token(&served, &[]);
    let path = "/socket.io/?EIO=4&transport=websocket";
    let mut socket = served.gateway.connect("public", &format!("{path}&token={token}")).await;
    assert_eq!(ask(&mut socket, "40").await, "40");
    let (_, asked) = served.asked().await;
    assert_eq!((asked.uri().to_string().as_str(), &asked.headers()["x-user"]), (path, &"alice".parse().unwrap()));
    // The server of this page speaks nothing but WebSocket, and hangs up on a poll that reaches it.
    for (token, status) in [(format!("&token={token}"), 502), (String::new(), 401)] {
        let polling = format!("GET /socket.io/?EIO=4&transport=polling{token} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answer = raw::exchange(served.gateway.address("public"), polling.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[tokio::test]
async fn graphql_s_first_message_is_read_and_passed_on() {
    let mut served = served("docs/cookbook/graphql-ws.md").await;
    let init = |token: &str| json!({ "type": "connection_init", "payload": { "token": token } }).to_string();
    let url = served.gateway.url("public", "/graphql");
    let offer = || request(&url, &[("sec-websocket-protocol", "graphql-transport-ws")]);
    let mut socket = connect(offer()).await.unwrap();
    let good = init(&token(&served, &[]));
    assert_eq!(ask(&mut socket, &good).await, good, "the server was sent it, and echoes");
    assert_eq!(served.asked().await.1.headers()["x-user"], "alice");
    for (said, told) in [(init("nonsense"), "Invalid token"), ("{}".to_owned(), "Authentication required")] {
        let mut socket = connect(offer()).await.unwrap();
        socket.send(Message::text(said)).await.unwrap();
        assert_eq!(closed(&mut socket).await, (4401, told.to_owned()));
    }
}

#[tokio::test]
async fn a_backend_is_told_the_tenant_of_the_claim_and_not_of_the_host() {
    let mut served = served("docs/cookbook/tenants.md").await;
    let token = token(&served, &["tenant=beta", "iss=https://id.example.com"]);
    let asked = |host: &str| {
        let mut asked = with_token(&served.gateway.url("public", "/"), &token);
        asked.headers_mut().insert("host", host.parse().unwrap());
        asked
    };
    let (shared, own) = (asked("beta.example.com"), asked("acme.example.com"));
    assert_eq!(ask(&mut connect(shared).await.unwrap(), "x").await, "x");
    let (_, told) = served.asked().await;
    assert_eq!((&told.headers()["x-tenant"], &told.headers()["x-user"]), (&"beta".parse().unwrap(), &"alice".parse().unwrap()));
    assert_eq!(ask(&mut connect(own).await.unwrap(), "x").await, "x");
    let (server, told) = served.asked().await;
    assert_eq!((server, &told.headers()["x-tenant"]), ("127.0.0.1:9003", &"beta".parse().unwrap()));
    let log = fs::read_to_string(served.gateway.folder.path().join("acme.log")).unwrap_or_default();
    assert!(!log.contains("route=tenants"), "{log}");
}

/// A client whose address is this one.
async fn from(served: &Served, ip: &str) -> super::support::Socket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(ip.parse().unwrap(), 0)).unwrap();
    let stream = socket.connect(served.gateway.address("public")).await.unwrap();
    client_async(served.gateway.url("public", "/"), MaybeTlsStream::Plain(stream)).await.unwrap().0
}

#[tokio::test]
async fn an_attack_is_reported_first_and_then_ended_under_everybody_else_s_eyes() {
    let config = config_of("docs/cookbook/attack.md");
    assert!(config.contains("\"198.51.100.0/24\"") && config.contains("mode = \"report\"\ndeny"));
    let mut served = Served::new(&config.replace("198.51.100.0/24", "127.0.0.66/32")).await;
    let mut customers = Vec::new();
    for _ in 0..5 {
        customers.push(from(&served, "127.0.0.1").await);
    }
    let mut attacker = from(&served, "127.0.0.66").await;
    let would = served.gateway.event("would_refuse");
    assert_eq!((&would["stage"], &would["ip"]), (&json!("firewall.night"), &json!("127.0.0.66")));
    assert_eq!(ask(&mut attacker, "still here").await, "still here");

    let held = served.config.replace("mode = \"report\"\ndeny", "deny");
    let came = served.gateway.reload(&held);
    assert_eq!((&came["connections_adopted"], &came["connections_closed"]), (&json!(5), &json!(1)), "{came}");
    assert_eq!(closed(&mut attacker).await.0, 3003);
    drop(attacker);
    assert_eq!(served.gateway.event("close")["rule"], "deny[0] 127.0.0.66 (flood, ticket 4711)");
    for customer in &mut customers {
        assert_eq!(ask(customer, "undisturbed").await, "undisturbed");
    }
    let came = served.gateway.reload(&held.replace("127.0.0.66/32", "127.0.0.0/8"));
    assert!(came["faults"].as_str().unwrap().contains("would close 5 of 5 connections, more than the 20%"), "{came}");
}

#[tokio::test]
async fn behind_a_balancer_and_a_cdn_the_client_is_who_they_say() {
    let config = config_of("docs/cookbook/load-balancer.md");
    let mut served = Served::new(&config.replace("10.0.0.0/24", "127.0.0.0/8")).await;
    // An edge of the CDN is believed, anybody else is not; 192.0.2.7 is denied.
    for (begins, ip, status) in [
        ("PROXY TCP4 198.51.100.20 10.0.1.5 50112 8080\r\n", "192.0.2.7", Some("403")),
        ("PROXY TCP4 198.51.100.20 10.0.1.5 50112 8080\r\n", "203.0.113.9", Some("101")),
        ("PROXY TCP4 203.0.113.9 10.0.1.5 50112 8080\r\n", "192.0.2.7", Some("101")),
        ("", "203.0.113.9", None),
    ] {
        let asks = raw::upgrade("/", &format!("CF-Connecting-IP: {ip}\r\nOrigin: https://www.example.com\r\n"));
        let mut stream = TcpStream::connect(served.gateway.address("public")).await.unwrap();
        stream.write_all(format!("{begins}{asks}").as_bytes()).await.unwrap();
        let head = backend::read_head(&mut stream).await;
        assert_eq!(head.split(' ').nth(1), status, "{begins}{ip}: {head}");
    }
    let refused = served.gateway.event("refused");
    assert_eq!((&refused["ip"], &refused["outcome"]), (&json!("192.0.2.7"), &json!("ip_denied")));
    assert_eq!(served.gateway.event("refused")["outcome"], "bad_proxy_header");
}

/// Puts the file and its secret where a kubelet would: behind the link `..data`, which is exchanged for another.
fn mount(folder: &Path, version: &str, file: &str, secret: &str) {
    let written = folder.join(version);
    fs::create_dir_all(written.join("secrets")).unwrap();
    fs::write(written.join("gateway.toml"), file).unwrap();
    fs::write(written.join("secrets/jwt"), secret).unwrap();
    symlink(version, folder.join("..new")).unwrap();
    fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
    for name in ["gateway.toml", "secrets"].map(|name| folder.join(name)).iter().filter(|name| !name.is_symlink()) {
        _ = fs::remove_file(name).or_else(|_| fs::remove_dir_all(name));
        symlink(Path::new("..data").join(name.file_name().unwrap()), name).unwrap();
    }
}

#[tokio::test]
async fn what_a_kubelet_swaps_is_an_edit_of_the_file_and_of_its_secret() {
    let mut served = served("docs/cookbook/kubernetes.md").await;
    let folder = served.gateway.folder.path().to_owned();
    let file = fs::read_to_string(folder.join("gateway.toml")).unwrap();
    let secret = fs::read_to_string(folder.join("secrets/jwt")).unwrap() + "-rotated";
    // Its own log has each line too.
    let mut changed =
        |generation: u64| served.gateway.event_where("reloaded", |event| event["generation"] == generation)["changed"].clone();
    mount(&folder, "..1", &file, &secret);
    assert_eq!(changed(2), "jwt.users, route.chat");
    mount(&folder, "..2", &file.replace("[route.chat]", "[route.chat]\nidle = \"10m\""), &secret);
    assert_eq!(changed(3), "route.chat");
    let token = token(&served, &[]);
    let mut socket = connect(with_token(&served.gateway.url("public", "/chat/x"), &token)).await.unwrap();
    assert_eq!(ask(&mut socket, "signed with the new one").await, "signed with the new one");
}

#[tokio::test]
async fn a_broker_is_sent_what_is_binary_and_never_a_token() {
    let mut served = served("docs/cookbook/mqtt.md").await;
    let printed = command(served.gateway.folder.path()).args(["token", "--stage", "jwt.devices", "--sub", "sensor-7"]).output().unwrap();
    let token = String::from_utf8(printed.stdout).unwrap().trim().to_owned();
    let url = served.gateway.url("public", &format!("/mqtt?token={token}"));
    let mut socket = connect(request(&url, &[("sec-websocket-protocol", "mqtt")])).await.unwrap();
    let packet = Message::binary(vec![0x10, 0x00]);
    socket.send(packet.clone()).await.unwrap();
    assert_eq!(in_time(socket.next()).await.unwrap().unwrap(), packet);
    let (_, asked) = served.asked().await;
    assert_eq!((asked.uri().to_string().as_str(), &asked.headers()["sec-websocket-protocol"]), ("/mqtt", &"mqtt".parse().unwrap()));
    socket.send(Message::text("text")).await.unwrap();
    assert_eq!(closed(&mut socket).await.0, 1003);
}

#[tokio::test]
async fn who_has_a_document_open_is_at_the_server_that_has_it() {
    let mut served = served("docs/cookbook/yjs.md").await;
    let token = token(&served, &[]);
    let mut homes = Vec::new();
    for document in 0..16 {
        let path = format!("/documents/{document}?document={document}&token={token}");
        for _ in 0..2 {
            let _socket = served.gateway.connect("public", &path).await;
            let (server, asked) = served.asked().await;
            assert_eq!(asked.uri().to_string(), format!("/{document}?document={document}"));
            homes.push(server);
        }
    }
    assert!(homes.chunks(2).all(|pair| pair[0] == pair[1]), "{homes:?}");
    assert_eq!(homes.iter().collect::<BTreeSet<_>>().len(), 2, "{homes:?}");
}

#[tokio::test]
async fn vite_and_jupyter_are_asked_by_pages_of_the_gateway_s_own_and_by_no_other() {
    for (page, subprotocol) in [("vite", "vite-hmr"), ("jupyter", "v1.kernel.websocket.jupyter.org")] {
        let mut served = served(&format!("docs/cookbook/{page}.md")).await;
        let (address, url) = (served.gateway.address("public"), served.gateway.url("public", "/some/path"));
        for (origin, status) in [(format!("http://{address}"), 101), ("https://evil.example".to_owned(), 403)] {
            let asked = request(&url, &[("sec-websocket-protocol", subprotocol), ("origin", &origin)]);
            if status == 101 {
                assert_eq!(ask(&mut connect(asked).await.unwrap(), "in").await, "in");
                assert_eq!(served.asked().await.1.headers()["host"], address.to_string().as_str());
            } else {
                assert_eq!(served.gateway.refusal(asked).await.0, status);
            }
            // The server of these pages speaks nothing but WebSocket, and hangs up on a request that reaches it.
            let asked = format!("GET / HTTP/1.1\r\nHost: {address}\r\nOrigin: {origin}\r\n\r\n");
            let answered = if status == 101 { 502 } else { 403 };
            assert!(raw::exchange(address, asked.as_bytes()).await.starts_with(&format!("HTTP/1.1 {answered} ")), "{page} {origin}");
        }
    }
}
