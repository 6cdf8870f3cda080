//! `wsgate show`: what it prints reads back as the same config, says where every value came from, and holds no secret.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking, and so do its helpers")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use support::{SECRET, command};
use wsgate::config::fault::Faults;
use wsgate::config::{Config, Document, render};
use wsgate::gateway::expansion::{expand, expand_route};
use wsgate::gateway::{Catalog, Gateway};
use wsgate::stage::cells::Cells;
use wsgate::stage::{Build, Configure, Stage};

/// What stands in place of a secret.
const MASK: &str = "********";

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The shipped file, every example, and the one with a table of every kind.
fn files() -> Vec<PathBuf> {
    let examples = fs::read_dir(package().join("examples/configs")).unwrap().map(|entry| entry.unwrap().path());
    let examples = examples.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let mut files: Vec<_> = examples.chain([package().join("gateway.toml"), package().join("tests/whole.toml")]).collect();
    files.sort();
    files
}

/// What is printed to standard output, where nothing goes wrong.
fn printed(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let output = command(folder).arg("show").args(arguments).envs(environment.iter().copied()).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn show(text: &str, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("gateway.toml"), text).unwrap();
    // The certificates that a table may name.
    std::os::unix::fs::symlink(package().join("tests/keys"), folder.path().join("keys")).unwrap();
    printed(folder.path(), arguments, environment)
}

fn config(document: &Document) -> Config {
    let (config, faults) = Config::read(document, &Catalog::default().kinds());
    config.filter(|_| !faults.refuse()).unwrap_or_else(|| panic!("{}", render(document, &faults, false)))
}

/// Every key of every table with its value, by the table's name.
fn values(document: &Document) -> Vec<(String, String, Option<String>)> {
    let tables = expand(document, &Catalog::default()).unwrap();
    let keys = tables.into_iter().flat_map(|table| {
        let name = format!("{}.{}", table.kind, table.name);
        table.keys.into_iter().map(move |key| (name.clone(), key.path.join("."), key.value.map(|value| value.to_string())))
    });
    keys.collect()
}

/// What of each route is in force, without who set it.
fn routes(config: &Config) -> Vec<String> {
    let one = |route: wsgate::config::table::Route<'_>| {
        let requests = (route.name, route.host, route.path, route.subprotocols, route.pipeline, route.endpoint);
        let limits = (route.max_client_message, route.max_upstream_message, route.compression, route.forward_claims);
        let times = (route.ping, route.pong, route.idle, route.lifetime, route.close_timeout);
        format!("{requests:?} {limits:?} {times:?}")
    };
    config.routes().map(one).collect()
}

#[test]
fn what_is_printed_reads_back_as_the_same_config() {
    for path in files() {
        let folder = path.parent().unwrap();
        let text = printed(folder, &[path.file_name().unwrap().to_str().unwrap()], &[]);
        let (before, after) = (Document::open(&path), Document::parse("shown.toml", text, folder));
        let (one, other) = (config(&before), config(&after));
        assert_eq!((&one.gateway, &one.listeners, &one.upstreams), (&other.gateway, &other.listeners, &other.upstreams));
        assert_eq!((&one.pipelines, &one.logs), (&other.pipelines, &other.logs));
        assert_eq!(routes(&one), routes(&other), "{}", path.display());
        assert_eq!(values(&before), values(&after), "{}", path.display());
    }
}

#[test]
fn what_is_printed_compiles_once_its_secrets_are_put_back() {
    let whole = package().join("tests/whole.toml");
    let text = fs::read_to_string(&whole).unwrap();
    let compile = |text: String, folder: &Path| {
        let document = Document::parse("shown.toml", text, folder);
        let (gateway, faults) = Gateway::compile(&document, &Catalog::default(), &Cells::default());
        gateway.unwrap_or_else(|| panic!("{}", render(&document, &faults, false)))
    };
    let all = compile(show(&text, &[], &[]).replace(MASK, SECRET), whole.parent().unwrap());
    assert_eq!(all.routes.len(), config(&Document::open(&whole)).routes.len());
    for name in all.routes.iter().map(|route| &*route.name) {
        let gateway = compile(show(&text, &["--route", name], &[]).replace(MASK, SECRET), whole.parent().unwrap());
        assert_eq!(gateway.routes.iter().map(|route| &*route.name).collect::<Vec<_>>(), [name]);
    }
}

/// A file in which values come from everywhere they can.
const EVERYWHERE: &str = r#"
[gateway.route]
idle        = "10m"
max_message = { client = "256KiB" }
pipeline    = ["pipeline.door", "errors"]

[listener.public]
address = [
    "127.0.0.1:0",
    "[::1]:0",
]

[firewall.local]
allow = ["127.0.0.0/8", { cidr = "::1", note = "us" }]

[pipeline.door]
stages = ["firewall.local", "pipeline.inner"]
[pipeline.inner]
stages = [["jwt.users", "jwt.bots"]]

[jwt.users]
algorithms = "HS256"
secret     = "for-local-trials-only-0123456789abcdef"
[jwt.bots]
mode       = "report"
algorithms = "HS256"
secret     = { env = "WSGATE_TEST_SECRET", default = "for-local-trials-only-0123456789abcdef" }

[route.chat]
path     = "/chat/*"
endpoint = "ws://${WSGATE_TEST_HOST}:9001"
[route.chat.max_message]
upstream = "off"

[route.echo]
pipeline = []
endpoint = "echo"
"#;

const ENVIRONMENT: [(&str, &str); 2] =
    [("WSGATE_TEST_HOST", "host-from-the-environment"), ("WSGATE_TEST_SECRET", "secret-from-the-environment-0123456789")];

/// The tables as `--json` has them.
fn tables(arguments: &[&str]) -> Vec<Value> {
    let arguments: Vec<&str> = ["--json"].iter().chain(arguments).copied().collect();
    let text = show(EVERYWHERE, &arguments, &ENVIRONMENT);
    serde_json::from_str::<Value>(&text).unwrap()["tables"].as_array().unwrap().clone()
}

fn table<'t>(tables: &'t [Value], kind: &str, name: Option<&str>) -> &'t Value {
    tables.iter().find(|table| table["kind"] == kind && table["name"].as_str() == name).unwrap()
}

#[test]
fn every_value_says_where_it_came_from() {
    let tables = tables(&[]);
    let chat = "[gateway.route] gateway.toml";
    for (kind, name, key, value, from) in [
        ("gateway", None, "max_connections", json!(100_000), "default"),
        ("gateway", None, "threads", Value::Null, "not set: one for each processor"),
        ("gateway", None, "drain.over", json!("30s"), "default"),
        ("gateway", Some("route"), "idle", json!("10m"), "gateway.toml:3"),
        ("listener", Some("public"), "address", json!(["127.0.0.1:0", "[::1]:0"]), "gateway.toml:8"),
        ("route", Some("chat"), "listener", json!("public"), "the only one there is"),
        ("route", Some("chat"), "path", json!("/chat/*"), "gateway.toml:30"),
        ("route", Some("chat"), "host", Value::Null, "not set: any host"),
        ("route", Some("chat"), "ping", json!("25s"), "default"),
        ("route", Some("chat"), "idle", json!("10m"), &format!("{chat}:3")),
        ("route", Some("chat"), "pipeline", json!(["pipeline.door", "errors"]), &format!("{chat}:5")),
        ("route", Some("chat"), "max_message.client", json!("256KiB"), &format!("{chat}:4")),
        ("route", Some("chat"), "max_message.upstream", json!("off"), "gateway.toml:33"),
        ("route", Some("echo"), "pipeline", json!([]), "gateway.toml:36"),
        ("route", Some("echo"), "max_message.upstream", json!("16MiB"), "default"),
        ("firewall", Some("local"), "allow", json!(["127.0.0.0/8", { "cidr": "::1", "note": "us" }]), "gateway.toml:14"),
        ("firewall", Some("local"), "mode", json!("enforce"), "default"),
        ("jwt", Some("users"), "secret", json!(MASK), "gateway.toml:23"),
        ("jwt", Some("bots"), "secret", json!({ "env": "WSGATE_TEST_SECRET", "default": MASK }), "gateway.toml:27"),
        ("jwt", Some("bots"), "mode", json!("report"), "gateway.toml:25"),
        ("jwt", Some("bots"), "leeway", json!("30s"), "default"),
        ("errors", None, "messages", json!({}), "default"),
        ("echo", None, "prefix", json!(""), "default"),
        ("upstream", None, "servers", json!("ws://${WSGATE_TEST_HOST}:9001"), "gateway.toml:31"),
        ("upstream", None, "tries", json!(2), "default"),
    ] {
        let found = &table(&tables, kind, name)["keys"][key];
        assert_eq!((&found["value"], &found["from"]), (&value, &json!(from)), "{kind} {name:?} {key}");
    }
    let address = &table(&tables, "listener", Some("public"))["keys"]["address"];
    assert_eq!(address["elements"], json!(["gateway.toml:9", "gateway.toml:10"]));
}

#[test]
fn tables_stand_in_an_order_one_can_read() {
    let kinds: Vec<String> = tables(&[]).iter().map(|table| table["kind"].as_str().unwrap().to_owned()).collect();
    let mut kinds = kinds;
    kinds.dedup();
    assert_eq!(kinds, ["gateway", "listener", "route", "pipeline", "errors", "firewall", "jwt", "echo", "upstream"]);
}

#[test]
fn a_route_is_shown_with_all_it_meets_in_the_order_it_meets_it() {
    for name in ["chat", "route.chat"] {
        let tables = tables(&["--route", name]);
        let met: Vec<(&str, Option<&str>)> = tables.iter().map(|t| (t["kind"].as_str().unwrap(), t["name"].as_str())).collect();
        let expected = [
            ("listener", Some("public")),
            ("route", Some("chat")),
            ("firewall", Some("local")),
            ("jwt", Some("users")),
            ("jwt", Some("bots")),
            ("errors", None),
            ("upstream", None),
        ];
        assert_eq!(met, expected);
        let pipeline = &table(&tables, "route", Some("chat"))["keys"]["pipeline"];
        assert_eq!(pipeline["value"], json!(["firewall.local", ["jwt.users", "jwt.bots"], "errors"]));
        let from = ["[pipeline.door] gateway.toml:17", "[pipeline.inner] gateway.toml:19", "[gateway.route] gateway.toml:5"];
        assert_eq!(pipeline["elements"], json!(from));
    }
}

#[test]
fn neither_secrets_nor_what_variables_hold_are_printed() {
    for arguments in [&[][..], &["--json"], &["--route", "chat"], &["--route", "chat", "--json"]] {
        let text = show(EVERYWHERE, arguments, &ENVIRONMENT);
        assert!(text.contains(MASK) && text.contains("${WSGATE_TEST_HOST}"), "{text}");
        assert!(!text.contains("for-local-trials-only") && !text.contains("from-the-environment"), "{text}");
    }
}

/// A stage of somebody's own, whose table knows nothing of secrets.
struct Score;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ScoreTable {
    /// The key of the service that is asked.
    api_key: String,
    /// How bad a client may be.
    #[serde(default)]
    worst: u8,
    /// Who is not asked about. Left out, nobody.
    except: Option<String>,
}

impl Stage for Score {}

impl Configure for Score {
    const KIND: &'static str = "score";
    type Table = ScoreTable;

    fn configure(_: ScoreTable, _: &mut Build<'_>) -> Result<Self, Faults> {
        Ok(Self)
    }
}

#[test]
fn a_plugin_s_table_is_shown_like_a_built_in_one_and_its_secrets_are_masked() {
    let text = format!("[listener.a]\naddress = \"127.0.0.1:0\"\n[score.a]\napi_key = \"{SECRET}\"\n[route.a]\nendpoint = \"echo\"\n");
    let tables = expand(&Document::parse("gateway.toml", text, "."), &Catalog::default().with_stage::<Score>()).unwrap();
    let score = tables.into_iter().find(|table| table.kind == "score").unwrap();
    let keys: Vec<String> = score
        .keys
        .into_iter()
        .map(|key| format!("{} {} {}", key.path.join("."), key.value.map(|value| value.to_string()).unwrap_or_default(), key.from))
        .collect();
    assert_eq!(keys, ["api_key \"********\" gateway.toml:4", "except  not set: nobody", "mode \"enforce\" default", "worst 0 default"]);
}

#[test]
fn a_pipeline_within_itself_is_written_out_once() {
    let text = "[listener.a]\naddress = \"127.0.0.1:0\"\n[pipeline.a]\nstages = [\"errors\", \"pipeline.a\"]\n\
                [route.a]\npipeline = [\"pipeline.a\"]\nendpoint = \"echo\"\n";
    let document = Document::parse("gateway.toml", text, ".");
    let tables = expand_route(&document, &Catalog::default(), "a").unwrap().unwrap();
    let pipeline = tables.iter().flat_map(|table| &table.keys).filter(|key| key.path == ["pipeline"]).find_map(|key| key.value.as_ref());
    assert_eq!(pipeline.unwrap().to_string(), "[\"errors\"]");
}

#[test]
fn of_a_folder_each_value_names_its_own_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("conf.d")).unwrap();
    fs::write(folder.path().join("conf.d/a.toml"), "[listener.a]\naddress = \"127.0.0.1:0\"\n").unwrap();
    fs::write(folder.path().join("conf.d/b.toml"), "[route.b]\nendpoint = \"echo\"\n").unwrap();
    let shown = printed(folder.path(), &["conf.d"], &[]);
    for line in ["# conf.d/a.toml:2", "# conf.d/b.toml:1", "# conf.d/b.toml:2"] {
        assert!(shown.contains(&format!("  {line}\n")), "{shown}");
    }
}

#[test]
fn what_cannot_be_shown_is_told_by_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let fine = "[listener.public]\naddress = \"127.0.0.1:0\"\n[route.echo]\nendpoint = \"echo\"\n";
    fs::write(folder.path().join("fine.toml"), fine).unwrap();
    fs::write(folder.path().join("faulty.toml"), fine.replace("address", "adress")).unwrap();
    fs::write(folder.path().join("circle.toml"), format!("{fine}[pipeline.a]\nstages = [\"pipeline.a\"]\n")).unwrap();
    let rows: [(&[&str], i32, &str); 6] = [
        (&["fine.toml"], 0, "# fine.toml with every default filled in"),
        (&["--config", "fine.toml", "--route", "echo"], 0, "# route.echo of fine.toml with every default filled in"),
        (&["fine.toml", "--route", "ecoh"], 1, "fine.toml has no [route.ecoh]; it has route.echo"),
        (&["faulty.toml"], 2, "did you mean `address`?"),
        (&["circle.toml", "--route", "echo"], 2, "pipeline.a is part of itself"),
        (&["nowhere.toml"], 2, "there is no file nowhere.toml"),
    ];
    for (arguments, code, said) in rows {
        let output = command(folder.path()).arg("show").args(arguments).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), printed.contains(said)), (Some(code), true), "{arguments:?}: {printed}");
    }
}
