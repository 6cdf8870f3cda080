//! `origin`: which pages may connect. Browsers say of every upgrade whose page asks for it, and let any page ask (RFC 6455 §10.2).

mod allowed;
mod triple;

use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::fault::{Fault, Faults};
use crate::config::units::Many;

use super::refusal::{ORIGIN_DENIED, Refusal, Verdict};
use super::{Asks, Build, Client, Configure, Judgement, Stage};

pub use allowed::Allowed;
use triple::Triple;

/// `[origin.NAME]`: which pages may connect, by what browsers say of them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The origins that may: `"https://example.com"`, with a port where it is not the scheme's; `"https://*.example.com"` for all
    /// below it; `"same-origin"` for pages of the host and port asked for; `"null"` for sandboxed pages and files.
    pub allow: Many<Allowed>,
    /// What becomes of a client that says nothing, as only programs do; of an upgrade, as browsers say nothing with many an ordinary request.
    #[serde(default)]
    pub missing: Missing,
}

/// What becomes of a client without an `Origin`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// It may connect.
    #[default]
    Allow,
    /// It may not.
    Deny,
}

/// Judges pages by their origins: at the handshake, and again whenever the config has changed.
#[derive(Debug)]
pub struct Origin {
    allow: Box<[Allowed]>,
    missing: Missing,
}

impl Origin {
    fn judge(&self, client: &Client) -> Verdict {
        let (rule, key) = match client.origin() {
            // Browsers leave it out of what a page of the same origin gets.
            None if self.missing == Missing::Allow || client.asks != Asks::Upgrade => return Ok(()),
            None => ("no Origin".to_owned(), "missing"),
            Some("") => ("not exactly one Origin".to_owned(), "allow"),
            Some(sent) => {
                let origin = Triple::parse(sent);
                if self.allow.iter().any(|allowed| allowed.covers(sent, origin.as_ref(), client)) {
                    return Ok(());
                }
                (format!("{sent} is not in `allow`"), "allow")
            }
        };
        Err(Box::new(Refusal::new(ORIGIN_DENIED).rule(rule).at(key)))
    }
}

impl Stage for Origin {
    fn handshake<'a>(&'a self, client: &'a mut Client) -> Judgement<'a> {
        Judgement::Now(self.judge(client))
    }

    fn review(&self, client: &Client, _: SystemTime) -> Verdict {
        self.judge(client)
    }
}

impl Configure for Origin {
    const KIND: &'static str = "origin";
    const JUDGES_ORIGINS: bool = true;
    type Table = Table;

    fn configure(table: Table, build: &mut Build<'_>) -> Result<Self, Faults> {
        if table.allow.is_empty() && table.missing == Missing::Deny {
            build.warnings.push(Fault::warning(build.at().clone(), format!("{} lets nobody in", build.name())));
        }
        Ok(Self { allow: table.allow.0.into(), missing: table.missing })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::fault::KeyPath;
    use crate::stage::AskedFor;
    use crate::stage::cells::Cells;
    use crate::stage::sample;

    fn origin(text: &str) -> Result<Origin, String> {
        let cells = Cells::default();
        let mut build = Build::new(KeyPath::table("origin", "pages"), Path::new("."), &cells);
        let table = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        Ok(Origin::configure(table, &mut build).unwrap())
    }

    /// Why a client with this `Origin` is refused, at the handshake and under way; nothing where it passes.
    fn judged(stage: &Origin, sent: Option<&str>) -> String {
        let mut client = sample::client(&[]);
        client.port = Some(8443);
        client.asked = AskedFor::new("chat.example.com", "/chat", sent);
        let said = |verdict: Verdict| {
            verdict.map_or_else(|refusal| format!("{}: {}", refusal.outcome.id, refusal.rule.unwrap()), |()| String::new())
        };
        let reviewed = said(stage.review(&client, SystemTime::now()));
        let Judgement::Now(verdict) = stage.handshake(&mut client) else { panic!("it was to answer at once") };
        assert_eq!(said(verdict), reviewed);
        reviewed
    }

    #[test]
    fn an_origin_passes_as_a_whole_or_not_at_all() {
        for (allow, passing, denied) in [
            (
                "https://example.com",
                vec!["https://example.com", "https://EXAMPLE.com:443"],
                vec![
                    "http://example.com",
                    "https://example.com:444",
                    "https://example.com.evil.net",
                    "https://evil-example.com",
                    "https://www.example.com",
                    "https://example.com/",
                    "https://example.com@evil.net",
                    "https://evil.net/https://example.com",
                    "null",
                ],
            ),
            (
                "https://*.example.com",
                vec!["https://a.example.com", "https://a.b.example.com:443"],
                vec![
                    "https://example.com",
                    "https://.example.com",
                    "https://evilexample.com",
                    "https://a.example.com:8443",
                    "http://a.example.com",
                    "https://a.example.com.evil.net",
                ],
            ),
            ("http://localhost:3000", vec!["http://localhost:3000"], vec!["http://localhost", "http://127.0.0.1:3000"]),
            (
                "same-origin",
                vec!["https://chat.example.com:8443", "http://chat.example.com:8443"],
                vec!["https://chat.example.com", "https://example.com:8443", "app://chat.example.com:8443", "null"],
            ),
            ("null", vec!["null"], vec!["NULL", "https://null", "https://example.com"]),
            ("app://localhost", vec!["app://localhost"], vec!["app://localhost:80", "http://localhost"]),
        ] {
            let stage = origin(&format!("allow = {allow:?}")).unwrap();
            for sent in passing {
                assert_eq!(judged(&stage, Some(sent)), "", "{allow}");
            }
            for sent in denied {
                assert_eq!(judged(&stage, Some(sent)), format!("origin_denied: {sent} is not in `allow`"), "{allow}");
            }
        }
    }

    #[test]
    fn where_the_request_names_no_port_the_scheme_s_own_is_meant() {
        let stage = origin("allow = [\"same-origin\"]").unwrap();
        let mut client = sample::client(&[]);
        for (sent, passes) in [("http://localhost", true), ("https://localhost", true), ("https://localhost:8443", false)] {
            client.asked = AskedFor::new("localhost", "/chat", Some(sent));
            assert_eq!(stage.judge(&client).is_ok(), passes, "{sent}");
        }
    }

    #[test]
    fn no_origin_is_as_the_table_says_and_an_unreadable_one_never_passes() {
        let (open, strict) = (origin("allow = []").unwrap(), origin("allow = [\"null\"]\nmissing = \"deny\"").unwrap());
        assert_eq!((judged(&open, None), judged(&strict, None)), (String::new(), "origin_denied: no Origin".to_owned()));
        for stage in [open, strict] {
            assert_eq!(judged(&stage, Some("")), "origin_denied: not exactly one Origin");
        }
    }

    #[test]
    fn what_no_browser_would_write_is_a_fault_that_says_what_it_would() {
        for (written, said) in [
            ("*", "name origins, or leave the stage out"),
            ("same_origin", "did you mean \"same-origin\"?"),
            ("example.com", "as \"https://example.com\""),
            ("wss://example.com", "write \"https://example.com\""),
            ("https://example.com/", "write \"https://example.com\""),
            ("https://*example.com", "write \"https://*.example.com\""),
            ("https://*.*.example.com", "write \"https://*.example.com\""),
            ("https://exämple.com", "as browsers write it"),
            ("https://example.com:0x50", "as browsers write it"),
        ] {
            let fault = origin(&format!("allow = {written:?}")).unwrap_err();
            assert!(fault.ends_with(said) || fault.contains(said), "{written}: {fault}");
        }
    }
}
