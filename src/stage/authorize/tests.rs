//! Rules over claims, scopes, certificates and requests: whom they let pass, and what they say of whom they do not.

use std::path::Path;
use std::time::SystemTime;

use super::*;
use crate::config::fault::KeyPath;
use crate::stage::cells::Cells;
use crate::stage::{Identity, Proof, sample};

fn build(text: &str) -> (Result<Authorize, Faults>, Vec<Need>) {
    let cells = Cells::default();
    let mut build = Build::new(KeyPath::table("authorize", "rule"), Path::new("."), &cells);
    let built = match toml::from_str(text) {
        Ok(table) => Authorize::configure(table, &mut build),
        Err(error) => Err(Fault::new(build.at().clone(), error.message()).into()),
    };
    (built, build.needs)
}

/// A client of tenant 7 whom stages have found to be what these claims say, in this order.
fn client(claims: &[&str]) -> Client {
    let mut client = sample::client(&[]);
    client.params = Box::new([("tenant".into(), "7".into()), ("region".into(), "eu".into())]);
    for (at, claims) in claims.iter().enumerate() {
        client.prove(Identity {
            by: format!("jwt.{at}").into(),
            user: None,
            claims: (*claims).into(),
            expires: None,
            proof: Proof { key: "k".into(), kid: None, key_set: None, algorithm: "HS256" }.into(),
        });
    }
    client
}

/// `outcome: rule`, or nothing where it passes; the same at the handshake and afterwards.
fn said(table: &str, client: &mut Client) -> String {
    let stage = build(table).0.unwrap();
    let told =
        |verdict: Verdict| verdict.map_or_else(|refusal| format!("{}: {}", refusal.outcome.id, refusal.rule.unwrap()), |()| String::new());
    let Judgement::Now(verdict) = stage.handshake(client) else { panic!("it was to answer at once") };
    let said = told(verdict);
    let request = client.request.take();
    assert_eq!(told(stage.review(client, SystemTime::now())), said, "{table}");
    client.request = request;
    said
}

#[test]
fn a_claim_is_what_it_has_to_be_or_the_client_is_refused() {
    for (require, claims, passes) in [
        ("role = \"admin\"", r#"{"role":"admin"}"#, true),
        ("role = \"admin\"", r#"{"role":"Admin"}"#, false),
        ("role = \"admin\"", r#"{"role":"admin "}"#, false),
        ("role = \"admin\"", r#"{"role":""}"#, false),
        ("role = \"admin\"", r#"{"role":null}"#, false),
        ("role = \"admin\"", r#"{}"#, false),
        ("role = \"admin\"", r#"{"role":{"admin":true}}"#, false),
        ("role = \"admin\"", r#"{"role":["user","admin"]}"#, true),
        ("role = \"admin\"", r#"{"role":[["admin"]]}"#, false),
        ("role = \"admin\"", r#"{"role":[]}"#, false),
        ("role = [\"admin\", \"ops\"]", r#"{"role":"ops"}"#, true),
        ("role = [\"admin\", \"ops\"]", r#"{"role":["user"]}"#, false),
        ("\"org.id\" = \"a\"", r#"{"org":{"id":"a"}}"#, true),
        ("\"org.id\" = \"a\"", r#"{"org.id":"a"}"#, true),
        ("\"org.id\" = \"a\"", r#"{"org":"a"}"#, false),
        ("level = 3", r#"{"level":3}"#, true),
        ("level = 3", r#"{"level":3.5}"#, false),
        ("level = 3", r#"{"level":"3"}"#, false),
        ("level = \"3\"", r#"{"level":3}"#, false),
        ("level = 1", r#"{"level":true}"#, false),
        ("verified = true", r#"{"verified":true}"#, true),
        ("verified = true", r#"{"verified":"true"}"#, false),
        ("verified = true", r#"{"verified":1}"#, false),
        ("verified = false", r#"{}"#, false),
        ("org = \"{path.tenant}\"", r#"{"org":"7"}"#, true),
        ("org = \"{path.tenant}\"", r#"{"org":7}"#, true),
        ("org = \"{path.tenant}\"", r#"{"org":7.0}"#, false),
        ("org = \"{path.tenant}\"", r#"{"org":"8"}"#, false),
        ("org = \"{path.tenant}\"", r#"{"org":"{path.tenant}"}"#, false),
        ("org = \"{host.region}-{path.tenant}\"", r#"{"org":"eu-7"}"#, true),
        ("org = \"{path.room}\"", r#"{"org":""}"#, false),
        ("org = [\"{path.tenant}\", \"root\"]", r#"{"org":["root"]}"#, true),
    ] {
        let verdict = said(&format!("require = {{ {require} }}"), &mut client(&[claims]));
        assert_eq!(verdict.is_empty(), passes, "{require} {claims}: {verdict}");
        assert!(passes || verdict.starts_with("forbidden: "), "{verdict}");
    }
    assert_eq!(
        said("require = { role = [\"admin\", \"ops\", 3] }", &mut client(&[r#"{"role":"mallory"}"#])),
        "forbidden: role has to be \"admin\", \"ops\" or 3, and is something else"
    );
    assert_eq!(said("require = { role = \"admin\" }", &mut client(&[])), "forbidden: role has to be \"admin\", and is missing");
}

#[test]
fn scopes_are_all_there_or_the_client_lacks_one() {
    for (claims, lacks) in [
        (r#"{"scope":"chat:read chat:write"}"#, ""),
        (r#"{"scope":"chat:write  chat:read x"}"#, ""),
        (r#"{"scp":["chat:read","chat:write"]}"#, ""),
        (r#"{"scopes":["chat:read","chat:write"]}"#, ""),
        (r#"{"scp":"chat:read chat:write"}"#, ""),
        (r#"{"scope":"chat:read"}"#, "chat:write"),
        (r#"{"scope":"chat:read,chat:write"}"#, "chat:read"),
        (r#"{"scope":"chat:readchat:write"}"#, "chat:read"),
        (r#"{"scope":"CHAT:READ chat:write"}"#, "chat:read"),
        (r#"{"scope":["chat:read chat:write"]}"#, "chat:read"),
        (r#"{"scope":"","scp":["chat:read","chat:write"]}"#, "chat:read"),
        (r#"{"scope":true}"#, "chat:read"),
        (r#"{"scope":{"chat:read":1}}"#, "chat:read"),
        ("{}", "chat:read"),
    ] {
        let expected = if lacks.is_empty() { String::new() } else { format!("scope_insufficient: the scope {lacks} is missing") };
        assert_eq!(said("scopes = [\"chat:read\", \"chat:write\"]", &mut client(&[claims])), expected, "{claims}");
    }
}

#[test]
fn of_several_identities_the_last_that_has_a_claim_says_it() {
    let (user, device) = (r#"{"role":"admin","scope":"a"}"#, r#"{"role":"device","serial":7}"#);
    for (table, passes) in
        [("require = { role = \"device\", serial = 7 }", true), ("require = { role = \"admin\" }", false), ("scopes = \"a\"", true)]
    {
        assert_eq!(said(table, &mut client(&[user, device])).is_empty(), passes, "{table}");
    }
}

#[test]
fn a_rule_goes_for_the_requests_it_describes_and_for_no_others() {
    for (when, goes) in [
        ("path = \"/chat\"", true),
        ("path = \"/chat/*\"", true),
        ("path = \"/cha/*\"", false),
        ("path = [\"/admin/*\", \"/{any}\"]", true),
        ("path = \"/chat/x\"", false),
        ("host = \"localhost\"", true),
        ("host = \"LOCALHOST\"", true),
        ("host = \"*.localhost\"", false),
        ("host = \"example.com\"", false),
        ("method = \"GET\"", true),
        ("method = [\"POST\", \"DELETE\"]", false),
        ("path = \"/chat\", method = \"POST\"", false),
        ("path = \"/chat\", method = \"GET\", host = \"localhost\"", true),
        ("subprotocol = \"admin.v1\"", false),
    ] {
        let verdict = said(&format!("when = {{ {when} }}\nrequire = {{ role = \"admin\" }}"), &mut client(&["{}"]));
        assert_eq!(!verdict.is_empty(), goes, "{when}");
    }
}

#[test]
fn a_subprotocol_counts_while_it_is_offered_and_once_it_is_spoken() {
    let stage = build("when = { subprotocol = \"admin.v1\" }\nrequire = { role = \"admin\" }").0.unwrap();
    for (offers, goes) in [
        (vec![("sec-websocket-protocol", "chat, admin.v1")], true),
        (vec![("sec-websocket-protocol", "chat"), ("sec-websocket-protocol", "admin.v1,x")], true),
        (vec![("sec-websocket-protocol", "Admin.v1, admin.v10")], false),
        (vec![], false),
    ] {
        let mut client = sample::client(&offers);
        assert_eq!(matches!(stage.handshake(&mut client), Judgement::Now(Err(_))), goes, "{offers:?}");
        client.request = None;
        for (spoken, goes) in [(Some("admin.v1"), true), (Some("chat"), false), (None, false)] {
            client.subprotocol = spoken.map(Into::into);
            assert_eq!(stage.review(&client, SystemTime::now()).is_err(), goes, "{spoken:?}");
        }
    }
}

#[test]
fn a_browser_that_asks_whether_it_may_ask_is_not_judged_by_who_it_is() {
    let mut client = client(&[]);
    client.asks = Asks::Leave;
    assert_eq!(said("scopes = \"a\"", &mut client), "");
}

#[test]
fn a_rule_is_said_in_words() {
    for (table, words) in [
        ("require = { role = \"admin\" }", "role has to be \"admin\""),
        (
            "require = { role = [\"admin\", \"ops\"], \"org.id\" = \"{path.tenant}\", verified = true }",
            "org.id has to be \"{path.tenant}\", role has to be \"admin\" or \"ops\" and verified has to be true",
        ),
        ("scopes = \"a\"", "the scope a has to be there"),
        (
            "when = { path = \"/admin/*\", method = [\"POST\", \"DELETE\"] }\nscopes = [\"a\", \"b\"]\ncertificate = { cn = \"x\" }",
            "where the path is /admin/* and the method is POST or DELETE: the scopes a and b have to be there and `certificate` has to name \
             the client's certificate",
        ),
    ] {
        assert_eq!(build(table).0.unwrap().says().unwrap(), words);
    }
}

#[test]
fn what_a_table_reads_is_what_it_needs() {
    let at = KeyPath::table("authorize", "rule");
    let segment = |claim: &str, name: &str| Need::Segment(at.key("require").key(claim), name.into());
    for (table, needs) in [
        (
            "require = { org = [\"{path.tenant}\", \"{host.region}\"] }",
            vec![segment("org", "tenant"), segment("org", "region"), Need::Identity(at.key("require"))],
        ),
        ("scopes = \"a\"", vec![Need::Identity(at.key("scopes"))]),
        ("certificate = { cn = \"a\" }", vec![Need::Certificate(at.key("certificate"))]),
        ("when = { path = \"/a\" }\ncertificate = { cn = \"a\" }", vec![]),
    ] {
        assert_eq!(build(table).1, needs, "{table}");
    }
}

#[test]
fn a_rule_that_says_nothing_or_cannot_hold_is_a_fault() {
    for (table, said) in [
        ("", "asks for nothing"),
        ("when = { path = \"/a\" }", "asks for nothing"),
        ("when = {}\nscopes = \"a\"", "describes no request"),
        ("require = { role = [] }", "the list of what role may be is empty"),
        ("require = { \"\" = \"a\" }", "an empty name is no claim"),
        ("require = { role = [1.5] }", "a text, a whole number, true or false"),
        ("require = { role = \"{claim.x}\" }", "there are {path.NAME} and {host.NAME}"),
        ("require = { role = \"{pth.x}\" }", "did you mean {path.x}?"),
        ("require = { role = \"{tenant}\" }", "did you mean {path.tenant}?"),
        ("require = { role = \"{path.tenant\" }", "is never closed"),
        ("require = { role = \"tenant}\" }", "without its `{`"),
        ("scopes = \"a b\"", "is not one scope"),
        ("certificate = {}", "names none"),
        ("scopes = \"a\"\nwhen = { path = \"admin\" }", "does not begin with a slash"),
        ("scopes = \"a\"\nwhen = { path = \"/a/../b\" }", "can never match"),
        ("scopes = \"a\"\nwhen = { path = \"/*/admin\" }", "only a path's end may be"),
        ("scopes = \"a\"\nwhen = { host = \"a:80\" }", "hosts are matched without"),
        ("scopes = \"a\"\nwhen = { method = \"post\" }", "write \"POST\""),
        ("scopes = \"a\"\nwhen = { subprotocol = \"a, b\" }", "write each in quotes"),
    ] {
        let faults = build(table).0.unwrap_err();
        let told = format!("{:?}", faults.0[0]).replace("\\\"", "\"");
        assert!(told.contains(said), "{table}: {told}");
    }
}
