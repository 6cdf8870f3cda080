//! What only reports lets everything pass.

use serde_json::json;

use super::support::{Gateway, ask, backend};
use super::{PUBLIC, SCHEMA, decided};

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_in_report_mode_tells_of_each_rule_once_and_passes_all() {
    let (address, _) = backend::echo().await;
    for endpoint in ["echo", &format!("ws://{address}")] {
        for more in ["", "on_violation = \"drop\"", "on_violation = \"notify\""] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("chat.json"), SCHEMA).unwrap();
            let mut gateway = Gateway::run_in(
                folder,
                &format!(
                    "{PUBLIC}[message.x]\nmode = \"report\"\nschema = \"chat.json\"\n{more}\n\
                     rules = [{{ field = \"text\", is = \"admin\", deny = true }}]\n\
                     [route.one]\npipeline = [\"message.x\"]\nendpoint = \"{endpoint}\"\n"
                ),
            );
            let mut socket = gateway.connect("public", "/").await;
            for text in ["{}", "{}", r#"{"text":"fine"}"#, r#"{"text":"admin"}"#, r#"{"text":"admin"}"#, "hello"] {
                assert_eq!(ask(&mut socket, text).await, text, "{endpoint} {more}");
            }
            drop(socket);
            gateway.event("close");
            let reports: Vec<_> = gateway.events().iter().filter(|event| event["event"] == "would_refuse").map(decided).collect();
            assert_eq!(
                reports,
                [
                    json!(["schema_violation", "message.x", "schema: the message: \"text\" is a required property"]),
                    json!(["message_denied", "message.x", "rules[0] text is \"admin\""]),
                ],
                "{endpoint} {more}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_in_report_mode_refuses_nothing_and_those_beside_it_do() {
    let mut gateway = super::judging(
        "rules = [\n{ field = \"a\", is = 1, deny = true, mode = \"report\" },\n{ field = \"b\", is = 1, deny = true },\n]",
        "echo",
    );
    let mut socket = gateway.connect("public", "/").await;
    for text in [r#"{"a":1}"#, r#"{"a":1}"#] {
        assert_eq!(ask(&mut socket, text).await, text);
    }
    assert_eq!(decided(&gateway.event("would_refuse")), json!(["message_denied", "message.x", "rules[0] a is 1"]));
    futures_util::SinkExt::send(&mut socket, r#"{"a":1,"b":1}"#.into()).await.unwrap();
    assert_eq!(super::support::closed(&mut socket).await.0, 1008);
    assert_eq!(decided(&gateway.event("close")), json!(["message_denied", "message.x", "rules[1] b is 1"]));
}
