//! The routing table: which route takes a request, by listener, host and path.

pub mod choice;

use std::collections::HashMap;
use std::sync::Arc;

use crate::stage::pattern::Segment;
pub use crate::stage::pattern::{HostPattern, PathPattern};

/// A route that takes a request, and what its named segments stand for.
#[derive(Debug, PartialEq, Eq)]
pub struct Match<'a, R> {
    /// The route.
    pub route: &'a R,
    /// Name and value of each named segment.
    pub params: Box<[(Arc<str>, Box<str>)]>,
}

/// The routes of one listener.
#[derive(Debug)]
pub struct Table<R> {
    exact: HashMap<String, Paths<R>>,
    labels: HashMap<String, Paths<R>>,
    below: HashMap<String, Paths<R>>,
    any: Paths<R>,
}

/// The routes of one host, as a tree of segments.
#[derive(Debug)]
struct Paths<R> {
    literal: HashMap<String, Paths<R>>,
    named: Option<Box<Paths<R>>>,
    here: Option<Leaf<R>>,
    below: Option<Leaf<R>>,
}

/// A route, with the names its own patterns give the segments on the way to it.
#[derive(Debug)]
struct Leaf<R> {
    route: R,
    label: Option<Arc<str>>,
    names: Box<[Arc<str>]>,
}

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self { exact: HashMap::new(), labels: HashMap::new(), below: HashMap::new(), any: Paths::default() }
    }
}

impl<R> Default for Paths<R> {
    fn default() -> Self {
        Self { literal: HashMap::new(), named: None, here: None, below: None }
    }
}

impl<R> Table<R> {
    /// Adds a route.
    ///
    /// # Errors
    /// The route that takes the same requests already.
    pub fn insert(&mut self, host: &HostPattern, path: &PathPattern, route: R) -> Result<(), &R> {
        let (paths, label) = match host {
            HostPattern::Any => (&mut self.any, None),
            HostPattern::Exact(host) => (self.exact.entry(host.clone()).or_default(), None),
            HostPattern::Below(suffix) => (self.below.entry(suffix.clone()).or_default(), None),
            HostPattern::Label { name, suffix } => (self.labels.entry(suffix.clone()).or_default(), Some(name.clone())),
        };
        let mut node = paths;
        for segment in &path.segments {
            node = match segment {
                Segment::Literal(text) => node.literal.entry(text.clone()).or_default(),
                Segment::Named(_) => node.named.get_or_insert_default(),
            };
        }
        let place = if path.below { &mut node.below } else { &mut node.here };
        match place {
            Some(taken) => Err(&taken.route),
            None => {
                *place = Some(Leaf { route, label, names: path.names().cloned().collect() });
                Ok(())
            }
        }
    }

    /// The route for a request: exact host before a wildcard before any, exact path before the longest prefix.
    ///
    /// `host` is lower case and without port, `path` in the form [`normalise`](crate::stage::path::normalise) gives.
    pub fn find(&self, host: &str, path: &str) -> Option<Match<'_, R>> {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let whole = self.exact.get(host).and_then(|paths| paths.find(&segments, None));
        whole.or_else(|| self.find_below(host, &segments)).or_else(|| self.any.find(&segments, None))
    }

    /// Wildcard hosts, the longest suffix first; a named label before `*` at the same suffix.
    fn find_below(&self, host: &str, segments: &[&str]) -> Option<Match<'_, R>> {
        let mut suffix = host;
        while let Some((label, rest)) = suffix.split_once('.') {
            let is_one_label = suffix.len() == host.len() && !label.is_empty();
            let by_label = if is_one_label { self.labels.get(rest).and_then(|paths| paths.find(segments, Some(label))) } else { None };
            if let Some(found) = by_label.or_else(|| self.below.get(rest).and_then(|paths| paths.find(segments, None))) {
                return Some(found);
            }
            suffix = rest;
        }
        None
    }
}

impl<R> Paths<R> {
    fn find(&self, segments: &[&str], label: Option<&str>) -> Option<Match<'_, R>> {
        let mut values = Vec::new();
        let leaf = self.find_exact(segments, &mut values).or_else(|| {
            values.clear();
            self.find_prefix(segments, &mut values).map(|(leaf, _)| leaf)
        })?;
        let names = leaf.label.iter().chain(leaf.names.iter());
        let params = names.zip(label.into_iter().filter(|_| leaf.label.is_some()).chain(values));
        Some(Match { route: &leaf.route, params: params.map(|(name, value)| (name.clone(), value.into())).collect() })
    }

    /// A route for exactly these segments; at each, a literal before a name.
    fn find_exact<'p>(&self, segments: &[&'p str], values: &mut Vec<&'p str>) -> Option<&Leaf<R>> {
        let Some((segment, rest)) = segments.split_first() else {
            return self.here.as_ref();
        };
        if let Some(leaf) = self.literal.get(*segment).and_then(|next| next.find_exact(rest, values)) {
            return Some(leaf);
        }
        let next = self.named.as_ref().filter(|_| !segment.is_empty())?;
        values.push(segment);
        let leaf = next.find_exact(rest, values);
        if leaf.is_none() {
            values.pop();
        }
        leaf
    }

    /// The longest prefix that covers these segments, and how many of them it spells out.
    fn find_prefix<'p>(&self, segments: &[&'p str], values: &mut Vec<&'p str>) -> Option<(&Leaf<R>, usize)> {
        let own = self.below.as_ref().map(|leaf| (leaf, 0));
        let Some((segment, rest)) = segments.split_first() else {
            return own;
        };
        let before = values.len();
        let literal = self.literal.get(*segment).and_then(|next| next.find_prefix(rest, values)).map(|(leaf, depth)| (leaf, depth + 1));
        let by_literal = values.split_off(before);
        let named = self.named.as_ref().filter(|_| !segment.is_empty()).and_then(|next| {
            values.push(segment);
            next.find_prefix(rest, values).map(|(leaf, depth)| (leaf, depth + 1))
        });
        let literal_depth = literal.map_or(0, |(_, depth)| depth);
        if named.is_some_and(|(_, depth)| depth > literal_depth) {
            return named;
        }
        values.truncate(before);
        values.extend(by_literal);
        literal.or(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(routes: &[(&str, &str)]) -> Table<usize> {
        let mut table = Table::default();
        for (at, (host, path)) in routes.iter().enumerate() {
            table.insert(&HostPattern::parse(host).unwrap(), &PathPattern::parse(path).unwrap(), at).unwrap();
        }
        table
    }

    fn found(table: &Table<usize>, host: &str, path: &str) -> Option<(usize, Vec<String>)> {
        let found = table.find(host, path)?;
        Some((*found.route, found.params.iter().map(|(name, value)| format!("{name}={value}")).collect()))
    }

    #[test]
    fn the_more_specific_route_takes_the_request() {
        let table = table(&[
            ("*", "/*"),
            ("*", "/chat/*"),
            ("*", "/chat/admin"),
            ("*", "/chat/{room}"),
            ("*", "/chat/{room}/log/*"),
            ("*", "/chat/lobby/*"),
            ("example.com", "/chat/*"),
            ("*.example.com", "/chat/*"),
            ("{tenant}.example.com", "/t/*"),
            ("*.eu.example.com", "/*"),
            ("*", "/x/{a}/y/*"),
            ("*", "/x/lit/*"),
        ]);
        let rows: &[(&str, &str, usize, &[&str])] = &[
            ("any.org", "/", 0, &[]),
            ("any.org", "/other/deep", 0, &[]),
            ("any.org", "/chat", 1, &[]),
            ("any.org", "/chat/", 1, &[]),
            ("any.org", "/chatter", 0, &[]),
            ("any.org", "/chat/admin", 2, &[]),
            ("any.org", "/chat/blue", 3, &["room=blue"]),
            ("any.org", "/chat/blue/log/1/2", 4, &["room=blue"]),
            ("any.org", "/chat/blue/other", 1, &[]),
            ("any.org", "/chat/lobby/log/1", 4, &["room=lobby"]),
            ("any.org", "/chat/lobby/x", 5, &[]),
            ("example.com", "/chat/x", 6, &[]),
            ("example.com", "/other", 0, &[]),
            ("a.example.com", "/chat/x", 7, &[]),
            ("a.b.example.com", "/chat/x", 7, &[]),
            ("acme.example.com", "/t/1", 8, &["tenant=acme"]),
            ("a.b.example.com", "/t/1", 0, &[]),
            ("x.eu.example.com", "/chat/x", 9, &[]),
            ("any.org", "/x/lit/y/z", 10, &["a=lit"]),
            ("any.org", "/x/lit/q", 11, &[]),
        ];
        for (host, path, route, params) in rows {
            let params = params.iter().map(|p| (*p).to_owned()).collect();
            assert_eq!(found(&table, host, path), Some((*route, params)), "{host}{path}");
        }
    }

    #[test]
    fn a_request_nobody_covers_has_no_route() {
        let table = table(&[("example.com", "/chat/*"), ("*.example.com", "/only")]);
        for (host, path) in
            [("example.com", "/"), ("example.com", "/chatter"), ("other.com", "/chat"), ("a.example.com", "/only/x"), ("", "/chat")]
        {
            assert_eq!(found(&table, host, path), None, "{host}{path}");
        }
    }

    #[test]
    fn two_routes_for_the_same_requests_meet() {
        let mut table = table(&[("*", "/t/{tenant}"), ("Example.com", "/a/*")]);
        for (host, path, taken) in [("*", "/t/{other}", 0), ("example.com", "/a/*", 1)] {
            let met = table.insert(&HostPattern::parse(host).unwrap(), &PathPattern::parse(path).unwrap(), 9);
            assert_eq!(met, Err(&taken), "{host}{path}");
        }
    }

    #[test]
    fn patterns_that_could_never_match_are_faults() {
        for path in ["chat", "", "/a*", "/*/b", "/a//b", "/../x", "/a?b", "/a#b", "/{a", "/x{a}", "/{a}x", "/{}", "/%63hat", "/a b"] {
            assert!(PathPattern::parse(path).is_err(), "{path}");
        }
        for host in ["", "*.", "a b", "{}.example.com", "example.com:80", "exa*mple.com", "http://x", "{tenant}"] {
            assert!(HostPattern::parse(host).is_err(), "{host}");
        }
    }
}
