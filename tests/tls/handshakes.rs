//! What is agreed on, and what is refused.

use std::sync::Arc;

use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SupportedProtocolVersion};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use super::certificates::{ANY_VERSION, Authority, client, client_of, connect, dial};
use super::support::{ask, in_time};
use super::{SERVER, URL, listening, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_s_tls_ends_here_and_the_log_knows_it() {
    let authority = Authority::new("ca");
    let mut gateway = run(&authority, &listening(SERVER, ""));
    let rows: [(&[&SupportedProtocolVersion], &str); 3] = [(&[&TLS12], "1.2"), (&[&TLS13], "1.3"), (ANY_VERSION, "1.3")];
    for (versions, version) in rows {
        let config = Arc::new(client_of(&authority, None, versions));
        let mut socket = connect(gateway.address("public"), &config, URL).await.unwrap();
        assert_eq!(ask(&mut socket, "hello").await, "hello");
        let open = gateway.event("open");
        assert_eq!((&open["tls"], &open["sni"]), (&json!(version), &json!("localhost")), "{open}");
        assert!(open["cipher"].as_str().unwrap().contains("AES"), "{open}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_too_old_is_refused_and_named() {
    let authority = Authority::new("ca");
    let tls = SERVER.replace(" }", ", min_version = \"1.3\" }");
    let mut gateway = run(&authority, &listening(&tls, ""));
    let old = Arc::new(client_of(&authority, None, &[&TLS12]));
    assert!(dial(gateway.address("public"), "localhost", &old).await.is_err());
    let refused = gateway.event("refused");
    assert_eq!((&refused["outcome"], &refused["status"], &refused["level"]), (&json!("tls_failed"), &Value::Null, &json!("warn")));
    assert!(refused["rule"].as_str().unwrap().starts_with("version: "), "{refused}");
    let mut socket = connect(gateway.address("public"), &client(&authority, None), URL).await.unwrap();
    assert_eq!(ask(&mut socket, "hello").await, "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_choose_http_2_or_http_1_1_within_tls_and_nothing_else() {
    let authority = Authority::new("ca");
    let mut gateway = run(&authority, &listening(SERVER, ""));
    let rows = [("h2 http/1.1", Some("h2")), ("http/1.1 h2", Some("h2")), ("http/1.1", Some("http/1.1")), ("", None)];
    for (offered, agreed) in rows {
        let mut config = client_of(&authority, None, ANY_VERSION);
        config.alpn_protocols = offered.split_whitespace().map(|name| name.as_bytes().to_vec()).collect();
        let stream = dial(gateway.address("public"), "localhost", &Arc::new(config)).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed.map(str::as_bytes), "{offered}");
    }
    let mut config = client_of(&authority, None, ANY_VERSION);
    config.alpn_protocols = vec![b"h3".to_vec()];
    assert!(dial(gateway.address("public"), "localhost", &Arc::new(config)).await.is_err());
    assert!(gateway.event("refused")["rule"].as_str().unwrap().starts_with("alpn: "));
}

/// A client that finds fault with the certificate it is shown.
async fn balks(gateway: &mut super::Gateway, name: &str, config: &Arc<ClientConfig>) -> String {
    assert!(dial(gateway.address("public"), name, config).await.is_err());
    gateway.event("refused")["rule"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_has_against_our_certificate_is_in_the_log() {
    let authority = Authority::new("ca");
    let mut gateway = run(&authority, &listening(SERVER, ""));
    let stranger = client(&Authority::new("another"), None);
    assert_eq!(
        balks(&mut gateway, "localhost", &stranger).await,
        "alert: it does not trust the issuer of our certificate (alert UnknownCA)"
    );
    let rule = balks(&mut gateway, "elsewhere.example", &client(&authority, None)).await;
    assert_eq!(rule, "alert: it does not accept our certificate (alert BadCertificate)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_over_tls_is_answered_and_its_end_is_told() {
    let authority = Authority::new("ca");
    let gateway = run(&authority, &listening(SERVER, "[route.probes]\npath = \"/livez\"\nendpoint = \"health\"\n"));
    let mut stream = dial(gateway.address("public"), "localhost", &client(&authority, None)).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    // An end without `close_notify` would be an error here.
    in_time(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
