//! Edits of TLS under connections that are open.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use serde_json::json;

use super::certificates::{Authority, Socket, client, connect};
use super::names::shown;
use super::support::{Gateway, ask, closed};
use super::{SERVER, URL, asking, folder, listening, run, write};

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_shown_as_soon_as_it_is_there_and_closes_nobody() {
    let authority = Authority::new("ca");
    let (old, new) = (authority.issue(&["localhost"]), authority.issue(&["localhost"]));
    let folder = folder(&authority);
    old.write(folder.path(), "server");
    // Watched, as it comes: nobody tells the gateway.
    let mut gateway = Gateway::run_in(folder, &listening(SERVER, "").replace("watch = false, ", ""));
    let among = [("old", &old), ("new", &new)];
    assert_eq!(shown(&gateway, "localhost", &among).await, "old");
    let mut socket = connect(gateway.address("public"), &client(&authority, None), URL).await.unwrap();
    assert_eq!(ask(&mut socket, "before").await, "before");
    new.write(gateway.folder.path(), "server");
    // Between the two files it may have looked: then they did not fit, and it has refused the edit.
    let came = gateway.event("reloaded");
    assert_eq!((&came["changed"], &came["connections_closed"]), (&json!("listener.public"), &json!(0)), "{came}");
    assert_eq!(shown(&gateway, "localhost", &among).await, "new");
    assert_eq!(ask(&mut socket, "after").await, "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_does_not_fit_its_key_is_not_taken() {
    let authority = Authority::new("ca");
    let mut gateway = run(&authority, &listening(SERVER, ""));
    let other = authority.issue(&["localhost"]);
    write(gateway.folder.path(), "server.pem", &other.cert);
    let came = gateway.reload(&listening(SERVER, ""));
    assert_eq!(came["event"], "reload_refused");
    assert!(came["faults"].as_str().unwrap().contains("server.key is not the key of server.pem"), "{came}");
    let mut socket = connect(gateway.address("public"), &client(&authority, None), URL).await.unwrap();
    assert_eq!(ask(&mut socket, "as before").await, "as before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_ends_soon_is_told_of_with_every_reload() {
    let authority = Authority::new("ca");
    let folder = folder(&authority);
    let soon = authority.issue_as(|params| {
        params.subject_alt_names = vec![super::certificates::dns("localhost")];
        params.not_after = (std::time::SystemTime::now() + Duration::from_hours(13 * 24)).into();
    });
    soon.write(folder.path(), "server");
    let mut gateway = Gateway::run_in(folder, &listening(SERVER, ""));
    for more in ["", "# an edit\n[echo.unused]\n"] {
        let warns = |event: &serde_json::Value| event["text"].as_str().is_some_and(|text| text.contains("server.pem ends at "));
        if !more.is_empty() {
            gateway.reload(&listening(SERVER, more));
        }
        assert!(gateway.events().iter().rev().take(6).any(|event| event["event"] == "warning" && warns(event)));
    }
}

/// Two clients: with a certificate, and without.
async fn both(gateway: &Gateway, alice: &Arc<ClientConfig>, nobody: &Arc<ClientConfig>) -> (Socket, Socket) {
    let address = gateway.address("public");
    (connect(address, alice, URL).await.unwrap(), connect(address, nobody, URL).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shows_none_where_one_is_wanted_now_is_closed() {
    let authority = Authority::new("ca");
    let mut gateway = run(&authority, &listening(&asking("request"), ""));
    let alice = client(&authority, Some(&authority.issue_to("alice")));
    let (mut with, mut without) = both(&gateway, &alice, &client(&authority, None)).await;
    let came = gateway.reload(&listening(&asking("require"), ""));
    assert_eq!((&came["connections_closed"], &came["connections_adopted"]), (&json!(1), &json!(1)), "{came}");
    assert_eq!(closed(&mut without).await, (3003, "certificate required".to_owned()));
    assert_eq!(ask(&mut with, "still here").await, "still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_authority_is_trusted_no_more_is_closed() {
    let (authority, next) = (Authority::new("ca"), Authority::new("next"));
    let mut gateway = run(&authority, &listening(&asking("request"), ""));
    let alice = client(&authority, Some(&authority.issue_to("alice")));
    let (mut with, mut without) = both(&gateway, &alice, &client(&authority, None)).await;
    for (authorities, closes) in [(authority.pem() + &next.pem(), 0), (next.pem(), 1)] {
        write(gateway.folder.path(), "ca.pem", &authorities);
        let came = gateway.reload(&listening(&asking("request"), ""));
        assert_eq!(came["connections_closed"], closes, "{came}");
    }
    assert_eq!(closed(&mut with).await, (3003, "certificate not allowed".to_owned()));
    drop(with);
    assert_eq!(gateway.event("close")["rule"], "the listener does not let it in any more: its certificate's issuer is not trusted");
    assert_eq!(ask(&mut without, "still here").await, "still here");
}

const ROUTE: &str = "[route.a]\npath = \"/a\"\nendpoint = \"echo\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_a_client_cert_stage_reach_connections_that_are_open() {
    let authority = Authority::new("ca");
    let config = client(&authority, Some(&authority.issue_to("alice")));
    let staged = |keys: &str| format!("[client_cert.all]\n{keys}\n{}", ROUTE.replace("path", "pipeline = [\"client_cert.all\"]\npath"));
    let renamed = staged("").replace("client_cert.all", "client_cert.devices");
    let rows = [
        (staged(""), staged("allow = { cn = \"alice\" }"), None),
        (staged(""), staged("allow = { cn = \"bob\" }"), Some("certificate not allowed")),
        (staged(""), renamed, None),
        (staged(""), ROUTE.to_owned(), None),
        (ROUTE.to_owned(), staged(""), Some("certificate required")),
    ];
    let mut gateway = run(&authority, &listening(&asking("require"), ROUTE));
    for (before, after, reason) in rows {
        gateway.reload(&listening(&asking("require"), &before));
        let mut socket = connect(gateway.address("public"), &config, "wss://localhost/a").await.unwrap();
        assert_eq!(ask(&mut socket, "before").await, "before");
        gateway.reload(&listening(&asking("require"), &after));
        match reason {
            Some(reason) => assert_eq!(closed(&mut socket).await, (3003, reason.to_owned()), "{after}"),
            None => assert_eq!(ask(&mut socket, "after").await, "after", "{after}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_with_its_certificate() {
    let authority = Authority::new("ca");
    let more = "[client_cert.all]\n[route.a]\npath = \"/a\"\npipeline = [\"client_cert.all\"]\nendpoint = \"echo\"\n";
    let mut gateway = run(&authority, &listening(&asking("require"), more));
    let brief = authority.issue_as(|params| params.not_after = (std::time::SystemTime::now() + Duration::from_secs(3)).into());
    let mut socket = connect(gateway.address("public"), &client(&authority, Some(&brief)), "wss://localhost/a").await.unwrap();
    assert_eq!(ask(&mut socket, "while it lasts").await, "while it lasts");
    assert_eq!(closed(&mut socket).await, (3003, "certificate expired".to_owned()));
    drop(socket);
    assert_eq!(gateway.event("close")["outcome"], "certificate_expired");
}
