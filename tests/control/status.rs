//! `wsgate status`, and what it tells of edits that are not in force and connections that lag behind.

use serde_json::json;

use super::support::{self, Gateway};
use super::{FRAME, json, save, typed};

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_what_is_in_force_and_who_is_on_which_route() {
    let trial = "[firewall.trial]\nmode = \"report\"\ndeny = \"192.0.2.0/24\"\n";
    let gateway = Gateway::run(&format!(
        "{FRAME}{trial}[route.a]\npipeline = [\"firewall.trial\"]\nendpoint = \"echo\"\n[route.b]\npath = \"/b\"\nendpoint = \"echo\"\n"
    ));
    let _sockets = [gateway.connect("public", "/").await, gateway.connect("public", "/").await, gateway.connect("public", "/b").await];
    let status = json(&gateway, &["status"]);
    assert_eq!((&status["generation"], &status["ready"], &status["pid"]), (&json!(1), &json!(true), &json!(gateway.id())));
    assert_eq!((&status["connections"], &status["handshakes"], &status["refused"]), (&json!(3), &json!(0), &json!(null)), "{status}");
    let routes = json!([
        { "route": "a", "connections": 2, "generations": { "1": 2 } },
        { "route": "b", "connections": 1, "generations": { "1": 1 } },
    ]);
    assert_eq!((&status["routes"], &status["reporting"]), (&routes, &json!(["firewall.trial"])));
    let (printed, exit) = typed(&gateway, &["status"]);
    assert!(printed.starts_with("gateway.toml: ready, generation 1 since ") && exit == Some(0), "{printed}");
    assert!(printed.contains("  route.a  2\n  route.b  1\nin report mode, refusing nobody: firewall.trial\n"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_edit_stays_in_status_until_it_is_repaired() {
    let good = format!("{FRAME}[route.a]\nendpoint = \"echo\"\n");
    let gateway = Gateway::run(&good);
    save(&gateway, &good.replace("endpoint", "endpiont"));
    let (printed, exit) = typed(&gateway, &["reload"]);
    assert!(printed.contains("--> gateway.toml:6:1") && printed.contains("did you mean `endpoint`?"), "{printed}");
    assert_eq!(exit, Some(2));
    for _ in 0..2 {
        let refused = json(&gateway, &["status"])["refused"]["faults"].as_str().unwrap().to_owned();
        assert!(refused.starts_with("gateway.toml:6:1: "), "{refused}");
        assert!(typed(&gateway, &["status"]).0.contains("\nREFUSED at "));
    }
    // A plan of a good file repairs nothing.
    std::fs::write(gateway.folder.path().join("next.toml"), support::logged(&good)).unwrap();
    assert_eq!(typed(&gateway, &["plan", "next.toml"]).1, Some(0));
    assert_ne!(json(&gateway, &["status"])["refused"], json!(null));
    save(&gateway, &good);
    assert_eq!(typed(&gateway, &["reload"]).1, Some(0));
    let status = json(&gateway, &["status"]);
    assert_eq!((&status["refused"], &status["generation"]), (&json!(null), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_keep_their_rules_are_told_by_generation_and_nothing_else_of_it_lives_on() {
    let config = |key: &str| {
        let kept = format!("[route.kept]\npath = \"/kept\"\non_reload = \"keep\"\n{key}endpoint = \"echo\"\n");
        format!("{FRAME}{kept}[route.a]\n{key}endpoint = \"echo\"\n")
    };
    let mut gateway = Gateway::run(&config(""));
    let mut old = gateway.connect("public", "/kept").await;
    let _adopts = gateway.connect("public", "/").await;
    for (key, generation) in [("idle = \"1h\"\n", 2), ("idle = \"2h\"\n", 3)] {
        save(&gateway, &config(key));
        assert_eq!(json(&gateway, &["reload"])["generation"], generation);
    }
    let _new = gateway.connect("public", "/kept").await;
    let generations = |status: &serde_json::Value| (status["routes"][0]["generations"].clone(), status["routes"][1]["generations"].clone());
    let status = json(&gateway, &["status"]);
    assert_eq!(generations(&status), (json!({ "3": 1 }), json!({ "1": 1, "3": 1 })), "{status}");
    assert_eq!(status["parts_aside"], 1, "the route that the oldest connection goes by");
    assert!(typed(&gateway, &["status"]).0.contains("route.kept  2  1 by generation 1"));
    old.close(None).await.unwrap();
    support::closed(&mut old).await;
    gateway.event("close");
    // Its task ends behind the event.
    support::in_time(async {
        while json(&gateway, &["status"])["parts_aside"] != 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_drains_is_not_ready_and_still_tells_so() {
    let mut gateway = Gateway::run(
        "[gateway]\ndrain = { delay = \"1h\" }\n[listener.public]\naddress = \"127.0.0.1:0\"\n[route.a]\nendpoint = \"echo\"\n",
    );
    assert_eq!(typed(&gateway, &["status", "--ready"]), ("ready\n".to_owned(), Some(0)));
    gateway.signal("TERM");
    gateway.event("stopping");
    assert_eq!(typed(&gateway, &["status", "--ready"]), ("wsgate: not ready: draining\n".to_owned(), Some(1)));
    assert_eq!(json(&gateway, &["status"])["unready"], "draining");
    assert_eq!(typed(&gateway, &["reload"]), ("wsgate: the gateway is stopping\n".to_owned(), Some(1)));
    gateway.signal("TERM");
    gateway.wait();
}
