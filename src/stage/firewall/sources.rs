//! Where a firewall's ranges came from: the rule or the line of a file that a refusal names.

use std::path::Path;
use std::sync::Arc;

use crate::stage::refusal::{Clause, Refusal};

/// A rule, or a file with a rule on each line.
#[derive(Debug)]
enum Source {
    /// What it is called in the log.
    Rule(Box<str>),
    File(Arc<Path>),
}

/// The sources of ranges of one effect, by number: a rule has one, a file one for each line.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Each with its first number, in order.
    all: Vec<(u32, Source, Clause)>,
    next: u32,
}

impl Sources {
    /// The number of a rule that stands at this index of the key, and is called so in the log.
    pub(super) fn rule(&mut self, key: &'static str, index: usize, name: String) -> u32 {
        self.add(key, index, Source::Rule(name.into()), 1)
    }

    /// The number of the first of so many lines of the file at this index of the key.
    pub(super) fn file(&mut self, key: &'static str, index: usize, file: &Path, lines: u32) -> u32 {
        self.add(key, index, Source::File(file.into()), lines)
    }

    fn add(&mut self, key: &'static str, index: usize, source: Source, numbers: u32) -> u32 {
        let first = self.next;
        self.all.push((first, source, Clause { key, index: Some(index), line: None }));
        self.next = first.saturating_add(numbers);
        first
    }

    /// Names the source of this number as what decided.
    pub(super) fn name(&self, number: u32, refusal: Refusal) -> Refusal {
        let at = self.all.partition_point(|(first, ..)| *first <= number).checked_sub(1);
        // A name is only for the log: a missing one must not let anybody in.
        let Some((first, source, clause)) = at.and_then(|at| self.all.get(at)) else { return refusal.rule("unnamed") };
        match source {
            Source::Rule(name) => Refusal { clause: Some(clause.clone()), ..refusal.rule(name.clone()) },
            Source::File(file) => {
                let line = usize::try_from(number - first).unwrap_or(usize::MAX).saturating_add(1);
                let name = format!("{}[{}] {}:{line}", clause.key, clause.index.unwrap_or_default(), file.display());
                Refusal { clause: Some(Clause { line: Some((file.clone(), line)), ..clause.clone() }), ..refusal.rule(name) }
            }
        }
    }
}
