//! Holds the crate to its layers: a module imports only what stands to its right in `src/lib.rs`'s picture.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// What each module may name of the crate, besides itself.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("config", &[]),
    ("stage", &["config"]),
    ("wire", &["stage"]),
    ("endpoint", &["wire", "stage", "config"]),
    ("gateway", &["endpoint", "wire", "stage", "config"]),
    ("observe", &["stage", "config"]),
    ("engine", &["gateway", "endpoint", "wire", "stage", "config", "observe"]),
    ("cli", &["engine", "gateway", "endpoint", "wire", "stage", "config", "observe"]),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// The modules of the crate that a source names as `crate::module`.
fn named(source: &str) -> Vec<&str> {
    source.split("crate::").skip(1).map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap()).collect()
}

#[test]
fn a_module_imports_only_what_stands_to_its_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for (module, allowed) in MAY_IMPORT {
        for path in sources(&root.join(module)) {
            let source = fs::read_to_string(&path).unwrap();
            for name in named(&source) {
                if name != *module && !allowed.contains(&name) {
                    wrong.push(format!("{} names crate::{name}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_folder_of_the_crate_is_a_layer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let is_known = MAY_IMPORT.iter().any(|(module, _)| *module == name) || ["main", "lib"].contains(&name);
        assert!(is_known, "{name} has no place in the layers");
    }
}

/// What stages have in common, in their layer.
const SHARED: &[&str] = &[
    "mod",
    "asked",
    "authorities",
    "build",
    "cells",
    "certificate",
    "client",
    "cookies",
    "credentials",
    "few",
    "fields",
    "fingerprint",
    "header_name",
    "holders",
    "holdings",
    "identities",
    "inputs",
    "json",
    "lines",
    "networks",
    "path",
    "pattern",
    "outside",
    "pem",
    "pipeline",
    "proof",
    "query",
    "rates",
    "refusal",
    "renewal",
    "sample",
    "sha256",
    "slots",
    "supposed",
    "template",
    "ticket",
    "tls",
    "traffic",
];

#[test]
fn stages_never_import_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/stage");
    let stages: Vec<String> = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| !SHARED.contains(&name.as_str()))
        .collect();
    assert!(stages.len() >= 3, "the stages are found by their files: {stages:?}");
    for stage in &stages {
        let own = [root.join(format!("{stage}.rs")), root.join(stage)];
        let files = own.iter().filter(|path| path.exists()).flat_map(|path| if path.is_dir() { sources(path) } else { vec![path.clone()] });
        for file in files {
            let source = fs::read_to_string(&file).unwrap();
            for other in stages.iter().filter(|other| *other != stage) {
                let names_it = [format!("super::{other}"), format!("stage::{other}")].iter().any(|name| {
                    source
                        .match_indices(name.as_str())
                        .any(|(at, _)| !source[at + name.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_'))
                });
                assert!(!names_it, "{} names the stage {other}", file.display());
            }
        }
    }
}
