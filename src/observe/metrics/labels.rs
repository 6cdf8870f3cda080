//! Label values that come from outside, made few: a series costs memory here and in every Prometheus for as long as it is kept.

use crate::stage::refusal::Clause;
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

/// The class of a status, `2xx`; empty where no answer has begun.
pub(super) fn class(status: Option<u16>) -> &'static str {
    match status.map(|status| status / 100) {
        None => "",
        Some(2) => "2xx",
        Some(3) => "3xx",
        Some(4) => "4xx",
        Some(5) => "5xx",
        Some(_) => OTHER,
    }
}

/// Where in its stage's table a rule stands, `deny[2]` or `messages`; a line of a file is told as the file. What the rule says may be an
/// address, a user or a token's id, and stands in the log alone. Empty where no key of the table decided.
pub(super) fn rule(clause: Option<&Clause>) -> String {
    match clause {
        Some(Clause { key, index: Some(index), .. }) => format!("{key}[{index}]"),
        Some(Clause { key, .. }) => (*key).to_owned(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::stage::refusal::{CLOSED, LIFETIME};

    #[test]
    fn of_a_rule_its_place_in_the_file_is_told_and_nothing_else() {
        let clause =
            |index, line: Option<usize>| Clause { key: "deny_files", index, line: line.map(|line| (Path::new("bad.txt").into(), line)) };
        for (clause, told) in [
            (Some(clause(Some(2), None)), "deny_files[2]"),
            (Some(clause(Some(0), Some(17))), "deny_files[0]"),
            (Some(clause(None, None)), "deny_files"),
            (None, ""),
        ] {
            assert_eq!(rule(clause.as_ref()), told);
        }
    }

    #[test]
    fn a_peer_s_own_close_code_is_one_of_many() {
        let ending = |by, outcome, code| Ending { by, outcome, code, reason: "".into(), stage: None, rule: None, clause: None };
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
