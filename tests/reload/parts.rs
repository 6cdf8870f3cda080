//! What an edit leaves alone: sockets that stay, what is spent, and everything where the file is broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::support::{self, Gateway};

const FRAME: &str = "[gateway]\nreload = { watch = false, spread = \"1ms\", rate = \"10000/s\" }\n";

fn listener(name: &str, address: &str) -> String {
    format!("[listener.{name}]\naddress = \"{address}\"\n")
}

fn route(name: &str) -> String {
    format!("[route.{name}]\nlistener = \"{name}\"\nendpoint = \"echo\"\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_come_and_go_while_those_that_stay_never_stop_listening() {
    let one = format!("{FRAME}{}{}", listener("one", "127.0.0.1:0"), route("one"));
    let mut gateway = Gateway::run(&one);
    let mut old = gateway.connect("one", "/").await;
    let both = format!("{one}{}{}", listener("two", "127.0.0.1:0"), route("two"));
    let came = gateway.reload(&both);
    assert_eq!((&came["event"], &came["added"]), (&json!("reloaded"), &json!("listener.two, route.two")), "{came}");
    let address = listening(&mut gateway, "two");
    let url = format!("ws://{address}/");
    let mut new = support::connect(&*url).await.unwrap();
    assert_eq!(support::ask(&mut new, "new").await, "new");
    assert_eq!(support::ask(&mut old, "old").await, "old");
    assert_eq!(support::ask(&mut gateway.connect("one", "/").await, "again").await, "again");

    let came = gateway.reload(&one);
    assert_eq!((&came["removed"], &came["connections_closed"]), (&json!("listener.two, route.two"), &json!(1)), "{came}");
    assert_eq!(support::closed(&mut new).await, (1012, "no longer served".to_owned()));
    support::in_time(async { while TcpStream::connect(&address).await.is_ok() {} }).await;
    assert_eq!(support::ask(&mut old, "old").await, "old");
}

/// Where a listener that an edit has added listens.
fn listening(gateway: &mut Gateway, name: &str) -> String {
    let events = gateway.events().iter();
    let found = events.rev().find(|event| event["event"] == "listening" && event["listener"] == name);
    found.unwrap()["address"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_moves_to_another_listener_is_never_closed() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let before = format!("{FRAME}{}{}", listener("one", &free), route("one"));
    let after = before.replace("one", "two");
    let mut gateway = Gateway::run(&before);
    let id = gateway.id();
    let inode = || std::fs::read_to_string(format!("/proc/{id}/net/tcp")).unwrap();
    let port = format!(":{:04X} ", free.rsplit(':').next().unwrap().parse::<u16>().unwrap());
    let socket = |table: &str| {
        let line = table.lines().find(|line| line.contains(&port) && line.contains(" 0A ")).unwrap().to_owned();
        line.split_whitespace().nth(9).unwrap().to_owned()
    };
    let was = socket(&inode());
    let came = gateway.reload(&after);
    assert_eq!(came["event"], "reloaded", "{came}");
    assert_eq!(socket(&inode()), was, "the same socket listens");
    let mut socket = support::connect(format!("ws://{free}/")).await.unwrap();
    assert_eq!(support::ask(&mut socket, "hi").await, "hi");
    assert_eq!(gateway.event("open")["listener"], "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_while_a_listener_changes_its_name_is_let_in() {
    for threads in [1, 2] {
        let config = |name: &str| format!("{FRAME}threads = {threads}\n{}{}", listener(name, "127.0.0.1:0"), route(name));
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let config = |name: &str| config(name).replace("127.0.0.1:0", &free);
        let mut gateway = Gateway::run(&config("one"));
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, url) = (stop.clone(), format!("ws://{free}/"));
        let comes = tokio::spawn(async move {
            let mut came = 0;
            while !stopped.load(Ordering::Relaxed) {
                support::connect(&*url).await.unwrap();
                came += 1;
            }
            came
        });
        for edit in 1..=60 {
            let came = gateway.reload(&config(if edit % 2 == 0 { "one" } else { "two" }));
            assert_eq!(came["event"], "reloaded", "{came}");
        }
        stop.store(true, Ordering::Relaxed);
        assert!(comes.await.unwrap() > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_its_turn_is_no_longer_counted_and_has_it_sooner_where_a_later_edit_says_so() {
    let config = |spread: &str, path: &str, rest: &str| {
        let frame = format!("[gateway]\nreload = {{ watch = false, spread = \"{spread}\", max_closed = \"50%\" }}\n");
        let stays = "[route.stays]\npath = \"/stays\"\nendpoint = \"echo\"\n";
        format!("{frame}{}{stays}[route.one]\npath = \"{path}\"\nendpoint = \"echo\"\n{rest}", listener("one", "127.0.0.1:0"))
    };
    let mut gateway = Gateway::run(&config("1h", "/", ""));
    let (mut leaves, mut stays) = (gateway.connect("one", "/").await, gateway.connect("one", "/stays").await);
    let said = |came: &Value| ["kept", "adopted", "closed", "leaving"].map(|what| came[format!("connections_{what}")].clone());
    let came = gateway.reload(&config("1h", "/elsewhere", ""));
    assert_eq!(said(&came), [json!(1), json!(0), json!(1), json!(null)], "{came}");
    let came = gateway.reload(&config("1h", "/elsewhere", "[route.more]\npath = \"/more\"\nendpoint = \"echo\"\n"));
    assert_eq!(said(&came), [json!(1), json!(0), json!(0), json!(1)], "{came}");
    assert_eq!(support::ask(&mut leaves, "waits").await, "waits");
    // Called off by a repair, it counts anew when the same edit comes again: what `max_closed` allows is not got around.
    let came = gateway.reload(&config("1h", "/", ""));
    assert_eq!(said(&came), [json!(2), json!(0), json!(0), json!(null)], "{came}");
    let came = gateway.reload(&config("1h", "/elsewhere", ""));
    assert_eq!(said(&came), [json!(1), json!(0), json!(1), json!(null)], "{came}");
    let came = gateway.reload(&config("1ms", "/elsewhere", ""));
    assert_eq!(said(&came), [json!(1), json!(0), json!(0), json!(1)], "{came}");
    assert_eq!(support::closed(&mut leaves).await.0, 1012);
    assert_eq!(support::ask(&mut stays, "stays").await, "stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_spent_stays_spent_when_its_rate_changes() {
    let limit = |burst: u32| {
        let limit = format!("[rate_limit.l]\nkey = \"ip\"\nconnect = {{ rate = \"1/h\", burst = {burst} }}\n");
        format!("{FRAME}{}{limit}[route.one]\npipeline = [\"rate_limit.l\"]\nendpoint = \"echo\"\n", listener("one", "127.0.0.1:0"))
    };
    let mut gateway = Gateway::run(&limit(2));
    let status = |outcome: Result<support::Socket, _>| match outcome {
        Ok(_) => 101,
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
    };
    let url = gateway.url("one", "/");
    let mut told = Vec::new();
    for burst in [2, 2, 2, 3, 3] {
        if told.len() == 3 {
            assert_eq!(gateway.reload(&limit(burst))["event"], "reloaded");
        }
        told.push(status(support::connect(&*url).await));
    }
    assert_eq!(told, [101, 101, 429, 101, 429], "a burst of one more lets in one more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_changes_nothing_and_the_next_good_one_recovers() {
    let good = format!("{FRAME}{}{}", listener("one", "127.0.0.1:0"), route("one"));
    let mut gateway = Gateway::run(&good);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let mut socket = gateway.connect("one", "/").await;
    let other = format!("{}{}", listener("two", &taken), route("two"));
    for (broken, said) in [
        (String::new(), "there is no listener"),
        ("[listener.one\n".to_owned(), "gateway.toml:1:"),
        (good.replace("endpoint", "endpiont"), "endpiont"),
        (good.replace("\"echo\"", "\"echoo\""), "echoo"),
        (format!("{good}{other}"), "cannot listen on"),
        (format!("{good}[log.x]\nfile = \"/nowhere/to/be/found.log\"\n"), "the folder /nowhere/to/be does not exist"),
        (format!("{good}[firewall.f]\ndeny_files = [\"missing.txt\"]\n"), "missing.txt"),
    ] {
        let came = gateway.reload(&broken);
        assert_eq!(came["event"], "reload_refused", "{came}");
        assert!(came["faults"].as_str().unwrap().contains(said), "{said}: {came}");
        assert_eq!(support::ask(&mut socket, "still").await, "still", "{said}");
        assert_eq!(support::ask(&mut gateway.connect("one", "/").await, "new").await, "new", "{said}");
    }
    assert_eq!(gateway.reload(&good)["event"], "reload_unchanged");
    let came = gateway.reload(&good.replace("\"echo\"", "\"echo.e\"\n[echo.e]\nprefix = \"> \""));
    assert_eq!((&came["event"], &came["generation"]), (&json!("reloaded"), &json!(2)), "{came}");
    assert_eq!(support::ask(&mut socket, "hi").await, "> hi");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_holds_the_one_it_replaces_is_refused_and_the_fault_says_what_to_do() {
    let file = |address: &str| format!("{FRAME}{}{}", listener("one", address), route("one"));
    let mut gateway = Gateway::run(&file("127.0.0.1:0"));
    let port = gateway.address("one").port();
    let came = gateway.reload(&file(&format!("0.0.0.0:{port}")));
    assert_eq!(came["event"], "reload_refused", "{came}");
    let hint = format!("the gateway's own 127.0.0.1:{port} (listener.one) is in its way");
    assert!(came["faults"].as_str().unwrap().contains(&hint), "{came}");
    assert_eq!(support::ask(&mut gateway.connect("one", "/").await, "hi").await, "hi");
    assert_eq!(gateway.reload(&file("127.0.0.2:0"))["event"], "reloaded", "by way of another");
    // Its acceptor may still be about to let go of it.
    assert!((0..100).any(|_| gateway.reload(&file(&format!("0.0.0.0:{port}")))["event"] == "reloaded"));
    assert_eq!(support::ask(&mut gateway.connect("one", "/").await, "hi").await, "hi");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_in_another_file_takes_effect_as_the_file_itself_does() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("deny.txt");
    std::fs::write(&list, "192.0.2.0/24\n").unwrap();
    let config = format!(
        "{FRAME}{}[firewall.f]\ndeny_files = [\"deny.txt\"]\n[route.one]\npipeline = [\"firewall.f\"]\nendpoint = \"echo\"\n",
        listener("one", "127.0.0.1:0")
    );
    let mut gateway = Gateway::run_in(folder, &config);
    let mut socket = gateway.connect("one", "/").await;
    assert_eq!(gateway.reload(&config)["event"], "reload_unchanged");
    std::fs::write(&list, "127.0.0.0/8\n").unwrap();
    let came = gateway.reload(&config);
    assert_eq!((&came["changed"], &came["connections_closed"]), (&json!("firewall.f, route.one"), &json!(1)), "{came}");
    assert_eq!(support::closed(&mut socket).await.0, 3003);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_would_close_more_than_it_may_is_refused() {
    let config = |denied: &str| {
        let frame = FRAME.replace("watch", "max_closed = \"50%\", watch");
        let stage = format!("[firewall.f]\ndeny = [\"{denied}\"]\n");
        format!("{frame}{}{stage}[route.one]\npipeline = [\"firewall.f\"]\nendpoint = \"echo\"\n", listener("one", "127.0.0.1:0"))
    };
    let mut gateway = Gateway::run(&config("192.0.2.0/24"));
    let mut socket = gateway.connect("one", "/").await;
    let came = gateway.reload(&config("127.0.0.0/8"));
    assert_eq!(came["event"], "reload_refused", "{came}");
    let said = came["faults"].as_str().unwrap();
    assert!(said.contains("would close 1 of 1 connections, more than the 50%") && said.contains("ip_denied firewall.f"), "{said}");
    assert_eq!(support::ask(&mut socket, "still").await, "still");
    assert_eq!(support::ask(&mut gateway.connect("one", "/").await, "new").await, "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closing_that_waits_its_turn_is_called_off_by_a_repaired_file() {
    let config = |key: &str| {
        let frame = "[gateway]\nreload = { watch = false, spread = \"1h\" }\n";
        format!("{frame}{}[route.one]\n{key}endpoint = \"echo\"\n", listener("one", "127.0.0.1:0"))
    };
    let mut gateway = Gateway::run(&config(""));
    let mut socket = gateway.connect("one", "/").await;
    let came = gateway.reload(&config("path = \"/elsewhere\"\n"));
    assert_eq!(came["connections_closed"], 1, "{came}");
    assert_eq!(support::ask(&mut socket, "waits").await, "waits");
    let came = gateway.reload(&config(""));
    assert_eq!((&came["connections_closed"], &came["connections_kept"]), (&json!(0), &json!(1)), "{came}");
    assert_eq!(support::ask(&mut socket, "stays").await, "stays");
    assert!(gateway.events().iter().all(|event: &Value| event["event"] != "close"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_closes_does_not_wait_for_the_spread_and_one_that_drains_does() {
    let config = |key: &str| {
        let route = |name: &str| format!("[route.{name}]\npath = \"/{name}\"\non_reload = \"{name}\"\n{key}endpoint = \"echo\"\n");
        let frame = "[gateway]\nreload = { watch = false, spread = \"1h\" }\n";
        format!("{frame}{}{}{}", listener("one", "127.0.0.1:0"), route("close"), route("drain"))
    };
    let mut gateway = Gateway::run(&config(""));
    let (mut closes, mut drains) = (gateway.connect("one", "/close").await, gateway.connect("one", "/drain").await);
    let came = gateway.reload(&config("idle = \"1h\"\n"));
    assert_eq!(came["connections_closed"], 2, "{came}");
    assert_eq!(support::closed(&mut closes).await, (1012, "please reconnect".to_owned()));
    assert_eq!(support::ask(&mut drains, "waits").await, "waits");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_an_edit_moves_or_opens_wider_is_so_from_then_on() {
    let config = |log: &str| format!("{FRAME}{}{}[log.moved]\n{log}", listener("one", "127.0.0.1:0"), route("one"));
    let mut gateway = Gateway::run(&config("file = \"before.log\"\nlevel = \"error\"\n"));
    drop(gateway.connect("one", "/").await);
    gateway.event("close");
    let came = gateway.reload(&config("file = \"after.log\"\nlevel = \"info\"\n"));
    assert_eq!((&came["event"], &came["changed"]), (&json!("reloaded"), &json!("log.moved")), "{came}");
    drop(gateway.connect("one", "/").await);
    gateway.event("close");
    let read = |name: &str| std::fs::read_to_string(gateway.folder.path().join(name)).unwrap_or_default();
    // A log is written by a thread of its own.
    support::in_time(async {
        while !read("after.log").contains(" close ") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(read("after.log").contains(" open "), "{}", read("after.log"));
    assert_eq!(read("before.log"), "", "nothing there was an error");
}
