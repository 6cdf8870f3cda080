//! Many edits under much traffic: nobody who is not meant notices, and at the end everything has been given back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{SinkExt, StreamExt};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use super::support::{self, Gateway, backend};

/// Connections on each of two routes.
const CONNECTIONS: usize = 500;
const EDITS: usize = 200;

/// Nobody is pinged: half of the clients read nothing for as long as it takes.
const FRAME: &str = "[gateway]\nroute = { ping = \"off\" }\nreload = { watch = false, spread = \"1ms\", rate = \"10000/s\" }\n[listener.public]\naddress = \"127.0.0.1:0\"\n";

/// How many messages of a connection are under way at once.
const UNDER_WAY: usize = 8;

/// Counts until it is told to stop, in text and in binary, and is answered in the same order; gives how far it has come.
async fn count(mut socket: support::Socket, stop: Arc<AtomicBool>) -> usize {
    let message = |number: usize| match number % 3 {
        0 => Message::binary(number.to_string().into_bytes()),
        _ => Message::text(number.to_string()),
    };
    let (mut asked, mut answered) = (0, 0);
    while !stop.load(Ordering::Relaxed) || answered < asked {
        while asked < answered + UNDER_WAY && !stop.load(Ordering::Relaxed) {
            socket.feed(message(asked)).await.unwrap();
            asked += 1;
        }
        socket.flush().await.unwrap();
        if answered < asked {
            let answer = support::in_time(socket.next()).await.unwrap().unwrap();
            assert_eq!(answer, message(answered), "lost, doubled or out of order");
            answered += 1;
        }
    }
    answered
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_one_route_are_not_noticed_on_another() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let (backend, _requests) = backend::echo().await;
    let config = |edit: usize| {
        let busy = format!("[route.busy]\npath = \"/busy\"\nendpoint = \"ws://{backend}\"\n");
        let idle = format!("[echo.e]\nprefix = \"{edit} \"\n[route.edited]\npath = \"/edited\"\nendpoint = \"echo.e\"\n");
        format!("{FRAME}{busy}{idle}")
    };
    let mut gateway = Gateway::run(&config(0));
    let stop = Arc::new(AtomicBool::new(false));
    let (mut busy, mut edited) = (JoinSet::new(), Vec::new());
    for _ in 0..CONNECTIONS {
        busy.spawn(count(gateway.connect("public", "/busy").await, stop.clone()));
        edited.push(gateway.connect("public", "/edited").await);
    }
    for _ in 0..2 * CONNECTIONS {
        gateway.event("open");
    }
    for edit in 1..=EDITS {
        let came = gateway.reload(&config(edit));
        let (kept, adopted) = (&came["connections_kept"], &came["connections_adopted"]);
        assert_eq!((kept, adopted), (&CONNECTIONS.into(), &CONNECTIONS.into()), "{came}");
    }
    assert!(gateway.events().iter().all(|event| event["event"] != "close"), "nobody was closed");
    stop.store(true, Ordering::Relaxed);
    let asked = busy.join_all().await;
    assert!(asked.iter().all(|asked| *asked > 0), "{asked:?}");
    for socket in &mut edited {
        assert_eq!(support::ask(socket, "hi").await, format!("{EDITS} hi"));
    }
}

/// Files that differ in what they allow, and some that are broken.
fn variant(number: usize, backend: &str) -> String {
    let limits = format!(
        "[metrics.local]\naddress = \"127.0.0.1:0\"\n[rate_limit.l]\nkey = \"ip\"\nconcurrent = 40\nmessages = \"{}/s\"\n",
        100_000 + number
    );
    let tail = [
        "[route.a]\npath = \"/a\"\npipeline = [\"rate_limit.l\"]\nendpoint = \"echo\"\n",
        "[route.a]\npath = \"/a\"\npipeline = [\"rate_limit.l\"]\nidle = \"1h\"\nendpoint = \"echo\"\n",
        "[firewall.f]\ndeny = [\"127.0.0.0/8\"]\n[route.a]\npath = \"/a\"\npipeline = [\"rate_limit.l\", \"firewall.f\"]\nendpoint = \"echo\"\n",
        "[route.a]\npath = \"/a\"\npipeline = [\"rate_limit.l\"]\non_reload = \"drain\"\nendpoint = \"echo\"\n",
        "[route.a]\npath = \"/elsewhere\"\npipeline = [\"rate_limit.l\"]\nendpoint = \"echo\"\n",
        "[route.a]\npath = \"/a\"\npipeline = [\"rate_limit.l\", \"firewall.missing\"]\nendpoint = \"echo\"\n",
        "[route.a\n",
        "",
    ];
    let both = format!("[route.b]\npath = \"/b\"\npipeline = [\"rate_limit.l\"]\nendpoint = \"ws://{backend}\"\n");
    match tail[number % tail.len()] {
        "" => String::new(),
        tail => format!("{FRAME}{limits}{both}{tail}"),
    }
}

/// Comes, asks, and goes, politely or not; gives how many of its messages were answered.
async fn live(url: String, mut chance: StdRng, stop: Arc<AtomicBool>) -> usize {
    let mut answered = 0;
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut socket) = support::connect(&*url).await else { continue };
        for number in 0..chance.random_range(0..30) {
            if !asks(&mut socket, number).await {
                break;
            }
            answered += 1;
        }
        if chance.random_bool(0.5) {
            _ = socket.close(None).await;
        }
    }
    answered
}

/// Whether a message is answered, and with itself.
async fn asks(socket: &mut support::Socket, number: usize) -> bool {
    if socket.send(Message::text(number.to_string())).await.is_err() {
        return false;
    }
    match support::in_time(socket.next()).await {
        Some(Ok(Message::Text(text))) => {
            assert_eq!(text.as_str(), number.to_string());
            true
        }
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_any_edits_every_counter_is_right_and_every_slot_is_back() {
    let (backend, _requests) = backend::echo().await;
    let seed = rand::random();
    let mut chance = StdRng::seed_from_u64(seed);
    let mut gateway = Gateway::run(&variant(0, &backend.to_string()));
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for index in 0..30 {
        let path = if index % 2 == 0 { "/a" } else { "/b" };
        clients.spawn(live(gateway.url("public", path), StdRng::seed_from_u64(seed ^ index), stop.clone()));
    }
    for edit in 0..100 {
        let number = 8 * edit + chance.random_range(0..8);
        let came = gateway.reload(&variant(number, &backend.to_string()));
        assert_eq!(came["event"] == "reload_refused", number % 8 >= 5, "seed {seed}, edit {number}: {came}");
    }
    assert_eq!(gateway.reload(&variant(8000, &backend.to_string()))["event"], "reloaded", "seed {seed}");
    stop.store(true, Ordering::Relaxed);
    let answered: usize = clients.join_all().await.iter().sum();

    // Every slot is back when every connection has its `close` line.
    let (mut opened, mut closed) = (Vec::new(), Vec::new());
    let mut passed = 0;
    support::in_time(async {
        loop {
            (opened, closed) = (ids(gateway.events(), "open"), ids(gateway.events(), "close"));
            if opened.len() == closed.len() {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    opened.sort();
    closed.sort();
    assert_eq!(opened, closed, "seed {seed}: one line each");
    for event in gateway.events().iter().filter(|event| event["event"] == "close") {
        passed += event["upstream_messages"].as_u64().unwrap_or_default();
    }
    // The answer to a client's last question may have passed and never come.
    let most = (answered + closed.len()) as u64;
    assert!((answered as u64..=most).contains(&passed), "seed {seed}: {passed} counted, {answered} came back");
    let page = metrics(&gateway).await;
    for gauge in ["wsgate_connections{", "wsgate_slots_taken{", "wsgate_upstream_connections{"] {
        let all: Vec<&str> = page.lines().filter(|line| line.starts_with(gauge)).collect();
        assert!(!all.is_empty() && all.iter().all(|line| line.ends_with(" 0")), "seed {seed}: {all:?}");
    }
    let mut all = Vec::new();
    for _ in 0..40 {
        all.push(gateway.connect("public", "/a").await);
    }
    assert_eq!(gateway.refusal(gateway.url("public", "/b")).await.0, 429, "seed {seed}: exactly as many as may");
}

/// The page of metrics.
async fn metrics(gateway: &Gateway) -> String {
    let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    support::raw::exchange(gateway.address("metrics.local"), request).await
}

/// The connections of these events.
fn ids(events: &[Value], name: &str) -> Vec<String> {
    let those = events.iter().filter(|event| event["event"] == name);
    those.map(|event| event["connection"].as_str().unwrap().to_owned()).collect()
}
