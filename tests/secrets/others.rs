//! What proves something besides tokens: API keys, tickets, tokens that renew, and what an outside service is asked with.

use std::fs;

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::support::provider::{Provider, Says};
use super::support::{self, Gateway, Socket, command, logged, now, raw, request, token};
use super::{FRAME, Run, leave};

/// In the URLs of services.
const OF_A_URL: [&str; 2] = ["secret-in-the-query-of-a-key-set", "secret-in-the-query-of-a-service"];
const TICKET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

fn config(service: &Provider) -> String {
    let [set, decides] = OF_A_URL;
    format!(
        r#"
{FRAME}[api_key.bots]
files = "keys.txt"
sources = ["header:X-API-Key", "query:key"]
[jwt.users]
algorithms = "HS256"
secret = "{SECRET}"
sources = ["header", "first_message"]
warn = {{ before = "1h", message = "soon" }}
renew.message = {{ match = {{ type = "auth" }}, field = "token", reply = "renewed", refused = "refused" }}
renew.ticket = true
[jwt.others]
jwks = "{keys}?key={set}"
[forward_auth.door]
url = "{check}?key={decides}"
send = ["Authorization", "Cookie"]
receive = "X-User"
user = "X-User"
[route.bots]
path = "/bots"
pipeline = ["api_key.bots"]
endpoint = "echo"
[route.users]
path = "/users"
pipeline = ["jwt.users"]
endpoint = "echo"
[route.others]
path = "/others"
pipeline = ["jwt.others"]
endpoint = "echo"
[route.asked]
path = "/asked"
pipeline = ["forward_auth.door"]
endpoint = "echo"
"#,
        SECRET = support::SECRET,
        keys = service.url("/keys"),
        check = service.url("/check"),
    )
}

/// A key that the command makes, and the line that stands for it; what the command prints is asked of it.
fn made(folder: &std::path::Path, arguments: &[&str]) -> (String, String) {
    let output = command(folder).args(["key", "new", "--json"]).args(arguments).output().unwrap();
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |key: &str| made[key].as_str().unwrap().to_owned();
    (text("key"), text("line"))
}

impl Run {
    /// Connects with this; where it is let in, says these, one after the other, and gives how often it was answered.
    async fn comes(&mut self, gateway: &Gateway, path: &str, headers: &[(&'static str, &str)], says: &[String]) -> usize {
        match support::in_time(tokio_tungstenite::connect_async(request(&gateway.url("public", path), headers))).await {
            Ok((mut socket, _)) => {
                let mut answers = 0;
                for text in says {
                    _ = socket.send(Message::text(text)).await;
                    answers += usize::from(!support::next_text(&mut socket).await.is_empty());
                }
                leave(socket).await;
                answers
            }
            Err(Error::Http(response)) => {
                self.written += &format!("{:?} {:?}\n", response.headers(), response.body().as_deref().map(String::from_utf8_lossy));
                0
            }
            Err(error) => panic!("{path}: {error}"),
        }
    }

    /// Renews with the ticket and this token; the answer is written.
    async fn redeems(&mut self, gateway: &Gateway, ticket: &str, token: &str) {
        let lines = format!("Host: localhost\r\nConnection: close\r\nX-Wsgate-Ticket: {ticket}\r\nAuthorization: Bearer {token}\r\n");
        let asked = format!("POST /.well-known/wsgate/renew HTTP/1.1\r\n{lines}\r\n");
        self.written += &raw::exchange(gateway.address("public"), asked.as_bytes()).await;
    }
}

/// Shows keys, good and bad, to what knows them and to what does not.
async fn use_keys(run: &mut Run, gateway: &Gateway, [quick, slow]: [&str; 2]) {
    let altered = format!("{slow}x");
    for key in [quick, slow, &altered, "not-a-key-at-all"] {
        run.used.push(key.to_owned());
        run.comes(gateway, "/bots", &[("x-api-key", key)], &[]).await;
        run.comes(gateway, &format!("/bots?key={key}"), &[], &[]).await;
        run.comes(gateway, "/asked", &[("authorization", key), ("cookie", &format!("session={key}"))], &[]).await;
        run.comes(gateway, "/others", &[("authorization", &format!("Bearer {key}"))], &[]).await;
    }
}

/// Renews tokens, in messages and with tickets, well and badly; gives the token to begin with, and whoever has the ticket.
async fn renew(run: &mut Run, gateway: &mut Gateway, on: &str) -> (String, Socket) {
    let tokens = [60, 600, 1200].map(|lives| token(&json!({ "sub": "alice", "exp": now() + lives })));
    let [first, newer, newest] = &tokens;
    let auth = |token: &str| json!({ "type": "auth", "token": token }).to_string();
    let says = [auth(newer), auth("not-a-token-at-all")];
    let bearer = format!("Bearer {first}");
    assert_eq!(run.comes(gateway, "/users", &[("authorization", &bearer)], &says).await, 2);
    run.comes(gateway, "/users?wsgate_ticket=tooshort-ticket", &[("authorization", &bearer)], &[]).await;
    gateway.event_where("close", |event| event["user"] == "alice");
    let socket = support::connect(request(&gateway.url("public", on), &[("authorization", &bearer)])).await.unwrap();
    gateway.event_where("open", |event| event["user"] == "alice");
    run.redeems(gateway, TICKET, newest).await;
    run.redeems(gateway, TICKET, "not-a-token-at-all").await;
    run.redeems(gateway, "ffffffffffffffffffffffffffffffff", newest).await;
    run.used.extend(tokens.iter().cloned());
    run.used.extend(["not-a-token-at-all", "tooshort-ticket", "ffffffffffffffffffffffffffffffff", TICKET].map(str::to_owned));
    (first.clone(), socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_no_ticket_and_nothing_a_service_is_asked_with_is_written() {
    let service = Provider::start().await;
    service.says("/keys?key=secret-in-the-query-of-a-key-set", Says::answer(500, &[], "no"));
    service.says("/check?key=secret-in-the-query-of-a-service", Says::answer(200, &["X-User: eve"], ""));
    let folder = tempfile::tempdir().unwrap();
    let [(quick, quick_line), (slow, slow_line)] =
        [&["--name", "quick"][..], &["--name", "slow", "--argon2"]].map(|arguments| made(folder.path(), arguments));
    fs::write(folder.path().join("keys.txt"), format!("{quick_line}\n{slow_line}\n")).unwrap();
    let config = config(&service);
    let mut gateway = Gateway::run_in(folder, &config);
    let mut run = Run::default();
    use_keys(&mut run, &gateway, [&quick, &slow]).await;
    let on = format!("/users?wsgate_ticket={TICKET}");
    let (first, _on) = renew(&mut run, &mut gateway, &on).await;
    for file in [config.replace("receive =", "recieve ="), config.replace("/check?", "check?"), config.clone()] {
        fs::write(gateway.folder.path().join("gateway.toml"), logged(&file)).unwrap();
        for arguments in [
            &["check"][..],
            &["plan"],
            &["reload"],
            &["show"],
            &["show", "--live"],
            &["status"],
            &["ps", "--json"],
            &["events"],
            &["explain", "--path", "/bots", "--header", &format!("X-API-Key: {quick}")],
            &["explain", "--path", "/asked", "--header", &format!("Authorization: {quick}")],
            &["explain", "--path", &on, "--token", &first],
        ] {
            run.typed(&gateway, arguments);
        }
    }
    run.scrapes(&gateway).await;
    run.typed(&gateway, &["kick", "--user", "alice"]);
    gateway.signal("TERM");
    assert!(gateway.wait().success());
    let hashes = [&quick_line, &slow_line].map(|line| line.split('"').find(|part| part.len() > 60).unwrap());
    let signs = [
        "user=quick",
        "user=slow",
        "user=eve",
        "token_invalid",
        "renewed",
        "renewal_refused",
        "ticket_unknown",
        "key_set_failed",
        "204 No",
    ];
    run.search(&mut gateway, &signs, &[OF_A_URL[0], OF_A_URL[1], hashes[0], hashes[1], support::SECRET]);
}
