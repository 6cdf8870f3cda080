//! The JSON Schema of the file: what is committed is what the code says, it takes every file the gateway takes, and refuses of the
//! others what is wrong by its shape.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking, and so do its helpers")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jsonschema::{Validator, draft7, draft202012};
use serde_json::{Map, Value};
use wsgate::config::fault::Faults;
use wsgate::config::reference::{EndpointRef, PartRef};
use wsgate::config::table::{ClaimHeader, HeadSize, HostHeader, Prefix, Sticky, Subprotocol};
use wsgate::config::units::{Address, ByteRate, Cidr, Interval, Rate, ServerUrl, Size};
use wsgate::config::{Document, FRAME, FRAME_KINDS};
use wsgate::gateway::{Catalog, Gateway, schema};
use wsgate::stage::cells::Cells;
use wsgate::stage::{api_key, credentials, message, origin, rate_limit};

/// The committed schema, within the package.
const COMMITTED: &str = "gateway.schema.json";

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tomls(folder: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(package().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
    files.sort();
    files
}

/// The shipped file, every example, and the one with a table of every kind.
fn fine() -> Vec<PathBuf> {
    let whole = [package().join("gateway.toml"), package().join("tests/whole.toml")];
    whole.into_iter().chain(tomls("examples/configs")).collect()
}

/// A file as an editor holds it against a schema: moments are strings. None where it is no TOML.
fn instance(path: &Path) -> Option<Value> {
    fn json(value: toml::Value) -> Value {
        match value {
            toml::Value::String(text) => text.into(),
            toml::Value::Integer(number) => number.into(),
            toml::Value::Float(number) => number.into(),
            toml::Value::Boolean(value) => value.into(),
            toml::Value::Datetime(moment) => moment.to_string().into(),
            toml::Value::Array(list) => list.into_iter().map(json).collect(),
            toml::Value::Table(table) => table.into_iter().map(|(key, value)| (key, json(value))).collect::<Map<_, _>>().into(),
        }
    }
    let text = fs::read_to_string(path).unwrap();
    let table: toml::Table = text.trim_start_matches('\u{feff}').parse().ok()?;
    Some(json(toml::Value::Table(table)))
}

fn whole() -> Value {
    schema(&Catalog::default()).to_value()
}

fn faults(path: &Path) -> Faults {
    Gateway::compile(&Document::open(path), &Catalog::default(), &Cells::default()).1
}

#[test]
fn the_committed_schema_is_what_the_code_says() {
    let right = format!("{}\n", serde_json::to_string_pretty(&schema(&Catalog::default())).unwrap());
    if std::env::var_os("UPDATE").is_some() {
        fs::write(package().join(COMMITTED), &right).unwrap();
    }
    let committed = fs::read_to_string(package().join(COMMITTED)).unwrap_or_default();
    assert!(committed == right, "UPDATE=1 cargo test --test schema writes {COMMITTED} anew");
    let printed = Command::new(env!("CARGO_BIN_EXE_wsgate")).arg("schema").output().unwrap();
    assert!(printed.status.success() && printed.stdout == right.as_bytes());
}

#[test]
fn every_file_begins_by_naming_the_schema() {
    for path in fine() {
        let text = fs::read_to_string(&path).unwrap();
        let named = text.lines().next().and_then(|line| line.strip_prefix("#:schema ")).unwrap_or_else(|| panic!("{}", path.display()));
        let found = path.parent().unwrap().join(named).canonicalize();
        assert_eq!(found.ok(), package().join(COMMITTED).canonicalize().ok(), "{}", path.display());
    }
}

/// Editors read the schema by the draft it names, and some by an older one.
#[test]
fn a_file_that_the_gateway_takes_is_valid_by_new_and_old_drafts() {
    let schema = whole();
    assert!(draft202012::meta::is_valid(&schema));
    let mut found = 0;
    for validator in [draft202012::new(&schema).unwrap(), draft7::options().should_validate_formats(true).build(&old(&schema)).unwrap()] {
        for path in fine().into_iter().chain(tomls("tests/faults")).filter(|path| !faults(path).refuse()) {
            found += 1;
            let wrong: Vec<String> = validator.iter_errors(&instance(&path).unwrap()).map(|error| error.to_string()).collect();
            assert!(wrong.is_empty(), "{}: {wrong:?}", path.display());
        }
    }
    assert!(found > 40, "{found} files");
}

/// The schema as a reader of draft 7 takes it.
fn old(schema: &Value) -> Value {
    let mut schema = schema.clone();
    schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    schema
}

/// Of the files in `tests/faults`, those whose shape alone gives them away.
const SHAPES: [&str; 63] = [
    "address",
    "any_of",
    "bare_kind",
    "byte_order_mark",
    "claim_header_secret",
    "consequences",
    "counted_by_nothing",
    "endpoint_in_pipeline",
    "endpoint_url",
    "errors",
    "errors_words",
    "firewall_default",
    "firewall_networks",
    "firewall_rules",
    "gateway",
    "gateway_named",
    "headers",
    "health",
    "jwt_empty",
    "jwt_words",
    "key_above_all_tables",
    "key_below_sub_table",
    "key_in_inline_table",
    "key_missing",
    "key_not_yet_built",
    "key_unknown",
    "kind_and_name",
    "kind_unknown",
    "kind_without_name",
    "list_of_tables",
    "log",
    "long_line",
    "message",
    "message_rules",
    "message_values",
    "mode_on_endpoint",
    "mode_unknown",
    "multi_byte",
    "name_with_dots",
    "name_with_strange_characters",
    "origin",
    "pipeline",
    "rate_limit",
    "reference_endpoint",
    "reference_stage",
    "revoked",
    "route",
    "secret_misplaced",
    "secret_source",
    "server_url",
    "servers",
    "several",
    "stage_as_endpoint",
    "sticky",
    "subprotocol",
    "tests",
    "token_sources",
    "type_wrong",
    "unit_interval",
    "unit_rate",
    "unit_size",
    "upstream",
    "word_unknown",
];

#[test]
fn what_is_wrong_by_its_shape_is_invalid() {
    let schema = whole();
    for validator in [draft202012::new(&schema).unwrap(), draft7::new(&old(&schema)).unwrap()] {
        for name in SHAPES {
            let path = package().join(format!("tests/faults/{name}.toml"));
            assert!(faults(&path).refuse() && !validator.is_valid(&instance(&path).expect(name)), "{name}");
        }
    }
}

#[test]
fn every_kind_is_in_it_with_the_keys_of_its_table() {
    let schema = whole();
    let kinds = schema["properties"].as_object().unwrap();
    let expected: Vec<&str> = FRAME_KINDS.into_iter().chain(Catalog::default().kinds()).collect();
    assert_eq!(kinds.len(), expected.len());
    for kind in expected {
        let table = if kind == "gateway" { &kinds[kind] } else { &kinds[kind]["additionalProperties"] };
        let has_mode = table["properties"].get("mode").is_some();
        assert_eq!(has_mode, Catalog::default().stage(kind).is_some(), "{kind}");
    }
    assert_eq!(FRAME.len(), FRAME_KINDS.len());
}

/// Every schema within this one, with the way to it.
fn within<'s>(schema: &'s Value, way: &str, found: &mut Vec<(String, &'s Value)>) {
    found.push((way.to_owned(), schema));
    for (keyword, inner) in schema.as_object().into_iter().flatten() {
        match (keyword.as_str(), inner) {
            ("properties" | "patternProperties" | "$defs", Value::Object(by_name)) => {
                by_name.iter().for_each(|(name, inner)| within(inner, &format!("{way}/{name}"), found));
            }
            ("anyOf" | "oneOf" | "allOf", Value::Array(list)) => list.iter().for_each(|inner| within(inner, way, found)),
            ("items" | "additionalProperties", Value::Object(_)) => within(inner, &format!("{way}/{keyword}"), found),
            _ => {}
        }
    }
}

#[test]
fn every_table_is_closed_and_every_key_explained() {
    let schema = whole();
    let mut schemas = Vec::new();
    within(&schema, "", &mut schemas);
    let mut keys = 0;
    for (way, schema) in schemas {
        if schema["type"] == "object" {
            let is_closed = ["additionalProperties", "propertyNames"].iter().any(|keyword| schema.get(*keyword).is_some());
            assert!(is_closed, "{way} takes any key");
        }
        for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
            keys += 1;
            assert!(inner["description"].as_str().is_some_and(|said| said.len() > 5), "{way}/{key} is not explained");
            assert!(inner.get("$ref").is_none(), "{way}/{key}: an editor would not see what stands beside its $ref");
        }
    }
    assert!(keys > 200, "{keys} keys");
}

/// Whether a type reads a text, and whether its schema takes it.
fn judged<T: std::str::FromStr + schemars::JsonSchema>(text: &str) -> (bool, bool) {
    (text.parse::<T>().is_ok(), takes(&schemars::schema_for!(T).to_value(), text))
}

fn takes(schema: &Value, text: &str) -> bool {
    let validator: Validator = draft202012::new(schema).unwrap();
    validator.is_valid(&text.into())
}

type Judge = fn(&str) -> (bool, bool);
const BOTH: (bool, bool) = (true, true);
const NEITHER: (bool, bool) = (false, false);
const ONLY_THE_PATTERN: (bool, bool) = (false, true);

/// Texts, and whether their type reads them and its pattern takes them.
const TEXTS: &[(Judge, &str, (bool, bool))] = &[
    (judged::<Interval>, "24 h", BOTH),
    (judged::<Interval>, "007ms", BOTH),
    (judged::<Interval>, "0s", NEITHER),
    (judged::<Interval>, "25", NEITHER),
    (judged::<Interval>, "1.5s", NEITHER),
    (judged::<Interval>, "99999d", ONLY_THE_PATTERN),
    (judged::<Size>, "64 KiB", BOTH),
    (judged::<Size>, "10MB", NEITHER),
    (judged::<Size>, "0B", NEITHER),
    (judged::<HeadSize>, "2048B", BOTH),
    (judged::<HeadSize>, "1MiB", NEITHER),
    (judged::<HeadSize>, "65KiB", ONLY_THE_PATTERN),
    (judged::<Address>, "[fe80::1%5]:80", BOTH),
    (judged::<Address>, "chat-1.internal:65535", BOTH),
    (judged::<Address>, "127.0.0.1", NEITHER),
    (judged::<Address>, ":8080", NEITHER),
    (judged::<Address>, "*:8080", NEITHER),
    (judged::<Address>, "ws://localhost:80", NEITHER),
    (judged::<Address>, "localhost:65536", ONLY_THE_PATTERN),
    (judged::<ServerUrl>, "WS://[::1]/", BOTH),
    (judged::<ServerUrl>, "ws://chat.internal/v2/", BOTH),
    (judged::<ServerUrl>, "ws://a/%C3%A4?x", NEITHER),
    (judged::<ServerUrl>, "http://a:1", NEITHER),
    (judged::<ServerUrl>, "ws://user:pass@a:1", NEITHER),
    (judged::<Cidr>, "::ffff:10.0.0.0/104", BOTH),
    (judged::<Cidr>, "::/0", BOTH),
    (judged::<Cidr>, "localhost", NEITHER),
    (judged::<Cidr>, "fe80::1%eth0", NEITHER),
    (judged::<Cidr>, "203.0.113.0/2", ONLY_THE_PATTERN),
    (judged::<Prefix>, "//chat/", BOTH),
    (judged::<Prefix>, "/", NEITHER),
    (judged::<Prefix>, "chat", NEITHER),
    (judged::<HostHeader>, "[::1]:80", BOTH),
    (judged::<HostHeader>, "a/b", NEITHER),
    (judged::<ClaimHeader>, "X-User", BOTH),
    (judged::<ClaimHeader>, "X User", NEITHER),
    (judged::<ClaimHeader>, "Host", ONLY_THE_PATTERN),
    (judged::<Sticky>, "cookie:server", BOTH),
    (judged::<Sticky>, "ip", BOTH),
    (judged::<Sticky>, "header", NEITHER),
    (judged::<Sticky>, "ip/24", NEITHER),
    (judged::<Subprotocol>, "chat.v1~!#", BOTH),
    (judged::<Subprotocol>, "a, b", NEITHER),
    (judged::<PartRef>, "errors", BOTH),
    (judged::<PartRef>, "firewall.", NEITHER),
    (judged::<PartRef>, "route.api.v2", NEITHER),
    (judged::<EndpointRef>, "upstream.chat", BOTH),
    (judged::<credentials::Source>, "cookie:__Host-token", BOTH),
    (judged::<credentials::Source>, "cookie", NEITHER),
    (judged::<credentials::Source>, "header:X-Token", BOTH),
    (judged::<credentials::Source>, "header:Cookie", ONLY_THE_PATTERN),
    (judged::<credentials::Source>, "header:", NEITHER),
    (judged::<api_key::Scope>, "chat:write", BOTH),
    (judged::<api_key::Scope>, "chat write", NEITHER),
    (judged::<api_key::Id>, "k7f3wq2p", BOTH),
    (judged::<api_key::Id>, "a_b", NEITHER),
    (judged::<origin::Allowed>, "https://*.example.com:8443", BOTH),
    (judged::<origin::Allowed>, "http://[::1]", BOTH),
    (judged::<origin::Allowed>, "app+x://host_1", BOTH),
    (judged::<origin::Allowed>, "https://example.com/", NEITHER),
    (judged::<origin::Allowed>, "*", NEITHER),
    (judged::<message::Field>, "payload.kind", BOTH),
    (judged::<message::Field>, "a b", BOTH),
    (judged::<message::Field>, "a..b", NEITHER),
    (judged::<message::Field>, "", NEITHER),
    (judged::<rate_limit::KeyPart>, "ip/24/48", BOTH),
    (judged::<rate_limit::KeyPart>, "header:x-tenant", BOTH),
    (judged::<rate_limit::KeyPart>, "claim:", NEITHER),
    (judged::<rate_limit::KeyPart>, "ip/24/64/1", NEITHER),
    (judged::<rate_limit::KeyPart>, "ip/33", ONLY_THE_PATTERN),
];

/// The pattern is never stricter than the type; where the type is stricter, as with a number too large, a row says so.
#[test]
fn a_text_is_taken_by_its_pattern_wherever_its_type_reads_it() {
    for (judge, text, judged) in TEXTS {
        assert_eq!(judge(text), *judged, "{text}");
    }
    for (schema, text, is_taken) in [
        (schemars::schema_for!(Rate), " 20 / s", true),
        (schemars::schema_for!(Rate), "20/d", false),
        (schemars::schema_for!(Rate), "0/s", false),
        (schemars::schema_for!(ByteRate), "64KiB/s", true),
        (schemars::schema_for!(ByteRate), "64/s", false),
    ] {
        assert_eq!(takes(&schema.to_value(), text), is_taken, "{text}");
    }
}

/// What the schema is never to complain of: a variable may stand wherever a string does, and holds what nobody knows yet.
#[test]
fn a_variable_may_stand_for_any_string() {
    let validator = draft202012::new(&whole()).unwrap();
    let text = r#"
        [gateway]
        max_connections = "${MAX}"
        drain = { over = "${OVER}" }
        [listener.a]
        address = "${HOST}:8080"
        [upstream.a]
        servers = ["ws://${HOST}", { url = "${URL}" }]
        balance = "${BALANCE}"
        [firewall.a]
        mode = "${MODE}"
        allow = ["${NETWORK}", { cidr = "${NETWORK}", mode = "${MODE}" }]
        [rate_limit.a]
        key = "${KEY}"
        connect = "${RATE}"
        [jwt.a]
        algorithms = "${ALGORITHM}"
        [route.a]
        pipeline = ["${STAGE}"]
        endpoint = "${ENDPOINT}"
        ping = "${PING}"
    "#;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.toml");
    fs::write(&path, text).unwrap();
    let wrong: Vec<String> = validator.iter_errors(&instance(&path).unwrap()).map(|error| format!("{error}")).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}
