//! What `[test.*]` tables name: listeners, stages, outcomes, routes and rules that are there.

use crate::config::fault::{Fault, KeyPath};
use crate::config::nearest::nearest;
use crate::config::reference::PartRef;
use crate::config::table::Rule;
use crate::stage::refusal::TABLE;

use super::compile::Compiler;
use super::trial::{ANSWERED, OPEN};

impl Compiler<'_> {
    /// Tells of every test that could never be tried, or never hold.
    pub(super) fn tests(&mut self) {
        let config = self.parts.config;
        for (name, test) in &config.tests {
            let at = KeyPath::table("test", name);
            let (connect, expect) = (at.key("connect"), at.key("expect"));
            if let Some(listener) = &test.connect.listener {
                self.unknown(&connect.key("listener"), "listener", listener);
            }
            if let Some(stage) = &test.connect.stage {
                self.known_stage(&connect.key("stage"), stage);
            }
            self.parts.files.extend(test.connect.certificate.as_ref().map(|file| config.folder.join(file)));
            if let Some(outcome) = &test.expect.outcome {
                self.known_outcome(expect.key("outcome"), outcome);
            }
            if let Some(route) = &test.expect.route {
                self.unknown(&expect.key("route"), "route", route);
            }
            if let Some(rule) = &test.expect.rule {
                self.known_rule(&expect.key("rule"), rule);
            }
        }
    }

    fn known_stage(&mut self, at: &KeyPath, stage: &PartRef) {
        if self.parts.catalog.stage(&stage.kind).is_none() {
            self.parts.no_stage(at, stage);
        } else if stage.name.is_some() {
            self.parts.unknown(at, stage);
        }
    }

    fn known_outcome(&mut self, at: KeyPath, outcome: &str) {
        let rows = self.parts.catalog.outcomes();
        let ids: Vec<&str> = TABLE.iter().chain(&rows).map(|row| row.id).chain([OPEN, ANSWERED]).collect();
        if ids.contains(&outcome) {
            return;
        }
        let fault = Fault::new(at, format!("there is no outcome `{outcome}`"));
        self.fault(match nearest(outcome, ids) {
            Some(near) => fault.hint(format!("did you mean \"{near}\"?")),
            None => fault.hint("it is \"open\", or one of those that `wsgate errors` lists"),
        });
    }

    fn known_rule(&mut self, at: &KeyPath, rule: &Rule) {
        let config = self.parts.config;
        let (kind, name) = rule.path().kind_and_name();
        if config.declares(kind, name) || (name.is_empty() && self.parts.catalog.stage(kind).is_some()) {
            return;
        }
        let table = PartRef { kind: kind.to_owned(), name: Some(name.to_owned()).filter(|name| !name.is_empty()) };
        let fault = Fault::new(at.clone(), format!("there is no [{table}]"));
        self.fault(match config.nearest_name(kind, name) {
            Some(near) => fault.hint(format!("did you mean \"{kind}.{near}\"?")),
            None => fault.hint("name what refuses, as \"firewall.office\" or \"firewall.office.deny[2]\""),
        });
    }
}
