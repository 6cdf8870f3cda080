//! Attacks that pretend to come from somewhere, or to be somebody else's, with tokens that are good.

use serde_json::{Value, json};

use super::GOOD_KEY;
use super::attacks::Attack;
use super::forged::mixed;

fn row(what: &'static str, target: &str, lines: String, outcome: &'static str, status: u16) -> Attack {
    Attack { what, target: target.to_owned(), lines, secret: String::new(), outcome, status }
}

pub(super) fn requests() -> Vec<Attack> {
    [pages(), places(), rights()].into_iter().flatten().collect()
}

/// Pages that are not the one that may connect.
fn pages() -> Vec<Attack> {
    let from = |what, origin: &str| row(what, "/pages", format!("Origin: {origin}\r\n"), "origin_denied", 403);
    vec![
        from("an origin with a suffix", "https://app.example.com.evil.example"),
        from("an origin with a prefix", "https://evilapp.example.com"),
        from("an origin with a label before it", "https://evil.app.example.com"),
        from("an origin of another scheme", "http://app.example.com"),
        from("an origin of another port", "https://app.example.com:8443"),
        from("an origin with a user", "https://app.example.com@evil.example"),
        from("an origin with a path", "https://app.example.com/"),
        from("an origin with a dot at its end", "https://app.example.com."),
        from("an origin behind a hash", "https://evil.example#https://app.example.com"),
        from("the origin null", "null"),
        from("the origin NULL", "NULL"),
        from("an origin without a scheme", "app.example.com"),
        from("two origins in one header", "https://app.example.com, https://evil.example"),
        from("two origins between blanks", "https://app.example.com https://evil.example"),
        row(
            "two headers, a good one first",
            "/pages",
            "Origin: https://app.example.com\r\nOrigin: https://evil.example\r\n".to_owned(),
            "origin_denied",
            403,
        ),
        row("an empty origin", "/pages", "Origin: \r\n".to_owned(), "origin_denied", 403),
        row("an origin in another alphabet", "/pages", "Origin: https://\u{430}pp.example.com\r\n".to_owned(), "origin_denied", 403),
    ]
}

/// Addresses and certificates that only a proxy could tell of, and none is trusted.
fn places() -> Vec<Attack> {
    let from = |what, line: &str| row(what, "/office", format!("{line}\r\n"), "ip_denied", 403);
    let certified = |what, line: &str| row(what, "/devices", format!("{line}\r\n"), "certificate_missing", 403);
    vec![
        from("another X-Forwarded-For", "X-Forwarded-For: 192.0.2.7"),
        from("several of them", "X-Forwarded-For: 192.0.2.7, 192.0.2.8\r\nX-Forwarded-For: 192.0.2.9"),
        from("another Forwarded", "Forwarded: for=192.0.2.7"),
        from("another X-Real-IP", "X-Real-IP: 192.0.2.7"),
        from("another X-Client-IP", "X-Client-IP: 192.0.2.7"),
        from("another True-Client-IP", "True-Client-IP: 192.0.2.7"),
        from("another CF-Connecting-IP", "CF-Connecting-IP: 192.0.2.7"),
        certified("a certificate in a header", "X-Client-Cert: -----BEGIN CERTIFICATE-----"),
        certified("a proxy's word for one", "X-SSL-Client-Verify: SUCCESS\r\nX-SSL-Client-S-DN: CN=alice"),
        certified("another proxy's word", "X-Forwarded-Client-Cert: Subject=\"CN=alice\""),
    ]
}

/// Good credentials for what they do not do.
fn rights() -> Vec<Attack> {
    let with = |what, target: &str, claims: Value, more: &str, outcome, status| {
        let token = mixed(&claims);
        let lines = format!("Authorization: Bearer {token}\r\n{more}");
        Attack { what, target: target.to_owned(), lines, secret: token, outcome, status }
    };
    let forbidden = |what, target: &str, claims| with(what, target, claims, "", "forbidden", 403);
    let lacking = |what, claims| with(what, "/writers", claims, "", "scope_insufficient", 403);
    let acme = || json!({ "org": { "id": "acme" }, "role": "ops" });
    vec![
        forbidden("somebody else's tenant", "/t/other/x", acme()),
        forbidden("a tenant in capitals", "/t/ACME/x", acme()),
        forbidden("a tenant and a blank", "/t/acme%20/x", acme()),
        forbidden("a tenant that is a list of none", "/t/acme/x", json!({ "org": { "id": [] }, "role": "ops" })),
        forbidden("a tenant that is an object", "/t/acme/x", json!({ "org": { "id": { "acme": true } }, "role": "ops" })),
        forbidden("a tenant that is the rule itself", "/t/acme/x", json!({ "org": { "id": "{path.tenant}" }, "role": "ops" })),
        forbidden("a tenant at another place", "/t/acme/x", json!({ "id": "acme", "role": "ops" })),
        forbidden("no role", "/t/acme/x", json!({ "org": { "id": "acme" } })),
        forbidden("a role with a blank", "/t/acme/x", json!({ "org": { "id": "acme" }, "role": "ops " })),
        forbidden("roles in one text", "/t/acme/x", json!({ "org": { "id": "acme" }, "role": "user,ops" })),
        with("a tenant behind two dots", "/t/other/../acme/x", acme(), "", "bad_handshake", 400),
        with("a tenant behind an encoded slash", "/t/other%2f..%2facme/x", acme(), "", "bad_handshake", 400),
        with("a tenant with a parameter", "/t/acme;a=b/x", acme(), "", "bad_handshake", 400),
        forbidden("a guarded path", "/guarded/admin", json!({})),
        forbidden("a guarded path with a slash", "/guarded/admin/", json!({})),
        forbidden("a guarded path in disguise", "/guarded/%61dmin/x", json!({})),
        forbidden("a guarded path and a query", "/guarded/admin?/guarded/free", json!({})),
        with("a guarded path behind two slashes", "/guarded//admin", json!({}), "", "bad_handshake", 400),
        with(
            "a guarded subprotocol among others",
            "/guarded/free",
            json!({}),
            "Sec-WebSocket-Protocol: chat,admin.v1\r\n",
            "forbidden",
            403,
        ),
        lacking("no scope", json!({})),
        lacking("a scope that begins alike", json!({ "scope": "chat:write2 chat:writer" })),
        lacking("scopes between commas", json!({ "scope": "chat:read,chat:write" })),
        lacking("a scope in capitals", json!({ "scope": "CHAT:WRITE" })),
        lacking("a scope that is true", json!({ "scope": true })),
        lacking("a scope beside an empty one", json!({ "scope": "", "scp": "chat:write" })),
        Attack {
            what: "a key without the scope",
            target: "/writers".to_owned(),
            lines: format!("X-API-Key: {GOOD_KEY}\r\n"),
            secret: GOOD_KEY.to_owned(),
            outcome: "scope_insufficient",
            status: 403,
        },
    ]
}
