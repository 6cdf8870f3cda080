//! Clients that come back with the session they had.

use std::sync::Arc;

use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind};
use serde_json::json;

use super::certificates::{Authority, client_of, connect};
use super::support::ask;
use super::{SERVER, URL, asking, listening, run};

/// Connects and says a word, which brings a session's tickets along; says how the handshake went.
async fn visit(gateway: &super::Gateway, config: &Arc<ClientConfig>) -> HandshakeKind {
    let mut socket = connect(gateway.address("public"), config, URL).await.unwrap();
    assert_eq!(ask(&mut socket, "hello").await, "hello");
    socket.get_ref().get_ref().1.handshake_kind().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_outlives_a_new_certificate_and_every_other_edit_of_its_listener() {
    let authority = Authority::new("ca");
    for version in [&TLS12, &TLS13] {
        let mut gateway = run(&authority, &listening(SERVER, ""));
        let config = Arc::new(client_of(&authority, None, &[version]));
        assert_eq!(visit(&gateway, &config).await, HandshakeKind::Full);
        assert_eq!(visit(&gateway, &config).await, HandshakeKind::Resumed);
        authority.issue(&["localhost"]).write(gateway.folder.path(), "server");
        assert_eq!(gateway.reload(&listening(SERVER, ""))["event"], "reloaded");
        assert_eq!(visit(&gateway, &config).await, HandshakeKind::Resumed);
        let slower = format!("{SERVER}\nhandshake_timeout = \"9s\"");
        assert_eq!(gateway.reload(&listening(&slower, ""))["event"], "reloaded");
        assert_eq!(visit(&gateway, &config).await, HandshakeKind::Resumed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_worth_nothing_where_clients_are_asked_something_else() {
    let authority = Authority::new("ca");
    let own = authority.issue_to("alice");
    for version in [&TLS12, &TLS13] {
        let mut gateway = run(&authority, &listening(SERVER, ""));
        let config = Arc::new(client_of(&authority, Some(&own), &[version]));
        assert_eq!(visit(&gateway, &config).await, HandshakeKind::Full);
        assert_eq!(visit(&gateway, &config).await, HandshakeKind::Resumed);
        for asked in [asking("request"), asking("require")] {
            assert_eq!(gateway.reload(&listening(&asked, ""))["event"], "reloaded");
            assert_eq!(visit(&gateway, &config).await, HandshakeKind::Full, "{asked}");
            assert_eq!(visit(&gateway, &config).await, HandshakeKind::Resumed, "{asked}");
        }
        // The old authority is trusted on, and yet it is another question.
        let both = authority.pem() + &Authority::new("next").pem();
        super::write(gateway.folder.path(), "ca.pem", &both);
        assert_eq!(gateway.reload(&listening(&asking("require"), ""))["event"], "reloaded");
        assert_eq!(visit(&gateway, &config).await, HandshakeKind::Full);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_is_who_it_was() {
    let authority = Authority::new("ca");
    let own = authority.issue_to("alice");
    let staged = "[client_cert.all]\n[route.a]\npath = \"/a\"\npipeline = [\"client_cert.all\"]\nendpoint = \"echo\"\n";
    for version in [&TLS12, &TLS13] {
        let mut gateway = run(&authority, &listening(&asking("require"), staged));
        let config = Arc::new(client_of(&authority, Some(&own), &[version]));
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut socket = connect(gateway.address("public"), &config, "wss://localhost/a").await.unwrap();
            assert_eq!(ask(&mut socket, "hello").await, "hello");
            assert_eq!(socket.get_ref().get_ref().1.handshake_kind(), Some(kind));
            let open = gateway.event("open");
            assert_eq!((&open["user"], &open["resumed"]), (&json!("alice"), &json!(kind == HandshakeKind::Resumed)));
        }
    }
}
