//! `docs/dependencies.md` and `deny.toml` are whole: a reason for each crate and each exception, and for nothing that has gone.

use std::collections::BTreeSet;
use std::fs;

use super::package;

fn manifest() -> toml::Table {
    fs::read_to_string(package().join("Cargo.toml")).unwrap().parse().unwrap()
}

/// The rows of the table under a heading: what stands in their first column, and whether all of their columns say something.
fn rows(heading: &str) -> Vec<(String, bool)> {
    let page = fs::read_to_string(package().join("docs/dependencies.md")).unwrap();
    let section = page.split_once(&format!("\n## {heading}\n")).unwrap().1.split("\n## ").next().unwrap().to_owned();
    let table: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")).collect();
    let rows = table.iter().skip(1).map(|row| row.split(" | ").collect::<Vec<_>>());
    let width = table[0].split(" | ").count();
    rows.map(|row| (row[0].to_owned(), row.len() == width && row.iter().all(|cell| cell.len() > 1))).collect()
}

/// The names in the first column, each of which may be several.
fn names(rows: &[(String, bool)]) -> Vec<&str> {
    rows.iter().flat_map(|(first, _)| first.split(", ")).collect()
}

#[test]
fn every_direct_dependency_has_its_reason_and_no_other_crate_has() {
    let manifest = manifest();
    for (section, heading) in [("dependencies", "What the gateway is built with"), ("dev-dependencies", "What only tests are built with")] {
        let rows = rows(heading);
        let told = names(&rows);
        let of_gateway = manifest["dependencies"].as_table().unwrap();
        // One that tests use with more of its features has its row already.
        let is_new = |name: &&str| section == "dependencies" || !of_gateway.contains_key(*name);
        let there: BTreeSet<&str> = manifest[section].as_table().unwrap().keys().map(String::as_str).filter(is_new).collect();
        assert_eq!(told.iter().copied().collect::<BTreeSet<_>>(), there, "{section}");
        assert_eq!(told.len(), there.len(), "a crate is told of twice");
        assert_eq!(rows.iter().find(|(_, is_whole)| !is_whole), None);
    }
}

#[test]
fn every_feature_is_in_the_table_of_features() {
    let manifest = manifest();
    let features = manifest.get("features").and_then(|features| features.as_table()).into_iter().flat_map(|features| features.keys());
    let rows = rows("Features");
    assert_eq!(names(&rows).into_iter().collect::<BTreeSet<_>>(), features.map(String::as_str).collect());
}

#[test]
fn every_exception_to_what_crates_may_be_has_its_reason() {
    let deny = fs::read_to_string(package().join("deny.toml")).unwrap();
    let exceptions: Vec<&str> = deny.lines().filter(|line| line.trim_start().starts_with("{ ")).collect();
    assert!(exceptions.len() > 3, "{exceptions:?}");
    for exception in exceptions {
        assert!(exception.contains("reason = \"") || exception.contains("}, # ") || exception.contains("  # "), "{exception}");
    }
}
