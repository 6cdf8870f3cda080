//! What a table may say, and who is asked about.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::stage::cells::Cells;
use crate::stage::refusal::{FORBIDDEN, TOKEN_INVALID, Words};
use crate::stage::sample;
use crate::stage::tls::Tls;

fn build(text: &str) -> (Result<ForwardAuth, Faults>, Faults) {
    let cells = Cells::default();
    let mut build = Build::new(KeyPath::table("forward_auth", "login"), Path::new("."), &cells);
    let built = ForwardAuth::configure(toml::from_str(text).unwrap(), &mut build);
    (built, build.warnings)
}

const URL: &str = "url = \"http://127.0.0.1:9091/verify\"\n";

#[test]
fn a_table_names_headers_that_may_go_where_it_sends_them() {
    for (more, fault) in [
        ("send = \"Upgrade\"", "not the client's to send on"),
        ("send = [\"Cookie\", \"Sec-WebSocket-Key\"]", "not the client's to send on"),
        ("send = \"X-Forwarded-For\"", "not the client's to send on"),
        ("send = \"a b\"", "not the name of a header"),
        ("receive = \"X-Forwarded-User\"", "the gateway's own to write"),
        ("receive = \"Connection\"", ""),
        ("user = \"\"", "not the name of a header"),
        ("cache = \"2h\"", "1h at most"),
    ] {
        let faults = build(&format!("{URL}{more}")).0.err().unwrap_or_else(|| panic!("{more}"));
        assert!(faults.0[0].message.contains(fault), "{more}: {faults:?}");
    }
    let (built, warnings) = build("url = \"http://auth.internal/verify\"");
    assert!(built.is_ok() && warnings.0[0].message.contains("read by whoever sits between"), "{warnings:?}");
}

#[test]
fn a_client_over_tls_is_asked_about_as_one() {
    let mut client = sample::client(&[("cookie", "a=b"), ("host", "chat.example.com")]);
    let asked = |client: &Client| {
        let headers = question::headers(client, client.request.as_deref().unwrap(), None);
        ["x-forwarded-proto", "x-forwarded-host", "x-forwarded-uri"].map(|name| headers[name].to_str().unwrap().to_owned())
    };
    assert_eq!(asked(&client), ["http", "chat.example.com", "/chat"]);
    client.peer.tls =
        Some(Arc::new(Tls { version: "1.3", cipher: "", server_name: None, is_resumed: false, certificate: None, trusted_by: None }));
    assert_eq!(asked(&client)[0], "https");
}

#[test]
fn a_refusal_is_named_by_its_status_and_by_whether_there_was_anything_to_go_by() {
    for (status, is_bare, outcome, is_missing) in [
        (401, true, TOKEN_MISSING, true),
        (401, false, TOKEN_INVALID, false),
        (403, true, FORBIDDEN, false),
        (302, true, TOKEN_MISSING, true),
        (302, false, TOKEN_MISSING, false),
    ] {
        let words = Words { status: http::StatusCode::from_u16(status).unwrap(), headers: HeaderMap::new(), body: bytes::Bytes::new() };
        let refused = refusal(&Arc::new(words), is_bare);
        assert_eq!((refused.outcome, refused.is_missing), (outcome, is_missing), "{status} {is_bare}");
    }
}
