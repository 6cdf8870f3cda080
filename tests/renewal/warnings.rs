//! Warnings: what is said before a token ends a connection.

use serde_json::json;

use super::support::{Gateway, ask, backend, closed, next_text};
use super::{MESSAGE, ahead, alice, auth, config, of, said, tells, users};

/// Warned so long before, with a message.
const WARN: &str = r#"warn = { before = "4s", message = '{"ends":{seconds}}' }"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_warned_once_a_token_before_it_ends() {
    let (address, _requests) = backend::echo().await;
    let keys = format!("{WARN}\n{MESSAGE}");
    let mut gateway = Gateway::run(&(config([format!("ws://{address}"), "echo".to_owned()], "[\"jwt.users\"]") + &users(&keys)));
    for path in ["/0", "/1"] {
        // A token that has less left than that is warned of at once.
        let mut socket = alice(&gateway, path, 3.0).await;
        tells(&next_text(&mut socket).await, "ends", 3);
        let event = gateway.event("token_expiring");
        assert_eq!(said(&event, ["stage", "user"]), ["jwt.users", "alice"], "{event}");
        let exp = ahead(6.0);
        tells(&ask(&mut socket, &auth(&of("alice", 6.0))).await, "renewed", 6);
        tells(&next_text(&mut socket).await, "ends", 4);
        assert!(ahead(4.0) >= exp, "not before");
        gateway.event("token_expiring");
        assert_eq!(ask(&mut socket, "hello").await, "hello");
        assert_eq!(closed(&mut socket).await.0, 3000);
    }
    let count = gateway.events().iter().filter(|event| event["event"] == "token_expiring").count();
    assert_eq!(count, 4, "once for each token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_alone_warns_the_log_alone_and_an_edit_can_ask_for_it() {
    let file = |keys: &str| config(["echo".to_owned()], "[\"jwt.users\"]") + &users(keys);
    let mut gateway = Gateway::run(&file(""));
    let mut socket = alice(&gateway, "/0", 600.0).await;
    gateway.reload(&file("warn = \"700s\""));
    // It may have come before the word that the edit is in force.
    let event = gateway.events().iter().find(|event| event["event"] == "token_expiring").cloned();
    let event = event.unwrap_or_else(|| gateway.event("token_expiring"));
    assert!(event["left"].as_f64().unwrap() > 500.0, "{event}");
    gateway.reload(&file(&WARN.replace("4s", "800s")));
    assert_eq!(ask(&mut socket, "hello").await, "hello", "what has been warned of is not warned of again");
    let mut another = alice(&gateway, "/0", 600.0).await;
    tells(&next_text(&mut another).await, "ends", 600);
    gateway.reload(&file("warn = \"off\""));
    assert_eq!(ask(&mut another, "hello").await, "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_grace_the_warning_counts_to_the_end_of_the_connection() {
    let mut gateway = Gateway::run(&(config(["echo".to_owned()], "[\"jwt.users\"]") + &users(&format!("{WARN}\ngrace = \"3s\""))));
    let exp = ahead(2.0);
    let bearer = super::token(&json!({ "sub": "alice", "exp": exp }));
    let mut socket = super::support::connect(super::with_token(&gateway.url("public", "/0"), &bearer)).await.unwrap();
    tells(&next_text(&mut socket).await, "ends", 4);
    assert!(ahead(0.0) + 1.0 >= exp);
    gateway.event("token_expiring");
    assert_eq!(closed(&mut socket).await.0, 3000);
}
