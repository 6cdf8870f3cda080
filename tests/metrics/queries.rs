//! The dashboard and the alerts of `examples/` ask only for what a gateway tells.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use wsgate::stage::refusal::TABLE;

use super::busy::{Busy, busy};
use super::page::Page;
use super::scrape;

/// Labels that Prometheus itself adds.
const ADDED: [&str; 2] = ["instance", "job"];

/// A metric that a query names, with its matchers: label, operator, value.
#[derive(Debug)]
struct Selector {
    name: String,
    matchers: Vec<(String, String, String)>,
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// The metrics of a gateway or its process that a query names.
fn selectors(query: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    for (at, _) in query.match_indices("wsgate_").chain(query.match_indices("process_")) {
        if query[..at].chars().next_back().is_some_and(is_word) {
            continue;
        }
        let end = query[at..].find(|c| !is_word(c)).map_or(query.len(), |length| at + length);
        let within = query[end..].strip_prefix('{').map(|rest| rest.split_once('}').unwrap().0).unwrap_or_default();
        let matchers = within.split(',').filter(|matcher| !matcher.is_empty()).map(|matcher| {
            let (label, rest) = matcher.split_at(matcher.find(|c| !is_word(c)).unwrap());
            let (operator, value) = rest.split_once('"').unwrap();
            (label.trim().to_owned(), operator.to_owned(), value.trim_end_matches('"').to_owned())
        });
        found.push(Selector { name: query[at..end].to_owned(), matchers: matchers.collect() });
    }
    found
}

/// The labels that a query groups by or joins on.
fn grouped(query: &str) -> Vec<String> {
    let lists = ["by (", "on (", "group_left (", "without ("].iter().flat_map(|word| query.split(word).skip(1));
    lists.flat_map(|rest| rest.split(')').next().unwrap().split(',').map(|label| label.trim().to_owned())).collect()
}

/// The labels that the series of a query's metrics have.
fn labels(page: &Page, query: &str) -> BTreeSet<String> {
    let all = selectors(query).into_iter().flat_map(|selector| page.of(&selector.name));
    all.flatten().map(|(label, _)| label).chain(ADDED.map(str::to_owned)).collect()
}

/// What is wrong with a query.
fn wrong(page: &Page, query: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if selectors(query).is_empty() {
        wrong.push("it names no metric".to_owned());
    }
    for Selector { name, matchers } in selectors(query) {
        let series = page.of(&name);
        if series.is_empty() {
            wrong.push(format!("there is no {name}"));
        }
        for (label, operator, value) in matchers.iter().filter(|(label, ..)| !ADDED.contains(&&**label)) {
            let mut values = series.iter().flatten().filter(|(found, _)| found == label).map(|(_, value)| value).peekable();
            let is_outcome = label == "outcome" && TABLE.iter().any(|row| row.id == value);
            if values.peek().is_none() {
                wrong.push(format!("{name} has no label {label}"));
            } else if operator == "=" && !is_outcome && !values.any(|found| found == value) {
                wrong.push(format!("no {label} of {name} is {value:?}"));
            }
        }
    }
    let known = labels(page, query);
    wrong.extend(grouped(query).into_iter().filter(|label| !known.contains(label)).map(|label| format!("nothing has a label {label}")));
    wrong
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(path)).unwrap()
}

/// Every object of a JSON text that has this key.
fn with_key<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(object) => {
            found.extend(object.contains_key(key).then_some(value));
            object.values().for_each(|inner| with_key(inner, key, found));
        }
        Value::Array(list) => list.iter().for_each(|inner| with_key(inner, key, found)),
        _ => {}
    }
}

/// The labels that a legend or an annotation puts into its text.
fn put_in<'t>(text: &'t str, before: &str, after: &str) -> Vec<&'t str> {
    text.split(before).skip(1).map(|rest| rest.split(after).next().unwrap().trim()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_asks_only_for_what_there_is() {
    let Busy { gateway, open: _open, .. } = busy().await;
    let page = scrape(&gateway).await;
    let dashboard: Value = serde_json::from_str(&read("grafana/wsgate.json")).unwrap();
    let mut targets = Vec::new();
    with_key(&dashboard, "expr", &mut targets);
    assert!(targets.len() > 25, "{}", targets.len());
    for target in targets {
        let query = target["expr"].as_str().unwrap();
        assert_eq!(wrong(&page, query), <[String; 0]>::default(), "{query}");
        let known = labels(&page, query);
        for label in put_in(target["legendFormat"].as_str().unwrap_or_default(), "{{", "}}") {
            assert!(known.contains(label), "the legend of {query} tells of {label}");
        }
    }
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let mut names = Vec::new();
    for variable in variables {
        names.push(format!("${}", variable["name"].as_str().unwrap()));
        if let Some(query) = variable["definition"].as_str() {
            assert_eq!(wrong(&page, query), <[String; 0]>::default(), "{query}");
            let label = query.trim_end_matches(')').rsplit(' ').next().unwrap();
            assert!(labels(&page, query).contains(label), "{query}");
        }
    }
    assert_eq!(names, ["$datasource", "$job", "$instance", "$route"]);
    let mut sources = Vec::new();
    with_key(&dashboard, "datasource", &mut sources);
    assert!(sources.iter().all(|owner| owner["datasource"]["uid"] == "${datasource}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_s_panels_stand_beside_each_other_and_have_names_of_their_own() {
    let dashboard: Value = serde_json::from_str(&read("grafana/wsgate.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let rows: Vec<&str> = panels.iter().filter(|panel| panel["type"] == "row").map(|panel| panel["title"].as_str().unwrap()).collect();
    assert_eq!(rows, ["Traffic", "Refusals", "Upstreams", "Host"]);
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let mut taken = BTreeSet::new();
    for panel in panels {
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(place.0 < 24 && taken.insert(place), "{} lies over another", panel["title"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_alerts_ask_only_for_what_there_is() {
    let Busy { gateway, open: _open, .. } = busy().await;
    let page = scrape(&gateway).await;
    let alerts = read("prometheus/alerts.yml");
    let mut seen = 0;
    for alert in alerts.split("\n      - alert: ").skip(1) {
        seen += 1;
        let (name, rest) = alert.split_once('\n').unwrap();
        let (query, rest) = rest.split_once("        expr: ").unwrap().1.split_once("\n        labels:").unwrap();
        let query: Vec<&str> = query.lines().map(str::trim).filter(|line| *line != ">-" && !line.starts_with("for: ")).collect();
        let query = query.join(" ");
        assert_eq!(wrong(&page, &query), <[String; 0]>::default(), "{name}: {query}");
        let known = labels(&page, &query);
        for label in put_in(rest, "$labels.", " ") {
            assert!(known.contains(label), "{name} tells of {label}");
        }
        for word in ["severity: ", "summary: ", "description: "] {
            assert_eq!(rest.matches(word).count(), 1, "{name} has one {word}");
        }
        let told = rest.split_once("annotations:").unwrap().1;
        assert!(selectors(told).iter().all(|selector| !page.of(&selector.name).is_empty()), "{name}: {told}");
    }
    assert!(seen > 10 && seen == alerts.matches("expr: ").count(), "{seen}");
}

#[test]
fn a_query_that_asks_for_what_there_is_not_is_found() {
    let page = Page::parse(
        "# HELP wsgate_connections Now.\n# TYPE wsgate_connections gauge\nwsgate_connections{route=\"chat\"} 1\n\
         # HELP wsgate_closes Ends.\n# TYPE wsgate_closes counter\nwsgate_closes_total{route=\"chat\",outcome=\"closed\"} 1\n# EOF\n",
    );
    for (query, found) in [
        ("sum by (route) (wsgate_connections{job=~\"$job\",route=~\"$route\"})", vec![]),
        ("wsgate_closes_total{outcome=\"internal\"}", vec![]),
        ("wsgate_conections", vec!["there is no wsgate_conections"]),
        ("wsgate_connections{listener=\"x\"}", vec!["wsgate_connections has no label listener"]),
        ("wsgate_connections{route=\"news\"}", vec!["no route of wsgate_connections is \"news\""]),
        ("wsgate_closes_total{outcome=\"close\"}", vec!["no outcome of wsgate_closes_total is \"close\""]),
        ("sum by (stage) (wsgate_connections)", vec!["nothing has a label stage"]),
        ("up == 0", vec!["it names no metric"]),
    ] {
        assert_eq!(wrong(&page, query), found, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_tell_of_no_metric_that_a_gateway_does_not() {
    let Busy { gateway, open: _open, .. } = busy().await;
    let page = scrape(&gateway).await;
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let pages = ["", "kinds", "cookbook"].iter().flat_map(|folder| std::fs::read_dir(docs.join(folder)).unwrap());
    let mut told = BTreeSet::new();
    for file in pages.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let named = text.split('`').filter(|word| word.starts_with("wsgate_") || word.starts_with("process_"));
        told.extend(named.flat_map(selectors).map(|selector| (selector.name, file.clone())));
    }
    assert!(told.len() > 20, "{told:?}");
    let is_known = |name: &str| ["", "_count"].iter().any(|end| !page.of(&format!("{name}{end}")).is_empty());
    assert_eq!(told.iter().filter(|(name, _)| !is_known(name)).collect::<Vec<_>>(), Vec::<&_>::new());
}
