//! The stage by itself: messages shown to an inspector, and what it says of them.

mod rates;
mod schemas;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::*;
use crate::stage::cells::Cells;
use crate::stage::{Fate, Message, MessageInspector, Refusal, sample};

const SECOND: u64 = 1_000_000_000;

/// Stages over the same buckets and files, one after another, as reloads make them.
struct Bench {
    folder: tempfile::TempDir,
    buckets: Arc<Buckets>,
    time: Arc<AtomicU64>,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), buckets: Arc::default(), time: Arc::new(AtomicU64::new(SECOND)) }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// The stage of this table, and its warnings.
    fn make(&self, table: &str) -> (Result<Messages, Faults>, Faults) {
        let cells = Cells::default();
        let mut build = Build::new(KeyPath::table("message", "x"), self.folder.path(), &cells);
        let clock = Clock::Told(self.time.clone());
        let made = Messages::over(&toml::from_str(table).unwrap(), &mut build, self.buckets.clone(), clock);
        (made, build.warnings)
    }

    fn stage(&self, table: &str) -> Messages {
        self.make(table).0.unwrap_or_else(|faults| panic!("{table}: {faults:?}"))
    }

    /// What one connection's messages are shown to.
    fn inspector(&self, table: &str) -> Box<dyn MessageInspector> {
        inspector(&self.stage(table), &sample::client(&[]))
    }

    fn pass(&self, time: Duration) {
        self.time.fetch_add(u64::try_from(time.as_nanos()).unwrap(), Ordering::Relaxed);
    }
}

fn inspector(stage: &Messages, client: &Client) -> Box<dyn MessageInspector> {
    match stage.inspect(client) {
        Inspect::Messages(inspector) => inspector,
        _ => panic!("it reads messages"),
    }
}

/// The outcome and rule of what ends the connection; nothing where the message passes.
fn told(judged: Result<Fate, Box<Refusal>>) -> Option<(&'static str, String)> {
    match judged {
        Ok(Fate::Pass) => None,
        Err(refusal) => Some((refusal.outcome.id, refusal.rule.unwrap().into())),
        Ok(fate) => panic!("{fate:?}"),
    }
}

fn says(inspector: &mut Box<dyn MessageInspector>, text: &str) -> Option<(&'static str, String)> {
    told(inspector.message(Side::Client, &text.into()))
}

fn binary(bytes: &[u8]) -> Message<'_> {
    Message::Binary(bytes.into())
}

#[test]
fn messages_are_judged_by_type_json_and_field() {
    const TYPING: &str = r#"rules = [{ field = "type", is = "typing", deny = true }]"#;
    const BINARY: &str = "types: binary where text has to be JSON";
    let bench = Bench::new();
    bench.write("any.json", "{}");
    let text = |text: &'static str| Message::from(text);
    for (table, message, told_of) in [
        ("types = \"text\"", text("x"), None),
        ("types = \"text\"", binary(b"x"), Some(("type_not_allowed", "types: binary"))),
        ("types = [\"binary\"]", text("x"), Some(("type_not_allowed", "types: text"))),
        ("types = [\"binary\", \"text\"]", binary(b"x"), None),
        ("json = true", text("{}"), None),
        ("json = true", text("hello"), Some(("schema_violation", "json: expected value at line 1 column 1"))),
        (
            "json = true",
            text(r#"{"a":1,"a":2}"#),
            Some(("schema_violation", "json: the name \"a\" twice in one object at line 1 column 10")),
        ),
        ("json = true", binary(b"{}"), Some(("type_not_allowed", BINARY))),
        ("json = true\ntypes = [\"text\", \"binary\"]", binary(b"\xff"), None),
        ("schema = \"any.json\"", binary(b"{}"), Some(("type_not_allowed", BINARY))),
        (TYPING, text(r#"{"type":"typing"}"#), Some(("message_denied", "rules[0] type is \"typing\""))),
        (TYPING, text(r#"{"type":"\u0074yping"}"#), Some(("message_denied", "rules[0] type is \"typing\""))),
        (TYPING, text(r#"{"type":"message"}"#), None),
        (TYPING, text(r#"{"kind":{"type":"typing"}}"#), None),
        (TYPING, text("typing"), None),
        (TYPING, binary(br#"{"type":"typing"}"#), Some(("message_denied", "rules[0] type is \"typing\""))),
        (TYPING, binary(b"{\xff"), None),
        // What a backend might read otherwise is not let past a rule unread.
        (
            TYPING,
            text(r#" {"type":"typing","type":"x"}"#),
            Some(("schema_violation", "rules: an object that cannot be read: the name \"type\" twice in one object at line 1 column 24")),
        ),
        (
            TYPING,
            text("\u{feff}{\"type\":\"typing\"}"),
            Some(("schema_violation", "rules: an object that cannot be read: expected value at line 1 column 1")),
        ),
        (
            TYPING,
            binary(b"{\"type\":NaN}"),
            Some(("schema_violation", "rules: an object that cannot be read: expected value at line 1 column 9")),
        ),
    ] {
        let judged = bench.inspector(table).message(Side::Client, &message);
        assert_eq!(told(judged), told_of.map(|(id, rule)| (id, rule.to_owned())), "{table} {message:?}");
    }
}

#[test]
fn a_field_is_held_against_each_kind_of_value() {
    let bench = Bench::new();
    for (rule, message, is_denied) in [
        (r#"field = "v", is = 1"#, r#"{"v":1.0}"#, true),
        (r#"field = "v", is = 1"#, r#"{"v":"1"}"#, false),
        (r#"field = "v", is = 1.5"#, r#"{"v":15e-1}"#, true),
        (r#"field = "v", is = true"#, r#"{"v":true}"#, true),
        (r#"field = "v", is = true"#, r#"{"v":1}"#, false),
        (r#"field = "v", one_of = ["a", 2, false]"#, r#"{"v":false}"#, true),
        (r#"field = "v", one_of = ["a", 2, false]"#, r#"{"v":null}"#, false),
        (r#"field = "a.b", is = "x""#, r#"{"a":{"b":"x"}}"#, true),
        (r#"field = "a.b", is = "x""#, r#"{"a.b":"x"}"#, false),
        (r#"field = "a.b", is = "x""#, r#"{"a":[{"b":"x"}]}"#, false),
        (r#"field = "v", missing = true"#, r#"{"v":null}"#, false),
        (r#"field = "v", missing = true"#, "{}", true),
        (r#"field = "v", missing = true"#, "[1]", true),
        (r#"field = "v", missing = true"#, "hello", true),
    ] {
        let mut inspector = bench.inspector(&format!("rules = [{{ {rule}, deny = true }}]"));
        let told = says(&mut inspector, message);
        assert_eq!(told.is_some_and(|(id, _)| id == "message_denied"), is_denied, "{rule} {message}");
    }
}

#[test]
fn only_sides_that_something_is_said_of_are_read() {
    let bench = Bench::new();
    bench.write("any.json", "{}");
    for (table, client, upstream) in [
        ("types = \"text\"", true, false),
        ("types = { upstream = \"text\" }", false, true),
        ("json = { client = true, upstream = false }", true, false),
        ("schema = { upstream = \"any.json\" }", false, true),
        (r#"rules = { field = "a", missing = true, deny = true, from = "upstream" }"#, false, true),
        ("json = { upstream = true }\nrules = [{ field = \"a\", missing = true, deny = true }]", true, true),
    ] {
        let inspector = bench.inspector(table);
        assert_eq!((inspector.reads(Side::Client), inspector.reads(Side::Upstream)), (client, upstream), "{table}");
    }
}

#[test]
fn what_a_backend_sends_has_outcomes_of_its_own() {
    let bench = Bench::new();
    let mut inspector = bench.inspector(
        r#"types = { upstream = "text" }
           json = { upstream = true }
           rules = [
             { field = "debug", one_of = [true, 1], deny = true, from = "upstream" },
             { field = "tick", is = true, rate = "1/h", from = "upstream" },
           ]"#,
    );
    for (message, id) in [
        (Message::from(r#"{"tick":true}"#), None),
        (Message::from(r#"{"tick":true}"#), Some("upstream_message_denied")),
        (Message::from(r#"{"debug":1}"#), Some("upstream_message_denied")),
        (Message::from("hello"), Some("upstream_schema_violation")),
        (binary(b"{}"), Some("upstream_type_not_allowed")),
    ] {
        assert_eq!(told(inspector.message(Side::Upstream, &message)).map(|(id, _)| id), id, "{message:?}");
    }
    assert_eq!(says(&mut inspector, "hello"), None, "nothing is said of clients");
}

#[test]
fn a_message_that_must_not_pass_is_closed_for_or_left_out_and_its_sender_told() {
    let bench = Bench::new();
    let table = |more: &str| format!("types = {{ client = \"text\", upstream = \"text\" }}\n{more}");
    let judged = |more: &str, from| bench.inspector(&table(more)).message(from, &binary(b"x"));
    assert!(judged("", Side::Client).is_err());
    let drop = judged("on_violation = \"drop\"", Side::Client).unwrap();
    assert!(matches!(drop, Fate::Drop(Some(why)) if why.outcome.id == "type_not_allowed"));
    for (notify, from, reply) in [
        ("", Side::Client, "message type not allowed"),
        ("notify = '{\"error\":\"{id}\",\"code\":{code}}'", Side::Client, r#"{"error":"type_not_allowed","code":1003}"#),
        ("notify = '{reason} ({code})'", Side::Upstream, "backend sent a message of the wrong type (1003)"),
    ] {
        match judged(&format!("on_violation = \"notify\"\n{notify}"), from) {
            Ok(Fate::Reply(message, Some(_))) => assert_eq!(message, Message::from(reply)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_rule_that_only_reports_hides_none_that_holds_and_reports_once() {
    let bench = Bench::new();
    let mut inspector = bench.inspector(
        r#"on_violation = "drop"
           rules = [
             { field = "a", is = 1, deny = true, mode = "report" },
             { field = "b", is = 1, deny = true, mode = "report" },
             { field = "c", is = 1, deny = true },
           ]"#,
    );
    let mut says = |text: &str| match inspector.message(Side::Client, &text.into()) {
        Ok(Fate::Pass) => "passes".to_owned(),
        Ok(Fate::Drop(_)) => "is left out".to_owned(),
        Err(refusal) if refusal.report => refusal.rule.unwrap().into(),
        other => panic!("{other:?}"),
    };
    assert_eq!(says(r#"{"a":1,"c":1}"#), "is left out");
    assert_eq!(says(r#"{"a":1,"b":1}"#), "rules[0] a is 1");
    assert_eq!(says(r#"{"a":1,"b":1}"#), "rules[1] b is 1");
    assert_eq!(says(r#"{"a":1,"b":1}"#), "passes");
    let mut inspector = bench.inspector(r#"rules = [{ field = "a", is = 1, deny = true, mode = "report" }]"#);
    let unread = inspector.message(Side::Client, &r#"{"a":1,"a":1}"#.into()).unwrap_err();
    assert!(unread.report && unread.outcome.id == "schema_violation", "who refuses nothing refuses nothing that cannot be read");
}

#[test]
fn a_table_is_written_as_it_was_read() {
    for written in [
        "types = \"text\"\non_violation = \"close\"\n",
        "json = true\non_violation = \"drop\"\n",
        "on_violation = \"close\"\n\n[schema]\nclient = \"a.json\"\nupstream = \"b.json\"\n",
        "on_violation = \"close\"\n\n[types]\nclient = [\"text\", \"binary\"]\n",
        "on_violation = \"notify\"\nnotify = \"no\"\n\n[rules]\nfield = \"a.b\"\none_of = [\"x\", 1, true]\nrate = \"2/s\"\nkey = \"user\"\nfrom = \"client\"\nmode = \"report\"\n",
    ] {
        let table: Table = toml::from_str(written).unwrap();
        assert_eq!(toml::to_string(&table).unwrap(), written);
    }
}
