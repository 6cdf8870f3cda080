//! `message`: which messages pass, by what they hold.

mod demands;
mod equality;
mod faults;
mod inspector;
mod looks;
mod node;
mod outcomes;
mod rule;
mod scalar;
mod schema;
mod sides;
mod table;

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::fault::{Faults, KeyPath};
use crate::config::units::Many;

use super::build::Need;
use super::fingerprint::Fingerprint;
pub use super::json::Field;
use super::rates::{Buckets, Clock, KeyPart};
use super::template::Template;
use super::{Build, Client, Configure, Inspect, Judgement, Side, Stage};

use demands::{Demands, State, Types};
use inspector::Inspector;
use outcomes::Outcomes;
pub use scalar::Scalar;
use schema::Schema;
pub use sides::Sides;
pub use table::{OnViolation, Rule, Sender, Table, Type};

/// Reads messages, and lets those pass that are as they have to be.
pub struct Messages {
    name: Arc<str>,
    policy: Arc<Policy>,
}

/// What is demanded of messages, and what becomes of those that are otherwise.
struct Policy {
    client: Option<Demands>,
    upstream: Option<Demands>,
    on_violation: OnViolation,
    notify: Option<Template>,
    /// Shared with the snapshots before and after: what is spent stays spent.
    buckets: Arc<Buckets>,
    clock: Clock,
}

/// The keys of a connection that its request had a part in, from when that was there.
struct Given(Box<[(Arc<[KeyPart]>, Fingerprint)]>);

impl Policy {
    /// What is demanded of what this side sends; nothing where nobody asked.
    fn demands(&self, from: Side) -> Option<&Demands> {
        match from {
            Side::Client => self.client.as_ref(),
            Side::Upstream => self.upstream.as_ref(),
        }
    }

    /// The keys that cannot be found out later: what they are of goes with the request.
    fn keys_of_requests(&self) -> impl Iterator<Item = &Arc<[KeyPart]>> {
        let all = self.client.iter().chain(&self.upstream).flat_map(Demands::keys);
        all.filter(|key| key.iter().any(|part| matches!(part, KeyPart::Header(_))))
    }
}

impl Stage for Messages {
    fn handshake<'a>(&'a self, client: &'a mut Client) -> Judgement<'a> {
        let given: Box<[_]> = self.policy.keys_of_requests().map(|key| (key.clone(), rule::fingerprint(key, client))).collect();
        if !given.is_empty() {
            client.holdings.keep(&self.name, Arc::new(Given(given)));
        }
        Judgement::Now(Ok(()))
    }

    fn inspect(&self, client: &Client) -> Inspect {
        let given = client.holdings.kept::<Given>(&self.name);
        let given = given.as_ref().map_or(&[][..], |given| &given.0);
        let state = |demands: Option<&Demands>| demands.map_or_else(State::default, |demands| demands.state(client, given));
        let (of_client, of_upstream) = (state(self.policy.client.as_ref()), state(self.policy.upstream.as_ref()));
        Inspect::Messages(Box::new(Inspector { policy: self.policy.clone(), client: of_client, upstream: of_upstream }))
    }

    fn bars_takeover(&self) -> bool {
        true
    }

    fn tidy(&self) {
        self.policy.buckets.sweep(self.policy.clock.now());
    }
}

impl Configure for Messages {
    const KIND: &'static str = "message";
    type Table = Table;

    fn configure(table: Table, build: &mut Build<'_>) -> Result<Self, Faults> {
        let buckets = build.cell(Buckets::default);
        Self::over(&table, build, buckets, Clock::default())
    }
}

impl Messages {
    fn over(table: &Table, build: &mut Build<'_>, buckets: Arc<Buckets>, clock: Clock) -> Result<Self, Faults> {
        let mut faults = faults::find(table, build);
        let mut demands = |side| match demands(table, side, build, &clock) {
            Ok(demands) => demands,
            Err(of_schema) => {
                faults.extend(of_schema);
                None
            }
        };
        let (client, upstream) = (demands(Side::Client), demands(Side::Upstream));
        if faults.refuse() {
            return Err(faults);
        }
        needs(table, build);
        if let Some((key, _)) = client.as_ref().and_then(|client| client.schema.as_ref()) {
            build.needs.push(Need::Form(at(build.at(), key)));
        }
        let policy = Policy { client, upstream, on_violation: table.on_violation, notify: table.notify.clone(), buckets, clock };
        Ok(Self { name: build.name().into(), policy: Arc::new(policy) })
    }
}

/// What the table demands of one side's messages, if anything.
fn demands(table: &Table, side: Side, build: &mut Build<'_>, clock: &Clock) -> Result<Option<Demands>, Faults> {
    let rules = rules(table, side, clock);
    let types: Option<(&'static str, &Many<Type>)> = said("types", table.types.as_ref(), side);
    let json = said("json", table.json.as_ref(), side).filter(|(_, is_json)| **is_json);
    let file: Option<(&'static str, &PathBuf)> = said("schema", table.schema.as_ref(), side);
    if types.is_none() && json.is_none() && file.is_none() && rules.is_empty() {
        return Ok(None);
    }
    let schema = file.map(|(key, file)| Ok::<_, Faults>((key, Schema::read(file, at(build.at(), key), build)?))).transpose()?;
    let json = json.map(|(key, _)| key).or(file.map(|(key, _)| key));
    let types = match (types, json) {
        (Some((by, types)), _) => Types { text: types.contains(&Type::Text), binary: types.contains(&Type::Binary), by },
        (None, Some(by)) => Types { text: true, binary: false, by },
        (None, None) => Types { text: true, binary: true, by: "types" },
    };
    Ok(Some(Demands { outcomes: Outcomes::of(side), types, json, schema, rules }))
}

/// The rules on one side's messages.
fn rules(table: &Table, side: Side, clock: &Clock) -> Box<[rule::Rule]> {
    let all = table.rules.as_ref().map_or(&[][..], |rules| rules);
    let ours = all.iter().enumerate().filter(|(_, rule)| rule.from == sender(side));
    let ready = ours.map(|(index, rule)| {
        let twins = all.iter().take(index).filter(|other| rule::are_twins(rule, other)).count();
        rule::Rule::new(index, rule, twins, clock)
    });
    ready.collect()
}

fn sender(side: Side) -> Sender {
    match side {
        Side::Client => Sender::Client,
        Side::Upstream => Sender::Upstream,
    }
}

/// What a key of the table says of a side, and where it does.
fn said<'t, T>(name: &'static str, sides: Option<&'t Sides<T>>, side: Side) -> Option<(&'static str, &'t T)> {
    let sides = sides?;
    Some((demands::key(name, side, sides.is_table), sides.from(side)?))
}

/// The value of a key, or of one within its table.
fn at(table: &KeyPath, key: &str) -> KeyPath {
    key.split('.').fold(table.clone(), |at, key| at.key(key))
}

/// What the rules ask of the pipelines that name the stage.
fn needs(table: &Table, build: &mut Build<'_>) {
    for (index, rule) in table.rules.iter().flat_map(|rules| rules.iter()).enumerate() {
        if rule::key(rule).iter().any(KeyPart::is_of_identity) {
            build.needs.push(Need::Identity(build.at().key("rules").index(index).key("key")));
        }
    }
}

#[cfg(test)]
mod tests;
