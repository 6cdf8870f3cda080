//! Why a route takes a request: every pattern that covers it, the one that wins first.

use std::cmp::Ordering;

use std::sync::Arc;

use super::{HostPattern, PathPattern, Segment};

/// Requests of one listener that a route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The listener's name.
    pub listener: Arc<str>,
    /// The hosts.
    pub host: HostPattern,
    /// The paths.
    pub path: PathPattern,
    /// The route's name.
    pub route: Arc<str>,
}

impl Way {
    /// Whether a request for this host, lower case and without port, and this path, in its one form, is one of them.
    pub fn covers(&self, host: &str, path: &str) -> bool {
        self.host.covers(host) && self.path.covers(path)
    }

    /// Which of two ways that cover the same request goes before the other, and by what rule.
    pub fn over(&self, other: &Self) -> (Ordering, &'static str) {
        let by_host = rank(&self.host).cmp(&rank(&other.host));
        if by_host != Ordering::Equal {
            let any = [&self.host, &other.host].contains(&&HostPattern::Any);
            let exact = [&self.host, &other.host].iter().any(|host| matches!(host, HostPattern::Exact(_)));
            return (
                by_host,
                match (exact, any) {
                    (true, true) => "an exact host goes before any host",
                    (true, false) => "an exact host goes before a wildcard",
                    (false, true) => "a wildcard goes before any host",
                    (false, false) => "the longer host goes first, and at the same length a named label before `*`",
                },
            );
        }
        match (self.path.below, other.path.below) {
            (false, true) => return (Ordering::Greater, "an exact path goes before a prefix"),
            (true, false) => return (Ordering::Less, "an exact path goes before a prefix"),
            _ => {}
        }
        let by_length = self.path.segments.len().cmp(&other.path.segments.len());
        if by_length != Ordering::Equal {
            return (by_length, "the longer prefix goes first");
        }
        let written = |path: &PathPattern| path.segments.iter().map(|segment| matches!(segment, Segment::Literal(_))).collect::<Vec<_>>();
        (written(&self.path).cmp(&written(&other.path)), "a segment that is written goes before one that is named")
    }
}

/// Those of the ways that cover a request to this listener, the one that takes it first.
pub fn covering<'a>(ways: &'a [Way], listener: &str, host: &str, path: &str) -> Vec<&'a Way> {
    let mut covering: Vec<&Way> = ways.iter().filter(|way| *way.listener == *listener && way.covers(host, path)).collect();
    covering.sort_by(|one, other| other.over(one).0);
    covering
}

/// The more specific, the higher: exact, then by the length of what is written, a label before a wildcard, then any.
fn rank(host: &HostPattern) -> (u8, usize, bool) {
    match host {
        HostPattern::Exact(_) => (2, 0, false),
        HostPattern::Label { suffix, .. } => (1, suffix.len(), true),
        HostPattern::Below(suffix) => (1, suffix.len(), false),
        HostPattern::Any => (0, 0, false),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Table;
    use super::*;

    const HOSTS: [&str; 7] =
        ["*", "example.com", "a.example.com", "*.example.com", "{t}.example.com", "*.a.example.com", "{t}.a.example.com"];
    const PATHS: [&str; 10] =
        ["/*", "/", "/chat", "/chat/*", "/chat/{room}", "/chat/{room}/*", "/{any}/lobby/*", "/{any}/{room}/*", "/chat/lobby", "/{any}/"];

    fn way(host: &str, path: &str) -> Way {
        let (host, path) = (HostPattern::parse(host).unwrap(), PathPattern::parse(path).unwrap());
        Way { listener: "public".into(), route: format!("{host}{path}").into(), host, path }
    }

    proptest! {
        #[test]
        fn the_first_way_that_covers_a_request_is_the_one_the_table_finds(
            chosen in prop::collection::btree_set((0..HOSTS.len(), 0..PATHS.len()), 0..20),
            host in prop::sample::select(vec!["", "example.com", "a.example.com", "b.a.example.com", "x.b.a.example.com", "c.example.com", "other.org"]),
            path in prop::sample::select(vec!["/", "/chat", "/chat/", "/chat/lobby", "/chat/blue", "/chat/lobby/1", "/x/lobby/1/2", "/x/", "/x/y/z"]),
        ) {
            let ways: Vec<Way> = chosen.iter().map(|(host, path)| way(HOSTS[*host], PATHS[*path])).collect();
            let mut table = Table::default();
            for way in &ways {
                table.insert(&way.host, &way.path, way.route.clone()).unwrap();
            }
            let first = covering(&ways, "public", host, path).first().map(|way| way.route.clone());
            prop_assert_eq!(first, table.find(host, path).map(|found| found.route.clone()));
        }
    }

    #[test]
    fn a_pattern_prints_as_it_is_written() {
        for (host, path) in HOSTS.iter().zip(PATHS) {
            let way = way(host, path);
            assert_eq!((way.host.to_string(), way.path.to_string()), ((*host).to_owned(), path.to_owned()));
        }
    }

    #[test]
    fn a_way_says_by_what_rule_it_goes_before_another() {
        for (one, other, said) in [
            (("example.com", "/*"), ("*", "/chat"), "an exact host goes before any host"),
            (("a.example.com", "/*"), ("*.example.com", "/chat"), "an exact host goes before a wildcard"),
            (("*.example.com", "/*"), ("*", "/chat"), "a wildcard goes before any host"),
            (("*.a.example.com", "/*"), ("*.example.com", "/*"), "the longer host"),
            (("*", "/chat"), ("*", "/chat/*"), "an exact path"),
            (("*", "/chat/*"), ("*", "/*"), "the longer prefix"),
            (("*", "/chat/lobby"), ("*", "/chat/{room}"), "a segment that is written"),
        ] {
            let (one, other) = (way(one.0, one.1), way(other.0, other.1));
            assert!(one.over(&other).0 == Ordering::Greater && one.over(&other).1.starts_with(said), "{one:?} {other:?}");
            assert_eq!(other.over(&one), (Ordering::Less, one.over(&other).1));
        }
    }
}
