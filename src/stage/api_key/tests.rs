//! Keys of both kinds of hash, shown well and badly, and what becomes of those whose keys change under them.

use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::config::secret::MASK;
use crate::stage::cells::Cells;
use crate::stage::sample;

/// The line that `wsgate key new` would print, read.
pub(super) fn line(text: &str) -> Line {
    Line::read(text).unwrap()
}

/// A key and its line, with these keys besides.
fn made(more: &str, argon2: bool) -> (String, String) {
    let (key, line) = fresh(line(&format!("{{ name = \"ci\"{more} }}")), argon2).unwrap();
    (key, line.to_string())
}

fn build(folder: &Path, text: &str) -> (Result<ApiKey, Faults>, Faults) {
    let cells = Cells::default();
    let mut build = Build::new(KeyPath::table("api_key", "bots"), folder, &cells);
    let built = match toml::from_str(text) {
        Ok(table) => ApiKey::configure(table, &mut build),
        Err(error) => Err(Fault::new(build.at().clone(), error.message()).into()),
    };
    (built, build.warnings)
}

fn stage(lines: &[&str]) -> ApiKey {
    build(Path::new("."), &format!("keys = [{}]", lines.join(", "))).0.unwrap()
}

/// `outcome: rule` of a verdict, or nothing where it passes.
fn said(verdict: Verdict) -> String {
    verdict.map_or_else(|refusal| format!("{}: {}", refusal.outcome.id, refusal.rule.unwrap_or_default()), |()| String::new())
}

async fn asked(stage: &ApiKey, client: &mut Client) -> String {
    said(match stage.handshake(client) {
        Judgement::Now(verdict) => verdict,
        Judgement::Later(verdict) => verdict.await,
        Judgement::FirstMessage(_) => panic!("it asks for a first message"),
    })
}

async fn shown(stage: &ApiKey, key: &str) -> (String, Client) {
    let mut client = sample::client(&[("x-api-key", key)]);
    (asked(stage, &mut client).await, client)
}

#[tokio::test]
async fn a_key_of_either_hash_proves_whose_it_is_and_what_it_may_be_used_for() {
    for argon2 in [false, true] {
        let (key, line) = made(", scopes = [\"chat:read\", \"chat:write\"]", argon2);
        let (verdict, client) = shown(&stage(&[&line]), &key).await;
        assert_eq!(verdict, "", "{argon2}");
        let identity = client.identity("api_key.bots").unwrap();
        assert_eq!((client.user(), &*identity.claims), (Some("ci"), r#"{"scope":"chat:read chat:write","sub":"ci"}"#));
        let request = format!("{:?}", client.request);
        assert!(!request.contains(&key) && !format!("{identity:?}").contains(&key) && !identity.proof.key.contains(&key[..20]));
    }
}

#[tokio::test]
async fn a_key_that_is_not_exactly_one_of_them_is_none() {
    let (key, line) = made("", false);
    let (slow, slow_line) = made("", true);
    let stage = stage(&[&line, &slow_line]);
    let rows = [
        (key.to_uppercase(), "no such key"),
        (key[4..].to_owned(), "no such key"),
        (key[..70].to_owned(), "no such key: it was mistyped or cut"),
        (format!("{key}a"), "no such key: it was mistyped or cut"),
        (format!("Bearer {key}"), "no such key"),
        (stage.keys.find(&key).map(|_| String::new()).unwrap(), "no such key"),
        ("k".repeat(513), "a key of over 512 bytes"),
        (slow[..70].to_owned(), "another key than that of its id"),
        (format!("{}{}", &slow[..13], &key[13..]), "another key than that of its id"),
        (format!("wsg_{}", &slow[5..]), "no such key"),
    ];
    for (shown_key, rule) in rows {
        assert_eq!(shown(&stage, &shown_key).await.0, format!("token_invalid: {rule}"), "{shown_key}");
    }
    assert_eq!(asked(&stage, &mut sample::client(&[])).await, "token_missing: ");
    let mut twice = sample::client(&[("x-api-key", &key), ("X-Api-Key", &key)]);
    assert_eq!(asked(&stage, &mut twice).await, "token_invalid: more than one header x-api-key");
    assert!(!format!("{:?}", twice.request).contains(&key));
}

#[tokio::test]
async fn a_key_expires_at_its_moment_and_only_that_one() {
    let end = UNIX_EPOCH + Duration::from_secs(4_102_444_800);
    let (key, ends) = made(", expires = 2100-01-01T00:00:00Z", false);
    let (other, lasts) = made("", false);
    let stage = stage(&[&ends, &lasts]);
    let (client, lasting) = (shown(&stage, &key).await.1, shown(&stage, &other).await.1);
    let before = end - Duration::from_nanos(1);
    assert_eq!((stage.next_change(before), stage.next_change(end)), (Some(end), None));
    assert_eq!(said(stage.review(&client, before)), "");
    assert_eq!(said(stage.review(&client, end)), "token_expired: ci's key has expired");
    assert_eq!(said(stage.review(&lasting, end)), "");
    let (key, over) = made(", expires = 2020-01-01T00:00:00Z", false);
    let (built, warnings) = build(Path::new("."), &format!("keys = [{over}]"));
    assert_eq!(warnings.0[0].message, "this key has expired: it lets nobody in");
    assert_eq!(shown(&built.unwrap(), &key).await.0, "token_expired: ci's key has expired");
}

#[tokio::test]
async fn who_is_in_is_judged_by_the_key_as_the_file_has_it_now() {
    let (key, line) = made("", false);
    let client = shown(&stage(&[&line]), &key).await.1;
    let other = made("", false).1;
    let now = SystemTime::now();
    for (lines, verdict) in [
        (vec![&*line], ""),
        (vec![&*other, &*line.replace("name = \"ci\"", "note = \"x\", name = \"ci\"")], ""),
        (vec![&*other], "revoked: ci's key is no longer there"),
        (vec![&*line.replace(" }", ", scopes = [\"a\"] }")], "route_changed: ci's key has another name or other scopes now"),
        (vec![&*line.replace("\"ci\"", "\"cd\"")], "route_changed: cd's key has another name or other scopes now"),
        (vec![&*line.replace(" }", ", expires = 2020-01-01T00:00:00Z }")], "token_expired: ci's key has expired"),
    ] {
        assert_eq!(said(stage(&lines).review(&client, now)), verdict, "{lines:?}");
    }
    let renamed = |lines: &[&str]| ApiKey { name: "api_key.other".into(), ..stage(lines) };
    assert_eq!(said(renamed(&[&line]).review(&client, now)), "");
    assert_eq!(said(renamed(&[&other]).review(&client, now)), "token_missing: authenticated otherwise");
    assert_eq!(said(stage(&[&line]).review(&sample::client(&[]), now)), "token_missing: never authenticated");
}

#[test]
fn a_line_is_pasted_as_it_is_printed_and_shows_no_hash_otherwise() {
    for argon2 in [false, true] {
        let (_, text) = made(", scopes = [\"a\", \"b\"], expires = 2100-01-01T00:00:00Z, note = 'the \"old\" one'", argon2);
        let line = line(&text);
        assert_eq!(line.to_string(), text);
        let hash = line.sha256.as_ref().map(|hash| hash.expose().to_owned()).or(line.argon2.as_ref().map(|hash| hash.expose().to_owned()));
        let shown = format!("{line:?} {}", toml::to_string(&line).unwrap());
        assert!(!shown.contains(&hash.unwrap()) && shown.contains(MASK), "{shown}");
    }
}

#[test]
fn lines_of_a_file_are_those_of_the_table_with_a_place_each() {
    let folder = tempfile::tempdir().unwrap();
    let (good, other) = (made("", false).1, made("", true).1);
    let secret = "wsg_abcdefgh_abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrstuvwxyz23";
    for (text, faults) in [
        (format!("# bots\n\n{good},\n  {other} # since 2026 {{x}}\n"), vec![]),
        (format!("{good}\n{good}"), vec!["keys.txt:2: this is ci's key already"]),
        (secret.to_owned(), vec!["keys.txt:1: this is no line of a key"]),
        (format!("{{ name = \"a\", sha256 = \"{secret}\" }}"), vec!["keys.txt:1: this is no SHA-256"]),
        (format!("{{ name = \"a\", id = \"{secret}\" }}"), vec!["keys.txt:1: this is no id of a key"]),
        (format!("{{ name = \"a\", scopes = \"{secret}\" }}"), vec!["keys.txt:1: expected a sequence"]),
        (format!("{{ name = \"a\", scopes = [\"{secret} b\"] }}"), vec!["keys.txt:1: this is not one scope"]),
        (
            "{ name = \"a\" }\n{ name = \"b\", sha256 = 5 }".to_owned(),
            vec!["keys.txt:1: this key has no hash", "keys.txt:2: expected a SHA-256 in hex"],
        ),
        ("{ name = \"a\" } x".to_owned(), vec!["keys.txt:1: something stands behind this line's `}`"]),
        ("{ name = \"a\"".to_owned(), vec!["keys.txt:1: this line is never closed"]),
        ("{ nam = \"a\" }".to_owned(), vec!["keys.txt:1: unknown field `nam`"]),
    ] {
        std::fs::write(folder.path().join("keys.txt"), &text).unwrap();
        let (built, _) = build(folder.path(), "files = \"keys.txt\"");
        let told: Vec<String> = built.err().map_or_else(Vec::new, |faults| faults.iter().map(|fault| fault.message.clone()).collect());
        assert_eq!(told.len(), faults.len(), "{text}: {told:?}");
        assert!(told.iter().zip(&faults).all(|(told, fault)| told.starts_with(fault) && !told.contains(secret)), "{told:?}");
    }
}

#[test]
fn a_hash_that_costs_too_much_or_proves_too_little_is_a_fault() {
    let (salt, hash) = ("c29tZXNhbHRzb21lc2FsdA", "ibcAYOIjNjZSN0oJTPqK4pXEnKsGhPVEWmTbLfRPZZo");
    for (written, said) in [
        (format!("$argon2id$v=19$m=65536,t=3,p=4${salt}${hash}"), None),
        (format!("$argon2id$v=19$m=19456,t=2,p=1${salt}${hash}"), None),
        (format!("$argon2id$v=19$m=4194304,t=1,p=1${salt}${hash}"), Some("takes 4194304 KiB of memory")),
        (format!("$argon2id$v=19$m=65536,t=4,p=1${salt}${hash}"), Some("takes too long")),
        (format!("$argon2id$v=19$m=64,t=4294967295,p=1${salt}${hash}"), Some("takes too long")),
        (format!("$argon2id$v=19$m=65536,t=1,p=64${salt}${hash}"), Some("takes too long")),
        (format!("$argon2i$v=19$m=19456,t=2,p=1${salt}${hash}"), Some("no hash of Argon2id")),
        (format!("$argon2id$v=16$m=19456,t=2,p=1${salt}${hash}"), Some("no hash of Argon2id")),
        (format!("$argon2id$v=19$m=19456,t=2,p=1${salt}"), Some("is missing or cut")),
        (format!("$argon2id$v=19$m=19456,t=2,p=1${salt}$aGFzaGhhc2g"), Some("no hash of Argon2")),
        ("$2b$12$abcdefghijklmnopqrstuv".to_owned(), Some("no hash of Argon2")),
        ("hunter2".to_owned(), Some("no hash of Argon2")),
    ] {
        let (built, _) = build(Path::new("."), &format!("keys = [{{ name = \"a\", id = \"a\", argon2 = \"{written}\" }}]"));
        match (built, said) {
            (Ok(_), None) => {}
            (Err(faults), Some(said)) => {
                let message = &faults.0[0].message;
                assert!(message.contains(said) && !message.contains(salt) && !message.contains("hunter2"), "{written}: {message}");
            }
            (built, said) => panic!("{written}: {said:?}, {:?}", built.err()),
        }
    }
}

#[tokio::test]
async fn where_too_many_keys_wait_to_be_hashed_the_next_is_told_to_come_again() {
    let salt = "c29tZXNhbHRzb21lc2FsdA";
    let hash = "ibcAYOIjNjZSN0oJTPqK4pXEnKsGhPVEWmTbLfRPZZo";
    let stage = stage(&[&format!("{{ name = \"a\", id = \"a\", argon2 = \"$argon2id$v=19$m=64,t=1,p=1${salt}${hash}\" }}")]);
    let all = futures_util::future::join_all((0..200).map(|_| shown(&stage, "wsg_a_hunter2"))).await;
    let refused = |rule: &str| all.iter().filter(|(verdict, _)| verdict == rule).count();
    assert_eq!(refused("token_invalid: another key than that of its id"), 64);
    assert_eq!(refused("overloaded: too many keys wait to be hashed"), 136);
}
