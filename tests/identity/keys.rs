//! Attacks with API keys.

use super::attacks::Attack;
use super::forged::mixed;
use super::{GOOD_KEY, OVER_KEY, SLOW_KEY, sha256};

pub(super) fn attacks() -> Vec<Attack> {
    let row = |what, path: &str, lines: String, secret: String, outcome| Attack {
        what,
        target: path.to_owned(),
        lines,
        secret,
        outcome,
        status: 401,
    };
    let shown = |what, key: String, outcome| row(what, "/keys", format!("X-API-Key: {key}\r\n"), key, outcome);
    let unread = |what, target: String, lines: String| row(what, &target, lines, GOOD_KEY.to_owned(), "token_missing");
    let invalid = |what, key: String| shown(what, key, "token_invalid");
    vec![
        unread("no key", "/keys".to_owned(), String::new()),
        unread("a key in the query", format!("/keys?api_key={GOOD_KEY}"), String::new()),
        unread("a key as a token", "/keys".to_owned(), format!("Authorization: Bearer {GOOD_KEY}\r\n")),
        unread("a key in a cookie", "/keys".to_owned(), format!("Cookie: x-api-key={GOOD_KEY}\r\n")),
        unread("a key in a header that reads alike", "/keys".to_owned(), format!("X_API_Key: {GOOD_KEY}\r\n")),
        invalid("a key in capitals", GOOD_KEY.to_uppercase()),
        invalid("a key without its prefix", GOOD_KEY[4..].to_owned()),
        invalid("a key with another prefix", format!("sk_{}", &GOOD_KEY[4..])),
        invalid("a key that is cut", GOOD_KEY[..GOOD_KEY.len() - 1].to_owned()),
        invalid("a key that is cut in half", GOOD_KEY[..40].to_owned()),
        invalid("a key with a digit more", format!("{GOOD_KEY}a")),
        invalid("a key behind a scheme", format!("Bearer {GOOD_KEY}")),
        invalid("a key within quotes", format!("\"{GOOD_KEY}\"")),
        invalid("two keys, one of them good", format!("{GOOD_KEY},{OVER_KEY}")),
        invalid("the hash of a key", sha256(GOOD_KEY)),
        invalid("the name of a key", "ci-bot".to_owned()),
        invalid("an empty key", String::new()),
        invalid("a key of 8 KiB", "k".repeat(8 << 10)),
        invalid("an id without a secret", "wsg_backup_".to_owned()),
        invalid("an id with another's secret", format!("wsg_backup_{}", &GOOD_KEY[13..])),
        invalid("an id in capitals", SLOW_KEY.replace("backup", "Backup")),
        invalid("a hashed key that is cut", SLOW_KEY[..SLOW_KEY.len() - 1].to_owned()),
        shown("a key that has expired", OVER_KEY.to_owned(), "token_expired"),
        row(
            "a good key twice",
            "/keys",
            format!("X-API-Key: {GOOD_KEY}\r\nX-API-Key: {GOOD_KEY}\r\n"),
            GOOD_KEY.to_owned(),
            "token_invalid",
        ),
        row(
            "a bad key beside a good token",
            "/either",
            format!("X-API-Key: {}\r\nAuthorization: Bearer {}\r\n", &GOOD_KEY[..60], mixed(&serde_json::json!({}))),
            GOOD_KEY[..60].to_owned(),
            "token_invalid",
        ),
    ]
}
