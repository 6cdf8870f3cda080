//! Links within the pages lead somewhere, every page is linked from the README, and its lists are whole.

use std::collections::BTreeSet;
use std::fs;

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
fn every_page_is_linked_from_the_readme() {
    let mut pages = pages();
    let (_, readme) = pages.remove(0);
    for (page, _) in pages {
        assert!(readme.contains(&format!("]({})", page.display())), "{}", page.display());
    }
}

#[test]
fn the_readme_names_every_event_and_every_folder_of_the_source() {
    let (_, readme) = pages().remove(0);
    let lines = fs::read_to_string(package().join("tests/logs/events.jsonl")).unwrap();
    let event = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].as_str().unwrap().to_owned();
    let events: BTreeSet<String> = lines.lines().map(event).collect();
    let folders = fs::read_dir(package().join("src")).unwrap().map(|entry| entry.unwrap()).filter(|entry| entry.path().is_dir());
    let folders: BTreeSet<String> = folders.map(|entry| format!("{}/", entry.file_name().to_string_lossy())).collect();
    assert!(events.len() > 10 && folders.len() > 5);
    for event in events {
        assert!(readme.contains(&format!("`{event}`")), "{event}");
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
