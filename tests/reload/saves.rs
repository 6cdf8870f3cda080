//! Files that are saved, and nobody says so: a running gateway finds out, or is told not to look.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::support::{self, Gateway, logged};

fn config(watch: bool, prefix: &str) -> String {
    format!(
        "[gateway]\nreload = {{ watch = {watch} }}\n[listener.public]\naddress = \"127.0.0.1:0\"\n\
         [echo.e]\nprefix = \"{prefix} \"\n[route.a]\nendpoint = \"echo.e\"\n"
    )
}

fn save(folder: &Path, config: &str) {
    fs::write(folder.join("gateway.toml"), logged(config)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_swapped_under_its_links_takes_effect_as_kubernetes_does_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for version in ["v1", "v2"] {
        fs::create_dir(at(version)).unwrap();
    }
    symlink("v1", at("..data")).unwrap();
    symlink("..data/gateway.toml", at("gateway.toml")).unwrap();
    save(&at("v2"), &config(true, "two"));
    let path = folder.path().to_owned();
    let mut gateway = Gateway::run_in(folder, &config(true, "one"));
    let mut socket = gateway.connect("public", "/").await;
    assert_eq!(support::ask(&mut socket, "hi").await, "one hi");
    symlink("v2", path.join("..data_tmp")).unwrap();
    fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
    assert_eq!(gateway.reloaded()["changed"], "echo.e, route.a");
    assert_eq!(support::ask(&mut socket, "hi").await, "two hi");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_two_hundred_times_is_heard_with_what_was_last() {
    let mut gateway = Gateway::run(&config(true, "one"));
    let mut socket = gateway.connect("public", "/").await;
    for number in 0..200 {
        save(gateway.folder.path(), &config(true, &number.to_string()));
    }
    gateway.event_where("reloaded", |event| event["changed"] == "echo.e, route.a");
    support::in_time(async { while support::ask(&mut socket, "hi").await != "199 hi" {} }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_not_to_look_is_told_or_goes_on() {
    let (mut blind, mut watches) = (Gateway::run(&config(false, "one")), Gateway::run(&config(true, "one")));
    let mut socket = blind.connect("public", "/").await;
    save(blind.folder.path(), &config(false, "two"));
    // Saved later, and in force: the other would have been long ago.
    save(watches.folder.path(), &config(true, "two"));
    watches.reloaded();
    assert_eq!(support::ask(&mut socket, "hi").await, "one hi");
    assert!(blind.events().iter().all(|event| event["event"] != "reloaded"));
    blind.signal("HUP");
    assert_eq!(blind.reloaded()["event"], "reloaded");
    assert_eq!(support::ask(&mut socket, "hi").await, "two hi");
}
