//! Faults: what is wrong with the file, where, and what would mend it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::source::Source;

/// Where a key or value stands: `route.chat.pipeline[1]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyPath {
    steps: Vec<Step>,
}

/// One step of a [`KeyPath`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Into a table, by key.
    Key(String),
    /// Into an array, by index from 0.
    Index(usize),
}

impl KeyPath {
    /// The table `[kind.name]`.
    pub fn table(kind: &str, name: &str) -> Self {
        Self { steps: vec![Step::Key(kind.to_owned()), Step::Key(name.to_owned())] }
    }

    /// This path, and then a key of the table it leads to.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.then(Step::Key(key.to_owned()))
    }

    /// This path, and then an element of the array it leads to.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    /// This path, and then one step more.
    #[must_use]
    pub fn then(&self, step: Step) -> Self {
        let mut steps = self.steps.clone();
        steps.push(step);
        Self { steps }
    }

    /// This path without its last step; the empty path of the empty path.
    #[must_use]
    pub fn parent(&self) -> Self {
        let steps = self.steps.split_last().map_or(&[][..], |(_, steps)| steps);
        Self { steps: steps.to_vec() }
    }

    /// Whether this path begins with all of the other.
    pub fn starts_with(&self, other: &Self) -> bool {
        self.steps.starts_with(&other.steps)
    }

    /// The steps, outermost first.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The kind and the name of the table this path begins in; empty where it has fewer steps.
    pub fn kind_and_name(&self) -> (&str, &str) {
        let key = |at: usize| match self.steps.get(at) {
            Some(Step::Key(key)) => key.as_str(),
            _ => "",
        };
        (key(0), key(1))
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.steps.iter().enumerate() {
            match step {
                Step::Key(key) if at == 0 => write!(f, "{key}")?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Where a fault stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the value of a key; resolved to a span when it is rendered.
    Value(KeyPath),
    /// At a key itself.
    Key(KeyPath),
    /// At a range of bytes of the n-th source.
    Span(usize, Range<usize>),
    /// In another file, which a value names.
    Within(Box<Within>),
}

/// A range of bytes of a file that the config names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Within {
    /// The value that names it.
    pub named: KeyPath,
    /// The file.
    pub source: Arc<Source>,
    /// The bytes.
    pub span: Range<usize>,
}

impl Place {
    /// At these bytes of a file that the value at `named` names.
    pub fn within(named: KeyPath, source: Arc<Source>, span: Range<usize>) -> Self {
        Self::Within(Box::new(Within { named, source, span }))
    }

    /// Whether it is the file as a whole, and no line of it.
    pub(super) fn is_whole_file(&self) -> bool {
        matches!(self, Self::Value(path) if path.steps().is_empty())
    }
}

impl From<KeyPath> for Place {
    fn from(path: KeyPath) -> Self {
        Self::Value(path)
    }
}

/// Whether the file is refused for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file is refused.
    Fault,
    /// The file is taken; an operator would want to know.
    Warning,
    /// Nobody knows: it rests on something that was not looked up. Nothing is wrong, and nothing can be made of the file.
    Unknown,
}

/// One thing wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it stands.
    pub place: Place,
    /// What is wrong: a lower-case clause, no full stop.
    pub message: String,
    /// What would mend it.
    pub hint: Option<String>,
    /// Other places it concerns, with a word on each.
    pub also: Vec<(Place, String)>,
    /// Whether the file is refused for it.
    pub severity: Severity,
}

impl Fault {
    /// A fault at this place.
    pub fn new(place: impl Into<Place>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into(), hint: None, also: Vec::new(), severity: Severity::Fault }
    }

    /// A warning at this place.
    pub fn warning(place: impl Into<Place>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::new(place, message) }
    }

    /// What rests on something that was not looked up, and its name: `the variable HOST`.
    pub fn unknown(place: impl Into<Place>, what: impl Into<String>) -> Self {
        Self { severity: Severity::Unknown, ..Self::new(place, what) }
    }

    /// A fault whose text is written as `what is wrong; what would mend it`.
    pub fn said(place: impl Into<Place>, text: &str) -> Self {
        match text.split_once("; ") {
            Some((message, hint)) => Self::new(place, message).hint(hint),
            None => Self::new(place, text),
        }
    }

    /// Says what would mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Points at another place it concerns.
    #[must_use]
    pub fn also(mut self, place: impl Into<Place>, word: impl Into<String>) -> Self {
        self.also.push((place.into(), word.into()));
        self
    }
}

/// The most faults that one report shows.
pub const MAX_FAULTS: usize = 100;

/// The most faults that are looked for in one table, and in the syntax: one more than is shown, so that the report knows of it.
pub(super) const LOOKED_FOR: usize = MAX_FAULTS + 1;

/// Every fault found, in the order they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// Adds one.
    pub fn push(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many refuse the file, and how many only warn.
    pub fn counts(&self) -> (usize, usize) {
        let count = |severity| self.0.iter().filter(|fault| fault.severity == severity).count();
        (count(Severity::Fault), count(Severity::Warning))
    }

    /// Whether nothing is made of the file: any of them is more than a warning.
    pub fn refuse(&self) -> bool {
        self.0.iter().any(|fault| fault.severity != Severity::Warning)
    }

    /// Whether there are any, and all only tell of what was not looked up.
    pub fn are_unknown(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|fault| fault.severity == Severity::Unknown)
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl Extend<Fault> for Faults {
    fn extend<I: IntoIterator<Item = Fault>>(&mut self, faults: I) {
        self.0.extend(faults);
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Faults {
    type Item = Fault;
    type IntoIter = std::vec::IntoIter<Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_prints_as_an_operator_would_say_it() {
        let path = KeyPath::table("route", "chat").key("pipeline").index(1);
        assert_eq!(path.to_string(), "route.chat.pipeline[1]");
        assert_eq!(path.parent().parent(), KeyPath::table("route", "chat"));
        assert_eq!(path.kind_and_name(), ("route", "chat"));
        assert!(path.starts_with(&path.parent()) && !path.parent().starts_with(&path));
    }

    #[test]
    fn only_more_than_a_warning_refuses_the_file() {
        let mut faults = Faults::from(Fault::warning(KeyPath::default(), "odd"));
        assert!(!faults.refuse());
        faults.push(Fault::said(KeyPath::default(), "wrong; do this; or that"));
        assert!(faults.refuse());
        assert_eq!(faults.counts(), (1, 1));
        assert!(!faults.are_unknown());
        let unknown = Faults::from(Fault::unknown(KeyPath::default(), "the variable HOST"));
        assert!(unknown.refuse() && unknown.are_unknown() && unknown.counts() == (0, 0));
        assert_eq!(faults.0[1].hint.as_deref(), Some("do this; or that"));
    }
}
