//! Label values that come from outside, made few: a series costs memory here and in every Prometheus for as long as it is kept.

use crate::stage::{Ending, Party};

use super::sums::OTHER;

/// A close code. What the gateway closes with stands in its table or in the file; peers may close with any number, of which those in the
/// registry of IANA are told apart.
pub(super) fn code(ending: &Ending) -> String {
    match (ending.by, ending.code) {
        (Party::Gateway, code) | (_, code @ (1000..=1015 | 3000 | 3003 | 3008)) => code.to_string(),
        _ => OTHER.to_owned(),
    }
}

/// The place in its stage's table that a rule's text begins with: `deny[2]` of `deny[2] 203.0.113.0/24 (note)`, `files[0]` of
/// `files[0] revoked.txt:17 jti …`, `messages` of `messages 100/s`. What follows may be an address, a user or a token's id. Empty where the
/// text begins with no place, as what is wrong with a token does.
pub(super) fn rule(text: &str) -> &str {
    let (place, rest) = text.split_once(' ').unwrap_or((text, ""));
    let (key, index) = place.split_once('[').unwrap_or((place, ""));
    let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let is_element = index.strip_suffix(']').is_some_and(|index| !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit()));
    let is_limit = index.is_empty() && rest.bytes().next().is_none_or(|byte| byte.is_ascii_digit());
    if is_key && (is_element || is_limit) && place.len() <= RULE_MAX { place } else { "" }
}

/// The longest place of a rule, in bytes.
const RULE_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::refusal::{CLOSED, LIFETIME};

    #[test]
    fn of_a_rule_its_place_in_the_file_is_told_and_nothing_else() {
        for (text, place) in [
            ("deny[2] 203.0.113.0/24 (note)", "deny[2]"),
            ("deny_files[0] bad.txt", "deny_files[0]"),
            ("files[0] revoked.txt:17 jti 4f1c9b20 (stolen laptop)", "files[0]"),
            ("sub[1] bob (on leave)", "sub[1]"),
            ("messages 100/s", "messages"),
            ("concurrent 10", "concurrent"),
            ("grants", "grants"),
            ("no allow rule names the address", ""),
            ("exp is past", ""),
            ("malformed token", ""),
            ("https://evil.example is not in `allow`", ""),
            ("203.0.113.7", ""),
            ("deny[203.0.113.7] x", ""),
            ("deny[] x", ""),
            ("", ""),
        ] {
            assert_eq!(rule(text), place, "{text:?}");
        }
        assert_eq!(rule(&"x".repeat(RULE_MAX + 1)), "");
    }

    #[test]
    fn a_peer_s_own_close_code_is_one_of_many() {
        let ending = |by, outcome, code| Ending { by, outcome, code, reason: "".into(), stage: None, rule: None };
        for (by, outcome, sent, told) in [
            (Party::Client, CLOSED, 1000, "1000"),
            (Party::Client, CLOSED, 1006, "1006"),
            (Party::Upstream, CLOSED, 3003, "3003"),
            (Party::Upstream, CLOSED, 4001, OTHER),
            (Party::Client, CLOSED, 3001, OTHER),
            (Party::Gateway, LIFETIME, 4001, "4001"),
        ] {
            assert_eq!(code(&ending(by, outcome, sent)), told, "{by:?} {sent}");
        }
    }
}
