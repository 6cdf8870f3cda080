//! Key sets, from providers that behave and providers that do not.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::asking::sealed;
use super::support::provider::{Provider, Says};
use super::support::raw::exchange;
use super::support::{self, Gateway, Socket, command};

pub(super) const SET: &str = "/keys";
const DESCRIPTION: &str = "/.well-known/openid-configuration";

fn key_file(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys").join(name)).unwrap()
}

/// The public half of a key, under this name.
pub(super) fn jwk(name: &str, kid: &str) -> Value {
    let mut jwk: Value = serde_json::from_slice(&key_file(&format!("{name}.jwk.json"))).unwrap();
    jwk["kid"] = kid.into();
    jwk
}

pub(super) fn set(keys: &[Value]) -> Says {
    Says::ok(json!({ "keys": keys }).to_string())
}

/// A token that this key has signed under this name, with an hour to go.
pub(super) fn token(name: &str, kid: Option<&str>, claims: &Value) -> String {
    let (algorithm, key) = match name {
        "p256" => (Algorithm::ES256, EncodingKey::from_ec_pem(&key_file("p256.pem"))),
        rsa => (Algorithm::RS256, EncodingKey::from_rsa_pem(&key_file(&format!("{rsa}.pem")))),
    };
    let mut all = json!({ "sub": "alice", "exp": SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3600 });
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    encode(&Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) }, &all, &key.unwrap()).unwrap()
}

/// The first event of this name, which may have come before the gateway had started.
pub(super) fn first(gateway: &mut Gateway, name: &str) -> Value {
    let before = gateway.events().iter().find(|event| event["event"] == name).cloned();
    before.unwrap_or_else(|| gateway.event(name))
}

/// A gateway that lets in whom this table proves.
pub(super) fn file(jwt: &str) -> String {
    format!(
        "[gateway]\nreload = {{ spread = \"1ms\" }}\n[listener.l]\naddress = \"127.0.0.1:0\"\n[metrics.m]\naddress = \"127.0.0.1:0\"\n\
         [jwt.users]\n{jwt}\n[route.r]\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"\n"
    )
}

pub(super) async fn enter(gateway: &Gateway, token: &str) -> Result<Socket, u16> {
    match support::connect(support::with_token(&gateway.url("l", "/"), token)).await {
        Ok(socket) => Ok(socket),
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

pub(super) async fn status(gateway: &Gateway, token: &str) -> u16 {
    enter(gateway, token).await.map_or_else(|status| status, |_| 101)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_verified_by_the_key_it_names_and_by_no_other() {
    let provider = Provider::start().await;
    let mut only_rs512 = jwk("rsa-next", "other");
    only_rs512["alg"] = "RS512".into();
    provider.says(SET, set(&[jwk("rsa", "one"), jwk("p256", "two"), only_rs512, json!({ "kty": "oct", "kid": "three", "k": "AAAA" })]));
    let mut gateway = Gateway::run(&file(&format!("jwks = \"{}\"", provider.url(SET))));
    let none = json!({});
    for (what, token, expected) in [
        ("the key it names", token("rsa", Some("one"), &none), 101),
        ("a key of another kind", token("p256", Some("two"), &none), 101),
        ("another key's name", token("rsa", Some("two"), &none), 401),
        ("a stranger's key under a known name", token("rsa-next", Some("one"), &none), 401),
        ("a key that is for another algorithm", token("rsa-next", Some("other"), &none), 401),
        ("no name, where one key fits", token("p256", None, &none), 101),
        ("a name that nobody knows", token("rsa", Some("four"), &none), 401),
        (
            "a shared secret that everybody can read",
            {
                let header = Header { kid: Some("three".into()), ..Header::new(Algorithm::HS256) };
                encode(&header, &json!({ "exp": 9_999_999_999_u64 }), &EncodingKey::from_secret(&[0, 0, 0])).unwrap()
            },
            401,
        ),
    ] {
        assert_eq!(status(&gateway, &token).await, expected, "{what}");
    }
    let told = first(&mut gateway, "key_passed_over");
    assert!(told["key"].as_str().unwrap().contains("three"), "{told}");
    assert_eq!(provider.count(SET), 2, "one fetch at the start, one for the name that nobody knows");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_keys_that_fit_a_token_without_a_name_are_not_tried_one_after_the_other() {
    let provider = Provider::start().await;
    provider.says(SET, set(&[jwk("rsa", "one"), jwk("rsa-next", "two")]));
    let mut gateway = Gateway::run(&file(&format!("jwks = \"{}\"", provider.url(SET))));
    assert_eq!(status(&gateway, &token("rsa", None, &json!({}))).await, 401);
    assert_eq!(gateway.event("refused")["rule"], "no kid, and more than one key fits");
    assert_eq!(provider.count(SET), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_alone_is_enough_and_each_of_several_has_its_own_keys() {
    let (a, b) = (Provider::start().await, Provider::start().await);
    let issuers = [a.url(""), b.url("")];
    for (provider, issuer, key) in [(&a, &issuers[0], "rsa"), (&b, &issuers[1], "p256")] {
        provider.says(DESCRIPTION, Says::ok(json!({ "issuer": issuer, "jwks_uri": provider.url(SET) }).to_string()));
        provider.says(SET, set(&[jwk(key, "key")]));
    }
    let gateway = Gateway::run(&file(&format!(
        "audience = \"chat\"\nissuer = [\"{}\", {{ iss = \"{}\", audience = \"lobby\" }}]",
        issuers[0], issuers[1]
    )));
    let by = |key: &str, issuer: Option<&str>, audience: &str| token(key, Some("key"), &json!({ "iss": issuer, "aud": audience }));
    let (of_a, of_b) = (Some(issuers[0].as_str()), Some(issuers[1].as_str()));
    for (what, token, expected) in [
        ("a's", by("rsa", of_a, "chat"), 101),
        ("b's", by("p256", of_b, "lobby"), 101),
        ("a's that says it is b's", by("rsa", of_b, "lobby"), 401),
        ("b's that says it is a's", by("p256", of_a, "chat"), 401),
        ("a's for b's audience", by("rsa", of_a, "lobby"), 401),
        ("b's for a's audience", by("p256", of_b, "chat"), 401),
        ("nobody's", by("rsa", None, "chat"), 401),
        ("a stranger's", by("rsa", Some("https://evil.example"), "chat"), 401),
    ] {
        assert_eq!(status(&gateway, &token).await, expected, "{what}");
    }
    assert_eq!((a.count(SET), b.count(SET)), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_the_table_are_for_issuers_without_any_of_their_own() {
    let provider = Provider::start().await;
    provider.says(SET, set(&[jwk("rsa", "a")]));
    let secret = "0123456789abcdef0123456789abcdef";
    let gateway = Gateway::run(&file(&format!(
        "algorithms = [\"HS256\", \"RS256\", \"ES256\"]\nsecret = \"{secret}\"\nkey = '{}'\nissuer = [{{ iss = \"a\", jwks = \"{}\" }}, \"b\"]",
        jwk("p256", "own"),
        provider.url(SET)
    )));
    let shared = |issuer: &str| {
        let claims = json!({ "sub": "alice", "exp": 9_999_999_999_u64, "iss": issuer });
        encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    };
    for (what, token, expected) in [
        ("a's, by its set", token("rsa", Some("a"), &json!({ "iss": "a" })), 101),
        ("a's, by the secret", shared("a"), 401),
        ("a's, by the key", token("p256", Some("own"), &json!({ "iss": "a" })), 401),
        ("b's, by the secret", shared("b"), 101),
        ("b's, by the key", token("p256", Some("own"), &json!({ "iss": "b" })), 101),
        ("b's, by a's set", token("rsa", Some("a"), &json!({ "iss": "b" })), 401),
        ("a stranger's, by the secret", shared("c"), 401),
    ] {
        assert_eq!(status(&gateway, &token).await, expected, "{what}");
    }
    let minted = command(gateway.folder.path()).args(["token", "--stage", "jwt.users", "--sub", "alice"]).output().unwrap();
    let minted = String::from_utf8_lossy(&minted.stdout).trim().to_owned();
    assert_eq!(status(&gateway, &minted).await, 101, "what is minted is one's whose keys the table has: {minted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_answers_badly_is_no_reason_to_call_a_token_bad() {
    let provider = Provider::start().await;
    let (good, other) = (token("rsa", Some("one"), &json!({ "iss": provider.url("") })), Provider::start().await);
    let description = |issuer: &str, uri: &str| Says::ok(json!({ "issuer": issuer, "jwks_uri": uri }).to_string());
    let (ours, keys) = (provider.url(""), provider.url(SET));
    let rows: Vec<(&str, &str, Says, &str)> = vec![
        ("an error", SET, Says::answer(500, &[], ""), "its status is 500"),
        ("nothing there", SET, Says::answer(404, &[], ""), "its status is 404"),
        ("no JSON", SET, Says::ok("<html>"), "it is not JSON"),
        ("no set", SET, Says::ok("{}"), "it is no key set"),
        ("an empty set", SET, Says::ok("{\"keys\":[]}"), "it holds no key"),
        ("keys that are none", SET, Says::ok("{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"}]}"), "it holds no key"),
        ("more than a set can be", SET, Says::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b' '; 4096]), "larger than 262144 bytes"),
        ("chunks that are none", SET, Says::AndEnds(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz".to_vec()), "broke off"),
        ("a redirect to itself", SET, Says::redirect(SET), "more than 3 redirects"),
        ("no HTTP", SET, Says::AndEnds(b"SSH-2.0\r\n\r\n".to_vec()), "no answer of HTTP/1.1"),
        ("somebody else", DESCRIPTION, description("https://other.example", &keys), "it says that it is"),
        ("nobody", DESCRIPTION, Says::ok("{}"), "which issuer it is"),
        ("a description without keys", DESCRIPTION, Says::ok(json!({ "issuer": ours }).to_string()), "where its keys are"),
        ("keys that are no URL", DESCRIPTION, description(&ours, "keys"), "its jwks_uri"),
        ("keys that are not there", DESCRIPTION, description(&ours, &other.url("/none")), "its status is 404"),
    ];
    for (what, target, says, why) in rows {
        provider.says(DESCRIPTION, description(&ours, &keys));
        provider.says(SET, set(&[jwk("rsa", "one")]));
        provider.says(target, says);
        let mut gateway = Gateway::run(&file(&format!("issuer = \"{ours}\"")));
        let failed = first(&mut gateway, "key_set_failed");
        assert!(failed["error"].as_str().unwrap().contains(why) && failed["level"] == "error", "{what}: {failed}");
        assert_eq!(status(&gateway, &good).await, 503, "{what}");
        let refused = gateway.event("refused");
        assert_eq!(refused["outcome"], "auth_unavailable", "{what}: {refused}");
    }
    let mut gateway = Gateway::run(&file(&format!("issuer = \"{ours}\"")));
    first(&mut gateway, "key_set_failed");
    provider.says(DESCRIPTION, description(&ours, &keys));
    gateway.event("key_set_fetched");
    assert_eq!(status(&gateway, &good).await, 101, "it is tried again by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_over_tls_is_believed_where_somebody_vouches_for_it() {
    let (server, authority) = sealed();
    let (provider, folder) = (Provider::start_tls(server).await, tempfile::tempdir().unwrap());
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority).unwrap();
    let issuer = format!("https://localhost:{}", provider.address.port());
    let description = |keys: &str| Says::ok(json!({ "issuer": issuer, "jwks_uri": keys }).to_string());
    provider.says(SET, set(&[jwk("rsa", "one")]));
    let plain = Provider::start().await;
    plain.says(SET, set(&[jwk("rsa", "one")]));
    let good = token("rsa", Some("one"), &json!({ "iss": issuer }));
    let trusted = format!("issuer = \"{issuer}\"\ntls = {{ ca = {ca:?} }}");
    for (jwt, keys, why) in [
        (trusted.as_str(), format!("{issuer}{SET}"), None),
        (&format!("issuer = \"{issuer}\""), format!("{issuer}{SET}"), Some("its certificate's issuer is not trusted")),
        (&trusted, plain.url(SET), Some("its keys would come without TLS")),
    ] {
        provider.says(DESCRIPTION, description(&keys));
        let mut gateway = Gateway::run(&file(jwt));
        assert_eq!(status(&gateway, &good).await, if why.is_some() { 503 } else { 101 }, "{jwt}");
        if let Some(why) = why {
            let failed = first(&mut gateway, "key_set_failed");
            assert!(failed["error"].as_str().unwrap().contains(why), "{failed}");
        }
    }
    assert!(plain.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_serve_on_while_their_provider_is_down_and_over_a_reload() {
    let provider = Provider::start().await;
    provider.says(SET, set(&[jwk("rsa", "one")]));
    let jwt = format!("jwks = \"{}\"", provider.url(SET));
    let mut gateway = Gateway::run(&file(&jwt));
    let good = token("rsa", Some("one"), &json!({}));
    assert_eq!(status(&gateway, &good).await, 101);
    assert_eq!(gateway.reload(&file(&format!("{jwt}\nleeway = \"10s\"")))["event"], "reloaded");
    assert_eq!(status(&gateway, &good).await, 101);
    assert_eq!(provider.count(SET), 1, "a reload has fetched what was there");
    provider.stop().await;
    assert_eq!(status(&gateway, &good).await, 101);
    // Nobody can know whether this is a key by now.
    assert_eq!(status(&gateway, &token("rsa-next", Some("next"), &json!({}))).await, 503);
    let failed = gateway.event("key_set_failed");
    assert_eq!(failed["level"], "warn", "{failed}");
    assert_eq!(status(&gateway, &good).await, 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_fetched_for_once_however_many_bring_it() {
    let provider = Provider::start().await;
    provider.says(SET, set(&[jwk("rsa", "one")]));
    let mut gateway = Gateway::run(&file(&format!("jwks = \"{}\"", provider.url(SET))));
    first(&mut gateway, "key_set_fetched");
    provider.says(SET, set(&[jwk("rsa", "one"), jwk("rsa-next", "two")]));
    let new = token("rsa-next", Some("two"), &json!({}));
    let all = futures_util::future::join_all((0..20).map(|_| status(&gateway, &new))).await;
    assert_eq!(all, [101; 20]);
    assert_eq!(provider.count(SET), 2);
    let fetched = gateway.event("key_set_fetched");
    assert!(fetched["added"].as_str().unwrap().starts_with("two:"), "{fetched}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_nobody_has_makes_no_token_of_a_new_key_a_bad_one() {
    let provider = Provider::start().await;
    provider.says(SET, set(&[jwk("rsa", "one")]));
    let mut gateway = Gateway::run(&file(&format!("jwks = \"{}\"", provider.url(SET))));
    let junk = token("p256", Some("junk"), &json!({}));
    assert_eq!(status(&gateway, &junk).await, 401, "it was looked for");
    provider.says(SET, set(&[jwk("rsa", "one"), jwk("rsa-next", "two")]));
    let request = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nauthorization: Bearer {}\r\n\r\n",
        token("rsa-next", Some("two"), &json!({}))
    );
    let answer = exchange(gateway.address("l"), request.as_bytes()).await.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 503 "), "nobody has looked for it: {answer}");
    let wait: u64 = answer.split("retry-after: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    let refused = gateway.event_where("refused", |event| event["outcome"] == "auth_unavailable");
    assert_eq!(refused["level"], "warn", "anybody can have it said: {refused}");
    assert_eq!(status(&gateway, &junk).await, 401, "it was looked for a moment ago");
    assert_eq!(provider.count(SET), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_in_a_file_is_read_again_when_it_changes_and_a_bad_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let write = |text: String| std::fs::write(folder.path().join("keys.json"), text).unwrap();
    write(json!({ "keys": [jwk("rsa", "one")] }).to_string());
    let path = folder.path().join("keys.json");
    let mut gateway = Gateway::run(&file(&format!("jwks = {{ file = {path:?} }}")));
    let (one, two) = (token("rsa", Some("one"), &json!({})), token("rsa-next", Some("two"), &json!({})));
    assert_eq!((status(&gateway, &one).await, status(&gateway, &two).await), (101, 401));
    write("{\"keys\":[]}".to_owned());
    gateway.signal("HUP");
    assert_eq!(gateway.event("reload_refused")["event"], "reload_refused");
    assert_eq!(status(&gateway, &one).await, 101);
    write(json!({ "keys": [jwk("rsa-next", "two")] }).to_string());
    gateway.event("reloaded");
    assert_eq!((status(&gateway, &one).await, status(&gateway, &two).await), (401, 101));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_and_a_rehearsal_fetch_nothing() {
    let provider = Provider::start().await;
    provider.says(SET, set(&[jwk("rsa", "one")]));
    let folder = tempfile::tempdir().unwrap();
    let trial = "[test.t]\nconnect = { path = \"/\", claims = { sub = \"alice\" } }\nexpect = \"open\"\n";
    let text = format!("{}{trial}", file(&format!("jwks = \"{}\"", provider.url(SET))));
    std::fs::write(folder.path().join("gateway.toml"), text).unwrap();
    for arguments in [&["check"][..], &["check", "--offline"], &["explain", "--claims", "{\"sub\":\"alice\"}"]] {
        let ran = command(folder.path()).args(arguments).output().unwrap();
        assert!(ran.status.success(), "{arguments:?}: {}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    }
    assert!(provider.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_metrics_say_how_old_a_set_is_and_that_it_fails() {
    let (up, down) = (Provider::start().await, Provider::start().await);
    up.says(SET, set(&[jwk("rsa", "one"), jwk("p256", "two")]));
    let text = format!(
        "{}[jwt.more]\njwks = \"{}\"\n[route.more]\npath = \"/more\"\npipeline = [\"jwt.more\"]\nendpoint = \"echo\"\n",
        file(&format!("jwks = \"{}\"", up.url(SET))),
        down.url(SET)
    );
    let mut gateway = Gateway::run(&text);
    first(&mut gateway, "key_set_fetched");
    first(&mut gateway, "key_set_failed");
    let status = command(gateway.folder.path()).arg("status").output().unwrap();
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains(&format!("key set {}: 2 keys, fetched ", up.url(SET))), "{status}");
    assert!(!status.contains("fetched 0d ago"), "{status}");
    assert!(status.contains(&format!("key set {}: NEVER FETCHED", down.url(SET))), "{status}");
    assert_eq!(status.matches(&down.url(SET)).count(), 1, "{status}");
    let asked = "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let page = exchange(gateway.address("metrics.m"), asked.as_bytes()).await;
    for line in [
        format!("wsgate_key_set_keys{{set=\"{}\"}} 2", up.url(SET)),
        format!("wsgate_key_set_fetched_timestamp_seconds{{set=\"{}\"}} 0", down.url(SET)),
        format!("wsgate_key_set_failures_total{{set=\"{}\"}} ", down.url(SET)),
    ] {
        assert!(page.contains(&line), "{line} in {page}");
    }
}
