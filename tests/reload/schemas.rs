//! Files of a schema are inputs of the file that names them: an edit of one is an edit.

use futures_util::SinkExt;
use serde_json::json;

use super::support::{self, Gateway, backend};

/// Watches its files, and whatever an edit closes is closed at once.
fn file(backend: &str) -> String {
    format!(
        "[gateway]\nreload = {{ spread = \"1ms\", rate = \"10000/s\" }}\n[listener.public]\naddress = \"127.0.0.1:0\"\n\
         [message.chat]\nschema = \"chat.json\"\n[route.own]\npath = \"/0\"\npipeline = [\"message.chat\"]\nendpoint = \"echo\"\n\
         [route.proxied]\npath = \"/1\"\npipeline = [\"message.chat\"]\nendpoint = \"ws://{backend}\"\n"
    )
}

const CHAT: &str = r#"{ "properties": { "text": { "$ref": "text.json" } } }"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_next_message_of_an_open_connection_is_judged_by_the_schema_as_it_is_then() {
    let (backend, _requests) = backend::echo().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("chat.json"), CHAT).unwrap();
    std::fs::write(folder.path().join("text.json"), r#"{ "maxLength": 3 }"#).unwrap();
    let mut gateway = Gateway::run_in(folder, &file(&backend.to_string()));
    let mut sockets = [gateway.connect("public", "/0").await, gateway.connect("public", "/1").await];
    for (name, schema, fault, text) in [
        ("text.json", r#"{ "maxLength": 8 }"#, None, "abcdefgh"),
        ("text.json", r#"{ "maxLength": "8" }"#, Some("text.json:1:16: the schema is wrong"), "abcdefgh"),
        ("text.json", r#"{ "maxLength": 8 "#, Some("text.json:1:17: this is not JSON"), "abcdefgh"),
        ("chat.json", r#"{ "$ref": "missing.json" }"#, Some("chat.json:1:11: cannot read ./missing.json"), "abcdefgh"),
        ("chat.json", CHAT, Some("text.json:1:17: this is not JSON"), "abcdefgh"),
        ("text.json", r#"{ "maxLength": 12 }"#, None, "abcdefghijkl"),
        ("chat.json", r#"{ "properties": { "text": { "maxLength": 2 } } }"#, None, "ab"),
    ] {
        std::fs::write(gateway.folder.path().join(name), schema).unwrap();
        let came = gateway.reloaded();
        assert_eq!(came["event"], if fault.is_some() { "reload_refused" } else { "reloaded" }, "{schema}: {came}");
        if let Some(fault) = fault {
            assert!(came["faults"].as_str().unwrap().starts_with(fault), "{came}");
        }
        let message = json!({ "text": text }).to_string();
        for socket in &mut sockets {
            assert_eq!(support::ask(socket, &message).await, message, "{schema}");
        }
    }
    for mut socket in sockets {
        socket.send(r#"{"text":"abc"}"#.into()).await.unwrap();
        assert_eq!(support::closed(&mut socket).await.0, 1007);
        drop(socket);
        let event = gateway.event("close");
        assert_eq!(json!([event["outcome"], event["rule"]]), json!(["schema_violation", "schema: /text is longer than 2 characters"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_whose_files_hold_what_they_held_is_left_alone() {
    let (backend, _requests) = backend::echo().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("chat.json"), r#"{ "maxProperties": 3 }"#).unwrap();
    let file = file(&backend.to_string()).replace("reload = {", "reload = { watch = false,");
    let mut gateway = Gateway::run_in(folder, &file);
    std::fs::write(gateway.folder.path().join("chat.json"), r#"{ "maxProperties": 3 }"#).unwrap();
    assert_eq!(gateway.reload(&file)["event"], "reload_unchanged");
    let came = gateway.reload(&format!("{file}[route.more]\npath = \"/2\"\nendpoint = \"echo\"\n"));
    assert_eq!((&came["added"], came.get("changed")), (&json!("route.more"), None), "{came}");
}
