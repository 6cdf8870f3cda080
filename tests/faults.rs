//! Golden pairs: what each `tests/faults/NAME.toml` is told, `NAME.txt`. `UPDATE=1` writes them anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use wsgate::config::fault::Faults;
use wsgate::config::world::Machine;
use wsgate::config::{Document, render};
use wsgate::gateway::trial::prove;
use wsgate::gateway::{Catalog, Gateway};
use wsgate::stage::cells::Cells;

/// All that is wrong with a file, from its syntax to what its tables make together.
fn compile(document: &Document) -> (Option<Gateway>, Faults) {
    Gateway::compile(document, &Catalog::default(), &Cells::default())
}

/// What the operator of this file is told, that its tests do not hold included.
fn report(document: &Document) -> String {
    let (gateway, mut faults) = compile(document);
    if gateway.is_some_and(|gateway| !gateway.tests.is_empty()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        faults.extend(runtime.block_on(prove(document, &Catalog::default(), &Machine)).1);
    }
    render(document, &faults, false)
}

/// Relative to the package, where cargo runs tests: what is told names it.
fn folder() -> PathBuf {
    PathBuf::from("tests/faults")
}

/// The pairs' halves with this ending: `NAME.toml` is a file, `NAME.d` a folder of them.
fn names(extension: &str) -> BTreeSet<String> {
    let files = fs::read_dir(folder()).expect("the folder of pairs is there").map(|entry| entry.expect("it can be listed").path());
    let of_kind = files.filter(|path| path.extension().is_some_and(|found| found == extension));
    of_kind.map(|path| path.file_stem().expect("a file has a name").to_string_lossy().into_owned()).collect()
}

#[test]
fn every_faulty_file_is_told_what_its_pair_says() {
    let is_update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    let file = |name: String| {
        let text = fs::read_to_string(folder().join(format!("{name}.toml"))).unwrap();
        let document = Document::parse(format!("{name}.toml"), text, folder());
        (name, document)
    };
    let several = |name: String| {
        let document = Document::open(&folder().join(format!("{name}.d")));
        (name, document)
    };
    for (name, document) in names("toml").into_iter().map(file).chain(names("d").into_iter().map(several)) {
        let told = report(&document);
        let pair = folder().join(format!("{name}.txt"));
        if is_update {
            fs::write(&pair, &told).unwrap();
        } else if fs::read_to_string(&pair).unwrap_or_default() != told {
            wrong.push(format!("--- {name} is told\n{told}"));
        }
    }
    assert!(wrong.is_empty(), "{}\nUPDATE=1 takes this as right", wrong.join("\n"));
    assert_eq!(&names("toml") | &names("d"), names("txt"));
}

#[test]
fn a_file_with_a_table_of_every_kind_and_nothing_wrong_is_told_nothing() {
    let document = Document::parse("whole.toml", include_str!("whole.toml"), "tests");
    assert_eq!(report(&document), "");
}

#[test]
fn a_table_with_more_faults_than_are_shown_says_so() {
    for (bad, end) in [(100, "\n100 faults\n"), (101, "\nat least 101 faults; the first 100 are shown\n"), (500, "are shown\n")] {
        let keys: String = (0..bad).map(|number| format!("unknown-{number} = 1\n")).collect();
        let text = format!("[listener.public]\naddress = \"127.0.0.1:8080\"\n{keys}[route.echo]\nendpoint = \"echo\"\n");
        let told = report(&Document::parse("many.toml", text, folder()));
        assert_eq!(told.matches("has no key `unknown-").count(), bad.min(100));
        assert!(told.ends_with(end), "{bad}: {}", told.lines().last().unwrap_or_default());
    }
}

#[test]
fn no_pair_is_told_a_secret() {
    for name in names("txt") {
        let told = fs::read_to_string(folder().join(format!("{name}.txt"))).unwrap();
        assert!(!told.contains("hunter2"), "{name}.txt");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn a_file_cut_and_mixed_anywhere_is_told_about_within_its_text(
        cut in 0usize..4500,
        length in 0usize..60,
        put in "[\\[\\]{}=.,#\"'\\\\$a-z0-9 \t\r\nü東\u{feff}]{0,12}",
    ) {
        let whole = include_str!("whole.toml");
        let (start, end) = (whole.floor_char_boundary(cut), whole.floor_char_boundary(cut + length));
        let text = format!("{}{put}{}", &whole[..start], &whole[end..]);
        let document = Document::parse("whole.toml", text, "tests");
        let (gateway, faults) = compile(&document);
        prop_assert_eq!(gateway.is_none(), faults.refuse());
        for fault in &faults {
            let (source, span) = document.locate(&fault.place);
            prop_assert!(document.sources()[source].text.get(span).is_some(), "{fault:?}");
        }
        prop_assert_eq!(render(&document, &faults, false).is_empty(), faults.is_empty());
    }
}
