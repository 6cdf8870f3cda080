//! What is left of a client's request, and what is put into it.

use std::path::Path;

use super::*;
use crate::config::fault::KeyPath;
use crate::stage::cells::Cells;
use crate::stage::{Identity, Proof, sample};

fn build(text: &str) -> (Result<Headers, Faults>, Vec<Need>) {
    let cells = Cells::default();
    let mut build = Build::new(KeyPath::table("headers", "tell"), Path::new("."), &cells);
    let built = Headers::configure(toml::from_str(text).unwrap(), &mut build);
    (built, build.needs)
}

/// A client of these claims and headers.
fn client(claims: &str, headers: &[(&str, &str)]) -> Client {
    let mut client = sample::client(headers);
    client.params = Box::new([("tenant".into(), "acme".into())]);
    client.prove(Identity {
        by: "jwt.users".into(),
        user: None,
        claims: claims.into(),
        expires: None,
        proof: Proof { key: "key".into(), kid: None, key_set: None, algorithm: "HS256" }.into(),
    });
    client
}

/// The headers that this client's backend is sent, as `name: value`.
fn sent(table: &str, mut client: Client) -> Vec<String> {
    let Judgement::Now(verdict) = build(table).0.unwrap().handshake(&mut client) else { panic!("it was to answer at once") };
    verdict.unwrap();
    let headers = client.request.unwrap().headers;
    headers.iter().map(|(name, value)| format!("{name}: {}", str::from_utf8(value.as_bytes()).unwrap())).collect()
}

#[test]
fn a_value_is_filled_with_what_is_known_and_left_out_where_something_is_not() {
    let claims =
        r#"{"sub":"alice","level":7,"admin":true,"org":{"team":"red"},"roles":["a","b"],"none":null,"name":"Zoë","line":"a\r\nb","":"x"}"#;
    for (value, filled) in [
        ("{claim.sub}", Some("alice")),
        ("user={claim.sub};team={claim.org.team}", Some("user=alice;team=red")),
        ("{claim.level}/{claim.admin}", Some("7/true")),
        ("{claim.roles}", Some("[\"a\",\"b\"]")),
        ("{client.ip} by {route}", Some("192.0.2.7 by chat")),
        ("{path.tenant}", Some("acme")),
        ("plain", Some("plain")),
        ("", Some("")),
        ("{claim.missing}", None),
        ("{claim.none}", None),
        ("{claim.name}", Some("Zoë")),
        ("{claim.line}", None),
        ("{path.room}", None),
        ("{claim.sub}{claim.missing}", None),
    ] {
        let headers = [("x-user", "mallory"), ("X-User", "eve"), ("x_user", "trent")];
        let expected: Vec<String> = filled.iter().map(|filled| format!("x-user: {filled}")).collect();
        assert_eq!(sent(&format!("set = {{ X-User = {value:?} }}"), client(claims, &headers)), expected, "{value}");
    }
}

#[test]
fn without_an_identity_no_claim_is_told_and_none_of_the_client_s_own() {
    let client = sample::client(&[("x-user", "root"), ("accept", "*/*")]);
    assert_eq!(sent("set = { X-User = \"{claim.sub}\" }", client), ["accept: */*"]);
}

#[test]
fn what_is_removed_is_gone_under_every_name_it_could_be_read_by() {
    let headers = [("x-debug", "1"), ("x_debug", "1"), ("X-Debug", "2"), ("cookie", "a=b"), ("origin", "https://a.example")];
    let left = sent("remove = [\"X_Debug\", \"cookie\"]", client("{}", &headers));
    assert_eq!(left, ["origin: https://a.example"]);
}

#[test]
fn a_client_cannot_bind_what_is_written_to_its_own_connection() {
    for (connection, left) in [
        ("Upgrade, X-User", "connection: Upgrade"),
        ("x-user,Upgrade ,X-Other", "connection: Upgrade, X-Other"),
        ("Upgrade", "connection: Upgrade"),
    ] {
        let headers = sent("set = { X-User = \"{claim.sub}\" }", client(r#"{"sub":"alice"}"#, &[("connection", connection)]));
        assert!(headers.contains(&left.to_owned()) && headers.contains(&"x-user: alice".to_owned()), "{connection}: {headers:?}");
    }
    let mut two = sent("set = { X-User = \"a\" }", client("{}", &[("connection", "Upgrade"), ("connection", "X-User")]));
    two.sort();
    assert_eq!(two, ["connection: Upgrade", "x-user: a"]);
}

#[test]
fn what_a_table_reads_is_what_it_needs() {
    let at = |name: &str| KeyPath::table("headers", "tell").key("set").key(name);
    let (_, needs) = build("set = { A = \"{claim.sub} {claim.x}\", B = \"{path.tenant}{path.room}\", C = \"{route} {client.ip}\" }");
    let segment = |name: &str| Need::Segment(at("B"), name.into());
    assert_eq!(needs, [Need::Identity(at("A")), segment("tenant"), segment("room")]);
    assert_eq!(build("remove = \"cookie\"").1, []);
}

#[test]
fn names_that_are_not_the_file_s_to_write_are_faults() {
    for (table, said) in [
        ("", "neither sets nor removes anything"),
        ("set = { Host = \"x\" }", "belongs to the handshake"),
        ("set = { Sec-WebSocket-Protocol = \"x\" }", "belongs to the handshake"),
        ("remove = \"Upgrade\"", "belongs to the handshake"),
        ("remove = \"Keep-Alive\"", "belongs to one connection"),
        ("set = { X-Forwarded-For = \"x\" }", "the gateway's own to write"),
        ("set = { X_Forwarded-Prefix = \"x\" }", "the gateway's own to write"),
        ("set = { Forwarded = \"x\" }", "the gateway's own to write"),
        ("remove = \"x_real_ip\"", "the gateway's own to write"),
        ("set = { \"X User\" = \"x\" }", "is not the name of a header"),
        ("set = { X-User = \"x\", x_user = \"y\" }", "reads as"),
        ("set = { X-User = \"x\" }\nremove = \"x-user\"", "x-user reads as x-user, which is set or removed already"),
    ] {
        let faults = build(table).0.unwrap_err();
        assert!(faults.0[0].message.contains(said), "{table}: {faults:?}");
    }
}
