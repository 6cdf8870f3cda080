//! Clients that are asked for certificates.

use std::sync::Arc;

use rcgen::ExtendedKeyUsagePurpose;
use rustls::ClientConfig;
use rustls::version::{TLS12, TLS13};
use serde_json::json;
use tokio::io::AsyncReadExt;

use super::certificates::{Authority, client, client_of, connect, dial, expired, only_for, refused};
use super::support::{ask, in_time};
use super::{URL, asking, listening, run};

/// Whether a client gets in; with version 1.3 it believes so until it reads.
async fn gets_in(gateway: &super::Gateway, config: &Arc<ClientConfig>) -> bool {
    match connect(gateway.address("public"), config, URL).await {
        Ok(mut socket) => ask(&mut socket, "hello").await == "hello",
        Err(_) => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_to_show_a_certificate_has_to_show_a_good_one() {
    let (authority, stranger) = (Authority::new("ca"), Authority::new("another"));
    let mut gateway = run(&authority, &listening(&asking("require"), ""));
    let rows = [
        ("alice", Some(authority.issue_to("alice")), None),
        ("nobody", None, Some("no_certificate: it has shown no certificate")),
        ("another's", Some(stranger.issue_to("alice")), Some("unknown_issuer: its certificate's issuer is not trusted")),
        ("an old one", Some(authority.issue_as(expired)), Some("expired: its certificate has expired")),
        (
            "a server's",
            Some(authority.issue_as(only_for(ExtendedKeyUsagePurpose::ServerAuth))),
            Some("purpose: its certificate is not meant for this side of TLS (extendedKeyUsage)"),
        ),
    ];
    for versions in [&[&TLS12][..], &[&TLS13]] {
        for (what, own, rule) in &rows {
            let config = Arc::new(client_of(&authority, own.as_ref(), versions));
            assert_eq!(gets_in(&gateway, &config).await, rule.is_none(), "{what}");
            if let Some(rule) = rule {
                let event = gateway.event("refused");
                assert_eq!((&event["outcome"], &event["rule"]), (&json!("tls_failed"), &json!(rule)), "{what}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_only_asked_may_have_none_and_no_bad_one() {
    let (authority, stranger) = (Authority::new("ca"), Authority::new("another"));
    let mut gateway = run(&authority, &listening(&asking("request"), ""));
    assert!(gets_in(&gateway, &client(&authority, None)).await);
    assert!(gets_in(&gateway, &client(&authority, Some(&authority.issue_to("alice")))).await);
    assert!(!gets_in(&gateway, &client(&authority, Some(&stranger.issue_to("alice")))).await);
    assert!(gateway.event("refused")["rule"].as_str().unwrap().starts_with("unknown_issuer: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_reads_why_in_an_alert() {
    let authority = Authority::new("ca");
    let gateway = run(&authority, &listening(&asking("require"), ""));
    let mut stream = dial(gateway.address("public"), "localhost", &client(&authority, None)).await.unwrap();
    let error = in_time(stream.read_to_end(&mut Vec::new())).await.unwrap_err();
    assert!(error.to_string().contains("CertificateRequired"), "{error}");
}

const STAGED: &str = "[client_cert.devices]\nallow = { cn = [\"alice\"] }\n[route.devices]\npath = \"/devices\"\npipeline = [\"client_cert.devices\"]\nendpoint = \"authenticated\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_route_may_want_a_certificate_that_its_listener_only_asks_for() {
    let authority = Authority::new("ca");
    let mut gateway = run(&authority, &listening(&asking("request"), STAGED));
    let (address, url) = (gateway.address("public"), "wss://localhost/devices");
    assert_eq!(refused(address, &client(&authority, None), url).await, 403);
    let event = gateway.event("refused");
    assert_eq!((&event["outcome"], &event["stage"]), (&json!("certificate_missing"), &json!("client_cert.devices")));
    assert_eq!(refused(address, &client(&authority, Some(&authority.issue_to("bob"))), url).await, 403);
    let event = gateway.event("refused");
    assert_eq!(event["outcome"], "certificate_denied");
    assert!(event["rule"].as_str().unwrap().starts_with("CN=bob (sha256:"), "{event}");
    connect(address, &client(&authority, Some(&authority.issue_to("alice"))), url).await.unwrap();
    assert_eq!(gateway.event("open")["user"], "alice");
}
