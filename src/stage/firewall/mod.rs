//! `firewall`: which addresses may connect. Deny always wins, and the order of rules never matters.

pub(crate) mod files;
mod ranges;
mod rule;
mod sources;

use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::units::Many;

use super::networks::Networks;
use super::pipeline::Mode;
use super::refusal::{IP_DENIED, Refusal, Verdict};
use super::{Build, Client, Configure, Peer, Stage};

pub use files::Line;
use ranges::{Collect, Ranges};
pub use rule::Rule;
use sources::Sources;

/// `[firewall.NAME]`: which addresses may connect. Deny always wins, and the order of rules never matters.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("anyOf" = [
    { "required": ["allow"] }, { "required": ["deny"] }, { "required": ["allow_files"] }, { "required": ["deny_files"] },
]))]
pub struct Table {
    /// Who may connect: networks, addresses, and rules with more to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Many<Rule>>,
    /// Who may not, in the same form; it wins over every `allow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<Many<Rule>>,
    /// Files of networks that may connect: one a line, `203.0.113.0/24`, or `203.0.113.0/24 expires 2027-01-31T18:00:00Z`; `#` begins a
    /// comment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_files: Option<Many<PathBuf>>,
    /// Files of networks that may not, in the same form; `wsgate deny` adds to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny_files: Option<Many<PathBuf>>,
    /// What becomes of everybody else: said where there are both kinds of rules, known where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Otherwise>,
}

/// What becomes of an address that no rule names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Otherwise {
    /// It may connect.
    Allow,
    /// It may not.
    Deny,
}

/// Judges addresses: when they become known, and again whenever the config or time has changed.
#[derive(Debug)]
pub struct Firewall {
    allow: Rules,
    deny: Rules,
    report: Rules,
    otherwise: Otherwise,
    /// The key that says whom it lets in.
    allows: &'static str,
    /// When rules are over, in order, each once.
    ends: Box<[SystemTime]>,
}

/// Rules of one effect. Those without an end are one table; those of the config with one are few, and each is a table of its own.
#[derive(Debug, Default)]
struct Rules {
    lasting: Ranges,
    timed: Box<[Timed]>,
    /// Lines of files that end, of which there may be many.
    lines: Networks<Ending>,
    sources: Sources,
}

/// When a line is over, and its source.
#[derive(Debug)]
struct Ending {
    expires: SystemTime,
    source: u32,
}

#[derive(Debug)]
struct Timed {
    ranges: Ranges,
    expires: SystemTime,
}

impl Rules {
    /// Whether they name no address.
    fn is_empty(&self) -> bool {
        self.lasting.is_empty() && self.timed.is_empty() && self.lines.is_empty()
    }

    /// The source of a rule that covers the address at this time.
    fn find(&self, ip: IpAddr, now: SystemTime) -> Option<u32> {
        let timed = || self.timed.iter().filter(|rule| now < rule.expires).find_map(|rule| rule.ranges.find(ip));
        let line = || self.lines.find(ip, |line| now < line.expires).map(|(_, line)| line.source);
        self.lasting.find(ip).or_else(timed).or_else(line)
    }

    /// The refusal by a rule that covers the address at this time.
    fn refuse(&self, ip: IpAddr, now: SystemTime) -> Option<Refusal> {
        self.find(ip, now).map(|source| self.sources.name(source, Refusal::new(IP_DENIED)))
    }
}

impl Firewall {
    fn judge(&self, ip: IpAddr, now: SystemTime) -> Verdict {
        let ip = ip.to_canonical();
        if let Some(denied) = self.deny.refuse(ip, now) {
            return Err(Box::new(denied));
        }
        if self.otherwise == Otherwise::Deny && self.allow.find(ip, now).is_none() {
            return Err(Box::new(Refusal::new(IP_DENIED).rule("no allow rule names the address").at(self.allows)));
        }
        match self.report.refuse(ip, now) {
            Some(denied) => Err(Box::new(denied.reported())),
            None => Ok(()),
        }
    }
}

impl Stage for Firewall {
    fn connect(&self, peer: &Peer) -> Verdict {
        self.judge(peer.ip, SystemTime::now())
    }

    fn review(&self, client: &Client, now: SystemTime) -> Verdict {
        self.judge(client.peer.ip, now)
    }

    fn next_change(&self, now: SystemTime) -> Option<SystemTime> {
        self.ends.get(self.ends.partition_point(|end| *end <= now)).copied()
    }
}

impl Configure for Firewall {
    const KIND: &'static str = "firewall";
    type Table = Table;

    fn configure(table: Table, build: &mut Build<'_>) -> Result<Self, Faults> {
        let at = build.at().clone();
        let mut faults = Faults::default();
        let has_allow = table.allow.is_some() || table.allow_files.is_some();
        let has_deny = table.deny.is_some() || table.deny_files.is_some();
        let otherwise = table.default.or(match (has_allow, has_deny) {
            (true, false) => Some(Otherwise::Deny),
            (false, true) => Some(Otherwise::Allow),
            _ => None,
        });
        if !has_allow && !has_deny {
            let fault = Fault::new(at.clone(), format!("{} has no rule: it judges nothing", build.name()));
            faults.push(fault.hint("give it `allow`, `deny`, `allow_files` or `deny_files`"));
        } else if otherwise.is_none() {
            let fault = Fault::new(at.clone(), format!("{} allows some and denies some, and says nothing of the rest", build.name()));
            faults.push(fault.hint("add `default = \"deny\"` or `default = \"allow\"`"));
        }

        let (mut allow, mut deny, mut report) = (Reading::default(), Reading::default(), Reading::default());
        for (index, rule) in table.allow.iter().flat_map(|rules| rules.iter()).enumerate() {
            let at = at.key("allow").index(index);
            if rule.mode == Mode::Report {
                faults.push(
                    Fault::new(at.key("mode"), "an `allow` rule refuses nobody, so there is nothing to report")
                        .hint("put the mode on the firewall"),
                );
            }
            allow.add(rule, ("allow", index), build, &mut faults);
        }
        for (index, rule) in table.deny.iter().flat_map(|rules| rules.iter()).enumerate() {
            let rules = if rule.mode == Mode::Report { &mut report } else { &mut deny };
            rules.add(rule, ("deny", index), build, &mut faults);
        }
        for (key, list, rules) in [("allow_files", &table.allow_files, &mut allow), ("deny_files", &table.deny_files, &mut deny)] {
            for (index, file) in list.iter().flat_map(|files| files.iter()).enumerate() {
                let lines = files::read_lines(file, &at.key(key).index(index), build, &mut faults);
                rules.add_file((key, index), file, lines);
            }
        }
        let allows = match (table.default, table.allow) {
            (Some(_), _) => "default",
            (None, Some(_)) => "allow",
            (None, None) => "allow_files",
        };
        let mut ends: Vec<SystemTime> = [&allow, &deny, &report].into_iter().flat_map(|rules| rules.ends.iter().copied()).collect();
        ends.sort_unstable();
        ends.dedup();
        let (allow, deny, report) = (allow.finish(), deny.finish(), report.finish());
        let firewall = Self { allow, deny, report, otherwise: otherwise.unwrap_or(Otherwise::Deny), allows, ends: ends.into() };
        if faults.refuse() {
            return Err(faults);
        }
        if firewall.otherwise == Otherwise::Deny && firewall.allow.is_empty() {
            build.warnings.push(Fault::warning(at, format!("{} lets nobody in", build.name())));
        }
        Ok(firewall)
    }
}

/// Rules of one effect, while they are read.
#[derive(Default)]
struct Reading {
    lasting: Collect,
    timed: Vec<Timed>,
    lines: Networks<Ending>,
    ends: Vec<SystemTime>,
    sources: Sources,
}

impl Reading {
    fn add(&mut self, rule: &Rule, (key, index): (&'static str, usize), build: &mut Build<'_>, faults: &mut Faults) {
        let at = build.at().key(key).index(index);
        for (index, hole) in rule.except.iter().enumerate() {
            let at = at.key("except").index(index);
            if !rule.cidr.0.contains(&hole.0) {
                faults.push(Fault::new(at, format!("{hole} is not within {}", rule.cidr)));
            } else if hole == &rule.cidr {
                faults.push(Fault::new(at, format!("it leaves nothing of {}", rule.cidr)));
            }
        }
        let network = rule.cidr.0;
        let holes: Vec<IpNet> = rule.except.iter().map(|hole| hole.0).collect();
        let source = self.sources.rule(key, index, name(rule, &at));
        match rule.expires.map(|expires| expires.get()) {
            Some(expires) if expires <= SystemTime::now() => {
                build.warnings.push(Fault::warning(at.key("expires"), "this rule is over: it judges nobody"));
            }
            Some(expires) => {
                let mut ranges = Collect::default();
                ranges.add(network, &holes, source);
                self.ends.push(expires);
                self.timed.push(Timed { ranges: ranges.merge(), expires });
            }
            None => self.lasting.add(network, &holes, source),
        }
    }

    /// Adds the lines of a file that are not over.
    fn add_file(&mut self, (key, index): (&'static str, usize), file: &Path, lines: Vec<(u32, Line)>) {
        let last = lines.last().map_or(0, |(number, _)| *number);
        let (first, now) = (self.sources.file(key, index, file, last), SystemTime::now());
        for (number, Line { cidr, expires, note: _ }) in lines {
            let source = first.saturating_add(number - 1);
            let Some(expires) = expires.map(|expires| expires.get()) else {
                self.lasting.add(cidr.0, &[], source);
                continue;
            };
            if expires <= now {
                continue;
            }
            match self.lines.entry(cidr.0) {
                Entry::Occupied(known) if known.get().expires >= expires => {}
                entry => _ = entry.insert_entry(Ending { expires, source }),
            }
            self.ends.push(expires);
        }
    }

    fn finish(self) -> Rules {
        Rules { lasting: self.lasting.merge(), timed: self.timed.into(), lines: self.lines, sources: self.sources }
    }
}

/// What a rule is called in the log: `deny[2] 203.0.113.0/24 (note)`.
fn name(rule: &Rule, at: &KeyPath) -> String {
    let path = at.to_string();
    // The stage's own name stands beside the rule's wherever it is printed.
    let key = path.splitn(3, '.').last().unwrap_or_default();
    match &rule.note {
        Some(note) => format!("{key} {} ({note})", rule.cidr),
        None => format!("{key} {}", rule.cidr),
    }
}

#[cfg(test)]
mod tests;
