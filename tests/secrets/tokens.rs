//! Tokens of every source and secrets of every kind, good and bad, and every command beside them.

use std::fmt::Write;
use std::fs;

use futures_util::SinkExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::support::{self, Gateway, backend, logged, now, request, token};
use super::{FRAME, OF_A_VARIABLE, Run, leave};

const KEY: &str = include_str!("../keys/tls.key");
const CERT: &str = include_str!("../keys/tls.pem");

/// Secrets as files hold them: in the file itself, in another, in a variable, and what TLS has.
const OF_THE_FILE: [&str; 3] = ["literal-secret-for-tests-0123456789abcdef", "secret-in-a-file-for-tests-0123456789abcdef", OF_A_VARIABLE];

fn config(server: &str) -> String {
    let [literal, _, _] = OF_THE_FILE;
    format!(
        r#"
{FRAME}[listener.tls]
address = "127.0.0.1:0"
tls = {{ cert = "tls.pem", key = "tls.key" }}
[origin.pages]
allow = "same-origin"
[jwt.users]
algorithms = "HS256"
secret = ["{SECRET}", "{literal}", {{ file = "secret.txt" }}, {{ env = "WSGATE_TEST_SECRET" }}]
sources = ["header", "query:token", "cookie:session", "subprotocol:bearer", "first_message"]
first_message = {{ field = "token", forward = true }}
[rate_limit.some]
key = "user"
messages = "1000/s"
[revoked.gone]
files = "revoked.txt"
[gateway.route]
listener = ["public", "tls"]
pipeline = ["origin.pages", "jwt.users", "revoked.gone", "rate_limit.some", "errors"]
[route.own]
path = "/own"
endpoint = "authenticated"
[route.chat]
path = "/chat"
http = true
forward_claims = {{ "x-user" = "sub" }}
endpoint = "ws://{server}"
[route.down]
path = "/down"
endpoint = "ws://127.0.0.1:9"
"#,
        SECRET = support::SECRET,
    )
}

impl Run {
    /// Uses a credential at each place it may stand, on every route.
    async fn use_everywhere(&mut self, gateway: &Gateway, credential: &str) {
        self.used.push(credential.to_owned());
        let (bearer, cookie, offer) =
            (format!("Bearer {credential}"), format!("a=b; session={credential}"), format!("bearer, {credential}"));
        for path in ["/own", "/chat", "/down", "/nowhere"] {
            let query = format!("{path}?a=1&token={credential}");
            for (path, headers) in [
                (path, vec![("authorization", &*bearer)]),
                (&query, vec![]),
                (path, vec![("cookie", &*cookie)]),
                (path, vec![("sec-websocket-protocol", &*offer)]),
            ] {
                match support::in_time(tokio_tungstenite::connect_async(request(&gateway.url("public", path), &headers))).await {
                    Ok((socket, _)) => leave(socket).await,
                    Err(Error::Http(response)) => {
                        let headers = format!("{:?}", response.headers());
                        let body = response.body().as_ref().map(|body| String::from_utf8_lossy(body).into_owned());
                        writeln!(self.written, "{headers}\n{}", body.unwrap_or_default()).unwrap();
                    }
                    Err(error) => panic!("{path}: {error}"),
                }
            }
        }
        for path in ["/own", "/chat"] {
            let mut socket = gateway.connect("public", path).await;
            _ = socket.send(Message::text(format!("{{\"token\":\"{credential}\"}}"))).await;
            leave(socket).await;
        }
    }
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("tls.pem", CERT), ("tls.key", KEY), ("secret.txt", OF_THE_FILE[1]), ("revoked.txt", "")] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// A fault in every table that holds a secret, on the line of it or beside it.
fn ruined(config: &str) -> String {
    config.replace("secret = [", "secret = [3, ").replace("tls.key\" }", "tls.pem\", keys = 1 }").replace("[metrics.page]", "[metrics.page")
}

/// Asks every command there is, as one would with this credential at hand.
fn every_command(run: &mut Run, gateway: &Gateway, url: &str, credential: &str) {
    let query = format!("/own?token={credential}");
    for arguments in [
        &["check"][..],
        &["check", "--strict"],
        &["show"],
        &["show", "--live"],
        &["show", "--live", "--json"],
        &["status"],
        &["status", "--json"],
        &["ps"],
        &["ps", "--json"],
        &["events"],
        &["plan"],
        &["reload"],
        &["rollback"],
        &["errors"],
        &["schema"],
        &["explain", "--path", "/own", "--token", credential],
        &["explain", "--path", "/own", "--token", credential, "--json"],
        &["explain", "--path", &query],
        &["explain", "--path", "/own", "--header", &format!("Cookie: session={credential}")],
        &["connect", url, "--token", credential],
        &["connect", url, "--token", "not-a-token-at-all"],
        &["connect", &format!("{url}?token=not-a-token-at-all")],
        &["revoke", "--sub", "dave", "--for", "1h"],
        &["kick", "--user", "alice"],
        &["deny", "192.0.2.0/24", "--for", "1h"],
    ] {
        run.typed(gateway, arguments);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_and_no_secret_of_the_file_is_written_by_a_gateway_or_a_command() {
    let (server, _requests) = backend::echo().await;
    let config = config(&server.to_string());
    let line = format!("WSGATE_TEST_SECRET={} wsgate run", OF_THE_FILE[2]);
    let mut gateway = Gateway::run_as(&line, folder(), &config);
    let mut run = Run::default();
    let claims = |sub: &str, exp: u64| token(&json!({ "sub": sub, "exp": exp }));
    let (good, other) = (claims("alice", now() + 600), claims("bob", now() + 600));
    for credential in [&*good, &claims("late", now() - 3600), "not-a-token-at-all", &format!("{other}x")] {
        run.use_everywhere(&gateway, credential).await;
    }
    // Somebody is on while commands are typed.
    let _on = support::connect(support::with_token(&gateway.url("public", "/chat"), &good)).await.unwrap();
    gateway.event_where("open", |event| event["route"] == "chat" && event["user"] == "alice");
    let url = gateway.url("public", "/own");
    run.typed(&gateway, &["token", "--stage", "jwt.users", "--sub", "carol"]);
    // What a command is asked to print is printed, and used; that is no leak.
    let minted = std::mem::take(&mut run.written).lines().find(|line| line.starts_with("ey")).unwrap().to_owned();
    run.use_everywhere(&gateway, &minted).await;
    every_command(&mut run, &gateway, &url, &good);
    for file in [ruined(&config), config.replace("secret.txt", "gone.txt"), config.clone()] {
        fs::write(gateway.folder.path().join("gateway.toml"), logged(&file)).unwrap();
        for arguments in [&["check"][..], &["plan"], &["reload"], &["show"], &["explain", "--path", "/own"]] {
            run.typed(&gateway, arguments);
        }
    }
    run.scrapes(&gateway).await;
    gateway.signal("TERM");
    assert!(gateway.wait().success());
    let key = KEY.lines().filter(|line| !line.starts_with("-----"));
    let secrets: Vec<&str> = OF_THE_FILE.into_iter().chain([support::SECRET]).chain(key).collect();
    let signs = ["token_invalid", "token_expired", "user=alice", "upstream_refused", "subprotocol=bearer", "********", "reload_refused"];
    run.search(&mut gateway, &signs, &secrets);
}
