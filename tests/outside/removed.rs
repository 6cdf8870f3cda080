//! What becomes of those whom a key has let in that is gone, from its set or from the file.

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use super::keys::{SET, enter, file, first, jwk, set, status, token};
use super::support::provider::{Provider, Says};
use super::support::{self, Gateway, ask, closed, command};

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_key_has_let_in_that_is_gone_is_closed_unless_the_file_keeps_it() {
    for (policy, closes) in [("", true), ("on_key_removed = \"recheck\"", true), ("on_key_removed = \"keep\"", false)] {
        let provider = Provider::start().await;
        provider.says(SET, set(&[jwk("rsa", "old"), jwk("p256", "stays")]));
        let mut gateway = Gateway::run(&file(&format!("jwks = \"{}\"\n{policy}", provider.url(SET))));
        let mut by_old = enter(&gateway, &token("rsa", Some("old"), &json!({}))).await.unwrap();
        let mut by_other = enter(&gateway, &token("p256", Some("stays"), &json!({}))).await.unwrap();
        provider.says(SET, set(&[jwk("p256", "stays"), jwk("rsa-next", "new")]));
        // The new one's name has the set fetched.
        let mut by_new = enter(&gateway, &token("rsa-next", Some("new"), &json!({}))).await.unwrap();
        let fetched = gateway.event_where("key_set_fetched", |event| !event["removed"].is_null());
        assert!(fetched["removed"].as_str().unwrap().starts_with("old:"), "{fetched}");
        if closes {
            let (code, _) = closed(&mut by_old).await;
            assert_eq!(code, 3000, "{policy}");
            drop(by_old);
            assert_eq!(gateway.event("close")["rule"], "its key is no longer configured");
        } else {
            ask(&mut by_old, "still there").await;
        }
        ask(&mut by_other, "still there").await;
        ask(&mut by_new, "still there").await;
        assert_eq!(status(&gateway, &token("rsa", Some("old"), &json!({}))).await, 401, "who comes anew has no such key");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_file_itself_gives_up_is_no_key_that_a_set_may_keep() {
    let provider = Provider::start().await;
    provider.says(SET, set(&[jwk("rsa", "old")]));
    let jwt = format!("jwks = \"{}\"\non_key_removed = \"keep\"\n", provider.url(SET));
    let mut gateway = Gateway::run(&file(&format!("{jwt}key = '{}'", jwk("p256", "own"))));
    let mut by_own = enter(&gateway, &token("p256", Some("own"), &json!({}))).await.unwrap();
    let mut by_set = enter(&gateway, &token("rsa", Some("old"), &json!({}))).await.unwrap();
    provider.says(SET, set(&[jwk("rsa-next", "new")]));
    assert_eq!(status(&gateway, &token("rsa-next", Some("new"), &json!({}))).await, 101);
    gateway.reload(&file(&jwt));
    assert_eq!(closed(&mut by_own).await.0, 3000);
    ask(&mut by_set, "still there").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_another_source_of_keys_has_let_in_is_closed_once_it_is_known_that_the_new_one_has_no_such_key() {
    let secret = "0123456789abcdef0123456789abcdef";
    let claims = json!({ "sub": "alice", "exp": 9_999_999_999_u64 });
    let shared = encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap();
    for (from_secret, policy) in [(false, "recheck"), (false, "keep"), (true, "recheck"), (true, "keep")] {
        let (a, b) = (Provider::start().await, Provider::start().await);
        a.says(SET, set(&[jwk("rsa", "old"), jwk("p256", "both")]));
        b.says(SET, Says::answer(500, &[], ""));
        let jwks = |provider: &Provider| file(&format!("jwks = \"{}\"\non_key_removed = \"{policy}\"", provider.url(SET)));
        let (before, old) = match from_secret {
            true => (file(&format!("algorithms = \"HS256\"\nsecret = \"{secret}\"")), shared.clone()),
            false => (jwks(&a), token("rsa", Some("old"), &json!({}))),
        };
        let mut gateway = Gateway::run(&before);
        let mut by_old = enter(&gateway, &old).await.unwrap();
        let mut by_both = match from_secret {
            true => None,
            false => Some(enter(&gateway, &token("p256", Some("both"), &json!({}))).await.unwrap()),
        };
        gateway.reload(&jwks(&b));
        if let Some(socket) = &mut by_both {
            first(&mut gateway, "key_set_failed");
            ask(socket, "still there").await;
            ask(&mut by_old, "still there").await;
        }
        b.says(SET, set(&[jwk("p256", "both")]));
        assert_eq!(closed(&mut by_old).await.0, 3000, "{from_secret} {policy}");
        if let Some(mut socket) = by_both {
            ask(&mut socket, "still there").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_key_goes_while_its_backend_is_asked_is_closed_when_it_has_come_in() {
    let provider = Provider::start().await;
    provider.says(SET, set(&[jwk("rsa", "old")]));
    let backend = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let text = format!(
        "{}[route.slow]\npath = \"/slow\"\npipeline = [\"jwt.users\"]\nendpoint = \"upstream.u\"\n[upstream.u]\nservers = \"ws://{}\"\n",
        file(&format!("jwks = \"{}\"", provider.url(SET))),
        backend.local_addr().unwrap()
    );
    let mut gateway = Gateway::run(&text);
    let asked = support::with_token(&gateway.url("l", "/slow"), &token("rsa", Some("old"), &json!({})));
    let coming = tokio::spawn(support::connect(asked));
    let (stream, _) = support::in_time(backend.accept()).await.unwrap();
    provider.says(SET, set(&[jwk("rsa-next", "new")]));
    let mut by_new = enter(&gateway, &token("rsa-next", Some("new"), &json!({}))).await.unwrap();
    gateway.event_where("key_set_fetched", |event| !event["removed"].is_null());
    let _served = tokio_tungstenite::accept_async(stream).await.unwrap();
    let mut by_old = coming.await.unwrap().unwrap();
    assert_eq!(closed(&mut by_old).await.0, 3000);
    ask(&mut by_new, "still there").await;
}

/// Those that wait for their turn to be closed, as `wsgate status` counts them.
async fn waits(gateway: &Gateway, count: usize) {
    support::in_time(async {
        loop {
            let status = command(gateway.folder.path()).arg("status").output().unwrap();
            if String::from_utf8_lossy(&status.stdout).contains(&format!("({count} to be closed in their turn)")) {
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_something_else_saves_nobody_whose_key_is_gone() {
    for on_reload in ["recheck", "keep"] {
        let provider = Provider::start().await;
        provider.says(SET, set(&[jwk("rsa", "old")]));
        let text = file(&format!("jwks = \"{}\"", provider.url(SET)))
            .replace("spread = \"1ms\"", "spread = \"1h\"")
            .replace("endpoint = \"echo\"", &format!("endpoint = \"echo\"\non_reload = \"{on_reload}\""));
        let mut gateway = Gateway::run(&text);
        let mut all = Vec::new();
        for _ in 0..5 {
            all.push(enter(&gateway, &token("rsa", Some("old"), &json!({}))).await.unwrap());
        }
        provider.says(SET, set(&[jwk("rsa-next", "new")]));
        let mut by_new = enter(&gateway, &token("rsa-next", Some("new"), &json!({}))).await.unwrap();
        waits(&gateway, 5).await;
        let more = "[route.more]\npath = \"/more\"\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"\n";
        let reloaded = gateway.reload(&format!("{text}{more}"));
        assert_eq!((&reloaded["connections_leaving"], &reloaded["connections_kept"]), (&json!(5), &json!(1)), "{on_reload}: {reloaded}");
        gateway.reload(&format!("{}{more}", text.replace("1h", "1ms")));
        for mut socket in all {
            assert_eq!(closed(&mut socket).await.0, 3000, "{on_reload}");
        }
        ask(&mut by_new, "still there").await;
    }
}
