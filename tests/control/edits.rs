//! `wsgate plan` and `wsgate reload`: what the one foretells is what the other does.

use serde_json::{Value, json};

use super::support::{self, Gateway};
use super::{FRAME, json, save, typed};

/// Two routes, one behind a firewall, and what an edit makes of them.
fn config(denied: &str, a: &str, b: &str) -> String {
    let firewall = format!("[firewall.f]\ndeny = [\"{denied}\"]\n");
    format!(
        "{FRAME}{firewall}[route.a]\npipeline = [\"firewall.f\"]\n{a}endpoint = \"echo\"\n[route.b]\npath = \"/b\"\n{b}endpoint = \"echo\"\n"
    )
}

/// An edit, and of each of the two routes: what became of it, why, and how many of its two connections are kept, judged again, closed.
type Row = (&'static str, String, [(&'static str, &'static [&'static str], [usize; 3]); 2]);

fn rows() -> Vec<Row> {
    let (nobody, both) = ("192.0.2.0/24", "[listener.other]\naddress = \"127.0.0.1:0\"\n");
    vec![
        ("nothing", config(nobody, "", ""), [("unchanged", &[], [2, 0, 0]), ("unchanged", &[], [2, 0, 0])]),
        (
            "a clock of one route",
            config(nobody, "", "idle = \"1h\"\n"),
            [("unchanged", &[], [2, 0, 0]), ("changed", &["route.b"], [0, 2, 0])],
        ),
        ("who is denied", config("127.0.0.0/8", "", ""), [("changed", &["firewall.f"], [0, 0, 2]), ("unchanged", &[], [2, 0, 0])]),
        (
            "who is denied, and a clock",
            config("198.51.100.0/24", "idle = \"1h\"\n", ""),
            [("changed", &["firewall.f", "route.a"], [0, 2, 0]), ("unchanged", &[], [2, 0, 0])],
        ),
        (
            "a listener's limit",
            config(nobody, "", "").replace("127.0.0.1:0\"\n", "127.0.0.1:0\"\nmax_headers = 50\n"),
            [("changed", &["listener.public"], [0, 2, 0]), ("changed", &["listener.public"], [0, 2, 0])],
        ),
        (
            "a stage that is new to a route, and one that leaves another",
            config(nobody, "", "pipeline = [\"errors\"]\n").replace("[\"firewall.f\"]", "[]"),
            [("changed", &["firewall.f"], [0, 2, 0]), ("changed", &["errors"], [0, 2, 0])],
        ),
        (
            "what answers",
            config(nobody, "", "")
                .replace("path = \"/b\"\nendpoint = \"echo\"", "path = \"/b\"\nendpoint = \"echo.e\"\n[echo.e]\nprefix = \"> \""),
            [("unchanged", &[], [2, 0, 0]), ("changed", &["echo", "echo.e"], [0, 2, 0])],
        ),
        (
            "a route that keeps",
            config(nobody, "", "on_reload = \"keep\"\n"),
            [("unchanged", &[], [2, 0, 0]), ("changed", &["route.b"], [2, 0, 0])],
        ),
        (
            "a route that drains",
            config(nobody, "on_reload = \"drain\"\n", ""),
            [("changed", &["route.a"], [0, 0, 2]), ("unchanged", &[], [2, 0, 0])],
        ),
        (
            "a path that goes elsewhere",
            config(nobody, "", "").replace("path = \"/b\"", "path = \"/c\""),
            [("unchanged", &[], [2, 0, 0]), ("changed", &["route.b"], [0, 0, 2])],
        ),
        (
            "a listener beside",
            config(nobody, "listener = \"public\"\n", "listener = [\"public\", \"other\"]\n") + both,
            [("changed", &["route.a"], [2, 0, 0]), ("changed", &["route.b"], [2, 0, 0])],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_a_reload_does() {
    for (what, after, routes) in rows() {
        let before = config("192.0.2.0/24", "", "");
        let mut gateway = Gateway::run(&before);
        let mut sockets = Vec::new();
        for path in ["/", "/", "/b", "/b"] {
            sockets.push(gateway.connect("public", path).await);
            // It is counted from here on.
            gateway.event("open");
        }
        std::fs::write(gateway.folder.path().join("next.toml"), support::logged(&after)).unwrap();
        let planned = json(&gateway, &["plan", "next.toml"]);
        assert_eq!(json(&gateway, &["status"])["generation"], 1, "{what}: a plan is a plan");
        for socket in &mut sockets {
            assert_eq!(support::ask(socket, "still").await, "still", "{what}");
        }
        let exit = typed(&gateway, &["plan", "next.toml"]).1;
        assert_eq!(exit, Some(if planned["changes"] == true { 3 } else { 0 }), "{what}");
        save(&gateway, &after);
        let saved = json(&gateway, &["plan"]);
        assert_eq!(without_places(saved.clone()), without_places(planned), "{what}: saved, it is the same plan");

        let done = json(&gateway, &["reload"]);
        assert_eq!(saved["generation"], Value::Null);
        assert_eq!(with_generation(saved, &done["generation"]), done, "{what}");
        for (route, (fate, because, [kept, judged_again, closed])) in done["routes"].as_array().unwrap().iter().zip(routes) {
            let ended = route["closed"].as_array().unwrap().iter().map(|closed| closed["connections"].as_u64().unwrap()).sum::<u64>();
            let came = (&route["fate"], &route["because"], &route["kept"], &route["judged_again"], ended);
            assert_eq!(came, (&json!(fate), &json!(because), &json!(kept), &json!(judged_again), closed as u64), "{what}: {route}");
        }
    }
}

/// Two files that say the same are warned of at places of their own.
fn without_places(mut outcome: Value) -> Value {
    outcome["warnings"] = outcome["warnings"].as_array().unwrap().len().into();
    outcome
}

fn with_generation(mut outcome: Value, generation: &Value) -> Value {
    outcome["generation"] = generation.clone();
    outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_prints_each_route_with_what_would_close_whom() {
    let gateway = Gateway::run(&config("192.0.2.0/24", "", ""));
    let _sockets = [gateway.connect("public", "/").await, gateway.connect("public", "/b").await];
    save(&gateway, &config("127.0.0.0/8", "", ""));
    let told = "changed: firewall.f, route.a\n\
                route.a: changed (firewall.f): 1 closed\n    1 ip_denied: firewall.f deny[0] 127.0.0.0/8\n\
                route.b: unchanged: 1 kept\n\
                2 connections: 1 kept, 0 judged again and kept, 1 closed\n";
    assert_eq!(typed(&gateway, &["plan"]), (told.to_owned(), Some(3)));
    assert_eq!(typed(&gateway, &["reload"]), (format!("generation 2 is in force\n{told}"), Some(0)));
}

#[test]
fn a_copy_of_the_file_would_change_nothing() {
    let text = config("192.0.2.0/24", "", "").replacen("[gateway]\n", "[gateway]\ncontrol = \"own.sock\"\n", 1);
    let gateway = Gateway::run(&text);
    std::fs::copy(gateway.folder.path().join("gateway.toml"), gateway.folder.path().join("copy.toml")).unwrap();
    let (printed, exit) = typed(&gateway, &["plan", "copy.toml"]);
    assert!(printed.contains("nothing would change") && exit == Some(0), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_broken_file_has_its_faults_and_leaves_what_is_spent_alone() {
    let limit = |burst: u32| {
        let limit = format!("[rate_limit.l]\nkey = \"ip\"\nconnect = {{ rate = \"1/h\", burst = {burst} }}\n");
        format!("{FRAME}{limit}[route.a]\npipeline = [\"rate_limit.l\"]\nendpoint = \"echo\"\n")
    };
    let gateway = Gateway::run(&limit(1));
    let _socket = gateway.connect("public", "/").await;
    let write = |name: &str, text: &str| std::fs::write(gateway.folder.path().join(name), text).unwrap();
    write("broken.toml", &limit(1).replace("\"echo\"", "\"echoo\""));
    write("wider.toml", &limit(9));
    let (printed, exit) = typed(&gateway, &["plan", "broken.toml"]);
    assert!(printed.contains("did you mean \"echo\"?") && printed.ends_with("1 fault\n") && exit == Some(2), "{printed}");
    let (printed, exit) = typed(&gateway, &["plan", "--json", "broken.toml"]);
    let told: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&told["faults"][0]["key"], exit), (&json!("route.a.endpoint"), Some(2)), "{printed}");
    let (printed, exit) = typed(&gateway, &["plan", "nowhere.toml"]);
    assert!(printed.contains("cannot read the file") && exit == Some(2), "{printed}");
    assert_eq!(typed(&gateway, &["plan", "wider.toml"]).1, Some(3));
    assert_eq!(gateway.refusal(gateway.url("public", "/")).await.0, 429, "the one that may come has come");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_close_too_many_is_planned_so_and_can_be_forced() {
    let config = |denied: &str| config(denied, "", "").replace("watch", "max_closed = \"20%\", watch");
    let gateway = Gateway::run(&config("192.0.2.0/24"));
    let mut socket = gateway.connect("public", "/").await;
    save(&gateway, &config("127.0.0.0/8"));
    let (printed, exit) = typed(&gateway, &["plan"]);
    assert!(
        printed.contains("\nit would be refused: it would close 1 of 1 connections, more than the 20%") && exit == Some(3),
        "{printed}"
    );
    let (printed, exit) = typed(&gateway, &["reload"]);
    assert!(printed.starts_with("wsgate: it would close 1 of 1") && printed.contains("reload --force") && exit == Some(1), "{printed}");
    assert_eq!(support::ask(&mut socket, "still").await, "still");
    let refused = json(&gateway, &["status"])["refused"]["faults"].as_str().unwrap().to_owned();
    assert!(refused.starts_with("it would close 1 of 1") && refused.contains("1 of route.a: ip_denied firewall.f"), "{refused}");
    assert_eq!(json(&gateway, &["reload", "--force"])["closed"], 1);
    assert_eq!(json(&gateway, &["status"])["refused"], json!(null));
    assert_eq!(support::closed(&mut socket).await.0, 3003);
}
