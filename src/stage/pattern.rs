//! Patterns of hosts and paths, as routes and stages write them.

use std::fmt;
use std::sync::Arc;

/// What a host pattern of the file matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// Any host, or none.
    Any,
    /// This host.
    Exact(String),
    /// `*.example.com`: every host below.
    Below(String),
    /// `{tenant}.example.com`: every host one label below, and the label has a name.
    Label {
        /// The segment's name.
        name: Arc<str>,
        /// The rest of the host, without a leading dot.
        suffix: String,
    },
}

/// What a path pattern of the file matches: segments, and whether everything below belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    /// What it begins with.
    pub segments: Vec<Segment>,
    /// Whether everything below belongs to it.
    pub below: bool,
}

/// A segment of a path pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// This text.
    Literal(String),
    /// Any text, under this name.
    Named(Arc<str>),
}

impl HostPattern {
    /// Reads a `host` of the file.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let host = text.to_ascii_lowercase();
        if host == "*" {
            return Ok(Self::Any);
        }
        let (label, suffix) = match host.split_once('.') {
            Some(("*", rest)) => ("*", Some(rest)),
            Some((label, rest)) if label.starts_with('{') => (label, Some(rest)),
            _ => ("", None),
        };
        let literal = suffix.unwrap_or(&host);
        if literal.is_empty() || !literal.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte)) {
            return Err(format!("{text:?} is not a host; write \"example.com\", \"*.example.com\" or \"{{tenant}}.example.com\""));
        }
        if literal.contains(':') && !literal.starts_with('[') {
            return Err(format!("{text:?} has a port; hosts are matched without"));
        }
        Ok(match suffix {
            None => Self::Exact(host),
            Some(suffix) if label == "*" => Self::Below(suffix.to_owned()),
            Some(suffix) => Self::Label { name: segment_name(label)?.into(), suffix: suffix.to_owned() },
        })
    }
}

impl HostPattern {
    /// The name of its label, where that has one.
    pub fn label(&self) -> Option<&Arc<str>> {
        match self {
            Self::Label { name, .. } => Some(name),
            _ => None,
        }
    }
}

impl PathPattern {
    /// Reads a `path` of the file: `/chat`, `/chat/*`, `/t/{tenant}/*`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err(format!("the path {text:?} does not begin with a slash"));
        }
        if text.contains(['?', '#']) {
            return Err(format!("{text:?} has a query or fragment; routes are chosen by the path alone"));
        }
        let (literal, below) = match text.strip_suffix("/*") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        if literal.contains('*') {
            return Err(format!("in {text:?} the `*` does not stand for everything below: only a path's end may be \"/*\""));
        }
        // A name's braces are no part of any path; with a letter in their place the rest has to be in the one form.
        let probe: String = literal.chars().map(|c| if matches!(c, '{' | '}') { 'x' } else { c }).collect();
        let probe = if probe.is_empty() { "/".to_owned() } else { probe };
        match super::path::normalise(&probe) {
            Ok(_) if !super::path::is_target(probe.as_bytes()) => {
                return Err(format!("{text:?} can never match: a byte in the path that must be percent-encoded"));
            }
            Ok(form) if form == probe => {}
            Ok(form) => return Err(format!("{text:?} is not in the form paths are matched in{}", instead(text, literal, &form))),
            Err(why) => return Err(format!("{text:?} can never match: {why}{}", instead(text, literal, &encoded(&probe)))),
        }
        let mut segments = Vec::new();
        for segment in literal.split('/').skip(1) {
            segments.push(match segment.starts_with('{') {
                true => Segment::Named(segment_name(segment)?.into()),
                false if segment.contains(['{', '}']) => return Err(format!("in {text:?} a named segment is not the whole segment")),
                false => Segment::Literal(segment.to_owned()),
            });
        }
        Ok(Self { segments, below })
    }

    /// The names of its segments.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Named(name) => Some(name),
            Segment::Literal(_) => None,
        })
    }
}

/// What to write instead of a path, if this stands for its literal part and is another form of it.
fn instead(text: &str, literal: &str, form: &str) -> String {
    let rest = text.get(literal.len()..).unwrap_or_default();
    // Braces are not what stood there.
    let may = form != literal && !literal.contains('{') && super::path::normalise(form).is_ok_and(|normal| normal == form);
    if may { format!("; write \"{form}{rest}\"") } else { String::new() }
}

/// A path with its bytes beyond ASCII percent-encoded (RFC 3986 §2.1).
fn encoded(path: &str) -> String {
    let byte = |byte: u8| if byte.is_ascii() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    path.bytes().map(byte).collect()
}

fn segment_name(segment: &str) -> Result<&str, String> {
    let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
    let good = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if good { Ok(name) } else { Err(format!("{segment:?} is not a named segment; write \"{{name}}\" and nothing beside it")) }
}

impl HostPattern {
    /// Whether it matches this host, which is lower case and without port.
    pub fn covers(&self, host: &str) -> bool {
        let label = |suffix: &str| host.strip_suffix(suffix).and_then(|label| label.strip_suffix('.')).map(str::to_owned);
        match self {
            Self::Any => true,
            Self::Exact(exact) => host == exact,
            Self::Below(suffix) => label(suffix).is_some(),
            Self::Label { suffix, .. } => label(suffix).is_some_and(|label| !label.is_empty() && !label.contains('.')),
        }
    }
}

impl PathPattern {
    /// Whether it matches this path, which is in the form [`normalise`](super::path::normalise) gives.
    pub fn covers(&self, path: &str) -> bool {
        let mut asked = path.split('/').skip(1);
        let is_covered = self.segments.iter().all(|segment| match (segment, asked.next()) {
            (Segment::Literal(text), Some(asked)) => text == asked,
            (Segment::Named(_), Some(asked)) => !asked.is_empty(),
            (_, None) => false,
        });
        is_covered && (self.below || asked.next().is_none())
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(host) => f.write_str(host),
            Self::Below(suffix) => write!(f, "*.{suffix}"),
            Self::Label { name, suffix } => write!(f, "{{{name}}}.{suffix}"),
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Named(name) => write!(f, "/{{{name}}}")?,
            }
        }
        f.write_str(if self.below { "/*" } else { "" })
    }
}
