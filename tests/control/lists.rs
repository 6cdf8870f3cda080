//! `wsgate deny`, `undeny` and `revoke`: lists are written, connections closed, and the config is left alone.

use std::fs;

use serde_json::json;

use super::support::{self, Gateway, SECRET, token, with_token};
use super::{FRAME, json, save, typed};

fn config() -> String {
    let firewalls = "[firewall.bans]\ndeny_files = \"deny.txt\"\n[firewall.spare]\ndeny_files = \"spare.txt\"\n";
    format!("{FRAME}{firewalls}[route.a]\npipeline = [\"firewall.bans\"]\nendpoint = \"echo\"\n")
}

fn gateway(config: &str, lists: &[(&str, &str)]) -> Gateway {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in lists {
        fs::write(folder.path().join(name), text).unwrap();
    }
    Gateway::run_in(folder, config)
}

fn text(gateway: &Gateway, list: &str) -> String {
    fs::read_to_string(gateway.folder.path().join(list)).unwrap()
}

const LISTS: [(&str, &str); 2] = [("deny.txt", "# bans\n192.0.2.0/24 # old\n"), ("spare.txt", "")];

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_denied_is_out_at_once_and_in_again_when_it_is_taken_off() {
    let mut gateway = gateway(&config(), &LISTS);
    let mut socket = gateway.connect("public", "/").await;
    let done = json(&gateway, &["deny", "127.0.0.0/8", "--for", "2h", "--note", "scan # 7"]);
    assert_eq!((&done["closed"], &done["removed"], &done["warnings"]), (&json!(1), &json!([]), &json!([])), "{done}");
    assert_eq!(support::closed(&mut socket).await.0, 3003);
    let line = done["added"].as_str().unwrap();
    assert!(line.starts_with("127.0.0.0/8 expires 20") && line.ends_with("Z # scan # 7"), "{line}");
    assert_eq!(text(&gateway, "deny.txt"), format!("# bans\n192.0.2.0/24 # old\n{line}\n"));
    assert_eq!(gateway.refusal(gateway.url("public", "/")).await.0, 403);
    let refused = gateway.event("refused");
    assert_eq!(refused["rule"], "deny_files[0] deny.txt:3");

    // Once more is a later end, and not another line; why it was denied stays.
    let done = json(&gateway, &["deny", "127.0.0.0/8"]);
    assert_eq!((&done["removed"], &done["added"]), (&json!([line]), &json!("127.0.0.0/8 # scan # 7")));
    // A sooner end would let it in.
    let (printed, exit) = typed(&gateway, &["deny", "127.0.0.0/8", "--for", "2h", "--note", "again"]);
    assert!(printed.contains("to end it sooner, `wsgate undeny 127.0.0.0/8` first") && exit == Some(0), "{printed}");
    assert_eq!(text(&gateway, "deny.txt"), "# bans\n192.0.2.0/24 # old\n127.0.0.0/8 # scan # 7\n");
    let (printed, exit) = typed(&gateway, &["undeny", "127.0.0.1"]);
    assert!(printed.contains("127.0.0.1 does not stand in ") && printed.contains("; 127.0.0.0/8, which does, covers it"), "{printed}");
    assert_eq!(exit, Some(1));
    assert_eq!(json(&gateway, &["undeny", "127.0.0.0/8"])["removed"], json!(["127.0.0.0/8 # scan # 7"]));
    assert_eq!(text(&gateway, "deny.txt"), LISTS[0].1);
    assert_eq!(support::ask(&mut gateway.connect("public", "/").await, "hi").await, "hi");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_on_a_route_that_keeps_its_connections_is_told_of() {
    let config = config().replace("[route.a]\n", "[route.a]\non_reload = \"keep\"\n");
    let gateway = gateway(&config, &LISTS);
    let mut socket = gateway.connect("public", "/").await;
    let done = json(&gateway, &["deny", "127.0.0.0/8"]);
    let warning = "1 on route.a stay as they were let in (`on_reload = \"keep\"`), whoever they are: `wsgate kick --route a …` ends them";
    assert_eq!((&done["closed"], &done["warnings"]), (&json!(0), &json!([warning])), "{done}");
    assert_eq!(support::ask(&mut socket, "still here").await, "still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_ends_when_it_was_said_to() {
    let gateway = gateway(&config(), &LISTS);
    json(&gateway, &["deny", "127.0.0.1", "--for", "2s"]);
    assert_eq!(gateway.refusal(gateway.url("public", "/")).await.0, 403);
    let is_in = async { while support::connect(gateway.url("public", "/")).await.is_err() {} };
    support::in_time(is_in).await;
    assert!(text(&gateway, "deny.txt").contains("127.0.0.1 expires "), "nobody has touched the list");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_edit_of_the_config_neither_hinders_a_denial_nor_comes_in_force_with_it() {
    let gateway = gateway(&config(), &LISTS);
    let mut socket = gateway.connect("public", "/").await;
    save(&gateway, "[broken");
    assert_eq!(typed(&gateway, &["reload"]).1, Some(2));
    assert_eq!(json(&gateway, &["deny", "127.0.0.1"])["closed"], 1);
    assert_eq!(support::closed(&mut socket).await.0, 3003);
    assert_ne!(json(&gateway, &["status"])["refused"], json!(null), "the edit is as broken as before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_that_would_close_too_many_leaves_the_list_as_it_was() {
    let gateway = gateway(&config().replace("watch", "max_closed = \"50%\", watch"), &LISTS);
    let mut socket = gateway.connect("public", "/").await;
    let (printed, exit) = typed(&gateway, &["deny", "0.0.0.0/0"]);
    assert!(printed.contains("it would close 1 of 1 connections") && printed.contains("say it again with `--force`"), "{printed}");
    assert_eq!(exit, Some(1));
    assert_eq!(text(&gateway, "deny.txt"), LISTS[0].1);
    assert_eq!(support::ask(&mut socket, "still").await, "still");
    let mut new = gateway.connect("public", "/").await;
    assert_eq!(support::ask(&mut new, "new").await, "new");
    assert_eq!(json(&gateway, &["deny", "0.0.0.0/0", "--force"])["closed"], 2);
}

#[test]
fn a_list_that_is_not_plain_has_to_be_named() {
    let both = config().replace("[\"firewall.bans\"]", "[\"firewall.bans\", \"firewall.spare\"]");
    let several = gateway(&both, &LISTS);
    let (printed, exit) = typed(&several, &["deny", "192.0.2.7"]);
    assert!(printed.contains("there are several lists: ") && printed.contains("deny.txt (firewall.bans), "), "{printed}");
    assert!(printed.contains("name one with --firewall NAME or --file FILE") && exit == Some(1), "{printed}");
    for (named, list) in
        [(["--firewall", "spare"], "spare.txt"), (["--firewall", "firewall.bans"], "deny.txt"), (["--file", "spare.txt"], "spare.txt")]
    {
        let done = json(&several, &[&["deny", "192.0.2.7"][..], &named].concat());
        assert!(done["file"].as_str().unwrap().ends_with(list), "{done}");
    }
    assert!(typed(&several, &["deny", "192.0.2.7", "--file", "other.txt"]).0.contains("there is no such list; there are "));

    let none = gateway(&format!("{FRAME}[route.a]\nendpoint = \"echo\"\n"), &[]);
    let (printed, exit) = typed(&none, &["deny", "192.0.2.7"]);
    assert!(printed.contains("name it in one: deny_files = \"firewall.list\"") && exit == Some(1), "{printed}");
    assert!(typed(&none, &["revoke", "--jti", "a"]).0.contains("no revoked stage in force reads a list"));

    let reporting = gateway(&config().replace("[firewall.bans]\n", "[firewall.bans]\nmode = \"report\"\n"), &LISTS);
    assert!(
        typed(&reporting, &["deny", "127.0.0.1"])
            .0
            .ends_with("0 connections closed\nwarning: firewall.bans is in report mode: it refuses nobody\n")
    );
}

#[test]
fn what_cannot_be_denied_says_why() {
    let gateway = gateway(&config(), &LISTS);
    for (arguments, exit, said) in [
        (&["deny"][..], 2, "<CIDR>"),
        (&["deny", "10.0.0.1/8"], 2, "10.0.0.1/8 is 10.0.0.0/8"),
        (&["deny", "10.0.0.1", "--for", "soon"], 2, "is not a length of time"),
        (&["deny", "10.0.0.1", "--for", "1h", "--until", "2099-01-01T00:00:00Z"], 2, "cannot be used with"),
        (&["deny", "10.0.0.1", "--until", "2099-01-01"], 1, "has no time and no offset"),
        (&["deny", "10.0.0.1", "--until", "2001-01-01T00:00:00Z"], 1, "is over already"),
        (&["deny", "10.0.0.1", "--note", "one\ntwo"], 1, "cannot be one line of a list"),
        (&["undeny", "10.0.0.1"], 1, "10.0.0.1 does not stand in"),
        (&["revoke"], 2, "<--jti <JTI>|--sub <SUB>|--kid <KID>|--ip <CIDR>>"),
    ] {
        let (printed, code) = typed(&gateway, arguments);
        assert!(printed.contains(said) && code == Some(exit), "{arguments:?}: {printed}");
    }
    assert_eq!(text(&gateway, "deny.txt"), LISTS[0].1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_is_out_and_stands_in_the_list() {
    let jwt = format!("[jwt.users]\nalgorithms = [\"HS256\"]\nsecret = {{ env = \"NOBODY_SETS_THIS\", default = \"{SECRET}\" }}\n");
    let stages = format!("{jwt}[revoked.list]\nfiles = \"revoked.txt\"\n");
    let gateway = gateway(
        &format!("{FRAME}{stages}[route.a]\npipeline = [\"jwt.users\", \"revoked.list\"]\nendpoint = \"echo\"\n"),
        &[("revoked.txt", "jti:old")],
    );
    let user = async |name: &str, id: &str| {
        let token = token(&json!({ "sub": name, "jti": id, "exp": support::now() + 3600 }));
        support::connect(with_token(&gateway.url("public", "/"), &token)).await
    };
    let (mut alice, mut bob) = (user("alice", "a1").await.unwrap(), user("bob", "b1").await.unwrap());
    let done = json(&gateway, &["revoke", "--jti", "a1", "--until", "2099-01-31T18:00:00Z", "--note", "stolen"]);
    assert_eq!((&done["closed"], &done["added"]), (&json!(1), &json!("jti:a1 until 2099-01-31T18:00:00Z # stolen")));
    assert_eq!(support::closed(&mut alice).await, (3003, "revoked".to_owned()));
    assert!(user("alice", "a1").await.is_err() && user("alice", "a2").await.is_ok());
    assert_eq!(support::ask(&mut bob, "still").await, "still");
    assert_eq!(json(&gateway, &["revoke", "--sub", "bob"])["closed"], 1);
    assert_eq!(support::closed(&mut bob).await.0, 3003);
    let listed = "jti:old\njti:a1 until 2099-01-31T18:00:00Z # stolen\nsub:bob\n";
    assert_eq!(text(&gateway, "revoked.txt"), listed);
    for sooner in [["--jti", "a1"], ["--sub", "bob"]] {
        let done = json(&gateway, &[&["revoke", "--for", "2h"][..], &sooner].concat());
        assert!(done["added"].is_null() && done["warnings"][0].as_str().unwrap().contains("it is in force for longer"), "{done}");
    }
    assert_eq!(text(&gateway, "revoked.txt"), listed);
    for (arguments, said) in
        [(["revoke", "--sub", "Alice Smith"], "cannot be one line"), (["revoke", "--ip", "10.0.0.1/8"], "10.0.0.1/8 is 10.0.0.0/8")]
    {
        let (printed, exit) = typed(&gateway, &arguments);
        assert!(printed.contains(said) && exit == Some(1), "{printed}");
    }
}
