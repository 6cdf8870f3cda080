//! Stages on the way to a backend: pages by their origin, headers written and removed, tokens revoked.

use serde_json::json;

use super::support::{self, Gateway, backend, now, raw, request, token, with_token};
use super::{guard, proxied};

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_refused_before_its_backend_hears_of_it_and_in_report_mode_after() {
    for (mode, is_in) in [("enforce", false), ("report", true)] {
        let (address, mut requests) = backend::echo().await;
        let pages = format!("[origin.pages]\nallow = \"https://example.com\"\nmode = \"{mode}\"\n");
        let mut gateway = Gateway::run(&(proxied(&[address], "pipeline = [\"origin.pages\"]", "") + &pages));
        let asked = request(&gateway.url("public", "/chat"), &[("origin", "https://evil.example")]);
        if is_in {
            assert_eq!(support::ask(&mut support::connect(asked).await.unwrap(), "hi").await, "hi");
            assert_eq!(requests.recv().await.unwrap().headers()["origin"], "https://evil.example");
        } else {
            assert_eq!(gateway.refusal(asked).await.0, 403);
            assert!(requests.try_recv().is_err());
        }
        let event = gateway.event(if is_in { "would_refuse" } else { "refused" });
        assert_eq!((&event["outcome"], &event["rule"]), (&json!("origin_denied"), &json!("https://evil.example is not in `allow`")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_origins_are_none_that_could_be_allowed() {
    let pages = "[origin.pages]\nallow = [\"https://example.com\", \"null\"]\n";
    let mut gateway = Gateway::run(&(proxied(&[backend::nobody().await], "pipeline = [\"origin.pages\"]", "") + pages));
    for second in ["https://example.com", "https://evil.example"] {
        let more = format!("Origin: https://example.com\r\nOrigin: {second}\r\n");
        let answer = raw::exchange(gateway.address("public"), raw::upgrade("/chat", &more).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("origin_denied"), "{answer}");
        assert_eq!(gateway.event("refused")["rule"], "not exactly one Origin");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_is_written_passes_whatever_the_client_says_of_it() {
    let (address, mut requests) = backend::echo().await;
    let tell =
        "[headers.tell]\nset = { X-User = \"{claim.sub}\", X-Team = \"{claim.team}\", Authorization = \"Bearer for-the-backend\" }\n";
    let gateway = Gateway::run(&(proxied(&[address], "pipeline = [\"jwt.users\", \"headers.tell\"]", "") + &guard("") + tell));
    let token = token(&json!({ "sub": "alice", "exp": now() + 60 }));
    let headers = [("authorization", &*format!("Bearer {token}")), ("x-user", "root"), ("x_user", "root"), ("x-team", "red")];
    let mut asked = request(&gateway.url("public", "/chat"), &headers);
    asked.headers_mut().insert("connection", "Upgrade, X-User, Authorization".parse().unwrap());
    assert_eq!(support::ask(&mut support::connect(asked).await.unwrap(), "hi").await, "hi");
    let seen = requests.recv().await.unwrap();
    let all = |name: &str| seen.headers().get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!((all("x-user"), all("authorization")), (vec!["alice".to_owned()], vec!["Bearer for-the-backend".to_owned()]));
    assert_eq!((all("x_user"), all("x-team")), (vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_is_refused_by_token_key_and_address() {
    let revoked = "[revoked.list]\njti = [\"stolen\"]\nfiles = [\"more.txt\"]\n";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("more.txt"), "sub:bob until 2001-01-01T00:00:00Z\nsub:eve # left\n").unwrap();
    let route = "pipeline = [\"jwt.users\", \"revoked.list\"]";
    let mut gateway = Gateway::run_in(folder, &(proxied(&[backend::echo().await.0], route, "") + &guard("") + revoked));
    let url = gateway.url("public", "/chat");
    let of = |sub: &str, jti: &str| token(&json!({ "sub": sub, "jti": jti, "exp": now() + 60 }));
    for (sub, jti, rule) in [("alice", "stolen", "jti[0] stolen"), ("eve", "1", "files[0] more.txt:2 sub eve (left)")] {
        let (status, body) = gateway.refusal(with_token(&url, &of(sub, jti))).await;
        assert!(status == 403 && body.contains("revoked"), "{status} {body}");
        assert_eq!(gateway.event("refused")["rule"], rule);
    }
    let mut socket = support::connect(with_token(&url, &of("bob", "1"))).await.unwrap();
    assert_eq!(support::ask(&mut socket, "hi").await, "hi");

    let here = "[revoked.here]\nip = { value = \"127.0.0.0/8\", note = \"everybody\" }\n";
    let mut gateway = Gateway::run(&(proxied(&[backend::nobody().await], "pipeline = [\"revoked.here\"]", "") + here));
    assert_eq!(gateway.refusal(gateway.url("public", "/chat")).await.0, 403);
    assert_eq!(gateway.event("refused")["rule"], "ip[0] 127.0.0.0/8 (everybody)");
}
