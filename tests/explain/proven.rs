//! The tests of a file, as `wsgate check` and a start try them.

use std::fs;
use std::path::Path;

use super::support::{Gateway, SECRET, command};

const CONFIG: &str = r#"
[listener.public]
address = "127.0.0.1:0"

[firewall.office]
allow = "127.0.0.0/8"

[jwt.partners]
algorithms = "ES256"
key        = { file = "public.pem" }
issuer     = "https://partner.example.com"
require    = ["exp", "tenant"]

[rate_limit.once]
key     = "ip"
connect = { rate = "1/h", burst = 1 }

[route.partners]
path     = "/partners"
pipeline = ["firewall.office", "jwt.partners", "rate_limit.once"]
endpoint = "authenticated"

[route.any]
pipeline = ["firewall.office", "rate_limit.once"]
endpoint = "echo"

[test.stranger]
connect = { ip = "203.0.113.9" }
expect  = { outcome = "ip_denied", rule = "firewall.office.allow" }

[test.first]
expect = { outcome = "open", route = "any" }

[test.second]
expect = { outcome = "open", route = "any" }

[test.partner]
connect = { path = "/partners", claims = { iss = "https://partner.example.com", tenant = "acme" } }
expect  = "open"

[test.partner_of_nobody]
connect = { path = "/partners", claims = { iss = "https://partner.example.com" } }
expect  = { outcome = "token_invalid", rule = "jwt.partners.require" }

[test.late]
connect = { path = "/partners", claims = { iss = "https://partner.example.com", tenant = "acme", exp = 1 } }
expect  = "token_expired"

[test.forged]
connect = { path = "/partners", headers = { Authorization = "Bearer e30.e30.e30" } }
expect  = "token_invalid"
"#;

fn folder(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let key = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys/p256.pub.pem");
    fs::copy(key, folder.path().join("public.pem")).unwrap();
    fs::write(folder.path().join("gateway.toml"), config).unwrap();
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> (String, Option<i32>) {
    let output = command(folder).args(arguments).output().unwrap();
    (String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(), output.status.code())
}

#[test]
fn tests_that_hold_are_counted_and_none_finds_a_limit_spent_by_another() {
    let folder = folder(CONFIG);
    assert_eq!(run(folder.path(), &["check"]), ("gateway.toml: fine, 1 listener, 2 routes, 7 tests passed\n".to_owned(), Some(0)));
}

#[test]
fn claims_are_judged_without_a_key_that_could_sign_them_and_a_token_is_not() {
    let folder = folder(CONFIG);
    let (minted, code) = run(folder.path(), &["token", "--stage", "jwt.partners", "--sub", "alice"]);
    assert!(code == Some(1) && minted.contains("private halves"), "{minted}");
    let (printed, _) = run(folder.path(), &["explain", "--path", "/partners", "--token", "supposed"]);
    assert!(printed.contains("refuses it: token_invalid") && printed.contains("malformed token"), "{printed}");
}

#[test]
fn a_test_that_fails_fails_the_check_and_refuses_a_start() {
    let folder = folder(&CONFIG.replace("allow = \"127.0.0.0/8\"", "allow = \"0.0.0.0/0\""));
    for arguments in [&["check"][..], &["run"], &[]] {
        let (printed, code) = run(folder.path(), arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {printed}");
        assert!(
            printed.starts_with("fault: test.stranger expects ip_denied, and is let in by route.any\n  --> gateway.toml:29:23\n"),
            "{printed}"
        );
        assert!(printed.ends_with("\n1 fault\n") && !printed.contains("listening"), "{printed}");
    }
    // To see what a request comes to, the tests need not hold.
    assert_eq!(run(folder.path(), &["explain"]).1, Some(0));
}

#[test]
fn offline_tests_are_tried_where_the_file_is_all_they_rest_on() {
    let keyed = folder(CONFIG);
    let (printed, code) = run(keyed.path(), &["check", "--offline"]);
    assert!(code == Some(0) && printed.starts_with("gateway.toml: fine, 1 listener, 2 routes\nnot looked at"), "{printed}");
    assert!(printed.contains("\n  gateway.toml:27:7: what test.stranger comes to\n"), "{printed}");
    let (bare, _) = CONFIG.split_once("[jwt.partners]").unwrap();
    let alone =
        folder(&format!("{bare}[route.any]\npipeline = [\"firewall.office\"]\nendpoint = \"echo\"\n[test.in]\nexpect = \"open\"\n"));
    let (printed, _) = run(alone.path(), &["check", "--offline"]);
    assert_eq!(printed, "gateway.toml: fine, 1 listener, 1 route, 1 test passed\n");
}

#[test]
fn programs_are_told_of_tests_as_of_other_faults() {
    let folder = folder(&CONFIG.replace("allow = \"127.0.0.0/8\"", "allow = \"0.0.0.0/0\""));
    let (printed, code) = run(folder.path(), &["check", "--json"]);
    let checked: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&checked["fine"], &checked["summary"]["tests"], code), (&false.into(), &6.into(), Some(2)), "{checked:#}");
    assert_eq!((&checked["faults"][0]["key"], &checked["faults"][0]["line"]), (&"test.stranger.expect.outcome".into(), &29.into()));
}

#[test]
fn an_edit_with_a_test_that_fails_is_not_put_in_force() {
    let mut gateway = Gateway::run_in(folder(CONFIG), CONFIG);
    let refused = gateway.reload(&CONFIG.replace("allow = \"127.0.0.0/8\"", "allow = \"0.0.0.0/0\""));
    assert_eq!(refused["event"], "reload_refused");
    let why = refused["faults"].as_str().unwrap();
    assert!(why.contains("gateway.toml:29:23: test.stranger expects ip_denied, and is let in by route.any"), "{refused:#}");
    let mended = CONFIG.replace("allow = \"127.0.0.0/8\"", "allow = \"127.0.0.0/16\"");
    assert_eq!(gateway.reload(&mended)["event"], "reloaded");
}

#[test]
fn a_token_in_a_test_is_not_printed() {
    let config = format!(
        "{CONFIG}\n[test.shown]\nconnect = {{ headers = {{ Authorization = \"Bearer {SECRET}\" }}, pth = \"/\" }}\nexpect = \"open\"\n"
    );
    let (printed, code) = run(folder(&config).path(), &["check"]);
    assert!(code == Some(2) && printed.contains("did you mean `path`?") && !printed.contains(SECRET), "{printed}");
}
