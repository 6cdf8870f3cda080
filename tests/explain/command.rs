//! What `wsgate explain` prints for people, and its exit codes.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::support::SECRET;
use super::{explain, explained};

const CONFIG: &str = r#"
[listener.public]
address  = "127.0.0.1:8765"
pipeline = ["firewall.door"]

[firewall.door]
deny       = [{ cidr = "198.51.100.0/24", mode = "report", note = "on trial" }, "203.0.113.0/24"]
deny_files = "lists/denied.txt"

[jwt.services]
algorithms = "HS256"
secret     = { env = "NOBODY_SETS_THIS", default = "SECRET" }
audience   = "services"

[jwt.browsers]
algorithms = "HS256"
secret     = { env = "NOBODY_SETS_THIS", default = "SECRET" }
sources    = ["query:access_token", "first_message"]

[rate_limit.slow]
key       = "connection"
bytes     = { rate = "10B/s", burst = "1B" }
on_excess = "delay"

[rate_limit.few]
key       = "connection"
messages  = { rate = "1/h", burst = 1 }
on_excess = "drop"

[upstream.chat]
servers = ["ws://127.0.0.1:9001", "ws://127.0.0.1:9002"]

[route.chat]
path     = "/chat/*"
pipeline = [["jwt.services", "jwt.browsers"], "rate_limit.slow"]
endpoint = "upstream.chat"

[route.lobby]
host     = "chat.example.com"
path     = "/chat/lobby"
endpoint = "echo"

[route.room]
path     = "/chat/{room}"
pipeline = ["rate_limit.few"]
endpoint = "echo"

[test.stranger]
connect = { path = "/chat/blue", ip = "203.0.113.9" }
expect  = "ip_denied"
"#;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("lists")).unwrap();
    fs::write(folder.path().join("lists/denied.txt"), "192.0.2.0/28\n192.0.2.99 # spam\n").unwrap();
    fs::write(folder.path().join("gateway.toml"), CONFIG.replace("SECRET", SECRET)).unwrap();
    folder
}

/// Asserts what is printed, line by line; a line ends where its expectation does not go on.
fn prints(folder: &Path, arguments: &[&str], lines: &[&str]) {
    let (printed, code) = explain(folder, arguments);
    assert_eq!(code, Some(0), "{printed}");
    assert_eq!(printed.lines().map(str::trim_end).collect::<Vec<_>>(), lines, "{arguments:?}: {printed}");
}

#[test]
fn a_request_is_told_with_its_route_its_stages_and_what_comes_of_it() {
    let folder = folder();
    prints(
        folder.path(),
        &["--path", "/%63hat/lobby?a=b", "--host", "Chat.Example.com", "--message", "hello"],
        &[
            "request   ws://Chat.Example.com/%63hat/lobby?a=…, read as /chat/lobby",
            "          from 127.0.0.1, to listener.public",
            "route     route.lobby, host chat.example.com, path /chat/lobby  gateway.toml:38",
            "          before route.room, host *, path /chat/{room}: an exact host goes before any host",
            "          before route.chat, host *, path /chat/*: an exact host goes before any host",
            "stages    listener.public",
            "            firewall.door  passes",
            "endpoint  echo, the gateway itself",
            "messages  \"hello\" passes",
            "            the client reads \"hello\"",
            "outcome   open",
        ],
    );
    prints(
        folder.path(),
        &["--path", "/chat/blue", "--ip", "192.0.2.99"],
        &[
            "request   ws://127.0.0.1:8765/chat/blue",
            "          from 192.0.2.99, to listener.public",
            "route     route.room, host *, path /chat/{room}  gateway.toml:43",
            "          before route.chat, host *, path /chat/*: an exact path goes before a prefix",
            "stages    listener.public",
            "            firewall.door   refuses it: ip_denied",
            "                            deny_files[0] lists/denied.txt:2",
            "          route.room",
            "            rate_limit.few  not reached",
            "outcome   ip_denied by firewall.door: a firewall denies the client's address",
            "          the client is answered 403, and reads",
            "            403 forbidden (ip_denied)",
        ],
    );
}

#[test]
fn each_way_to_authenticate_is_told_and_where_the_token_stands() {
    let folder = folder();
    prints(
        folder.path(),
        &["--path", "/chat/a/b", "--ip", "198.51.100.7", "--claims", r#"{"sub":"alice"}"#, "--stage", "jwt.browsers"],
        &[
            "request   ws://127.0.0.1:8765/chat/a/b",
            "          from 198.51.100.7, to listener.public",
            "          its token in the query, as access_token, where jwt.browsers looks first",
            "route     route.chat, host *, path /chat/*  gateway.toml:33",
            "stages    listener.public",
            "            firewall.door    would refuse it, and only reports: ip_denied",
            "                             deny[0] 198.51.100.0/24 (on trial)  gateway.toml:7",
            "          route.chat",
            "            any of",
            "              jwt.services   finds no credential",
            "              jwt.browsers   passes, it is alice",
            "            rate_limit.slow  passes",
            "endpoint  upstream.chat, not dialled: ws://127.0.0.1:9001, ws://127.0.0.1:9002",
            "outcome   open, if a server takes it",
        ],
    );
    prints(
        folder.path(),
        &["--path", "/chat/a/b", "--claims", r#"{"sub":"alice"}"#],
        &[
            "request   ws://127.0.0.1:8765/chat/a/b",
            "          from 127.0.0.1, to listener.public",
            "          its token in the header Authorization, where jwt.services looks first",
            "route     route.chat, host *, path /chat/*  gateway.toml:33",
            "stages    listener.public",
            "            firewall.door    passes",
            "          route.chat",
            "            any of",
            "              jwt.services   refuses it: token_invalid",
            "                             aud is missing  gateway.toml:13",
            "              jwt.browsers   not reached",
            "            rate_limit.slow  not reached",
            "endpoint  upstream.chat, not reached",
            "outcome   token_invalid by jwt.services: the token is malformed, wrongly signed, or a claim does not hold; or there is no such API key",
            "          the client is answered 401, and reads",
            "            401 Invalid token (token_invalid)",
        ],
    );
    let (printed, _) = explain(folder.path(), &["--path", "/chat/a/b"]);
    for line in [
        "              jwt.browsers   waits for a first message",
        "outcome   auth_timeout by jwt.browsers: the first message with the credential did not arrive in time",
        "          the client is closed with 3008 \"Authentication timed out\"",
    ] {
        assert!(printed.contains(&format!("{line}\n")), "{printed}");
    }
}

#[test]
fn messages_that_are_held_or_left_out_are_told() {
    let folder = folder();
    let claims = r#"{"aud":"services"}"#;
    let slow = ["--path", "/chat/a/b", "--claims", claims, "--message", "0123456789", "--message", "next"];
    let (printed, _) = explain(folder.path(), &slow);
    assert!(
        printed.contains("\"0123456789\" passes\n          \"next\" passes later\n            rate_limit.slow holds it for "),
        "{printed}"
    );
    let (printed, _) = explain(folder.path(), &["--path", "/chat/blue", "--message", "one", "--message", "two"]);
    assert!(printed.contains("\"two\" is left out\n            rate_limit.few leaves it out\noutcome   open\n"), "{printed}");
    let long = "x".repeat(100);
    let (printed, _) = explain(folder.path(), &["--path", "/chat/blue", "--message", &long]);
    assert!(printed.contains(&format!("\"{}… (100 bytes)\" passes", "x".repeat(60))), "{printed}");
}

#[test]
fn what_leads_nowhere_says_what_there_is() {
    let folder = folder();
    let (printed, code) = explain(folder.path(), &["--path", "/nowhere"]);
    assert_eq!(code, Some(0));
    for line in [
        "route     none of listener.public covers it",
        "          not route.chat, host *, path /chat/*",
        "            firewall.door  lets the address pass",
    ] {
        assert!(printed.contains(&format!("{line}\n")), "{printed}");
    }
    let (printed, _) = explain(folder.path(), &["--path", "/chat//x"]);
    assert!(
        printed.contains("route     none is looked for") && printed.contains("\n          an empty segment in the path\n"),
        "{printed}"
    );
    fs::write(folder.path().join("renews.toml"), CONFIG.replace("SECRET", SECRET) + "[jwt.browsers.renew]\nticket = true\n").unwrap();
    let renews = ["--config", "renews.toml", "--path", "/.well-known/wsgate/renew"];
    let (printed, _) = explain(folder.path(), &renews);
    assert!(
        printed.contains("route     none is looked for: listener.public takes this path itself, for renewals by tickets\n")
            && printed.contains("outcome   method_not_allowed"),
        "{printed}"
    );
    let (printed, _) = explain(folder.path(), &["--path", "/chat/blue", "--token", "x"]);
    assert!(printed.contains("its token in the header Authorization, where nothing on the way looks for one\n"), "{printed}");
}

#[test]
fn a_test_s_request_is_told_by_its_name_and_all_of_it_to_programs() {
    let folder = folder();
    let told = explained(folder.path(), &["--test", "stranger"]);
    let refused = json!({
        "id": "ip_denied", "stage": "firewall.door", "rule": "deny[1] 203.0.113.0/24", "place": "gateway.toml:7",
        "status": 403, "code": null, "told": "403 forbidden (ip_denied)\n", "notice": null,
    });
    assert_eq!(told["outcome"], refused);
    assert_eq!(told["stages"][0]["verdict"], "refuse");
    assert_eq!((&told["stages"][1]["stage"], &told["stages"][1]["verdict"]), (&json!("rate_limit.few"), &json!("not_reached")));
    assert_eq!(told["route"]["before"][0]["because"], "an exact path goes before a prefix");
    assert_eq!(told["request"]["path"], "/chat/blue");
}

#[test]
fn what_cannot_be_asked_is_told_with_exit_code_2() {
    let folder = folder();
    let two = CONFIG.replace("SECRET", SECRET)
        + "[listener.other]\naddress = \"127.0.0.1:8766\"\n[gateway.route]\nlistener = [\"public\", \"other\"]\n";
    fs::write(folder.path().join("two.toml"), two).unwrap();
    fs::write(folder.path().join("faulty.toml"), "[listener.public]\nadress = \"127.0.0.1:8765\"\n").unwrap();
    for (arguments, said) in [
        (&["--path", "chat"][..], "a path begins with a slash: /chat"),
        (&["--path", "/a\nb"], "control character"),
        (&["--ip", "10.0.0.0/8"], "invalid value '10.0.0.0/8' for '--ip <ADDRESS>'"),
        (&["--header", "X Y: z"], "\"X Y\" is not the name of a header"),
        (&["--claims", "[]"], "it is no JSON object"),
        (&["--claims", "{}", "--token", "x"], "cannot be used with"),
        (&["--test", "stranger", "--path", "/"], "cannot be used with"),
        (&["--test", "strangr"], "gateway.toml has no [test.strangr]; did you mean --test stranger?"),
        (&["--listener", "publik"], "there is no [listener.publik]; say --listener NAME"),
        (&["--config", "two.toml", "--path", "/chat"], "each of listener.other, listener.public has a route for it; say --listener NAME"),
        (&["--config", "faulty.toml"], "did you mean `address`?"),
        (&["--config", "none.toml"], "there is no file none.toml"),
    ] {
        let (printed, code) = explain(folder.path(), arguments);
        assert!(code == Some(2) && printed.contains(said), "{arguments:?}: {code:?} {printed}");
    }
}
