//! What is revoked by which entry, and for how long.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::stage::cells::Cells;
use crate::stage::{Identity, Proof, sample};

fn build_in(folder: &Path, text: &str) -> (Result<Revoked, Faults>, Vec<Need>, Faults) {
    let cells = Cells::default();
    let mut build = Build::new(KeyPath::table("revoked", "list"), folder, &cells);
    let built = Revoked::configure(toml::from_str(text).unwrap(), &mut build);
    (built, build.needs, build.warnings)
}

fn revoked(text: &str) -> Revoked {
    build_in(Path::new("."), text).0.unwrap()
}

/// A client at 192.0.2.7 whom a token of these claims, by the key of this id, has authenticated.
fn client(claims: &str, kid: Option<&str>) -> Client {
    let mut client = sample::client(&[]);
    client.prove(Identity {
        by: "jwt.users".into(),
        user: None,
        claims: claims.into(),
        expires: None,
        proof: Proof { key: "key".into(), kid: kid.map(Into::into), key_set: None, algorithm: "HS256" }.into(),
    });
    client
}

/// The entry that revokes; nothing where none does.
fn said(verdict: Verdict) -> String {
    verdict.map_or_else(
        |refusal| {
            assert_eq!(refusal.outcome, REVOKED);
            refusal.rule.unwrap().into()
        },
        |()| String::new(),
    )
}

/// The same for a client under way at this time.
fn reviewed(stage: &Revoked, client: &Client, now: SystemTime) -> String {
    said(stage.review(client, now))
}

#[test]
fn an_identity_is_judged_by_each_of_its_names_at_the_handshake_and_under_way() {
    let stage = revoked(
        r#"jti = ["a1", { value = "b2", note = "stolen" }, "7"]
           sub = "mallory"
           kid = ["2026-a"]"#,
    );
    for (claims, kid, rule) in [
        (r#"{"jti":"a1"}"#, None, "jti[0] a1"),
        (r#"{"jti":"b2","sub":"alice"}"#, None, "jti[1] b2 (stolen)"),
        (r#"{"jti":7}"#, None, "jti[2] 7"),
        (r#"{"sub":"mallory"}"#, None, "sub[0] mallory"),
        (r#"{"sub":"alice"}"#, Some("2026-a"), "kid[0] 2026-a"),
        (r#"{"jti":"c3","sub":"alice"}"#, Some("2026-b"), ""),
        (r#"{"sub":"a1","jti":"mallory"}"#, Some("mallory"), ""),
        (r#"{"jti":["a1"],"sub":{"x":"mallory"}}"#, None, ""),
        (r#"{"jti":"A1"}"#, None, ""),
        ("{}", None, ""),
    ] {
        let mut client = client(claims, kid);
        assert_eq!(reviewed(&stage, &client, SystemTime::now()), rule, "{claims}");
        let Judgement::Now(verdict) = stage.handshake(&mut client) else { panic!("it was to answer at once") };
        assert_eq!(said(verdict), rule, "{claims}");
    }
    let mut stranger = sample::client(&[]);
    assert_eq!(reviewed(&stage, &stranger, SystemTime::now()), "");
    assert!(matches!(stage.handshake(&mut stranger), Judgement::Now(Ok(()))));
}

#[test]
fn an_address_is_judged_when_it_is_known_by_the_narrowest_network_that_covers_it() {
    let stage = revoked(r#"ip = ["192.0.2.0/24", { value = "192.0.2.7", note = "scanner" }, "2001:db8::/32", "203.0.113.9"]"#);
    for (ip, rule) in [
        ("192.0.2.7", "ip[1] 192.0.2.7 (scanner)"),
        ("192.0.2.8", "ip[0] 192.0.2.0/24"),
        ("::ffff:192.0.2.8", "ip[0] 192.0.2.0/24"),
        ("2001:db8:1::1", "ip[2] 2001:db8::/32"),
        ("203.0.113.9", "ip[3] 203.0.113.9"),
        ("203.0.113.8", ""),
        ("2001:db9::1", ""),
    ] {
        assert_eq!(said(stage.connect(&sample::peer(ip))), rule);
    }
    assert_eq!(reviewed(&stage, &sample::client(&[]), SystemTime::now()), "ip[1] 192.0.2.7 (scanner)");
}

#[test]
fn an_entry_is_over_at_its_end_and_the_stage_says_when_that_is() {
    let day = |day: u64| UNIX_EPOCH + Duration::from_secs(4_102_444_800 + day * 86_400);
    let stage = revoked(
        r#"sub = [{ value = "alice", until = 2100-01-02T00:00:00Z }, { value = "alice", until = 2100-01-03T00:00:00Z }, "bob"]
           ip = [{ value = "192.0.2.0/24", until = 2100-01-04T00:00:00Z }, { value = "192.0.2.0/24", until = 2100-01-02T00:00:00Z }]"#,
    );
    let alice = |now| said(stage.judge_identities(&client(r#"{"sub":"alice"}"#, None), now));
    assert_eq!((alice(day(1)), alice(day(2))), ("sub[1] alice".to_owned(), String::new()));
    assert_eq!(said(stage.judge_identities(&client(r#"{"sub":"bob"}"#, None), day(999))), "sub[2] bob");
    let near = |now| said(stage.judge_address("192.0.2.7".parse().unwrap(), now));
    assert_eq!((near(day(2)), near(day(3))), ("ip[0] 192.0.2.0/24".to_owned(), String::new()));
    for (now, next) in [(day(0), Some(day(1))), (day(1), Some(day(2))), (day(2), Some(day(3))), (day(3), None)] {
        assert_eq!(stage.next_change(now), next);
    }
}

#[test]
fn files_hold_entries_of_every_kind_and_their_lines_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let lines =
        "# by wsgate revoke\njti:a1\n\nsub:alice until 2100-01-02T00:00:00Z # left\nip:192.0.2.0/24\nkid:old until 2001-01-01T00:00:00Z\n";
    std::fs::write(folder.path().join("revoked.txt"), lines).unwrap();
    let (built, needs, warnings) = build_in(folder.path(), "files = \"revoked.txt\"");
    let (stage, now) = (built.unwrap(), SystemTime::now());
    let judged = |client: &Client| said(stage.judge_identities(client, now));
    assert_eq!(judged(&client(r#"{"jti":"a1"}"#, None)), "files[0] revoked.txt:2 jti a1");
    assert_eq!(judged(&client(r#"{"sub":"alice"}"#, None)), "files[0] revoked.txt:4 sub alice (left)");
    assert_eq!(judged(&client("{}", Some("old"))), "");
    assert_eq!(said(stage.connect(&sample::peer("192.0.2.1"))), "files[0] revoked.txt:5 ip 192.0.2.0/24");
    assert_eq!((needs.len(), warnings.0.len()), (1, 0));

    std::fs::write(folder.path().join("bad.txt"), "jti:ok\nip:10.0.0.1/8\nip:\n").unwrap();
    let faults = build_in(folder.path(), "files = [\"revoked.txt\", \"bad.txt\"]").0.unwrap_err();
    let said: Vec<_> = faults.iter().map(|fault| fault.message.as_str()).collect();
    assert_eq!(said, ["bad.txt:2: 10.0.0.1/8 is 10.0.0.0/8, 16777216 addresses", "bad.txt:3: an empty value revokes nothing"]);
}

#[test]
fn a_stage_that_goes_by_tokens_needs_them_before_it_and_one_of_addresses_does_not() {
    let key = |name: &str| Need::Identity(KeyPath::table("revoked", "list").key(name));
    for (table, needs) in
        [("ip = \"192.0.2.1\"", vec![]), ("ip = \"192.0.2.1\"\nkid = \"a\"", vec![key("kid")]), ("jti = []\nsub = \"a\"", vec![key("jti")])]
    {
        assert_eq!(build_in(Path::new("."), table).1, needs, "{table}");
    }
}

#[test]
fn what_revokes_nothing_is_told() {
    for (table, said) in [
        ("", "revoked.list revokes nothing"),
        ("jti = \"\"", "an empty value revokes nothing"),
        ("ip = [\"10.0.0.1\", \"10.0.0.0.0\"]", "\"10.0.0.0.0\" is not a network"),
        ("files = \"no-such-file\"", "cannot read"),
    ] {
        let faults = build_in(Path::new("."), table).0.unwrap_err();
        assert!(faults.0[0].message.contains(said), "{faults:?}");
    }
    let (stage, _, warnings) = build_in(Path::new("."), "jti = [{ value = \"a\", until = 2001-01-01T00:00:00Z }]");
    assert_eq!(warnings.0[0].message, "this entry is over: it revokes nothing");
    assert_eq!(stage.unwrap().next_change(SystemTime::now()), None);
}
