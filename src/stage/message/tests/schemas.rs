//! Schemas: what fits, what is told of what does not, and what is wrong with one itself.

use super::*;

const CHAT: &str = r##"{
  "type": "object",
  "required": ["room"],
  "properties": {
    "room": { "type": "string", "maxLength": 8 },
    "id": { "type": "string", "format": "uuid" },
    "mail": { "format": "email" },
    "at": { "format": "date-time" },
    "kind": { "enum": ["a", 2, null] },
    "is": { "const": { "a": [1.0] } },
    "tags": { "type": "array", "items": { "type": "string", "pattern": "^[a-z]+$" }, "uniqueItems": true },
    "to": { "$ref": "#/$defs/user" }
  },
  "propertyNames": { "maxLength": 8 },
  "additionalProperties": false,
  "$defs": { "user": { "type": "object", "minProperties": 1, "additionalProperties": { "$ref": "#/$defs/user" } } }
}"##;

#[test]
fn a_message_fits_its_schema_or_where_it_does_not_is_told() {
    let bench = Bench::new();
    bench.write("chat.json", CHAT);
    for (message, why) in [
        (r#"{"room":"lobby"}"#, None),
        (r#"{"room":"lobby","id":"7f0c1a52-9f3e-4b8e-9a51-0d6f6b7c1e11","mail":"a@example.com","at":"2026-11-30T12:00:00Z"}"#, None),
        (r#"{"room":"lobby","kind":2.0,"is":{"a":[1]},"tags":["a","b"],"to":{"a":{"b":{}}}}"#, Some("/to/a/b has less than 1 property")),
        (r#"{"room":"lobby","kind":null,"is":{"a":[1]},"tags":[]}"#, None),
        ("[]", Some("the message is not of type \"object\"")),
        ("{}", Some("the message: \"room\" is a required property")),
        (r#"{"room":7}"#, Some("/room is not of type \"string\"")),
        (r#"{"room":"much too long"}"#, Some("/room is longer than 8 characters")),
        (r#"{"room":"a","id":"7f0c1a52-9f3e-4b8e-9a51-0d6f6b7c1e1"}"#, Some("/id is not a \"uuid\"")),
        (r#"{"room":"a","mail":"nobody"}"#, Some("/mail is not a \"email\"")),
        (r#"{"room":"a","at":"yesterday"}"#, Some("/at is not a \"date-time\"")),
        (r#"{"room":"a","kind":"b"}"#, Some("/kind is not one of \"a\", 2 or null")),
        (r#"{"room":"a","is":{"a":[2]}}"#, Some("/is: {\"a\":[1.0]} was expected")),
        (r#"{"room":"a","tags":["a","B"]}"#, Some("/tags/1 does not match \"^[a-z]+$\"")),
        (r#"{"room":"a","tags":["a","a"]}"#, Some("/tags has non-unique elements")),
        (r#"{"room":"a","other":1}"#, Some("the message: Additional properties are not allowed ('other' was unexpected)")),
    ] {
        let told = says(&mut bench.inspector("schema = \"chat.json\""), message);
        assert_eq!(told, why.map(|why| ("schema_violation", format!("schema: {why}"))), "{message}");
    }
}

#[test]
fn no_value_of_a_client_is_told_and_little_of_its_names() {
    let bench = Bench::new();
    bench.write("chat.json", CHAT);
    for message in [r#"{"room":"hunter2hunter2"}"#, r#"{"room":"a","kind":"hunter2"}"#, r#"{"room":"a","tags":["HUNTER2 hunter2"]}"#] {
        let (_, rule) = says(&mut bench.inspector("schema = \"chat.json\""), message).unwrap();
        assert!(!rule.to_lowercase().contains("hunter2"), "{rule}");
    }
    let long = format!("{{\"room\":\"a\",\"to\":{{\"{}\":1}}}}", "é".repeat(5000));
    let (_, rule) = says(&mut bench.inspector("schema = \"chat.json\""), &long).unwrap();
    assert!(rule.len() < 300 && rule.ends_with('…'), "{} {rule}", rule.len());
}

#[test]
fn what_does_not_fit_is_told_once_for_each_connection() {
    let bench = Bench::new();
    bench.write("chat.json", CHAT);
    let mut inspector = bench.inspector("schema = \"chat.json\"\non_violation = \"drop\"");
    let mut why = || match inspector.message(Side::Client, &"{}".into()) {
        Ok(Fate::Drop(Some(refusal))) => refusal.rule.unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!((&*why(), &*why()), ("schema: the message: \"room\" is a required property", "schema"));
}

/// To find out why would take a doubling for each level: 2^120 looks.
#[test]
fn why_a_message_does_not_fit_is_not_looked_for_as_long_as_the_client_likes() {
    let bench = Bench::new();
    for (schema, message) in [
        (
            r##"{ "anyOf": [{ "properties": { "a": { "$ref": "#" } }, "required": ["b"] }, { "properties": { "a": { "$ref": "#" } }, "required": ["c"] }] }"##,
            "{}",
        ),
        (
            r##"{ "oneOf": [{ "properties": { "a": { "$ref": "#" } } }, { "properties": { "a": { "$ref": "#" } }, "type": "object" }] }"##,
            "{}",
        ),
        (
            r##"{ "allOf": [{ "properties": { "a": { "$ref": "#" } } }, { "properties": { "a": { "$ref": "#" } }, "required": ["a"] }] }"##,
            "{}",
        ),
    ] {
        bench.write("tree.json", schema);
        let deep = format!("{}{message}{}", "{\"a\":".repeat(120), "}".repeat(120));
        let (id, _) = says(&mut bench.inspector("schema = \"tree.json\""), &deep).unwrap();
        assert_eq!(id, "schema_violation");
        let (_, rule) = says(&mut bench.inspector("schema = \"tree.json\""), "{\"a\":{\"a\":{}}}").unwrap();
        assert!(rule.len() > "schema".len(), "{rule}");
    }
}

#[test]
fn a_schema_may_refer_to_files_beside_it() {
    let bench = Bench::new();
    std::fs::create_dir(bench.folder.path().join("common")).unwrap();
    bench.write("chat.json", r#"{ "$ref": "common/user.json#/$defs/user" }"#);
    bench.write("common/user.json", r#"{ "$defs": { "user": { "properties": { "name": { "$ref": "name.json" } } } } }"#);
    bench.write("common/name.json", r#"{ "$id": "name.json", "type": "string", "$anchor": "n" }"#);
    let cells = Cells::default();
    let mut build = Build::new(KeyPath::table("message", "x"), bench.folder.path(), &cells);
    Messages::configure(toml::from_str("schema = \"chat.json\"").unwrap(), &mut build).map(drop).unwrap();
    let read: Vec<_> = build.files.iter().map(|file| file.strip_prefix(bench.folder.path()).unwrap().to_str().unwrap()).collect();
    assert_eq!(read, ["chat.json", "common/user.json", "common/name.json"], "each is an input");
    let mut inspector = bench.inspector("schema = \"chat.json\"");
    assert_eq!(says(&mut inspector, r#"{"name":"x"}"#), None);
    assert_eq!(says(&mut inspector, r#"{"name":1}"#), Some(("schema_violation", "schema: /name is not of type \"string\"".to_owned())));
}

#[test]
fn a_path_may_be_called_as_no_uri_could() {
    let bench = Bench::new();
    std::fs::create_dir(bench.folder.path().join("a b#ü?")).unwrap();
    bench.write("a b#ü?/chat.json", r#"{ "$ref": "../100%25.json" }"#);
    bench.write("100%.json", "false");
    assert!(says(&mut bench.inspector("schema = \"a b#ü?/chat.json\""), "{}").is_some());
}

#[test]
fn a_schema_has_bounds() {
    let bench = Bench::new();
    bench.write("large.json", &" ".repeat((1 << 20) + 1));
    let said = |file: &str| bench.make(&format!("schema = \"{file}\"")).0.map(drop).unwrap_err().0.remove(0).message;
    assert!(said("large.json").ends_with("large.json is larger than 1 MiB"));
    for number in 0..70 {
        bench.write(&format!("{number}.json"), &format!("{{ \"$ref\": \"{}.json\" }}", number + 1));
    }
    assert_eq!(said("0.json"), "a schema is made of 64 files at most");
}

#[test]
fn a_format_that_is_not_checked_is_a_warning_and_uuid_is_checked_by_every_draft() {
    let bench = Bench::new();
    let old = "http://json-schema.org/draft-07/schema#";
    bench.write(
        "old.json",
        &format!(r#"{{ "$schema": "{old}", "properties": {{ "id": {{ "format": "uuid" }}, "n": {{ "format": "int32" }} }} }}"#),
    );
    let (stage, warnings) = bench.make("schema = \"old.json\"");
    assert_eq!(
        warnings.0.iter().map(|warning| &*warning.message).collect::<Vec<_>>(),
        ["\"int32\" is no format of this draft, and nothing is checked by it"]
    );
    let mut inspector = inspector(&stage.unwrap(), &sample::client(&[]));
    assert!(says(&mut inspector, r#"{"id":"x"}"#).is_some());
    bench.write("data.json", r#"{ "const": { "format": "x" }, "properties": { "format": { "type": "string" } } }"#);
    assert!(bench.make("schema = \"data.json\"").1.is_empty());
}

#[test]
fn a_deep_message_is_judged_by_a_schema_that_refers_to_itself() {
    let bench = Bench::new();
    bench.write("tree.json", r##"{ "type": ["object", "number"], "additionalProperties": { "$ref": "#" } }"##);
    let mut inspector = bench.inspector("schema = \"tree.json\"");
    let deep = |leaf: &str| format!("{}{leaf}{}", "{\"a\":".repeat(127), "}".repeat(127));
    assert_eq!(says(&mut inspector, &deep("1")), None);
    let (id, rule) = says(&mut inspector, &deep("true")).unwrap();
    assert!(id == "schema_violation" && rule.len() < 300, "{rule}");
}
