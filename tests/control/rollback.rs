//! `wsgate rollback`: the text that was in force before is again, and the file is left alone.

use serde_json::json;

use super::support::{self, Gateway};
use super::{FRAME, json, save, typed};

fn config(prefix: &str) -> String {
    format!(
        "{FRAME}[echo.e]\nprefix = \"{prefix} \"\n[firewall.f]\ndeny_files = \"deny.txt\"\n[route.a]\npipeline = [\"firewall.f\"]\nendpoint = \"echo.e\"\n"
    )
}

fn gateway(config: &str) -> Gateway {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("deny.txt"), "").unwrap();
    Gateway::run_in(folder, config)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_goes_back_text_by_text_and_leaves_the_file_alone() {
    let gateway = gateway(&config("one"));
    let mut socket = gateway.connect("public", "/").await;
    let (printed, exit) = typed(&gateway, &["rollback"]);
    assert!(printed.contains("there is no text to go back to") && exit == Some(1), "{printed}");
    for prefix in ["two", "three"] {
        save(&gateway, &config(prefix));
        json(&gateway, &["reload"]);
    }
    assert_eq!(support::ask(&mut socket, "hi").await, "three hi");
    let (printed, exit) = typed(&gateway, &["rollback"]);
    assert!(printed.starts_with("generation 4 is in force\nchanged: echo.e, route.a\n") && exit == Some(0), "{printed}");
    assert!(printed.contains("the text of generation 2 is in force; the file is as it was and is NOT in force"), "{printed}");
    assert_eq!(support::ask(&mut socket, "hi").await, "two hi");
    let back = json(&gateway, &["rollback"]);
    assert_eq!((&back["rolled_back_to"], &back["generation"], &back["judged_again"]), (&json!(1), &json!(5), &json!(1)));
    assert_eq!(support::ask(&mut socket, "hi").await, "one hi");
    assert_eq!(typed(&gateway, &["rollback"]).1, Some(1), "the first is the first");
    assert_eq!(json(&gateway, &["status"])["rolled_back"]["to"], 1);
    assert!(typed(&gateway, &["status"]).0.contains("\nROLLED BACK to the text of generation 1 "));
    assert!(std::fs::read_to_string(gateway.folder.path().join("gateway.toml")).unwrap().contains("three "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_is_no_text_to_go_back_to() {
    let gateway = gateway(&config("good"));
    let mut socket = gateway.connect("public", "/").await;
    save(&gateway, &config("bad"));
    json(&gateway, &["reload"]);
    save(&gateway, &format!("# what have I done\n{}", config("bad")));
    assert_eq!(json(&gateway, &["reload"])["changes"], false);
    assert_eq!(json(&gateway, &["rollback"])["rolled_back_to"], 1);
    assert_eq!(support::ask(&mut socket, "hi").await, "good hi");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_holds_until_the_file_says_something_else_or_somebody_reloads() {
    let mut gateway = gateway(&config("one"));
    let mut socket = gateway.connect("public", "/").await;
    save(&gateway, &config("two"));
    json(&gateway, &["reload"]);
    json(&gateway, &["rollback"]);
    gateway.event_where("reloaded", |event| event["generation"] == 3);
    // Neither what logrotate sends, nor a list that changes, is a new text.
    gateway.signal("HUP");
    assert_eq!(gateway.reloaded()["event"], "reload_unchanged");
    std::fs::write(gateway.folder.path().join("deny.txt"), "192.0.2.1\n").unwrap();
    gateway.signal("HUP");
    assert_eq!(gateway.reloaded()["changed"], "firewall.f, route.a");
    assert_eq!(support::ask(&mut socket, "hi").await, "one hi");
    assert_eq!(json(&gateway, &["status"])["rolled_back"]["to"], 1);

    assert_eq!(json(&gateway, &["reload"])["rolled_back_to"], json!(null));
    assert_eq!(support::ask(&mut socket, "hi").await, "two hi");
    json(&gateway, &["rollback"]);
    assert_eq!(support::ask(&mut socket, "hi").await, "one hi");
    save(&gateway, &config("three"));
    gateway.signal("HUP");
    gateway.event_where("reloaded", |event| event["generation"] == 7);
    assert_eq!(support::ask(&mut socket, "hi").await, "three hi");
    assert_eq!(json(&gateway, &["status"])["rolled_back"], json!(null));
}
