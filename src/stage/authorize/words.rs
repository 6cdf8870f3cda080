//! Rules in words, for whoever wants a request explained.

use std::fmt::Display;

use super::Authorize;
use super::table::When;

/// `"a"`, `"a" or "b"`, `"a", "b" or "c"`.
pub(super) fn one_of<T: Display>(all: &[T], last: &str) -> String {
    let mut all: Vec<String> = all.iter().map(ToString::to_string).collect();
    match (all.pop(), all.is_empty()) {
        (Some(only), true) => only,
        (Some(end), false) => format!("{} {last} {end}", all.join(", ")),
        (None, _) => String::new(),
    }
}

impl When {
    fn words(&self) -> String {
        let all = [
            ("the path is", one_of(&self.path, "or")),
            ("the host is", one_of(&self.host, "or")),
            ("the method is", one_of(&self.method, "or")),
            ("the subprotocol is", one_of(&self.subprotocol, "or")),
        ];
        let all: Vec<String> = all.iter().filter(|(_, what)| !what.is_empty()).map(|(is, what)| format!("{is} {what}")).collect();
        one_of(&all, "and")
    }
}

impl Authorize {
    pub(super) fn words(&self) -> String {
        let mut all: Vec<String> =
            self.require.iter().map(|(claim, wanted)| format!("{claim} has to be {}", one_of(wanted, "or"))).collect();
        if !self.scopes.is_empty() {
            let scopes = if self.scopes.len() == 1 { "scope" } else { "scopes" };
            all.push(format!(
                "the {scopes} {} {} to be there",
                one_of(&self.scopes, "and"),
                if self.scopes.len() == 1 { "has" } else { "have" }
            ));
        }
        if self.certificate.is_some() {
            all.push("`certificate` has to name the client's certificate".to_owned());
        }
        let asked = one_of(&all, "and");
        match &self.when {
            Some(when) => format!("where {}: {asked}", when.words()),
            None => asked,
        }
    }
}
