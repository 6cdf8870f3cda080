//! What a table's shape alone does not show.

use crate::config::fault::{Fault, Faults, KeyPath, Place};
use crate::stage::{Build, Side};

use super::table::{OnViolation, Rule, Table, Type};
use super::{at, said};

/// All that is wrong with a table, but for what its schemas hold.
pub(super) fn find(table: &Table, build: &Build<'_>) -> Faults {
    let mut faults = Faults::default();
    sides(table, build.at(), &mut faults);
    let asks_for_json = table.json.as_ref().is_some_and(|json| json.client == Some(true) || json.upstream == Some(true));
    let is_empty = table.rules.as_ref().is_none_or(|rules| rules.is_empty());
    if faults.is_empty() && table.types.is_none() && !asks_for_json && table.schema.is_none() && is_empty {
        let fault = Fault::new(build.at().clone(), format!("{} judges nothing", build.name()));
        faults.push(fault.hint("give it `types`, `json`, `schema` or `rules`"));
    }
    if table.notify.is_some() && table.on_violation != OnViolation::Notify {
        let fault = Fault::new(Place::Key(build.at().key("notify")), "nobody is told this");
        faults.push(fault.hint("add on_violation = \"notify\""));
    }
    for side in [Side::Client, Side::Upstream] {
        types(table, side, build.at(), &mut faults);
    }
    for (index, rule) in table.rules.iter().flat_map(|rules| rules.iter()).enumerate() {
        self::rule(rule, &build.at().key("rules").index(index), &mut faults);
    }
    faults
}

/// A table by side says something of one.
fn sides(table: &Table, of: &KeyPath, faults: &mut Faults) {
    let empty = |sides: Option<bool>| sides == Some(true);
    for (key, is_empty) in [
        ("types", empty(table.types.as_ref().map(|sides| sides.client.is_none() && sides.upstream.is_none()))),
        ("json", empty(table.json.as_ref().map(|sides| sides.client.is_none() && sides.upstream.is_none()))),
        ("schema", empty(table.schema.as_ref().map(|sides| sides.client.is_none() && sides.upstream.is_none()))),
    ] {
        if is_empty {
            faults.push(Fault::new(of.key(key), format!("`{key}` speaks of neither side")).hint("write `client`, `upstream` or both"));
        }
    }
}

/// Types, and what is judged of those that pass.
fn types(table: &Table, side: Side, of: &KeyPath, faults: &mut Faults) {
    let types = said("types", table.types.as_ref(), side);
    let json = said("json", table.json.as_ref(), side);
    let schema = said("schema", table.schema.as_ref(), side);
    if let Some((key, _)) = types.filter(|(_, types)| types.is_empty()) {
        let fault = Fault::new(at(of, key), "no message could pass");
        faults.push(fault.hint("write \"text\", \"binary\", or [\"text\", \"binary\"] for both"));
    }
    let judges = schema.map(|(key, _)| key).or(json.filter(|(_, is_json)| **is_json).map(|(key, _)| key));
    if let Some(key) = judges
        && let Some((types, _)) = types.filter(|(_, types)| !types.is_empty() && !types.contains(&Type::Text))
    {
        let fault = Fault::new(at(of, types), format!("no text passes, and `{key}` judges only text"));
        faults.push(fault.hint("write \"text\", or leave `types` out").also(at(of, key), "judges text"));
    }
    if let Some((key, _)) = json.filter(|(_, is_json)| !**is_json)
        && let Some((schema, _)) = schema
    {
        let fault = Fault::new(at(of, key), "a schema judges JSON, and nothing else fits it");
        faults.push(fault.hint(format!("leave `{key}` out")).also(at(of, schema), "the schema"));
    }
}

/// A rule is about some messages, and something becomes of them.
fn rule(rule: &Rule, of: &KeyPath, faults: &mut Faults) {
    let about = [("is", rule.is.is_some()), ("one_of", rule.one_of.is_some()), ("missing", rule.missing.is_some())];
    let effects = [("deny", rule.deny.is_some()), ("rate", rule.rate.is_some())];
    one(&about, of, "does not say what the field is", "write `is`, `one_of` or `missing = true`", faults);
    one(&effects, of, "says nothing of what becomes of the messages", "write `deny = true` or a `rate`", faults);
    for (key, value, instead) in [("missing", rule.missing, "write `is` or `one_of`"), ("deny", rule.deny, "write a `rate`")] {
        if value == Some(false) {
            let fault = Fault::new(of.key(key), format!("`{key}` is `true` or left out"));
            faults.push(fault.hint(format!("write `{key} = true`, or leave it out and {instead}")));
        }
    }
    if let Some(key) = &rule.key {
        if rule.rate.is_none() {
            let fault = Fault::new(Place::Key(of.key("key")), "nothing is counted by this key");
            faults.push(fault.hint("give the rule a `rate`, or leave `key` out"));
        } else if key.is_empty() {
            let fault = Fault::new(of.key("key"), "`key` is empty: nothing would be counted by it");
            faults.push(fault.hint("to count each connection's messages for themselves, leave it out"));
        }
    }
    for (index, value) in rule.one_of.iter().flatten().enumerate() {
        let first = rule.one_of.iter().flatten().take(index).position(|other| other == value);
        if let Some(first) = first {
            let at = of.key("one_of");
            faults.push(Fault::new(at.index(index), format!("{value} is there twice")).also(at.index(first), "first here"));
        }
    }
    if rule.one_of.as_ref().is_some_and(Vec::is_empty) {
        faults.push(Fault::new(of.key("one_of"), "`one_of` is empty: the rule is about no message").hint("name the values"));
    }
}

/// Exactly one of these keys is there.
fn one(keys: &[(&str, bool)], of: &KeyPath, nothing: &str, hint: &str, faults: &mut Faults) {
    let mut there = keys.iter().filter(|(_, is_there)| *is_there).map(|(key, _)| *key);
    match (there.next(), there.next()) {
        (None, _) => faults.push(Fault::new(of.clone(), format!("the rule {nothing}")).hint(hint)),
        (Some(first), Some(second)) => {
            let fault = Fault::new(Place::Key(of.key(second)), format!("a rule has one of `{first}` and `{second}`"));
            faults.push(fault.also(Place::Key(of.key(first)), "and here"));
        }
        _ => {}
    }
}
