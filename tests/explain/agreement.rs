//! The same requests, made of a running gateway and explained from its file, come to the same.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;

use super::explained;
use super::support::raw::{self, closing, frame};
use super::support::{Gateway, SECRET, backend, now, token};

const CONFIG: &str = include_str!("agreement.toml");

/// A request as it is made, and as it is asked about.
struct Row<'a> {
    /// What both come to.
    outcome: &'a str,
    listener: &'a str,
    from: &'a str,
    host: &'a str,
    target: &'a str,
    /// Header lines.
    lines: Vec<String>,
    /// Messages, and whether the client says goodbye behind them.
    messages: Vec<String>,
    says_goodbye: bool,
    /// A header of the handshake that is left out.
    without: &'a str,
    /// What is asked instead of the target, the lines and the first message.
    ask: Vec<String>,
}

impl<'a> Row<'a> {
    fn to(outcome: &'a str, listener: &'a str, target: &'a str) -> Self {
        Self {
            outcome,
            listener,
            from: "127.0.0.1",
            host: "localhost:8765",
            target,
            lines: Vec::new(),
            messages: Vec::new(),
            says_goodbye: true,
            without: "",
            ask: Vec::new(),
        }
    }

    fn from(self, from: &'a str) -> Self {
        Self { from, ..self }
    }

    fn host(self, host: &'a str) -> Self {
        Self { host, ..self }
    }

    fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    fn says(mut self, messages: &[&str]) -> Self {
        self.messages.extend(messages.iter().map(|message| (*message).to_owned()));
        self
    }

    fn silent(self) -> Self {
        Self { says_goodbye: false, ..self }
    }

    fn without(self, without: &'a str) -> Self {
        Self { without, ..self }
    }

    /// The token stands in a header line.
    fn token(self, token: &str) -> Self {
        let row = self.line(format!("Authorization: Bearer {token}"));
        Self { ask: vec!["--token".to_owned(), token.to_owned()], ..row }
    }

    /// How the request begins.
    fn head(&self) -> String {
        let head = format!("GET {} HTTP/1.1\r\nHost: {}\r\n", self.target, self.host);
        let own = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="];
        let own = own.into_iter().filter(|line| self.without.is_empty() || !line.starts_with(self.without)).map(str::to_owned);
        own.chain(self.lines.iter().cloned()).fold(head, |head, line| head + &line + "\r\n") + "\r\n"
    }

    /// What is asked about it.
    fn arguments(&self) -> Vec<String> {
        let option = |name: &str, value: &str| [format!("--{name}"), value.to_owned()];
        let mut arguments = [option("listener", self.listener), option("ip", self.from), option("host", self.host)].concat();
        let is_asked = |name: &str| self.ask.iter().any(|argument| argument == name);
        if !is_asked("--path") {
            arguments.extend(option("path", self.target));
        }
        for line in self.lines.iter().filter(|line| !self.ask.last().is_some_and(|token| line.contains(token.as_str()))) {
            arguments.extend(option("header", line));
        }
        if !self.without.is_empty() {
            arguments.extend(option("header", &format!("{}:", self.without)));
        }
        let messages = self.messages.iter().filter(|message| !self.ask.last().is_some_and(|token| message.contains(token.as_str())));
        for message in messages {
            arguments.extend(option("message", message));
        }
        arguments.extend(self.ask.iter().cloned());
        arguments
    }

    /// Everything the client is sent.
    async fn made(&self, address: SocketAddr) -> Vec<u8> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(self.from.parse().unwrap(), 0)).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        let mut bytes = self.head().into_bytes();
        bytes.extend(self.messages.iter().flat_map(|message| frame(0x81, message.as_bytes())));
        if self.says_goodbye {
            bytes.extend(frame(0x88, &closing(1000, "")));
        }
        // It may have been answered, and closed, before it has sent all of this.
        _ = stream.write_all(&bytes).await;
        raw::rest(&mut stream).await
    }
}

/// What a client has read: the status and body of an answer, or the code, the reason and the texts of frames.
fn told(bytes: &[u8]) -> Value {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let (head, rest) = bytes.split_at(end);
    let status: u16 = std::str::from_utf8(&head[9..12]).unwrap().parse().unwrap();
    if status != 101 {
        return json!({ "status": status, "told": String::from_utf8_lossy(rest) });
    }
    let frames = raw::frames(rest);
    let texts: Vec<String> =
        frames.iter().filter(|(first, _)| *first == 0x81).map(|(_, text)| String::from_utf8(text.clone()).unwrap()).collect();
    let close = frames.iter().find(|(first, _)| *first == 0x88).map(|(_, payload)| payload.clone()).unwrap_or_default();
    let (code, reason) =
        close.split_first_chunk().map_or((1006, ""), |(code, reason)| (u16::from_be_bytes(*code), str::from_utf8(reason).unwrap()));
    json!({ "code": code, "told": reason, "texts": texts })
}

/// The same as an explanation says it.
fn foretold(explained: &Value) -> Value {
    let outcome = &explained["outcome"];
    if outcome["status"].is_number() {
        return json!({ "status": outcome["status"], "told": outcome["told"] });
    }
    let greeting = explained["greeting"].as_array().unwrap().iter().cloned();
    let answers = explained["messages"].as_array().unwrap().iter().flat_map(|message| message["heard"].as_array().unwrap().clone());
    let texts: Vec<Value> = greeting.chain(answers).chain(outcome.get("notice").filter(|notice| !notice.is_null()).cloned()).collect();
    match outcome["code"].as_u64() {
        Some(code) => json!({ "code": code, "told": outcome["told"], "texts": texts }),
        // The client closes it itself, and gets its own code back.
        None => json!({ "code": 1000, "told": "", "texts": texts }),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_explanation_and_a_connection_come_to_the_same() {
    let (backend, _requests) = backend::echo().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("denied.txt"), "# a list\n127.0.7.7\n").unwrap();
    std::fs::write(folder.path().join("revoked.txt"), "jti:stolen # from a laptop\n").unwrap();
    let config = CONFIG.replace("SECRET", SECRET).replace("BACKEND", &backend.to_string());
    let mut gateway = Gateway::run_in(folder, &config);
    let good = |more: Value| {
        let mut claims = json!({ "sub": "alice", "exp": now() + 600 });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        token(&claims)
    };
    let alice = good(json!({}));
    let mut rows = by_address_and_route();
    rows.extend(by_token(&alice, &good));
    rows.extend(by_message(&alice));
    for row in rows {
        let arguments = row.arguments();
        let explained = explained(gateway.folder.path(), &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let read = row.made(gateway.address(row.listener)).await;
        if row.outcome == "answered" {
            // A probe leaves no line.
            assert_eq!((&explained["outcome"]["id"], told(&read)), (&json!("answered"), foretold(&explained)), "{explained:#}");
            continue;
        }
        let event = gateway.event_of(&["refused", "close"], |_| true);
        let came = if event["outcome"] == "closed" { json!("open") } else { event["outcome"].clone() };
        let name = format!("{} by {:?}", row.head(), row.ask);
        assert_eq!((&came, &explained["outcome"]["id"]), (&json!(row.outcome), &json!(row.outcome)), "{name}: {event:#} {explained:#}");
        assert_eq!(told(&read), foretold(&explained), "{name}: {explained:#}");
        if event["outcome"] != "closed" && row.outcome != "auth_timeout" {
            assert_eq!((&event["stage"], &event["rule"]), (&explained["outcome"]["stage"], &explained["outcome"]["rule"]), "{name}");
        }
    }
}

fn by_address_and_route() -> Vec<Row<'static>> {
    let long = Box::leak(format!("/plain/{}", "x".repeat(4 << 10)).into_boxed_str());
    vec![
        Row::to("open", "public", "/plain/x?y=1"),
        Row::to("no_route", "public", "/"),
        Row::to("no_route", "browsers", "/plainly"),
        Row::to("bad_handshake", "public", "/plain/../x"),
        Row::to("open", "public", "/%70lain"),
        Row::to("uri_too_long", "public", long),
        Row::to("head_too_large", "public", "/plain").line(format!("X-Long: {}", "x".repeat(4 << 10))),
        // The order of refusals: address, head, route, upgrade, the route's own firewall.
        Row::to("ip_denied", "public", "/plain").from("127.0.9.1"),
        Row::to("ip_denied", "public", "/plain/../x").from("127.0.9.1"),
        Row::to("ip_denied", "public", "/plain").from("127.0.7.7"),
        Row::to("ip_denied", "browsers", "/plain").from("127.0.9.1"),
        Row::to("ip_denied", "browsers", "/").from("127.0.9.1"),
        Row::to("ip_denied", "browsers", "/plain").from("127.0.9.1").without("Upgrade"),
        Row::to("open", "public", "/plain").from("127.0.8.1"),
        Row::to("ip_denied", "public", "/inner").from("127.0.1.1"),
        Row::to("ip_denied", "browsers", "/inner").from("127.0.1.1"),
        Row::to("upgrade_required", "public", "/inner").from("127.0.1.1").without("Upgrade"),
        Row::to("bad_version", "browsers", "/plain").without("Sec-WebSocket-Version"),
        Row::to("no_route", "public", "/other").without("Upgrade"),
        Row::to("open", "public", "/other").host("Acme.Example.com:80"),
        Row::to("no_route", "public", "/other").host("a.b.example.com"),
        Row::to("answered", "public", "/livez").without("Upgrade").silent(),
        Row::to("answered", "browsers", "/health/readyz").silent(),
        Row::to("no_route", "public", "/health/x").without("Upgrade").silent(),
        Row::to("ip_denied", "browsers", "/livez").from("127.0.1.1").without("Upgrade").silent(),
        Row::to("token_missing", "public", "/asked/livez"),
        Row::to("method_not_allowed", "public", "/.well-known/wsgate/renew"),
        Row::to("method_not_allowed", "browsers", "/.well-known/wsgate/renew"),
        Row::to("ip_denied", "browsers", "/.well-known/wsgate/renew").from("127.0.9.1"),
    ]
}

fn by_token<'a>(alice: &str, good: &impl Fn(Value) -> String) -> Vec<Row<'a>> {
    let expired = token(&json!({ "sub": "alice", "exp": now() - 600 }));
    let ask = |token: &str| vec!["--token".to_owned(), token.to_owned()];
    let first = |outcome, listener, token: &str| {
        let row = Row::to(outcome, listener, "/either").says(&[&format!(r#"{{"token":"{token}"}}"#)]);
        Row { ask: [vec!["--stage".to_owned(), "jwt.first".to_owned()], ask(token)].concat(), ..row }
    };
    let offered = |outcome, token: &str| {
        let row = Row::to(outcome, "public", "/offered").line(format!("Sec-WebSocket-Protocol: bearer, {token}"));
        Row { ask: ask(token), ..row }
    };
    let mut rows = vec![
        Row::to("token_missing", "public", "/users"),
        Row::to("token_missing", "browsers", "/users"),
        Row::to("token_invalid", "public", "/users").token("nonsense"),
        Row::to("token_invalid", "browsers", "/users").token("nonsense"),
        Row::to("token_expired", "public", "/users").token(&expired),
        Row::to("open", "public", "/users").token(alice),
        Row::to("revoked", "public", "/users").token(&good(json!({ "sub": "mallory" }))),
        Row::to("revoked", "browsers", "/users").token(&good(json!({ "jti": "stolen" }))),
        Row::to("origin_denied", "public", "/pages").line("Origin: https://evil.example").token(alice),
        Row::to("open", "public", "/pages").line("Origin: https://example.com").token(alice),
        Row::to("open", "public", "/pages").line("Origin: http://localhost:8765").token(alice),
        Row::to("token_missing", "public", "/pages").line("Origin: https://example.com"),
        Row::to("open", "public", "/either").token(alice),
        Row::to("token_invalid", "public", "/either").token("nonsense"),
        first("open", "public", alice),
        first("token_invalid", "public", "nonsense"),
        first("token_invalid", "browsers", "nonsense"),
        Row::to("token_missing", "public", "/either").says(&["{}"]),
        Row::to("message_too_large", "public", "/either").says(&[&"x".repeat(2 << 10)]),
        Row::to("auth_timeout", "public", "/either").silent(),
        offered("token_invalid", alice),
        offered("open", &good(json!({ "iss": "https://example.com" }))),
    ];
    // In the query, where it stands in the target and is not to be asked for twice.
    let target: &'static str = Box::leak(format!("/users?a=b&token={alice}").into_boxed_str());
    rows.push(Row::to("open", "public", target));
    rows
}

fn by_message<'a>(alice: &str) -> Vec<Row<'a>> {
    vec![
        Row::to("open", "public", "/plain").says(&["hello", "again"]),
        Row::to("message_too_large", "public", "/plain").says(&["hello", "more than sixteen bytes", "lost"]),
        Row::to("message_too_large", "browsers", "/plain").says(&["more than sixteen bytes"]),
        Row::to("rate_limited", "public", "/users").token(alice).says(&["one", "two", "three", "four"]),
        Row::to("rate_limited", "browsers", "/users").token(alice).says(&["one", "two", "three"]),
        // Of messages that come together one notice is enough; an explanation sends each by itself.
        Row::to("open", "public", "/noted").says(&["one", "two"]),
        Row::to("open", "public", "/").host("acme.example.com").says(&["one", "two", "three"]),
        // The backend echoes, which no explanation knows: nothing is said to it.
        Row::to("open", "public", "/chat/x").token(alice),
        Row::to("token_missing", "browsers", "/chat/x").says(&["hello"]),
    ]
}
