//! Rules on single fields, ready to judge: which messages one is about, and what becomes of those.

use std::sync::Arc;

use crate::stage::Client;
use crate::stage::fingerprint::Fingerprint;
use crate::stage::json::{Field, Json};
use crate::stage::pipeline::Mode;
use crate::stage::rates::{Bucket, Buckets, Clock, Key, KeyPart, Quick};
use crate::stage::refusal::{Clause, Refusal, Verdict};

use super::outcomes::Outcomes;
use super::scalar::Scalar;
use super::table;

/// A rule on the messages of one side.
pub(super) struct Rule {
    /// Its place among those of the table.
    index: usize,
    field: Field,
    /// What the field is one of; nothing where it has to be missing.
    values: Option<Box<[Scalar]>>,
    /// So many pass; none where it denies them.
    limit: Option<Limit>,
    pub(super) only_reports: bool,
}

/// A rate that each value has for itself.
struct Limit {
    rate: Quick,
    name: Box<str>,
    key: Arc<[KeyPart]>,
    /// Tells its buckets from those of the other rules, the same in the next snapshot.
    seed: Fingerprint,
}

/// What one connection keeps of a rule.
#[derive(Default)]
pub(super) struct Share {
    /// By what its messages are counted.
    key: Option<Fingerprint>,
    /// The bucket of each value that has come.
    buckets: Box<[Option<Arc<Bucket>>]>,
    pub(super) has_reported: bool,
}

impl Rule {
    /// The rule at this place of the table; so many before it are its [twins](are_twins).
    pub(super) fn new(index: usize, rule: &table::Rule, twins: usize, clock: &Clock) -> Self {
        let values = rule.one_of.clone().or_else(|| rule.is.clone().map(|value| vec![value])).map(Into::into);
        let limit = rule.rate.as_ref().map(|rate| Limit {
            rate: Quick::new(rate, clock),
            name: rate.to_string().into(),
            key: key(rule).into(),
            seed: Fingerprint::of((&rule.field, rule.from == table::Sender::Client, values.is_none(), key(rule), twins)),
        });
        Self { index, field: rule.field.clone(), values, limit, only_reports: rule.mode == Mode::Report }
    }

    /// Which of its values the message has, 0 where the field is missing as it has to be; nothing where the rule is not about it.
    pub(super) fn finds(&self, json: Option<&Json<'_>>) -> Option<usize> {
        let found = json.and_then(|json| json.find(&self.field));
        match &self.values {
            Some(values) => found.and_then(|found| values.iter().position(|value| value.is(found))),
            None => found.is_none().then_some(0),
        }
    }

    /// Judges a message that has this value.
    pub(super) fn judge(&self, value: usize, share: &mut Share, buckets: &Buckets, outcomes: &Outcomes) -> Verdict {
        let Some(limit) = &self.limit else {
            return Err(Box::new(self.refusal(value, Refusal::new(outcomes.denied), "")));
        };
        let Some(bucket) = share.buckets.get_mut(value) else { return Ok(()) };
        let bucket =
            bucket.get_or_insert_with(|| buckets.get(Fingerprint::of((limit.seed, self.value(value).map(Scalar::to_string), share.key))));
        limit.rate.spend(&bucket.account.messages).map_err(|wait| {
            let refusal = Refusal { retry_after: Some(wait), ..Refusal::new(outcomes.too_many) };
            Box::new(self.refusal(value, refusal, &format!(", {}", limit.name)))
        })
    }

    fn value(&self, index: usize) -> Option<&Scalar> {
        self.values.as_ref()?.get(index)
    }

    fn refusal(&self, value: usize, refusal: Refusal, limit: &str) -> Refusal {
        let Self { index, field, .. } = self;
        let name = match self.value(value) {
            Some(value) => format!("rules[{index}] {field} is {value}{limit}"),
            None => format!("rules[{index}] {field} is missing{limit}"),
        };
        Refusal { clause: Some(Clause { key: "rules", index: Some(*index), line: None }), ..refusal.rule(name) }
    }

    /// The parts of the key that its messages are counted by; none where it counts nothing.
    pub(super) fn key(&self) -> Option<&Arc<[KeyPart]>> {
        self.limit.as_ref().map(|limit| &limit.key)
    }

    /// What a connection begins with. `given` are the keys that were taken from its request, while that was there.
    pub(super) fn share(&self, client: &Client, given: &[(Arc<[KeyPart]>, Fingerprint)]) -> Share {
        let Some(limit) = &self.limit else { return Share::default() };
        let given = given.iter().find(|(key, _)| *key == limit.key).map(|(_, fingerprint)| *fingerprint);
        let key = given.unwrap_or_else(|| fingerprint(&limit.key, client));
        let values = self.values.as_ref().map_or(1, |values| values.len());
        Share { key: Some(key), buckets: vec![None; values].into(), has_reported: false }
    }
}

/// A client's key.
pub(super) fn fingerprint(parts: &[KeyPart], client: &Client) -> Fingerprint {
    Fingerprint::of(Key { parts, peer: &client.peer, client: Some(client) })
}

/// What a rule of the table counts by.
pub(super) fn key(rule: &table::Rule) -> Vec<KeyPart> {
    rule.key.as_ref().map_or_else(|| vec![KeyPart::Connection], |key| key.0.clone())
}

/// Whether a message may be counted by both of two rules of the table, and by the same keys, so that only their order tells them apart.
pub(super) fn are_twins(one: &table::Rule, other: &table::Rule) -> bool {
    let has =
        |rule: &table::Rule, value: &Scalar| rule.is.as_ref() == Some(value) || rule.one_of.iter().flatten().any(|other| other == value);
    let meet =
        one.missing.is_some() && other.missing.is_some() || one.is.iter().chain(one.one_of.iter().flatten()).any(|value| has(other, value));
    meet && (&one.field, one.from, key(one)) == (&other.field, other.from, key(other))
}
