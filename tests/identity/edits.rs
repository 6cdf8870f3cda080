//! Edits of keys and rules, and what those see of them who are in.

use serde_json::{Value, json};

use super::support::{self, Gateway, SECRET, Socket, closed, request, token, with_token};
use super::{GOOD_KEY, sha256};

const OTHER_KEY: &str = "another-key-of-high-entropy-0123456789";
const FRAME: &str = "[gateway]\nreload = { watch = false, spread = \"1ms\", rate = \"10000/s\" }\n[listener.public]\naddress = \"127.0.0.1:0\"\n[gateway.route]\nclose_timeout = \"200ms\"\n";

/// A file with these lines of keys, on a route of bots.
fn keyed(lines: &str) -> String {
    format!("{FRAME}[api_key.bots]\n{lines}\n[route.bots]\npipeline = [\"api_key.bots\"]\nendpoint = \"echo\"\n")
}

/// The line of a key, with more in it.
fn line(name: &str, key: &str, more: &str) -> String {
    format!("{{ name = \"{name}\", sha256 = \"{}\"{more} }}", sha256(key))
}

async fn shown(gateway: &Gateway, key: &str) -> Socket {
    support::connect(request(&gateway.url("public", "/"), &[("x-api-key", key)])).await.unwrap()
}

fn decided(event: &Value) -> Value {
    json!(["outcome", "code", "user", "stage"].map(|field| &event[field]))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_by_a_key_goes_when_the_key_does_and_nobody_else() {
    let (ci, other) = (line("ci", GOOD_KEY, ""), line("other", OTHER_KEY, ""));
    for (after, ended) in [
        (format!("keys = [{other}]"), Some((3003, "revoked"))),
        (format!("keys = [{}, {other}]", line("ci", GOOD_KEY, ", expires = 2020-01-01T00:00:00Z")), Some((3000, "token_expired"))),
        (format!("keys = [{}, {other}]", line("ci", GOOD_KEY, ", scopes = [\"a\"]")), Some((1012, "route_changed"))),
        (format!("keys = [{other}, {}]", line("ci", GOOD_KEY, ", note = \"x\", expires = 2099-01-01T00:00:00Z")), None),
        (format!("keys = [{ci}, {other}]\nsources = \"header\""), None),
    ] {
        let mut gateway = Gateway::run(&keyed(&format!("keys = [{ci}, {other}]")));
        let (mut first, mut second) = (shown(&gateway, GOOD_KEY).await, shown(&gateway, OTHER_KEY).await);
        assert_eq!(gateway.reload(&keyed(&after))["event"], "reloaded", "{after}");
        match ended {
            Some((code, outcome)) => {
                assert_eq!(closed(&mut first).await.0, code, "{after}");
                assert_eq!(decided(&gateway.event("close")), json!([outcome, code, "ci", "api_key.bots"]));
            }
            None => assert_eq!(support::ask(&mut first, "still in").await, "still in", "{after}"),
        }
        assert_eq!(support::ask(&mut second, "still in").await, "still in", "{after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_keys_is_watched_and_each_of_its_bad_lines_told() {
    let folder = tempfile::tempdir().unwrap();
    let write = |folder: &std::path::Path, text: &str| std::fs::write(folder.join("keys.txt"), text).unwrap();
    let (ci, other) = (line("ci", GOOD_KEY, ""), line("other", OTHER_KEY, ""));
    write(folder.path(), &format!("{ci}\n{other},\n"));
    let mut gateway = Gateway::run_in(folder, &keyed("files = \"keys.txt\"").replace("watch = false, ", ""));
    let (mut first, mut second) = (shown(&gateway, GOOD_KEY).await, shown(&gateway, OTHER_KEY).await);
    write(gateway.folder.path(), &format!("{ci}\n{OTHER_KEY}\n"));
    let refused = gateway.event("reload_refused").to_string();
    assert!(refused.contains("keys.txt:2: this is no line of a key") && !refused.contains(OTHER_KEY), "{refused}");
    assert_eq!(support::ask(&mut first, "still in").await, "still in");
    write(gateway.folder.path(), &format!("{other}\n"));
    assert_eq!(closed(&mut first).await.0, 3003);
    assert_eq!(support::ask(&mut second, "still in").await, "still in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_ends_its_connections_when_its_moment_comes_though_nothing_is_edited() {
    let file = |end: &str| keyed(&format!("keys = [{}, {}]", line("ci", GOOD_KEY, end), line("other", OTHER_KEY, "")));
    let mut gateway = Gateway::run(&file(""));
    let (mut first, mut second) = (shown(&gateway, GOOD_KEY).await, shown(&gateway, OTHER_KEY).await);
    // Once they are in, so that they come in however slow this machine is.
    let end = time::OffsetDateTime::from_unix_timestamp(i64::try_from(support::now() + 2).unwrap()).unwrap();
    gateway.reload(&file(&format!(", expires = {}", end.format(&time::format_description::well_known::Rfc3339).unwrap())));
    assert_eq!(closed(&mut first).await, (3000, "Token Expired".to_owned()));
    assert_eq!(decided(&gateway.event("close")), json!(["token_expired", 3000, "ci", "api_key.bots"]));
    assert_eq!(support::ask(&mut second, "still in").await, "still in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_is_edited_judges_those_who_are_in() {
    let file = |rule: &str| {
        format!(
            "{FRAME}[jwt.users]\nalgorithms = \"HS256\"\nsecret = {{ env = \"NOBODY_SETS_THIS\", default = \"{SECRET}\" }}\n\
             [authorize.rule]\n{rule}\n[route.t]\npath = \"/t/{{tenant}}\"\nsubprotocols = [\"chat.v1\", \"admin.v1\"]\npipeline = [\"jwt.users\", \"authorize.rule\"]\nendpoint = \"echo\"\n"
        )
    };
    let user = |name: &str, role: &str| {
        token(&json!({ "sub": name, "role": role, "org": "a", "scope": "chat:read", "exp": support::now() + 600 }))
    };
    let before = "require = { org = \"{path.tenant}\" }";
    for (after, ended) in [
        ("require = { org = \"{path.tenant}\", role = \"admin\" }", Some("forbidden")),
        ("require = { org = \"{path.tenant}\" }\nscopes = \"chat:write\"\nwhen = { path = \"/t/*\" }", Some("scope_insufficient")),
        ("scopes = \"chat:write\"\nwhen = { path = \"/x/*\" }", None),
        ("scopes = \"chat:write\"\nwhen = { method = \"POST\" }", None),
        ("scopes = \"chat:write\"\nwhen = { subprotocol = \"admin.v1\" }", None),
        ("scopes = \"chat:write\"\nwhen = { subprotocol = \"chat.v1\" }", Some("scope_insufficient")),
        ("scopes = \"chat:write\"\nmode = \"report\"", None),
        ("scopes = \"chat:read\"", None),
    ] {
        let mut gateway = Gateway::run(&file(before));
        let mut request = with_token(&gateway.url("public", "/t/a"), &user("alice", "user"));
        request.headers_mut().insert("sec-websocket-protocol", "chat.v1, admin.v1".parse().unwrap());
        let mut alice = support::connect(request).await.unwrap();
        assert_eq!(gateway.reload(&file(after))["event"], "reloaded", "{after}");
        match ended {
            Some(outcome) => {
                assert_eq!(closed(&mut alice).await.0, 3003, "{after}");
                assert_eq!(decided(&gateway.event("close")), json!([outcome, 3003, "alice", "authorize.rule"]), "{after}");
            }
            None => assert_eq!(support::ask(&mut alice, "still in").await, "still in", "{after}"),
        }
    }
}
