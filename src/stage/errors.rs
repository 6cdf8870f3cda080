//! `errors`: what refused clients are told, in which form, and how loudly it is logged.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::fault::{Fault, Faults, KeyPath, Place};
use crate::config::table::LogLevel;
use crate::config::units::Switch;

use super::refusal::{Body, CLOSED, Level, MAX_REASON, Outcome, Refusal, TABLE, is_close_code};
use super::template::Template;
use super::{Build, Client, Configure, Stage};

/// `[errors.NAME]`: what refused clients are told, in which form, and how loudly it is logged. What is left out stays as an outer stage
/// of the kind says it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Table {
    /// The form of an HTTP refusal's body; text where no stage says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// A text message sent on the socket before the Close frame: a template with `{id}`, `{reason}` and `{code}`, or `"off"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify: Option<Switch<Template>>,
    /// How a refusal before the upgrade is told; over HTTP where no stage says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reject: Option<Reject>,
    /// Wordings of one's own, at most 123 bytes, by the id of the outcome.
    pub messages: BTreeMap<String, String>,
    /// Close codes of one's own, by the id of the outcome.
    pub codes: BTreeMap<String, u16>,
    /// Log levels of one's own, by the id of the outcome.
    pub levels: BTreeMap<String, LogLevel>,
}

/// How a refusal before the upgrade is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reject {
    /// By its HTTP status, which a browser shows to nobody.
    Http,
    /// By accepting the upgrade and closing at once, where the outcome has a close code.
    AcceptClose,
}

/// Shapes refusals. A key that is left out leaves what an outer `errors` stage has set.
#[derive(Debug)]
pub struct Errors {
    body: Option<Body>,
    notify: Option<Option<Arc<Template>>>,
    accept_close: Option<bool>,
    told: BTreeMap<&'static str, Told>,
}

/// What one outcome is told and logged as.
#[derive(Debug, Default)]
struct Told {
    reason: Option<Box<str>>,
    code: Option<u16>,
    level: Option<Level>,
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::Error,
            LogLevel::Warn => Self::Warn,
            LogLevel::Info => Self::Info,
        }
    }
}

impl Stage for Errors {
    fn error(&self, _: Option<&Client>, refusal: &mut Refusal) {
        if let Some(told) = self.told.get(refusal.outcome.id) {
            if let Some(reason) = &told.reason {
                refusal.reason = Cow::Owned(reason.to_string());
            }
            refusal.code = told.code.or(refusal.code);
            refusal.outcome.level = told.level.unwrap_or(refusal.outcome.level);
        }
        if let Some(body) = self.body {
            refusal.telling.body = body;
        }
        if let Some(notify) = &self.notify {
            refusal.telling.notify.clone_from(notify);
        }
        if let Some(accept_close) = self.accept_close {
            refusal.telling.accept_close = accept_close;
        }
    }
}

impl Configure for Errors {
    const KIND: &'static str = "errors";
    const BARE: bool = true;
    type Table = Table;

    fn configure(table: Table, build: &mut Build<'_>) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let mut told: BTreeMap<&'static str, Told> = BTreeMap::new();
        let rows = Rows(TABLE.iter().chain(&build.outcomes).copied().collect());
        let at = build.at().key("messages");
        for (id, message) in table.messages {
            match rows.worded(&id, &message, &at) {
                Ok(outcome) => told.entry(outcome.id).or_default().reason = Some(message.into()),
                Err(fault) => faults.push(fault),
            }
        }
        let at = build.at().key("codes");
        for (id, code) in table.codes {
            match rows.coded(&id, code, &at) {
                Ok(outcome) => told.entry(outcome.id).or_default().code = Some(code),
                Err(fault) => faults.push(fault),
            }
        }
        let at = build.at().key("levels");
        for (id, level) in table.levels {
            match rows.logged(&id, &at) {
                Ok(outcome) => told.entry(outcome.id).or_default().level = Some(level.into()),
                Err(fault) => faults.push(fault),
            }
        }
        if !faults.0.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            body: table.body,
            notify: table.notify.map(|notify| notify.on().map(Arc::new)),
            accept_close: table.reject.map(|reject| reject == Reject::AcceptClose),
            told,
        })
    }
}

/// The rows that a table may name: the gateway's own, and those of stages that a program adds.
struct Rows(Vec<Outcome>);

impl Rows {
    /// The row of this id.
    fn known(&self, id: &str, at: &KeyPath) -> Result<Outcome, Fault> {
        if let Some(outcome) = self.0.iter().find(|outcome| outcome.id == id) {
            return Ok(*outcome);
        }
        let fault = Fault::new(Place::Key(at.key(id)), format!("there is no outcome `{id}`"));
        let near = self.0.iter().map(|outcome| (strsim::jaro_winkler(id, outcome.id), outcome.id)).max_by(|a, b| a.0.total_cmp(&b.0));
        Err(match near {
            Some((likeness, near)) if likeness > 0.8 => fault.hint(format!("did you mean `{near}`?")),
            _ => fault.hint("`wsgate errors` lists them all"),
        })
    }

    /// The row of this id, where clients are told of it.
    fn told(&self, id: &str, at: &KeyPath) -> Result<Outcome, Fault> {
        let outcome = self.known(id, at)?;
        if outcome.status.is_none() && outcome.code.is_none() {
            return Err(Fault::new(Place::Key(at.key(id)), format!("no client is told of `{id}`: it has gone by then")));
        }
        Ok(outcome)
    }

    fn worded(&self, id: &str, message: &str, at: &KeyPath) -> Result<Outcome, Fault> {
        let outcome = self.told(id, at)?;
        if message.len() > MAX_REASON {
            let message = format!("this wording has {} bytes, a Close frame carries {MAX_REASON} (RFC 6455 §5.5)", message.len());
            return Err(Fault::new(at.key(id), message));
        }
        if message.contains(char::is_control) {
            return Err(Fault::new(at.key(id), "a wording is one line"));
        }
        Ok(outcome)
    }

    fn coded(&self, id: &str, code: u16, at: &KeyPath) -> Result<Outcome, Fault> {
        let outcome = self.told(id, at)?;
        if outcome.code.is_none() {
            let message = format!("`{id}` happens before the upgrade only: it is never told by a close code");
            return Err(Fault::new(Place::Key(at.key(id)), message));
        }
        if !is_close_code(code) {
            let fault = Fault::new(at.key(id), format!("{code} is no close code that a server may send"));
            return Err(fault.hint("codes of your own are 4000 to 4999, those of libraries and frameworks 3000 to 3999"));
        }
        Ok(outcome)
    }

    /// The row of this id, where stages see it: a peer's own Close passes them by.
    fn logged(&self, id: &str, at: &KeyPath) -> Result<Outcome, Fault> {
        let outcome = self.known(id, at)?;
        if outcome.id == CLOSED.id {
            let message = format!("`{id}` is always logged as info: a peer has said goodbye, and nothing is wrong");
            return Err(Fault::new(Place::Key(at.key(id)), message));
        }
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::cells::Cells;
    use super::super::refusal::{BAD_HANDSHAKE, CLIENT_LOST, IP_DENIED, TOKEN_EXPIRED};
    use super::*;

    fn errors(text: &str) -> Result<Errors, Faults> {
        let cells = Cells::default();
        Errors::configure(toml::from_str(text).unwrap(), &mut Build::new(KeyPath::table("errors", "friendly"), Path::new("."), &cells))
    }

    #[test]
    fn the_bare_kind_changes_nothing() {
        let mut refusal = Refusal::new(IP_DENIED);
        errors("").unwrap().error(None, &mut refusal);
        assert_eq!((refusal.reason.as_ref(), refusal.close_code(), refusal.telling), ("forbidden", Some(3003), Default::default()));
    }

    #[test]
    fn a_refusal_is_told_as_the_table_says() {
        let errors = errors(
            r#"body = "json"
               reject = "accept_close"
               notify = '{"type":"error","code":"{id}","message":"{reason}"}'
               messages = { ip_denied = 'not from "here"' }
               codes = { ip_denied = 4003 }"#,
        )
        .unwrap();
        let mut refusal = Refusal::new(IP_DENIED);
        errors.error(None, &mut refusal);
        assert_eq!((refusal.close_code(), refusal.telling.body, refusal.telling.accept_close), (Some(4003), Body::Json, true));
        assert_eq!(refusal.notification().unwrap(), r#"{"type":"error","code":"ip_denied","message":"not from \"here\""}"#);
        let mut other = Refusal::new(TOKEN_EXPIRED);
        errors.error(None, &mut other);
        assert_eq!((other.reason.as_ref(), other.close_code()), (TOKEN_EXPIRED.reason, Some(3000)));
    }

    #[test]
    fn an_outcome_is_logged_as_loudly_as_the_table_says() {
        let errors = errors("levels = { client_lost = \"error\", ip_denied = \"info\" }").unwrap();
        for (outcome, level) in [(CLIENT_LOST, Level::Error), (IP_DENIED, Level::Info), (TOKEN_EXPIRED, Level::Warn)] {
            let mut refusal = Refusal::new(outcome);
            errors.error(None, &mut refusal);
            assert_eq!(refusal.outcome, Outcome { level, ..outcome });
        }
    }

    #[test]
    fn an_inner_stage_has_the_last_word_on_what_it_names_and_leaves_the_rest() {
        let outer = errors("body = \"json\"\nnotify = \"{reason} {code}\"\nmessages = { ip_denied = \"outer\" }").unwrap();
        let mut refusal = Refusal::new(IP_DENIED);
        outer.error(None, &mut refusal);
        errors("messages = { ip_denied = \"inner\" }\ncodes = { ip_denied = 4001 }").unwrap().error(None, &mut refusal);
        assert_eq!((refusal.notification().unwrap().as_str(), refusal.telling.body), ("inner 4001", Body::Json));
        errors("notify = \"off\"\nreject = \"http\"\nbody = \"text\"").unwrap().error(None, &mut refusal);
        assert_eq!(refusal.telling, Default::default());
    }

    #[test]
    fn what_the_wire_cannot_carry_or_nobody_would_hear_is_a_fault_at_its_key() {
        for (table, place, said) in [
            ("messages = { ip_deny = \"x\" }", Place::Key("messages.ip_deny"), "no outcome `ip_deny`"),
            ("messages = { closed = \"x\" }", Place::Key("messages.closed"), "no client is told"),
            ("codes = { bad_handshake = 4000 }", Place::Key("codes.bad_handshake"), "before the upgrade only"),
            ("codes = { ip_denied = 1005 }", Place::Value("codes.ip_denied"), "1005 is no close code"),
            ("codes = { ip_denied = 1010 }", Place::Value("codes.ip_denied"), "1010 is no close code"),
            ("codes = { ip_denied = 2999 }", Place::Value("codes.ip_denied"), "2999 is no close code"),
            ("codes = { ip_denied = 5000 }", Place::Value("codes.ip_denied"), "5000 is no close code"),
            ("levels = { ip_deny = \"warn\" }", Place::Key("levels.ip_deny"), "no outcome `ip_deny`"),
            ("levels = { closed = \"warn\" }", Place::Key("levels.closed"), "always logged as info"),
            ("messages = { ip_denied = \"a\\nb\" }", Place::Value("messages.ip_denied"), "one line"),
        ] {
            let fault = errors(table).unwrap_err().0.remove(0);
            let found = match &fault.place {
                super::Place::Key(at) => Place::Key(at.to_string()),
                super::Place::Value(at) => Place::Value(at.to_string()),
                other => panic!("{other:?}"),
            };
            assert_eq!(found, place.map(|place| format!("errors.friendly.{place}")), "{table}");
            assert!(fault.message.contains(said), "{}", fault.message);
        }
        let long = format!("messages = {{ ip_denied = \"{}\" }}", "é".repeat(62));
        assert!(errors(&long).unwrap_err().0[0].message.contains("124 bytes"));
        assert_eq!(errors("codes = { ip_deneid = 4000 }").unwrap_err().0[0].hint.as_deref(), Some("did you mean `ip_denied`?"));
        assert_eq!(BAD_HANDSHAKE.code, None);
    }

    #[derive(Debug, PartialEq)]
    enum Place<T> {
        Key(T),
        Value(T),
    }

    impl Place<&str> {
        fn map(self, with: impl Fn(&str) -> String) -> Place<String> {
            match self {
                Self::Key(at) => Place::Key(with(at)),
                Self::Value(at) => Place::Value(with(at)),
            }
        }
    }
}
