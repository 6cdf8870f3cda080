//! A page of OpenMetrics text, read by the rules of its specification (OpenMetrics 1.0).

use std::collections::{BTreeMap, BTreeSet};

/// A page that has been read.
pub(crate) struct Page {
    /// Each family's type.
    pub(crate) families: BTreeMap<String, String>,
    /// Each series, as it is written, with its value.
    pub(crate) series: BTreeMap<String, f64>,
}

impl Page {
    /// Reads a page, which has to be one.
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("no end: {text}")).lines();
        let (mut families, mut series, mut helped) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let mut family = (String::new(), String::new());
        for line in lines {
            if let Some(comment) = line.strip_prefix("# ") {
                let [kind, name, rest] = comment.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
                match kind {
                    "HELP" => assert!(rest.ends_with('.') && helped.insert(name.to_owned()), "{line}"),
                    "TYPE" => {
                        assert!(helped.contains(name), "{line}");
                        assert!(families.insert(name.to_owned(), rest.to_owned()).is_none(), "twice: {line}");
                        family = (name.to_owned(), rest.to_owned());
                    }
                    "UNIT" => assert!(family.0 == name && name.ends_with(&format!("_{rest}")), "{line}"),
                    _ => panic!("{line}"),
                }
                continue;
            }
            let (written, value) = line.rsplit_once(' ').unwrap();
            let (name, _) = parts(written);
            let suffix = name.strip_prefix(&*family.0).unwrap_or_else(|| panic!("{line} is not of {family:?}"));
            let suffixes: &[&str] = match &*family.1 {
                "counter" => &["_total"],
                "gauge" => &[""],
                "histogram" => &["_bucket", "_count", "_sum"],
                other => panic!("{other}: {line}"),
            };
            assert!(suffixes.contains(&suffix), "{line} of {family:?}");
            assert!(series.insert(written.to_owned(), value.parse().unwrap()).is_none(), "twice: {line}");
        }
        let page = Self { families, series };
        page.check_histograms();
        page
    }

    /// Buckets grow with their bounds, and the last holds all.
    fn check_histograms(&self) {
        let mut buckets: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        for (written, count) in &self.series {
            let (name, labels) = parts(written);
            let Some(name) = name.strip_suffix("_bucket") else { continue };
            let (le, others): (Vec<_>, Vec<_>) = labels.into_iter().partition(|(label, _)| label == "le");
            let others: Vec<String> = others.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
            let bound = le[0].1.replace("+Inf", "inf").parse().unwrap();
            buckets.entry(format!("{name}_count{{{}}}", others.join(","))).or_default().push((bound, *count));
        }
        for (all, mut buckets) in buckets {
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{all}: {buckets:?}");
            assert_eq!(*buckets.last().unwrap(), (f64::INFINITY, self.series[&all]), "{all}");
        }
    }

    /// The value of a series.
    pub(crate) fn value(&self, series: &str) -> f64 {
        *self.series.get(series).unwrap_or_else(|| panic!("no {series} among {:#?}", self.series))
    }

    /// The series of a name, each with its labels.
    pub(crate) fn of(&self, name: &str) -> Vec<Vec<(String, String)>> {
        let named = self.series.keys().map(|written| parts(written)).filter(|(found, _)| found == name);
        named.map(|(_, labels)| labels).collect()
    }

    /// The counters that have counted something, as `series value`, without `wsgate_`.
    pub(crate) fn counted(&self) -> Vec<String> {
        let counters = self.series.iter().filter(|(written, value)| parts(written).0.ends_with("_total") && **value > 0.0);
        counters.filter_map(|(written, value)| Some(format!("{} {value}", written.strip_prefix("wsgate_")?))).collect()
    }
}

/// A series' name and its labels.
fn parts(written: &str) -> (String, Vec<(String, String)>) {
    let Some((name, labels)) = written.split_once('{') else { return (written.to_owned(), Vec::new()) };
    let mut rest = labels.strip_suffix('}').unwrap();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (label, behind) = rest.split_once("=\"").unwrap_or_else(|| panic!("{written}"));
        let mut value = String::new();
        let mut chars = behind.char_indices();
        let end = loop {
            match chars.next() {
                Some((at, '"')) => break at,
                Some((_, '\\')) => value.push(match chars.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, escaped)) => escaped,
                    None => panic!("{written}"),
                }),
                Some((_, plain)) => value.push(plain),
                None => panic!("no end of a value: {written}"),
            }
        };
        assert!(label.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{written}");
        found.push((label.to_owned(), value));
        rest = &behind[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    (name.to_owned(), found)
}
