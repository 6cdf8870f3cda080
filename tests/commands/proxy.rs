//! `wsgate proxy`: a gateway without a file.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use super::support::{self, ask, backend, closed, command, in_time};

/// A running proxy, and the lines it prints.
struct Proxy {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStderr>>,
}

impl Proxy {
    fn run(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = command(folder.path()).arg("proxy").args(arguments).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[tokio::test]
async fn every_path_leads_to_the_backend_and_a_signal_drains_at_once() {
    let (address, mut requests) = backend::echo().await;
    let mut proxy = Proxy::run(&[":0", &format!("ws://{address}/below")]);
    let greeting = proxy.line();
    let at = greeting.split(' ').nth(1).unwrap();
    assert_eq!(greeting, format!("wsgate: {at} leads to ws://{address}/below, whatever the path; Ctrl-C ends it"));
    assert!(at.starts_with("ws://127.0.0.1:"), "{greeting}");
    let mut socket = support::connect(format!("{at}/any/room?a=1")).await.unwrap();
    assert_eq!(ask(&mut socket, "through").await, "through");
    assert_eq!(in_time(requests.recv()).await.unwrap().uri(), "/below/any/room?a=1");
    let sent = Command::new("kill").arg("-INT").arg(proxy.child.id().to_string()).status().unwrap();
    assert!(sent.success());
    assert_eq!(closed(&mut socket).await, (1001, "shutting down".to_owned()));
    let lines: Vec<String> = (&mut proxy.lines).map(Result::unwrap).collect();
    assert!(lines.iter().any(|line| line.contains("INFO open ")), "{lines:#?}");
    assert!(lines.last().unwrap().ends_with("INFO stopped"), "{lines:#?}");
    assert_eq!(proxy.child.wait().unwrap().code(), Some(0));
}

#[test]
fn an_address_that_is_taken_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut proxy = Proxy::run(&[&address, "ws://127.0.0.1:1"]);
    let lines: Vec<String> = (&mut proxy.lines).map(Result::unwrap).collect();
    assert_eq!(lines, [format!("wsgate: cannot listen on {address} (listener.proxy): Address already in use (os error 98)")]);
    assert_eq!(proxy.child.wait().unwrap().code(), Some(1));
}

#[test]
fn the_file_it_prints_is_one_that_is_fine() {
    let folder = tempfile::tempdir().unwrap();
    let printed = command(folder.path()).args(["proxy", ":8080", "ws://a:1", "ws://[::1]:2/b", "--print"]).output().unwrap().stdout;
    let printed = String::from_utf8(printed).unwrap();
    assert!(printed.contains("address = \"127.0.0.1:8080\"") && printed.contains("[\"ws://a:1\", \"ws://[::1]:2/b\"]"), "{printed}");
    std::fs::write(folder.path().join("gateway.toml"), printed).unwrap();
    let checked = command(folder.path()).args(["check", "--strict"]).output().unwrap();
    assert_eq!(String::from_utf8(checked.stdout).unwrap(), "gateway.toml: fine, 1 listener, 1 route\n");
}
