//! Clients that are kept with their servers, and what takes them elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde_json::json;
use tokio::sync::mpsc;

use super::support::{self, Gateway, backend, now, token};
use super::{guard, proxied};

type Requests = mpsc::Receiver<http::Request<()>>;

/// Three servers, and the requests each gets.
async fn servers() -> (Vec<SocketAddr>, Vec<Requests>) {
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(backend::echo().await);
    }
    all.into_iter().unzip()
}

/// Connects with these headers, and gives the server and the cookies that were set.
async fn connect(gateway: &mut Gateway, path: &str, headers: &[(&'static str, &str)]) -> (String, Vec<String>) {
    let request = support::request(&gateway.url("public", path), headers);
    let (mut socket, response) = support::in_time(tokio_tungstenite::connect_async(request)).await.unwrap();
    support::ask(&mut socket, "hi").await;
    let set = response.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap().to_owned());
    (gateway.event("open")["upstream"].as_str().unwrap().to_owned(), set.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_values_meet_at_one_server_through_every_gateway_and_different_ones_spread() {
    let (addresses, _requests) = servers().await;
    let reversed: Vec<_> = addresses.iter().rev().copied().collect();
    for sticky in ["query:room", "header:X-Room", "user"] {
        let (route, more) = if sticky == "user" { ("pipeline = [\"jwt.users\"]", guard("")) } else { ("", String::new()) };
        let upstream = format!("sticky = \"{sticky}\"\nbalance = \"round_robin\"");
        let run = |servers: &[SocketAddr]| Gateway::run(&(proxied(servers, route, &upstream) + &more));
        let (mut one, mut other) = (run(&addresses), run(&reversed));
        let mut taken = BTreeMap::new();
        for room in (0..12).map(|room| room.to_string()) {
            let bearer = format!("Bearer {}", token(&json!({ "sub": room, "exp": now() + 60 })));
            let (path, headers) = (format!("/chat?room={room}"), [("x-room", &*room), ("authorization", &*bearer)]);
            let server = connect(&mut one, &path, &headers).await.0;
            for gateway in [&mut one, &mut other] {
                assert_eq!(connect(gateway, &path, &headers).await, (server.clone(), vec![]), "{sticky} {room}");
            }
            taken.insert(room, server);
        }
        assert!(taken.values().collect::<BTreeSet<_>>().len() > 1, "{sticky}: {taken:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_the_value_is_balanced() {
    let (addresses, _requests) = servers().await;
    let mut gateway = Gateway::run(&proxied(&addresses, "", "sticky = \"query:room\"\nbalance = \"round_robin\""));
    let mut taken = BTreeSet::new();
    for _ in 0..3 {
        taken.insert(connect(&mut gateway, "/chat?rooms=1", &[]).await.0);
    }
    assert_eq!(taken.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_is_one_server_s_and_where_that_cannot_be_reached_the_next_one_s() {
    let addresses = [backend::echo().await.0, backend::echo().await.0];
    let mut gateway = Gateway::run(&proxied(&addresses, "", "sticky = \"ip\"\nbalance = \"round_robin\""));
    let server = connect(&mut gateway, "/chat", &[]).await.0;
    for _ in 0..3 {
        assert_eq!(connect(&mut gateway, "/chat", &[]).await.0, server);
    }
    // Whichever of many values it is: those whose first choice is nobody are served by the next.
    let servers = [backend::nobody().await, addresses[0], backend::nobody().await];
    let mut gateway = Gateway::run(&proxied(&servers, "", "sticky = \"query:room\"\ntries = 3"));
    for room in 0..8 {
        assert_eq!(connect(&mut gateway, &format!("/chat?room={room}"), &[]).await.0, format!("ws://{}", addresses[0]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_brings_its_client_back_and_no_backend_sees_it() {
    let (addresses, mut requests) = servers().await;
    let mut gateway = Gateway::run(&proxied(&addresses, "", "sticky = \"cookie:WSGATE\"\nbalance = \"round_robin\""));
    for _ in 0..addresses.len() {
        let (server, set) = connect(&mut gateway, "/chat", &[("cookie", "a=b")]).await;
        let [cookie] = &*set else { panic!("{set:?}") };
        let (pair, rest) = cookie.split_once("; ").unwrap();
        assert_eq!(rest, "Path=/; HttpOnly; SameSite=Lax");
        assert!(addresses.iter().all(|address| !pair.contains(&address.port().to_string())), "{pair}");
        for _ in 0..2 {
            let back = connect(&mut gateway, "/chat", &[("cookie", &format!("a=b; {pair}; c=d"))]).await;
            assert_eq!(back, (server.clone(), vec![]));
        }
    }
    for requests in &mut requests {
        let mut cookies = Vec::new();
        while let Ok(request) = requests.try_recv() {
            cookies.push(request.headers()["cookie"].to_str().unwrap().to_owned());
        }
        assert_eq!(cookies, ["a=b", "a=b; c=d", "a=b; c=d"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_for_a_server_that_is_gone_or_draining_is_replaced() {
    let (addresses, _requests) = servers().await;
    let (stay, leave) = (addresses[0], addresses[1]);
    let config = |servers: String| {
        proxied(&[], "", "sticky = \"cookie:WSGATE\"").replace("servers = []", &format!("servers = [\"ws://{stay}\"{servers}]"))
    };
    let mut before = Gateway::run(&proxied(&[leave], "", "sticky = \"cookie:WSGATE\""));
    let (_, set) = connect(&mut before, "/chat", &[]).await;
    let cookie = set[0].split(';').next().unwrap().to_owned();
    for servers in [String::new(), format!(", {{ url = \"ws://{leave}\", drain = true }}")] {
        let mut after = Gateway::run(&config(servers));
        let (server, set) = connect(&mut after, "/chat", &[("cookie", &cookie)]).await;
        assert_eq!(server, format!("ws://{stay}"));
        assert!(set.len() == 1 && set[0].starts_with("WSGATE=") && !set[0].starts_with(&cookie), "{set:?}");
    }
    let mut again = Gateway::run(&config(format!(", \"ws://{leave}\"")));
    assert_eq!(connect(&mut again, "/chat", &[("cookie", &cookie)]).await, (format!("ws://{leave}"), vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_of_ours_stands_beside_the_backend_s_own() {
    let address = backend::scripted(|mut stream| async move {
        let head = backend::read_head(&mut stream).await;
        let own = "Set-Cookie: WSGATE=theirs\r\nSet-Cookie: session=1\r\n\r\n";
        let answer = backend::switching(&head).replacen("\r\n\r\n", &format!("\r\n{own}"), 1);
        tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await.unwrap();
        support::raw::rest(&mut stream).await;
    })
    .await;
    let gateway = Gateway::run(&proxied(&[address], "", "sticky = \"cookie:WSGATE\""));
    let (_, response) = support::in_time(tokio_tungstenite::connect_async(gateway.url("public", "/chat"))).await.unwrap();
    let set: Vec<&str> = response.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap()).collect();
    assert!(set.len() == 2 && set[0] == "session=1" && set[1].starts_with("WSGATE=") && !set[1].contains("theirs"), "{set:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_message_comes_too_late_for_a_cookie_and_in_time_for_one_that_is_there() {
    let (addresses, _requests) = servers().await;
    let more = guard("sources = [\"header\", \"first_message\"]");
    let upstream = "sticky = \"cookie:WSGATE\"\nbalance = \"round_robin\"";
    let mut gateway = Gateway::run(&(proxied(&addresses, "pipeline = [\"jwt.users\"]", upstream) + &more));
    assert!(gateway.events().iter().any(|event| event["event"] == "warning"), "{:?}", gateway.events());
    let token = token(&json!({ "sub": "alice", "exp": now() + 60 }));
    let (server, set) = connect(&mut gateway, "/chat", &[("authorization", &format!("Bearer {token}"))]).await;
    let cookie = set[0].split(';').next().unwrap().to_owned();
    for (headers, comes_back) in [(vec![], false), (vec![("cookie", &*cookie)], true)] {
        let request = support::request(&gateway.url("public", "/chat"), &headers);
        let (mut socket, response) = support::in_time(tokio_tungstenite::connect_async(request)).await.unwrap();
        assert!(!response.headers().contains_key("set-cookie"));
        futures_util::SinkExt::send(&mut socket, tokio_tungstenite::tungstenite::Message::text(&*token)).await.unwrap();
        assert_eq!(gateway.event("open")["upstream"] == *server, comes_back);
    }
}
