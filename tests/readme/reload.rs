//! What `docs/reload.md` says that edits come to is what `tests/reload/edits.rs` makes of them.

/// The rows of the test's table, as a table of the page.
pub(crate) fn edits() -> String {
    let source = include_str!("../reload/edits.rs");
    let mut text = "| the edit | the connection |\n|---|---|\n".to_owned();
    let (mut what, mut rows) = ("", 0);
    for line in source.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("what: \"") {
            what = rest.trim_end_matches("\",");
        } else if let Some(rest) = line.strip_prefix("sees: ").filter(|rest| rest.ends_with("),")) {
            text += &format!("| {what} | {} |\n", sees(rest.trim_end_matches("),")));
            rows += 1;
        }
    }
    assert!(rows > 30, "{rows} rows were found");
    text
}

/// What one of the words of the test's table means.
fn sees(written: &str) -> String {
    let (word, rest) = written.split_once('(').unwrap();
    let values: Vec<&str> = rest.split(", ").map(|value| value.trim_matches('"')).collect();
    match (word, &*values) {
        ("Answer", ["hi"]) | ("Long", _) => "goes on".to_owned(),
        ("Answer", _) => "goes on, and is answered by the new table".to_owned(),
        ("Close", [code, outcome]) => format!("closed: {code}, `{outcome}`"),
        ("CloseNext", [code, outcome]) => format!("goes on; its next message, which does not pass: {code}, `{outcome}`"),
        ("CloseAt", [_, code, outcome]) => format!("goes on; the message that is too much: {code}, `{outcome}`"),
        _ => panic!("no words for {written}"),
    }
}
