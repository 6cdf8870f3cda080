//! What the messages of one side have to be, in the order it is looked at: their type, their JSON, the schema, the rules.

use std::sync::Arc;

use crate::stage::fingerprint::Fingerprint;
use crate::stage::json::{self, Json};
use crate::stage::rates::{Buckets, KeyPart};
use crate::stage::refusal::{Refusal, Verdict};
use crate::stage::{Client, Message, Side};

use super::outcomes::Outcomes;
use super::rule::{Rule, Share};
use super::schema::Schema;

/// Demands on the messages of one side.
pub(super) struct Demands {
    pub(super) outcomes: &'static Outcomes,
    pub(super) types: Types,
    /// Where the table says that text is JSON, if it has to be.
    pub(super) json: Option<&'static str>,
    /// And where it names the schema.
    pub(super) schema: Option<(&'static str, Schema)>,
    pub(super) rules: Box<[Rule]>,
}

/// The types that pass.
pub(super) struct Types {
    pub(super) text: bool,
    pub(super) binary: bool,
    /// Where the table says so, or what makes it so.
    pub(super) by: &'static str,
}

/// What one connection keeps of the demands on one side.
#[derive(Default)]
pub(super) struct State {
    shares: Box<[Share]>,
    /// Whether it has been told what does not fit: it costs more than the verdict, and nobody reads it twice.
    has_told: bool,
}

impl Demands {
    /// What a connection begins with. `given` are the keys that were taken from its request.
    pub(super) fn state(&self, client: &Client, given: &[(Arc<[KeyPart]>, Fingerprint)]) -> State {
        State { shares: self.rules.iter().map(|rule| rule.share(client, given)).collect(), has_told: false }
    }

    /// Judges a message.
    ///
    /// # Errors
    /// What it has broken first. One of a rule that only reports has `report` set, and there is no other.
    pub(super) fn judge(&self, message: &Message<'_>, state: &mut State, buckets: &Buckets) -> Verdict {
        match message {
            Message::Text(text) if self.types.text => match self.json {
                Some(key) => self.judge_json(text, key, state, buckets),
                None => self.judge_fields(text, state, buckets),
            },
            // A backend may read it as JSON all the same.
            Message::Binary(bytes) if self.types.binary && !self.rules.is_empty() => match str::from_utf8(bytes) {
                Ok(text) => self.judge_fields(text, state, buckets),
                Err(_) => self.judge_rules(None, state, buckets),
            },
            Message::Binary(_) if self.types.binary => Ok(()),
            Message::Text(_) => Err(self.bad_type("text")),
            Message::Binary(_) => Err(self.bad_type("binary")),
        }
    }

    fn bad_type(&self, found: &str) -> Box<Refusal> {
        let beside = if self.types.by.starts_with("types") { "" } else { " where text has to be JSON" };
        Box::new(Refusal::new(self.outcomes.bad_type).rule(format!("types: {found}{beside}")).at(self.types.by))
    }

    fn unfit(&self, key: &'static str, what: String) -> Box<Refusal> {
        Box::new(Refusal::new(self.outcomes.unfit).rule(what).at(key))
    }

    /// Judges text that has to be JSON.
    fn judge_json(&self, text: &str, key: &'static str, state: &mut State, buckets: &Buckets) -> Verdict {
        let malformed = |error: serde_json::Error| self.unfit(key, format!("json: {error}"));
        if self.schema.is_none() && self.rules.is_empty() {
            return json::read::<()>(text).map_err(malformed);
        }
        let json = json::read::<Json<'_>>(text).map_err(malformed)?;
        if let Some((key, schema)) = &self.schema
            && !schema.takes(&json)
        {
            let has_told = std::mem::replace(&mut state.has_told, true);
            let why = if has_told { String::new() } else { schema.why(&json) };
            return Err(self.unfit(key, if why.is_empty() { "schema".to_owned() } else { format!("schema: {why}") }));
        }
        self.judge_rules(Some(&json), state, buckets)
    }

    /// Judges what may be JSON or not. What begins as an object and cannot be read as one has fields for whoever is less strict.
    fn judge_fields(&self, text: &str, state: &mut State, buckets: &Buckets) -> Verdict {
        if self.rules.is_empty() {
            return Ok(());
        }
        let is_object = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}').starts_with('{');
        let json = is_object.then(|| json::read::<Json<'_>>(text)).transpose();
        let json = json.map_err(|error| {
            let refusal = self.unfit("rules", format!("rules: an object that cannot be read: {error}"));
            if self.rules.iter().all(|rule| rule.only_reports) { Box::new(refusal.reported()) } else { refusal }
        })?;
        self.judge_rules(json.as_ref(), state, buckets)
    }

    /// Asks every rule, until one refuses. What is only reported is reported once for each rule.
    fn judge_rules(&self, json: Option<&Json<'_>>, state: &mut State, buckets: &Buckets) -> Verdict {
        let mut report: Option<(&mut bool, Box<Refusal>)> = None;
        for (rule, share) in self.rules.iter().zip(&mut state.shares) {
            let Some(value) = rule.finds(json) else { continue };
            let verdict = rule.judge(value, share, buckets, self.outcomes);
            if !rule.only_reports {
                verdict?;
            } else if let Err(refusal) = verdict
                && report.is_none()
                && !share.has_reported
            {
                report = Some((&mut share.has_reported, Box::new(refusal.reported())));
            }
        }
        let Some((has_reported, refusal)) = report else { return Ok(()) };
        *has_reported = true;
        Err(refusal)
    }

    /// The keys that rules count by.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Arc<[KeyPart]>> {
        self.rules.iter().filter_map(Rule::key)
    }
}

/// Where the table says a key of this name for a side: by itself, or within a table of both.
pub(super) fn key(name: &'static str, side: Side, is_table: bool) -> &'static str {
    match (name, side, is_table) {
        ("types", Side::Client, true) => "types.client",
        ("types", Side::Upstream, true) => "types.upstream",
        ("json", Side::Client, true) => "json.client",
        ("json", Side::Upstream, true) => "json.upstream",
        ("schema", Side::Client, true) => "schema.client",
        ("schema", Side::Upstream, true) => "schema.upstream",
        (name, ..) => name,
    }
}
