//! `wsgate explain` and the tests of a file try messages by the same code.

use super::SCHEMA;
use super::support::command;

const FILE: &str = r#"
[listener.public]
address = "127.0.0.1:8765"

[message.chat]
schema = "chat.json"
rules = [{ field = "text", is = "admin", deny = true }]

[route.chat]
pipeline = ["message.chat"]
endpoint = "echo"

[test.no_text]
connect = { path = "/" }
message = ['{"text":"fine"}', '{}']
expect  = { outcome = "schema_violation", rule = "message.chat.schema" }

[test.admin]
connect = { path = "/" }
message = '{"text":"admin"}'
expect  = { outcome = "message_denied", rule = "message.chat.rules[0]" }

[test.fine]
connect = { path = "/" }
message = '{"text":"fine"}'
expect  = "open"
"#;

/// What a command prints in a folder with this file, and whether it was content.
pub(super) fn run(file: &str, arguments: &[&str]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gateway.toml"), file).unwrap();
    std::fs::write(folder.path().join("chat.json"), SCHEMA).unwrap();
    let output = command(folder.path()).args(arguments).output().unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn a_test_holds_where_its_message_comes_to_what_is_expected() {
    let (is_fine, told) = run(FILE, &["check"]);
    assert!(is_fine && told.contains("3 tests passed"), "{told}");
    let (is_fine, told) = run(&FILE.replace("message = '{\"text\":\"fine\"}'", "message = '{\"text\":7}'"), &["check"]);
    assert!(!is_fine && told.contains("test.fine expects open, and comes to schema_violation by message.chat"), "{told}");
    assert!(told.contains("schema: /text is not of type \"string\""), "{told}");
}

#[test]
fn a_message_is_explained_with_the_rule_that_refuses_it() {
    let (_, told) = run(FILE, &["explain", "--test", "no_text"]);
    assert!(told.contains("schema: the message: \"text\" is a required property"), "{told}");
    let (_, told) = run(&FILE.replace("schema =", "mode = \"report\"\nschema ="), &["explain", "--test", "admin"]);
    assert!(told.contains("would refuse it with message_denied, rules[0] text is \"admin\", and only reports"), "{told}");
    let (_, told) = run(&FILE.replace("schema =", "on_violation = \"drop\"\nschema ="), &["explain", "--test", "admin"]);
    assert!(told.contains("message.chat leaves it out"), "{told}");
}

#[test]
fn what_is_checked_without_files_is_not_refused_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = FILE.split("[test.").next().unwrap();
    std::fs::write(folder.path().join("gateway.toml"), file).unwrap();
    let output = command(folder.path()).args(["check", "--offline"]).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && told.contains("the file") && told.contains("chat.json"), "{told}");
}
