//! What an edit means for a page, and what the page tells of it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::page::Page;
use super::support::{Gateway, ask, closed, in_time};
use super::{scrape, scrape_at};

const LISTENER: &str = "[gateway]\nreload = { watch = false }\n[listener.public]\naddress = \"127.0.0.1:0\"\n";
const OLD: &str = "[route.old]\npath = \"/old\"\nendpoint = \"echo\"\non_reload = \"keep\"\n";
const NEW: &str = "[route.new]\npath = \"/new\"\nendpoint = \"echo\"\n";

fn local(path: &str) -> String {
    format!("[metrics.local]\naddress = \"127.0.0.1:0\"\npath = \"{path}\"\n")
}

/// Asks over a connection that is kept; gives the status line and the page.
async fn ask_for(stream: &mut TcpStream, path: &str) -> (String, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/openmetrics-text\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(in_time(stream.read_u8()).await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    in_time(stream.read_exact(&mut body)).await.unwrap();
    (head.lines().next().unwrap().to_owned(), String::from_utf8(body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_s_series_come_with_an_edit_and_go_with_the_last_connection_of_one_that_takes_it_out() {
    let mut gateway = Gateway::run(&format!("{LISTENER}{}{OLD}", local("/metrics")));
    let mut socket = gateway.connect("public", "/old").await;
    assert_eq!(ask(&mut socket, "hello").await, "hello");
    assert_eq!(gateway.reload(&format!("{LISTENER}{}{NEW}", local("/metrics")))["event"], "reloaded");
    assert_eq!(ask(&mut socket, "still here").await, "still here");
    let page = scrape(&gateway).await;
    for (series, value) in [
        ("wsgate_messages_total{route=\"old\",from=\"client\"}", 2),
        ("wsgate_connections{route=\"old\"}", 1),
        ("wsgate_connections{route=\"new\"}", 0),
        ("wsgate_config_generation", 2),
        ("wsgate_config_last_reload_successful", 1),
    ] {
        assert_eq!(page.value(series) as i64, value, "{series}");
    }
    socket.close(None).await.unwrap();
    closed(&mut socket).await;
    drop(socket);
    gateway.event("close");
    // Its task has to end.
    in_time(async { while scrape(&gateway).await.series.keys().any(|series| series.contains("route=\"old\"")) {} }).await;
}

#[tokio::test]
async fn an_edit_that_is_refused_is_told_until_one_is_not() {
    let mut gateway = Gateway::run(&format!("{LISTENER}{}{OLD}", local("/metrics")));
    let since = scrape(&gateway).await.value("wsgate_config_last_reload_success_timestamp_seconds");
    for (config, event, generation, is_successful) in [
        (format!("{LISTENER}{}{OLD}[route.bad]\nendpoint = \"nothing\"\n", local("/metrics")), "reload_refused", 1, 0),
        (format!("{LISTENER}{}{OLD}", local("/metrics")), "reload_unchanged", 1, 1),
        (format!("{LISTENER}{}{NEW}", local("/metrics")), "reloaded", 2, 1),
    ] {
        assert_eq!(gateway.reload(&config)["event"], event);
        let page = scrape(&gateway).await;
        let told = ["wsgate_config_generation", "wsgate_config_last_reload_successful"].map(|series| page.value(series) as i64);
        assert_eq!(told, [generation, is_successful], "{event}");
        let is_later = page.value("wsgate_config_last_reload_success_timestamp_seconds") > since;
        assert_eq!(is_later, event == "reloaded", "{event}");
    }
}

#[tokio::test]
async fn the_file_is_told_to_be_in_force_only_while_it_is() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("deny.txt"), "").unwrap();
    let config = |idle: &str| {
        let firewall = "[firewall.f]\ndeny_files = \"deny.txt\"\n";
        let frame = format!("{LISTENER}{}{firewall}", local("/metrics"));
        format!("{frame}[route.a]\nidle = \"{idle}\"\npipeline = [\"firewall.f\"]\nendpoint = \"echo\"\n")
    };
    let gateway = Gateway::run_in(folder, &config("1h"));
    let save = |text: String| std::fs::write(gateway.folder.path().join("gateway.toml"), super::support::logged(&text)).unwrap();
    let typed = |arguments: &[&str]| super::support::command(gateway.folder.path()).args(arguments).output().unwrap().status.code();
    for (step, arguments, exit, generation, is_saved) in [
        ("a rollback that leads nowhere", &["rollback"][..], 1, 1, 1),
        ("another text", &["reload"], 0, 2, 1),
        ("a broken one", &["reload"], 2, 2, 0),
        ("a denial, which puts what is in force in force again", &["deny", "192.0.2.1"], 0, 3, 0),
        ("the text that is in force", &["reload"], 0, 3, 1),
        ("a rollback", &["rollback"], 0, 4, 0),
        ("a denial under the text of before", &["deny", "192.0.2.2"], 0, 5, 0),
        ("the file again", &["reload"], 0, 6, 1),
    ] {
        match step {
            "another text" | "the text that is in force" => save(config("2h")),
            "a broken one" => save("[broken".to_owned()),
            _ => {}
        }
        assert_eq!(typed(arguments), Some(exit), "{step}");
        let page = scrape(&gateway).await;
        let told = ["wsgate_config_generation", "wsgate_config_last_reload_successful"].map(|series| page.value(series) as i64);
        assert_eq!(told, [generation, is_saved], "{step}");
    }
}

#[tokio::test]
async fn a_page_gets_another_path_while_somebody_is_connected_to_it() {
    let mut gateway = Gateway::run(&format!("{LISTENER}{}{OLD}", local("/metrics")));
    let mut stream = TcpStream::connect(gateway.address("metrics.local")).await.unwrap();
    assert_eq!(ask_for(&mut stream, "/metrics").await.0, "HTTP/1.1 200 OK");
    let reloaded = gateway.reload(&format!("{LISTENER}{}{OLD}", local("/other")));
    assert_eq!((&reloaded["event"], &reloaded["changed"]), (&"reloaded".into(), &"metrics.local".into()));
    assert_eq!(ask_for(&mut stream, "/metrics").await.0, "HTTP/1.1 404 Not Found");
    let (status, page) = ask_for(&mut stream, "/other").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(Page::parse(&page).families.contains_key("wsgate_connections"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_listeners_come_go_and_take_each_other_s_addresses() {
    let mut gateway = Gateway::run(&format!("{LISTENER}{}{OLD}", local("/metrics")));
    let first = gateway.address("metrics.local");
    let second = "[metrics.second]\naddress = \"127.0.0.1:0\"\n";
    let config =
        format!("{LISTENER}[listener.other]\naddress = \"{first}\"\n{second}[gateway.route]\nlistener = [\"public\", \"other\"]\n{OLD}");
    // What port 0 has given is no address that could be taken over, so the edit has to wait until it is free.
    let refused = gateway.reload(&config);
    assert_eq!(refused["event"], "reload_refused");
    assert!(refused["faults"].as_str().unwrap().contains(&format!("cannot listen on {first} (listener.other)")), "{refused}");
    scrape(&gateway).await;
    assert_eq!(gateway.reload(&format!("{LISTENER}{second}{OLD}"))["event"], "reloaded");
    let is_second = |event: &&serde_json::Value| event["event"] == "listening" && event["metrics"] == "second";
    let address = gateway.events().iter().find(is_second).unwrap()["address"].as_str().unwrap().parse().unwrap();
    assert!(gateway.events().iter().any(|event| event["event"] == "no_longer_listening" && event["metrics"] == "local"));
    scrape_at(address).await;
    in_time(async { while TcpStream::connect(first).await.is_ok() {} }).await;

    // One that the file names is: what was a page is a listener, and what was a listener a page.
    let swap = |page, listener| format!("[listener.other]\naddress = \"{listener}\"\n[metrics.second]\naddress = \"{page}\"\n");
    let rest = format!("{LISTENER}[gateway.route]\nlistener = [\"public\", \"other\"]\n{OLD}");
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (one, two) = (free(), free());
    for (page, listener) in [(one, two), (two, one)] {
        assert_eq!(gateway.reload(&format!("{rest}{}", swap(page, listener)))["event"], "reloaded");
        assert!(scrape_at(page).await.value("wsgate_config_generation") > 2.0);
        let mut socket = super::support::connect(format!("ws://{listener}/old")).await.unwrap();
        assert_eq!(ask(&mut socket, "hello").await, "hello");
    }
}
