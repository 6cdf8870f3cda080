//! Renewal: a live connection shows a newer token, in a message or with its ticket.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::secret::Secret;
use crate::stage::json::{self, Field, Json, Value};
use crate::stage::refusal::{RATE_LIMITED, Refusal};
use crate::stage::renewal::{Attempts, Warning};
use crate::stage::template::{OfTime, Template};
use crate::stage::{BoxFuture, Client, Fate, Identity, Message, MessageInspector, Renewal, Side};

use super::table::{RenewMessage, RenewTable};
use super::warn::Warn;
use super::{Jwt, Table};

/// The largest message that is looked at, in bytes: no token is longer than a request's head may be.
const MAX_MESSAGE: usize = 64 << 10;

/// What the table says of renewals.
#[derive(Default)]
pub(super) struct Renewals {
    pub(super) warn: Option<Warn>,
    pub(super) message: Option<Arc<Form>>,
    pub(super) ticket: bool,
}

impl Renewals {
    /// Reads a table's keys; every fault is added.
    pub(super) fn read(table: &Table, at: &KeyPath, faults: &mut Faults) -> Self {
        let warn = table.warn.clone().on();
        let Some(RenewTable { message, ticket }) = table.renew.clone() else { return Self { warn, ..Self::default() } };
        let at = at.key("renew");
        if message.is_none() && !ticket {
            let fault = Fault::new(at.clone(), "`renew` says no way to do so");
            faults.push(fault.hint("write renew.message = { match = { type = \"auth\" }, field = \"token\" }, or renew.ticket = true"));
        }
        let message = message.and_then(|message| Form::read(message, &at.key("message"), faults));
        Self { warn, message: message.map(Arc::new), ticket }
    }

    /// Whether a live connection is warned, or may renew.
    pub(super) fn are_there(&self) -> bool {
        self.warn.is_some() || self.message.is_some() || self.ticket
    }
}

/// By what a message is told that bears a token, and what is said to it.
pub(super) struct Form {
    matches: Box<[(Field, String)]>,
    field: Field,
    reply: Option<Template<OfTime>>,
    refused: Option<Template>,
}

impl Form {
    /// Reads the table at this place; none where a fault is added.
    fn read(table: RenewMessage, at: &KeyPath, faults: &mut Faults) -> Option<Self> {
        let RenewMessage { matches, field, reply, refused } = table;
        if matches.is_empty() {
            faults.push(Fault::new(at.key("match"), "`match` is empty: every message would be taken for one with a token"));
        }
        let mut read = |key, field: &str| field.parse().map_err(|why: String| faults.push(Fault::new(at.key(key), why))).ok();
        let matches: Vec<_> = matches.into_iter().map(|(field, text)| Some((read("match", &field)?, text))).collect();
        let field = read("field", &field);
        Some(Self { matches: matches.into_iter().collect::<Option<_>>()?, field: field?, reply, refused })
    }

    /// The token of a message that bears one; an empty one where what stands there is none. None where it is a message like others, as is
    /// one in which others may find another token, or none: what goes on is not what was taken.
    fn token(&self, text: &str) -> Option<Secret> {
        // All but few messages are told apart by this much; an escape could hide the word.
        let may_say = |words: &str| text.contains(words) || text.contains('\\');
        if text.len() > MAX_MESSAGE || !text.trim_ascii_start().starts_with('{') || !self.matches.iter().all(|(_, words)| may_say(words)) {
            return None;
        }
        let json = json::read::<Json<'_>>(text).ok()?;
        let said = |field| json.find(field).and_then(|found| if let Value::Text(text) = &found.0 { Some(&**text) } else { None });
        if !self.matches.iter().all(|(field, text)| said(field) == Some(text)) {
            return None;
        }
        Some(Secret::new(said(&self.field).unwrap_or_default()))
    }

    fn refused(&self, refusal: &Refusal) -> Option<Message<'static>> {
        let code = refusal.close_code().unwrap_or_default();
        self.refused.as_ref().map(|refused| refused.fill(refusal.outcome.id, &refusal.reason, code).into())
    }
}

/// Takes the messages out of a connection's that bear tokens.
pub(super) struct Reader {
    form: Arc<Form>,
    attempts: Attempts,
}

impl Reader {
    pub(super) fn new(form: &Arc<Form>) -> Self {
        Self { form: form.clone(), attempts: Attempts::default() }
    }
}

impl MessageInspector for Reader {
    fn reads(&self, from: Side) -> bool {
        from == Side::Client
    }

    fn message(&mut self, _: Side, message: &Message<'_>) -> Result<Fate, Box<Refusal>> {
        let Message::Text(text) = message else { return Ok(Fate::Pass) };
        let Some(token) = self.form.token(text) else { return Ok(Fate::Pass) };
        let Err(wait) = self.attempts.spend(Instant::now()) else { return Ok(Fate::Renew(token)) };
        let refusal = Refusal { retry_after: Some(wait), ..Refusal::new(RATE_LIMITED).rule("renewals").at("renew") };
        Ok(match self.form.refused(&refusal) {
            Some(told) => Fate::Reply(told, Some(Box::new(refusal))),
            None => Fate::Drop(Some(Box::new(refusal))),
        })
    }
}

impl Renewal for Jwt {
    /// Where it was shown no token itself, as under a name it has not had for long, the identity that it would have proven.
    fn identity(&self, client: &Client) -> Option<Arc<Identity>> {
        client.identity(&self.name).or_else(|| client.identities.iter().find(|other| self.hold(other).is_ok()))
    }

    fn renew<'a>(&'a self, client: &'a Client, credential: &'a str) -> BoxFuture<'a, Result<Identity, Box<Refusal>>> {
        Box::pin(async move {
            let mut identity = self.identify_in_time(credential).await?;
            if let Some(held) = Renewal::identity(self, client) {
                identity.by = held.by.clone();
            }
            Ok(identity)
        })
    }

    fn told(&self, outcome: Result<Option<Duration>, &Refusal>) -> Option<Message<'static>> {
        let form = self.renewals.message.as_ref()?;
        match outcome {
            Ok(left) => form.reply.as_ref().map(|reply| reply.fill_time(left.map(|left| left.as_secs())).into()),
            Err(refusal) => form.refused(refusal),
        }
    }

    fn warning(&self, client: &Client) -> Option<Warning> {
        let Warn { before, message } = self.renewals.warn.as_ref()?;
        let end = Renewal::identity(self, client)?.expires?;
        let from = end.checked_sub(before.get()).unwrap_or(SystemTime::UNIX_EPOCH);
        let left = end.duration_since(SystemTime::now()).unwrap_or_default().min(before.get()) + Duration::from_millis(500);
        let message = message.as_ref().map(|message| message.fill_time(Some(left.as_secs())).into());
        Some(Warning { from, end, message })
    }

    fn takes_tickets(&self) -> bool {
        self.renewals.ticket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_of_a_message_in_which_everybody_finds_the_same() {
        let (matches, field) = ([("op.kind".to_owned(), "auth".to_owned())].into(), "op.token".to_owned());
        let (mut faults, at) = (Faults::default(), KeyPath::table("jwt", "users"));
        let form = Form::read(RenewMessage { matches, field, reply: None, refused: None }, &at, &mut faults).unwrap();
        for (text, token) in [
            (r#"{"op":{"kind":"auth","token":"a"}}"#, Some("a")),
            (r#"{"op":{"kind":"\u0061uth","token":"a"}}"#, Some("a")),
            (r#"{"op":{"kind":"auth","token":7}}"#, Some("")),
            (r#"{"op":{"kind":"auth"},"op.token":"b"}"#, Some("")),
            (r#"{"op":{"kind":"other","token":"a"},"op.kind":"auth"}"#, None),
            (r#"{"op":{"kind":"other","token":"a","kind":"auth"}}"#, None),
            (r#"{"op":{"kind":"auth","token":"a","token":"b"}}"#, None),
        ] {
            assert_eq!(form.token(text).as_ref().map(Secret::expose), token, "{text}");
        }
    }
}
