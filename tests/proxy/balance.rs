//! Which server a client gets.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::proxied;
use super::support::{self, Gateway, Socket, backend};

/// Connects, and gives the server it was connected to.
async fn connect(gateway: &mut Gateway) -> (Socket, String) {
    let mut socket = gateway.connect("public", "/chat").await;
    support::ask(&mut socket, "hi").await;
    (socket, gateway.event("open")["upstream"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn round_robin_takes_turns() {
    let servers = [backend::echo().await.0, backend::echo().await.0, backend::echo().await.0];
    let mut gateway = Gateway::run(&proxied(&servers, "", "balance = \"round_robin\""));
    let mut taken = Vec::new();
    for _ in 0..6 {
        taken.push(connect(&mut gateway).await.1);
    }
    let mut first: Vec<_> = taken[..3].to_vec();
    assert_eq!(taken[3..], first, "each turn is like the one before");
    first.sort_unstable();
    first.dedup();
    assert_eq!(first.len(), 3, "nobody is left out");
}

#[tokio::test(flavor = "multi_thread")]
async fn least_conn_goes_where_fewest_are() {
    let servers = [backend::echo().await.0, backend::echo().await.0];
    let mut gateway = Gateway::run(&proxied(&servers, "", "balance = \"least_conn\""));
    let mut open: BTreeMap<String, Vec<Socket>> = BTreeMap::new();
    for _ in 0..6 {
        let (socket, server) = connect(&mut gateway).await;
        open.entry(server).or_default().push(socket);
    }
    assert_eq!(open.values().map(Vec::len).collect::<Vec<_>>(), [3, 3]);
    let (left, sockets) = open.pop_first().unwrap();
    for socket in sockets {
        drop(socket);
        gateway.event("close");
    }
    for _ in 0..3 {
        let (socket, server) = connect(&mut gateway).await;
        assert_eq!(server, left);
        open.entry(server).or_default().push(socket);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_one_server_is_dead_the_next_is_tried() {
    let alive = backend::echo().await.0;
    for balance in ["least_conn", "round_robin"] {
        let servers = [backend::nobody().await, alive, backend::nobody().await];
        let mut gateway = Gateway::run(&proxied(&servers, "", &format!("balance = \"{balance}\"\ntries = 3")));
        for _ in 0..5 {
            assert_eq!(connect(&mut gateway).await.1, format!("ws://{alive}"));
        }
    }
}

/// The same servers, each with further keys.
fn with_keys(servers: &[(SocketAddr, &str)], upstream: &str) -> String {
    let servers: Vec<String> = servers.iter().map(|(address, keys)| format!("{{ url = \"ws://{address}\", {keys} }}")).collect();
    proxied(&[], "", upstream).replace("servers = []", &format!("servers = [{}]", servers.join(", ")))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_server_has_the_share_of_its_weight() {
    let servers = [(backend::echo().await.0, "weight = 3"), (backend::echo().await.0, "weight = 1")];
    for balance in ["least_conn", "round_robin"] {
        let mut gateway = Gateway::run(&with_keys(&servers, &format!("balance = \"{balance}\"")));
        let mut open: BTreeMap<String, Vec<Socket>> = BTreeMap::new();
        for _ in 0..8 {
            let (socket, server) = connect(&mut gateway).await;
            open.entry(server).or_default().push(socket);
        }
        let counts = servers.map(|(address, _)| open[&format!("ws://{address}")].len());
        assert_eq!(counts, [6, 2], "{balance}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_drains_gets_nobody_and_the_others_all() {
    let servers = [(backend::echo().await.0, "drain = true"), (backend::echo().await.0, "weight = 1")];
    for upstream in ["balance = \"least_conn\"", "balance = \"round_robin\"", "balance = \"random\"", "sticky = \"query:room\""] {
        let mut gateway = Gateway::run(&with_keys(&servers, upstream));
        for _ in 0..4 {
            assert_eq!(connect(&mut gateway).await.1, format!("ws://{}", servers[1].0), "{upstream}");
        }
    }
}
