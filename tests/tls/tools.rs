//! What the command line makes of TLS: `connect`, `explain`, and the numbers.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::certificates::{Authority, client, dial};
use super::support::{command, in_time};
use super::{asking, listening, run, write};

/// What this command prints, given this input, and how it ends.
fn printed(folder: &Path, arguments: &[&str], input: &str) -> (String, Option<i32>) {
    let mut running = command(folder).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may have ended already.
    _ = running.stdin.take().unwrap().write_all(input.as_bytes());
    let done = running.wait_with_output().unwrap();
    (String::from_utf8([done.stdout, done.stderr].concat()).unwrap(), done.status.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_speaks_to_a_server_it_can_trust_and_says_why_to_no_other() {
    let authority = Authority::new("ca");
    let gateway = run(
        &authority,
        &listening(
            &asking("request"),
            "[client_cert.all]\n[route.a]\npath = \"/a\"\npipeline = [\"client_cert.all\"]\nendpoint = \"echo\"\n",
        ),
    );
    let folder = gateway.folder.path();
    write(folder, "other-ca.pem", &Authority::new("another").pem());
    write(folder, "empty.pem", "");
    authority.issue_to("alice").write(folder, "alice");
    let echo = gateway.url("public", "/echo").replace("ws://", "wss://");
    let own = gateway.url("public", "/a").replace("ws://", "wss://");
    let named = echo.replace("127.0.0.1", "localhost");
    let rows: [(&[&str], i32, &str); 9] = [
        (&["connect", &echo, "-q", "--ca", "ca.pem"], 0, "hello\n"),
        (&["connect", &named, "-q", "--ca", "ca.pem"], 0, "hello\n"),
        (&["connect", &own, "-q", "--ca", "ca.pem", "--cert", "alice.pem", "--key", "alice.key"], 0, "hello\n"),
        (&["connect", &own, "--ca", "ca.pem"], 1, "403 Forbidden: certificate required (certificate_missing)"),
        (&["connect", &echo, "--ca", "other-ca.pem"], 1, "TLS: its certificate's issuer is not trusted"),
        (&["connect", &echo, "--ca", "empty.pem"], 1, "empty.pem: there is no certificate in it"),
        (&["connect", &echo, "--ca", "ca.pem", "--cert", "alice.pem", "--key", "server.key"], 1, "server.key: "),
        (&["connect", &echo, "--ca", "ca.pem", "--cert", "alice.pem"], 2, "--key"),
        (&["connect", &echo.replace("wss://", "ws://")], 1, "plain HTTP where TLS is spoken (bad_handshake)"),
    ];
    for (arguments, code, said) in rows {
        let (text, exit) = printed(folder, arguments, "hello\n");
        assert!(exit == Some(code) && text.contains(said), "{arguments:?}: {exit:?} {text}");
    }
}

const STAGED: &str =
    "[client_cert.all]\nallow = { cn = \"alice\" }\n[route.a]\npath = \"/a\"\npipeline = [\"client_cert.all\"]\nendpoint = \"echo\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn explain_tells_what_a_certificate_comes_to() {
    let (authority, stranger) = (Authority::new("ca"), Authority::new("another"));
    let folder = super::folder(&authority);
    let folder = folder.path();
    for (name, issued) in [("alice", authority.issue_to("alice")), ("bob", authority.issue_to("bob")), ("eve", stranger.issue_to("alice"))]
    {
        issued.write(folder, name);
    }
    write(folder, "gateway.toml", &listening(&asking("require"), STAGED));
    for (own, said) in [
        (&["--client-cert", "alice.pem"][..], &["client_cert.all  passes, it is alice", "outcome   open"][..]),
        (&["--client-cert", "bob.pem"], &["refuses it: certificate_denied", "the client is answered 403"]),
        (
            &["--client-cert", "eve.pem"],
            &["outcome   tls_failed", "unknown_issuer: its certificate's issuer is not trusted", "told nothing"],
        ),
        (&[], &["outcome   tls_failed", "no_certificate: it has shown no certificate", "told nothing"]),
    ] {
        let (text, exit) = printed(folder, &[&["explain", "--path", "/a"], own].concat(), "");
        assert!(exit == Some(0) && text.starts_with("request   wss://") && said.iter().all(|said| text.contains(said)), "{own:?}: {text}");
    }
    for (connect, holds) in [("certificate = \"alice.pem\", ", true), ("certificate = \"bob.pem\", ", false), ("", false)] {
        let test = format!("[test.a]\nconnect = {{ {connect}path = \"/a\" }}\nexpect = \"open\"\n");
        write(folder, "gateway.toml", &listening(&asking("require"), &(STAGED.to_owned() + &test)));
        assert_eq!(printed(folder, &["check"], "").1, Some(if holds { 0 } else { 2 }), "{connect}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_metrics_tells_when_certificates_end_and_why_handshakes_failed() {
    let authority = Authority::new("ca");
    let metrics = "[metrics.local]\naddress = \"127.0.0.1:0\"\n";
    let mut gateway = run(&authority, &listening(&asking("require"), metrics));
    let address = gateway.address("public");
    _ = dial(address, "localhost", &client(&authority, None)).await;
    gateway.event("refused");
    TcpStream::connect(address).await.unwrap().write_all(&[0x80; 8]).await.unwrap();
    gateway.event("refused");
    let mut page = TcpStream::connect(gateway.address("metrics.local")).await.unwrap();
    page.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    in_time(page.read_to_string(&mut text)).await.unwrap();
    for line in [
        "wsgate_tls_failures_total{listener=\"public\",reason=\"no_certificate\"} 1",
        "wsgate_tls_failures_total{listener=\"public\",reason=\"no_tls\"} 1",
        "wsgate_handshakes_total{route=\"\",listener=\"public\",outcome=\"tls_failed\"} 2",
        "wsgate_certificate_expires_timestamp_seconds{listener=\"public\",name=\"localhost\"} 67",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}
