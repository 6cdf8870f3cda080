//! Keys of our own making: `wsg_ID_SECRETSUM`, in which a SECRET of 256 random bits is followed by a sum that a mistyped or cut key
//! does not have, so that those who scan for leaked keys can tell ours.

use super::hash::{Argon2Hash, Sha256Hash};
use super::table::{Id, Line};
use crate::stage::sha256::Sha256;

/// What begins them all.
pub(super) const PREFIX: &str = "wsg_";
/// The digits of ids, secrets and sums (RFC 4648 §6, in lower case): five bits each.
const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Digits of an id: 40 bits.
const ID: usize = 8;
/// Digits of a sum: 30 bits.
const SUM: usize = 6;
/// Digits of a secret and its sum.
const SECRET: usize = 52 + SUM;

/// Makes a key, and fills in the hash of the line that stands for it.
///
/// # Errors
/// Where it cannot be hashed, or the line says what none can.
pub fn fresh(line: Line, argon2: bool) -> Result<(String, Line), String> {
    let id = digits(&rand::random::<[u8; 5]>());
    let secret = digits(&rand::random::<[u8; 32]>());
    let begin = format!("{PREFIX}{id}_{secret}");
    let key = format!("{begin}{}", sum(&begin));
    hashed(&key, Line { id: argon2.then(|| Id(id.into())), ..line }, argon2).map(|line| (key, line))
}

/// Fills in the hash of a key that there is already.
///
/// # Errors
/// Where it cannot be hashed, or the line says what none can.
pub fn hashed(key: &str, line: Line, argon2: bool) -> Result<Line, String> {
    if !argon2 {
        return checked(Line { sha256: Some(Sha256Hash::of(key)), ..line });
    }
    let id = match line.id {
        Some(id) => id,
        None => parts(key)
            .and_then(|(id, _)| id.parse().ok())
            .ok_or("the key has no id; an Argon2id hash is found by the ID of `wsg_ID_SECRET`")?,
    };
    checked(Line { id: Some(id), argon2: Some(Argon2Hash::of(key)?), ..line })
}

fn checked(line: Line) -> Result<Line, String> {
    line.check().map(|()| line).map_err(|(_, why)| why)
}

/// The id and the secret of a key that has both.
pub(super) fn parts(key: &str) -> Option<(&str, &str)> {
    key.strip_prefix(PREFIX)?.split_once('_')
}

/// Whether a key is so short that it has fewer than 128 random bits, however it was made: in base64, or where it is hexadecimal as that.
pub fn is_short(key: &str) -> bool {
    let secret = parts(key).map_or(key, |(_, secret)| secret);
    let is_hex = secret.bytes().all(|byte| byte.is_ascii_hexdigit());
    secret.len() < if is_hex { 32 } else { 22 }
}

/// Whether a key has the form of ours and not its sum: it was mistyped, or cut.
pub(super) fn is_broken(key: &str) -> bool {
    let Some((id, secret)) = parts(key) else { return false };
    let end = key.len().saturating_sub(SUM);
    id.len() == ID && (secret.len() != SECRET || key.get(end..).zip(key.get(..end)).is_none_or(|(written, begin)| written != sum(begin)))
}

fn sum(begin: &str) -> String {
    digits(Sha256::of(begin.as_bytes()).bytes()).chars().take(SUM).collect()
}

/// Bytes in digits of five bits; the last is filled up with zeros.
fn digits(bytes: &[u8]) -> String {
    let (mut text, mut held, mut bits) = (String::new(), 0_u32, 0);
    for byte in bytes {
        (held, bits) = (held << 8 | u32::from(*byte), bits + 8);
        while bits >= 5 {
            bits -= 5;
            text.push(digit(held >> bits));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(digit(held << (5 - bits)));
    }
    text
}

fn digit(bits: u32) -> char {
    DIGITS.get(bits as usize & 31).map_or('a', |digit| char::from(*digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_base32() {
        for (bytes, text) in [(&b""[..], ""), (b"f", "my"), (b"fo", "mzxq"), (b"foobar", "mzxw6ytboi"), (&[255; 5], "77777777")] {
            assert_eq!(digits(bytes), text);
        }
        assert_eq!(digits(&[0; 32]).len() + SUM, SECRET);
    }

    #[test]
    fn a_key_is_short_by_the_bits_that_it_may_have() {
        let (key, _) = fresh(super::super::tests::line("{ name = \"a\" }"), false).unwrap();
        for (key, short) in [
            (&*key, false),
            ("hunter2", true),
            ("wsg_a-long-id-of-a-key_hunter2", true),
            ("Vq3hX0cQ2mJr8bYt5nWz1", true),
            ("Vq3hX0cQ2mJr8bYt5nWz1A", false),
            ("0f1e2d3c4b5a69788796a5b4c3d2e1f", true),
            ("0f1e2d3c4b5a69788796a5b4c3d2e1f0", false),
        ] {
            assert_eq!(is_short(key), short, "{key}");
        }
    }

    #[test]
    fn a_key_that_was_cut_or_mistyped_is_told_from_one_of_another_make() {
        let (key, _) = fresh(super::super::tests::line("{ name = \"a\" }"), false).unwrap();
        assert_eq!(key.len(), 71, "{key}");
        let mistyped = format!("{}{}", &key[..20], key[20..].replacen(&key[20..21], if &key[20..21] == "a" { "b" } else { "a" }, 1));
        let rows: [(&str, bool); 7] = [
            (&key, false),
            (&key[..key.len() - 1], true),
            (&key[..30], true),
            (&mistyped, true),
            (&key.to_uppercase(), false),
            ("wsg_legacy_hunter2", false),
            ("of another make", false),
        ];
        for (key, broken) in rows {
            assert_eq!(is_broken(key), broken, "{key}");
        }
    }
}
