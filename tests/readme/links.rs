//! Links within the pages lead somewhere, every page is linked from the README and the index, and lists are whole.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{package, pages};

#[test]
fn every_link_to_a_file_leads_to_one() {
    for (page, text) in pages() {
        let folder = package().join(&page);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            if !file.contains("://") && !file.is_empty() {
                assert!(folder.parent().unwrap().join(file).exists(), "{}: {link}", page.display());
            }
        }
    }
}

#[test]
fn every_page_is_linked_from_the_readme_and_from_the_index() {
    let mut pages = pages();
    let (_, readme) = pages.remove(0);
    let index = Path::new("docs/README.md");
    let listed = fs::read_to_string(package().join(index)).unwrap();
    for (page, _) in pages.iter().filter(|(page, _)| page != index) {
        assert!(readme.contains(&format!("]({})", page.display())), "{}", page.display());
        assert!(listed.contains(&format!("]({})", page.strip_prefix("docs").unwrap().display())), "{}", page.display());
    }
    assert!(readme.contains(&format!("]({})", index.display())));
}

#[test]
fn every_event_is_told_of_and_every_folder_of_the_source() {
    let (_, readme) = pages().remove(0);
    let log = fs::read_to_string(package().join("docs/kinds/log.md")).unwrap();
    let lines = fs::read_to_string(package().join("tests/logs/events.jsonl")).unwrap();
    let event = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].as_str().unwrap().to_owned();
    let events: BTreeSet<String> = lines.lines().map(event).collect();
    let folders = fs::read_dir(package().join("src")).unwrap().map(|entry| entry.unwrap()).filter(|entry| entry.path().is_dir());
    let folders: BTreeSet<String> = folders.map(|entry| format!("{}/", entry.file_name().to_string_lossy())).collect();
    assert!(events.len() > 10 && folders.len() > 5);
    for event in events {
        assert!(log.contains(&format!("`{event}`")), "{event}");
    }
    for folder in folders {
        assert!(readme.contains(&folder), "{folder}");
    }
}

#[test]
fn the_readme_s_test_command_is_the_plain_one() {
    let (_, readme) = pages().remove(0);
    let section = readme.split_once("\n## Test\n").unwrap().1.split("\n## ").next().unwrap().to_owned();
    assert_eq!(super::blocks(&section, "sh"), ["cargo test\n"]);
}
