//! Sessions of users: one at a time, listed, ended, and told how they ended.

use serde_json::{Value, json};

use super::support::{self, Gateway, SECRET, Socket, closed, command, request, token};
use super::{GOOD_KEY, sha256};

/// One session for each user, by token or by key, on two threads and two routes.
fn file() -> String {
    format!(
        "[gateway]\nthreads = 2\ncontrol = \"control.sock\"\n[gateway.route]\nclose_timeout = \"200ms\"\n[listener.public]\naddress = \"127.0.0.1:0\"\n\
         [jwt.users]\nalgorithms = \"HS256\"\nsecret = {{ env = \"NOBODY_SETS_THIS\", default = \"{SECRET}\" }}\n\
         [api_key.bots]\nkeys = [{{ name = \"alice\", sha256 = \"{}\" }}]\n\
         [rate_limit.sessions]\nkey = \"user\"\nconcurrent = {{ max = 1, on_excess = \"close_oldest\" }}\n\
         [pipeline.known]\nstages = [[\"api_key.bots\", \"jwt.users\"], \"rate_limit.sessions\"]\n\
         [route.a]\npath = \"/a\"\npipeline = [\"pipeline.known\"]\nendpoint = \"echo\"\n\
         [route.b]\npath = \"/b\"\npipeline = [\"pipeline.known\"]\nendpoint = \"echo\"\n",
        sha256(GOOD_KEY)
    )
}

async fn login(gateway: &Gateway, path: &str, user: &str) -> Socket {
    let bearer = format!("Bearer {}", token(&json!({ "sub": user, "exp": support::now() + 600 })));
    support::connect(request(&gateway.url("public", path), &[("authorization", &bearer)])).await.unwrap()
}

/// What a command prints as JSON.
fn told(gateway: &Gateway, arguments: &[&str]) -> Value {
    let done = command(gateway.folder.path()).args(arguments).args(["--json", "--control", "control.sock"]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_elsewhere_is_told_apart_from_a_kick_and_neither_touches_anybody_else() {
    let mut gateway = Gateway::run(&file());
    let ended = |event: &Value| json!(["outcome", "code", "user", "route"].map(|field| &event[field]));
    let mut bob = login(&gateway, "/a", "bob").await;
    let mut first = login(&gateway, "/a", "alice").await;
    let mut second = login(&gateway, "/b", "alice").await;
    assert_eq!(closed(&mut first).await, (1008, "signed in elsewhere".to_owned()));
    assert_eq!(ended(&gateway.event("close")), json!(["session_replaced", 1008, "alice", "a"]));
    // The same user by a key is the same user.
    let mut third = support::connect(request(&gateway.url("public", "/a"), &[("x-api-key", GOOD_KEY)])).await.unwrap();
    assert_eq!(closed(&mut second).await, (1008, "signed in elsewhere".to_owned()));
    assert_eq!(ended(&gateway.event("close")), json!(["session_replaced", 1008, "alice", "b"]));
    let listed = told(&gateway, &["ps", "--user", "alice"]);
    assert_eq!(listed.as_array().unwrap().iter().map(|one| &one["route"]).collect::<Vec<_>>(), ["a"], "{listed}");
    assert_eq!(told(&gateway, &["kick", "--user", "alice"]), json!({ "connections": 1, "dry_run": false }));
    assert_eq!(closed(&mut third).await, (3003, "disconnected by an operator".to_owned()));
    assert_eq!(ended(&gateway.event("close")), json!(["kicked", 3003, "alice", "a"]));
    assert_eq!(told(&gateway, &["ps", "--user", "alice"]), json!([]));
    assert_eq!(support::ask(&mut bob, "still in").await, "still in");
    // A kick keeps nobody out, and takes nobody's place.
    let mut again = login(&gateway, "/b", "alice").await;
    assert_eq!(support::ask(&mut again, "back").await, "back");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_s_token_with_a_name_that_looks_alike_replaces_nobody() {
    let gateway = Gateway::run(&file());
    let mut alice = login(&gateway, "/a", "alice").await;
    for name in ["Alice", "alice ", "alic\u{435}", "alice\u{0}"] {
        let mut other = login(&gateway, "/a", name).await;
        assert_eq!(support::ask(&mut other, "in").await, "in", "{name:?}");
        assert_eq!(support::ask(&mut alice, "still in").await, "still in", "{name:?}");
    }
}
