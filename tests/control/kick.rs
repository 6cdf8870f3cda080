//! `wsgate ps` and `wsgate kick`: who is on, and who has to go.

use serde_json::json;

use super::support::{self, Gateway, SECRET, Socket, backend, token, with_token};
use super::{FRAME, json, typed};

/// Alice and bob on a route that knows them, and somebody on one to a backend, as `ps` would call them.
struct Scene {
    gateway: Gateway,
    alice: Socket,
    bob: Socket,
    stranger: Socket,
    server: String,
}

async fn scene() -> Scene {
    let (backend, _requests) = backend::echo().await;
    let jwt = format!("[jwt.users]\nalgorithms = [\"HS256\"]\nsecret = {{ env = \"NOBODY_SETS_THIS\", default = \"{SECRET}\" }}\n");
    let server = format!("ws://{backend}");
    let gateway = Gateway::run(&format!(
        "{FRAME}{jwt}[route.users]\npipeline = [\"jwt.users\"]\nendpoint = \"echo\"\n[route.proxied]\npath = \"/p\"\nendpoint = \"{server}\"\n"
    ));
    let user = async |name: &str| {
        let token = token(&json!({ "sub": name, "exp": support::now() + 3600 }));
        support::connect(with_token(&gateway.url("public", "/"), &token)).await.unwrap()
    };
    let (alice, bob) = (user("alice").await, user("bob").await);
    let stranger = gateway.connect("public", "/p").await;
    Scene { alice, bob, stranger, server, gateway }
}

#[tokio::test(flavor = "multi_thread")]
async fn ps_lists_connections_the_oldest_first_and_counts_them() {
    let mut scene = scene().await;
    support::ask(&mut scene.alice, "hello").await;
    let all = json(&scene.gateway, &["ps"]);
    let told = |key: &str| all.as_array().unwrap().iter().map(|one| one[key].clone()).collect::<Vec<_>>();
    assert_eq!(told("user"), [json!("alice"), json!("bob"), json!(null)]);
    assert_eq!(told("route"), ["users", "users", "proxied"]);
    assert_eq!(told("server"), [json!(null), json!(null), json!(scene.server)]);
    assert_eq!((told("client_messages"), told("client_bytes")), (vec![json!(1), json!(0), json!(0)], vec![json!(5), json!(0), json!(0)]));
    let (printed, _) = typed(&scene.gateway, &["ps", "--user", "alice"]);
    let is_whole = printed.contains("  127.0.0.1  alice  ") && printed.ends_with("  -       1 / 5B       1 / 5B        1\n");
    assert!(printed.starts_with("ID ") && is_whole, "{printed}");
    let ends = told("expires_in");
    assert!(ends[0].as_f64().is_some_and(|left| left > 3000.0 && left <= 3600.0) && ends[2].is_null(), "{ends:?}");
    let id = all[1]["id"].as_str().unwrap();
    for (arguments, shown) in [
        (&["ps", "--ip", "127.0.0.0/8"][..], 3),
        (&["ps", "--ip", "192.0.2.1"], 0),
        (&["ps", "--route", "users"], 2),
        (&["ps", "--route", "route.users", "--user", "bob"], 1),
        (&["ps", "--server", &scene.server], 1),
        (&["ps", "--id", id], 1),
        (&["ps", "--limit", "2"], 2),
    ] {
        assert_eq!(json(&scene.gateway, arguments).as_array().unwrap().len(), shown, "{arguments:?}");
    }
    let top = json!([{ "value": "users", "connections": 2 }, { "value": "proxied", "connections": 1 }]);
    assert_eq!(json(&scene.gateway, &["ps", "--top", "route"]), top);
    assert_eq!(typed(&scene.gateway, &["ps", "--top", "ip"]).0, "      3  127.0.0.1\n");
    assert_eq!(typed(&scene.gateway, &["ps", "--top", "user", "--limit", "1"]).0, "      1  -\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_selector_ends_those_it_names_and_nobody_else() {
    for (by, ended) in [("id", 1), ("ip", 3), ("user", 1), ("route", 2), ("server", 1), ("all", 3), ("user and route", 1)] {
        let mut scene = scene().await;
        let id = json(&scene.gateway, &["ps", "--user", "alice"])[0]["id"].as_str().unwrap().to_owned();
        let selector: &[&str] = match by {
            "id" => &["--id", &id],
            "ip" => &["--ip", "127.0.0.1"],
            "user" => &["--user", "alice"],
            "route" => &["--route", "users"],
            "server" => &["--server", &scene.server],
            "all" => &["--all"],
            _ => &["--route", "users", "--user", "alice"],
        };
        let kick = |more: &[&str]| json(&scene.gateway, &[&["kick"], selector, more].concat());
        assert_eq!(kick(&["--dry-run"]), json!({ "connections": ended, "dry_run": true }), "{by}");
        for socket in [&mut scene.alice, &mut scene.bob, &mut scene.stranger] {
            assert_eq!(support::ask(socket, "still").await, "still", "{by}");
        }
        assert_eq!(kick(&[]), json!({ "connections": ended, "dry_run": false }), "{by}");
        let (alice, bob, stranger) = match by {
            "ip" | "all" => (true, true, true),
            "route" => (true, true, false),
            "server" => (false, false, true),
            _ => (true, false, false),
        };
        for (socket, is_ended) in [(&mut scene.alice, alice), (&mut scene.bob, bob), (&mut scene.stranger, stranger)] {
            if is_ended {
                assert_eq!(support::closed(socket).await, (3003, "disconnected by an operator".to_owned()), "{by}");
            } else {
                assert_eq!(support::ask(socket, "stays").await, "stays", "{by}");
            }
        }
        let command = scene.gateway.event("command");
        let whom = match by {
            "all" => "all".to_owned(),
            "user and route" => "user alice, route users".to_owned(),
            one => format!("{one} {}", selector[1]),
        };
        let s = if ended == 1 { "" } else { "s" };
        assert_eq!((&command["verb"], &command["what"]), (&json!("kick"), &json!(format!("{ended} connection{s}: {whom}"))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kick_says_what_it_is_told_to_and_is_logged_as_one() {
    let mut scene = scene().await;
    let (printed, exit) = typed(&scene.gateway, &["kick", "--user", "bob", "--code", "4007", "--reason", "maintenance"]);
    assert_eq!((printed.as_str(), exit), ("ended 1 connection\n", Some(0)));
    assert_eq!(support::closed(&mut scene.bob).await, (4007, "maintenance".to_owned()));
    drop(scene.bob);
    let close = scene.gateway.event("close");
    assert_eq!((&close["outcome"], &close["code"], &close["user"]), (&json!("kicked"), &json!(4007), &json!("bob")));
    assert!(close["rule"].as_str().unwrap().starts_with("wsgate kick by uid "), "{close}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kick_that_cannot_be_meant_ends_nobody() {
    let mut scene = scene().await;
    let long = "x".repeat(124);
    for (arguments, exit, said) in [
        (&["kick"][..], 2, "<--id <ID>|--ip <CIDR>|--user <USER>|--route <NAME>|--server <URL>|--all>"),
        (&["kick", "--all", "--user", "alice"], 2, "cannot be used with"),
        (&["kick", "--ip", "127.0.0.1/8"], 2, "127.0.0.1/8 is 127.0.0.0/8"),
        (&["kick", "--id", "alice"], 1, "\"alice\" is no connection"),
        (&["kick", "--route", "user"], 1, "there is no route.user, and nobody is on one; did you mean users?"),
        (&["ps", "--route", "user"], 1, "did you mean users?"),
        (&["kick", "--all", "--code", "1005"], 1, "1005 is no code that a Close frame of a server may carry"),
        (&["kick", "--all", "--reason", &long], 1, "the reason has 124 bytes; a Close frame carries 123"),
    ] {
        let (printed, code) = typed(&scene.gateway, arguments);
        assert!(printed.contains(said) && code == Some(exit), "{arguments:?}: {printed}");
    }
    for socket in [&mut scene.alice, &mut scene.bob, &mut scene.stranger] {
        assert_eq!(support::ask(socket, "still").await, "still");
    }
}
