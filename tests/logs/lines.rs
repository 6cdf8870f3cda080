//! Events as they reach a log: their lines, and which sinks take them.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use wsgate::observe::Event;
use wsgate::observe::event::{Attempt, Concerned, Owner, Shown, Told};
use wsgate::observe::select::{Only, Selection};
use wsgate::observe::sink::Format;
use wsgate::stage::refusal::{CLOSED, HANDSHAKE_TIMEOUT, NO_ROUTE, PROTOCOL_ERROR, Party, UPSTREAM_LOST, UPSTREAM_REFUSED};
use wsgate::stage::{AskedFor, Client, Ending, Refusal};

use super::support::{self, Capture, ann, denied, logged, lost, named, noon, peer, with};

const MS: Duration = Duration::from_millis(1);

/// Of a token that ends, and of those that come in its place.
fn report_renewals(client: &Client) {
    Event::Expiring { client, stage: "jwt.users", left: 30_000 * MS }.emit();
    for (how, expires) in [(Shown::Message, Some(noon())), (Shown::Ticket, None)] {
        Event::Renewed { client, stage: "jwt.users", how, expires }.emit();
    }
    Event::RenewalRefused { client, how: Shown::Message, refusal: &denied() }.emit();
}

/// Reports every event there is, and some in more than one shape.
fn report_everything() {
    let client = ann();
    let direct = peer();
    let mut behind_proxy = peer();
    behind_proxy.address = "[2001:db8::1]:7000".parse().unwrap();
    let anonymous = Client { identities: Default::default(), ..ann() };
    let ended =
        Ending { by: Party::Upstream, outcome: CLOSED, code: 1000, reason: "good night".into(), stage: None, rule: None, clause: None };
    let broken = Ending { by: Party::Gateway, outcome: PROTOCOL_ERROR, code: 1002, reason: "protocol error".into(), ..lost() };
    let (subprotocol, upstream) = (Some("chat.v1"), Some("ws://127.0.0.1:9001"));
    let refused = |attempt, refusal: &Refusal, told| Event::Refused { attempt, refusal, told, duration: 4 * MS }.emit();
    let asked = Attempt { host: Some("example.com"), path: Some("/nowhere"), ..Attempt::unread(0xac, &behind_proxy) };

    Event::Started { version: "0.1.0", config: Path::new("/etc/wsgate/gateway.toml"), listeners: 2 }.emit();
    Event::Listening { of: Owner::Listener("public"), address: "[::]:8765".parse().unwrap() }.emit();
    Event::Listening { of: Owner::Metrics("local"), address: "127.0.0.1:9100".parse().unwrap() }.emit();
    Event::NoLongerListening { of: Owner::Listener("public"), address: "[::]:8765".parse().unwrap() }.emit();
    Event::NoLongerListening { of: Owner::Metrics("local"), address: "127.0.0.1:9100".parse().unwrap() }.emit();
    Event::Warning { text: "firewall.blocklist judges nobody" }.emit();
    Event::Open { client: &client, subprotocol, upstream, handshake: 12 * MS }.emit();
    Event::Open { client: &anonymous, subprotocol: None, upstream: None, handshake: Duration::ZERO }.emit();
    Event::Sample { client: &client, age: 600_000 * MS }.emit();
    let cut = Refusal::new(UPSTREAM_LOST).rule("ws://127.0.0.1:9001: ended within its answer");
    let request = |status, cut| Event::Request { client: &client, method: "POST", status, cut, upstream, duration: 25_000 * MS }.emit();
    request(Some(200), None);
    request(Some(200), Some(&cut));
    Event::Close { client: &client, ending: &ended, subprotocol, upstream, duration: 61_234 * MS }.emit();
    Event::Close { client: &anonymous, ending: &lost(), subprotocol: None, upstream: None, duration: MS }.emit();
    Event::Close { client: &client, ending: &broken, subprotocol: None, upstream, duration: MS }.emit();
    refused(Attempt::unread(0xad, &direct), &Refusal::new(HANDSHAKE_TIMEOUT), Told::Nothing);
    refused(asked, &Refusal::new(NO_ROUTE), Told::Status(404));
    refused(Attempt::from(&client), &denied(), Told::Code(3003));
    refused(Attempt::from(&client), &Refusal::new(UPSTREAM_REFUSED), Told::Status(502));
    Event::WouldRefuse { attempt: Attempt::from(&client), refusal: &denied().reported() }.emit();
    for is_first in [true, false] {
        Event::LeftOut { attempt: Attempt::from(&client), why: &denied(), count: 1, is_first }.emit();
    }
    report_renewals(&client);
    let detail = "connection refused (os error 111)";
    let (connection, route, server, outcome) = (Some(0xae), Some("chat"), "ws://127.0.0.1:9001", UPSTREAM_REFUSED);
    Event::UpstreamFailed { connection, route, server, outcome, detail, is_replaced: true }.emit();
    Event::UpstreamFailed { connection: None, route: None, server, outcome, detail, is_replaced: true }.emit();
    // The refusal's own line tells of these.
    Event::UpstreamFailed { connection, route, server, outcome, detail, is_replaced: false }.emit();
    Event::UpstreamResting { server, rest: 10_000 * MS }.emit();
    Event::UpstreamBack { server }.emit();
    Event::AcceptPaused { listener: "public", error: &io::Error::other("too many open files") }.emit();
    Event::AcceptResumed { listener: "public" }.emit();
    Event::CertificateEnds { listener: "public", certificate: "chat.example.com", at: noon() }.emit();
    services();
    Event::LogLinesLost { sink: "errors", lines: 7, error: Some("no space left on device") }.emit();
    Event::LogLinesLost { sink: "errors", lines: 1, error: None }.emit();
    Event::LogFileStuck { sink: "errors", error: "permission denied" }.emit();
    reloads();
    Event::WatchLimited { error: "fs.inotify.max_user_watches is reached", every: 1_000 * MS }.emit();
    Event::Command { verb: "kick", by: "uid 0", what: "3 connections" }.emit();
    Event::InternalError { what: "a worker panicked" }.emit();
    Event::Stopping { delay: 5_000 * MS }.emit();
    Event::Draining { connections: 3, over: 30_000 * MS }.emit();
    Event::Drained { closed: 2, cut: 1, duration: 30_001 * MS }.emit();
    Event::Stopped.emit();
}

fn services() {
    let (set, stage) = ("https://login.example.com/keys", "forward_auth.login");
    let (added, removed) = (["a:1".into(), "b:2".into()], ["c:3".into()]);
    Event::KeySetFetched { set, keys: 2, added: &added, removed: &removed }.emit();
    Event::KeySetFetched { set, keys: 2, added: &[], removed: &[] }.emit();
    for has_keys in [true, false] {
        Event::KeySetFailed { set, error: "no answer within 5s", has_keys }.emit();
    }
    Event::KeyPassedOver { set, key: "key 0 (a): it is a shared secret" }.emit();
    Event::ServiceFailed { stage, error: "no answer within 2s", lets_in: false }.emit();
    Event::ServiceBack { stage }.emit();
}

/// What becomes of edits.
fn reloads() {
    let tables = ["firewall.office".to_owned(), "route.chat".to_owned()];
    let (compiled, applied, is_saved) = (12 * MS, 3 * MS, true);
    let reloaded = |generation, [added, changed, removed]: [&[String]; 3], connections| {
        Event::Reloaded { generation, added, changed, removed, kept: 7, connections, compiled, applied, is_saved }.emit();
    };
    let causes = "2 of route.chat: ip_denied firewall.office";
    reloaded(2, [&[], &tables, &[]], Concerned { kept: 5, adopted: 4, closed: 2, leaving: 1, causes });
    reloaded(3, [&tables, &[], &tables], Concerned { kept: 5, adopted: 0, closed: 0, leaving: 0, causes: "" });
    Event::ReloadUnchanged { is_saved }.emit();
    Event::ReloadRefused { faults: "gateway.toml:1:1: one\ngateway.toml:2:1: other", is_saved: false }.emit();
}

#[test]
fn every_event_is_one_line_of_text() {
    let lines = logged(Format::Text, Selection::default(), report_everything).text();
    assert_eq!(lines, include_str!("events.txt"), "{lines}");
}

#[test]
fn every_event_is_one_json_object() {
    let lines = logged(Format::Json, Selection::default(), report_everything).text();
    assert_eq!(lines, include_str!("events.jsonl"), "{lines}");
    for line in lines.lines() {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
        assert!(["time", "level", "event"].iter().all(|key| object[*key].is_string()), "{line}");
    }
}

/// What clients, backends and tokens could put into a line.
const FORGERIES: &[&str] = &[
    "x\n2026-11-22T15:04:05.123Z  INFO open connection=00000000000000ff user=root",
    "x\r\n{\"level\":\"info\"}",
    "x user=root",
    "x\" user=\"root",
    "x\\",
    "x\",\"user\":\"root",
    "\x1b]0;title\x07\x1b[2J\x1b[31m",
    "\u{9b}31m\u{9d}0;title\u{9c}",
    "\u{202e}gpj.exe \u{2066}\u{200f}",
    "\u{2028}\u{2029}\u{85}\u{0b}\u{0c}",
    "\0\x08\x7f",
    "\u{fffd}\u{feff}\u{fffe}",
];

/// The keys of a line of text: every word before an `=` outside quotes.
fn keys(line: &str) -> Vec<String> {
    let (mut keys, mut word, mut is_quoted, mut is_escaped) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            '"' if !is_escaped => is_quoted = !is_quoted,
            '=' if !is_quoted => keys.push(std::mem::take(&mut word)),
            ' ' if !is_quoted => word.clear(),
            c => word.push(c),
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    assert!(!is_quoted, "{line}");
    keys
}

#[test]
fn nothing_from_outside_forges_a_line_a_field_or_a_terminal_command() {
    let report = |forged: &str| {
        let client = Client { asked: AskedFor::new(forged, forged, None), ..named(forged) };
        let ending = Ending { reason: forged.into(), ..lost() };
        let (subprotocol, upstream) = (Some(forged), Some(forged));
        Event::Close { client: &client, ending: &ending, subprotocol, upstream, duration: MS }.emit();
    };
    let honest = logged(Format::Text, Selection::default(), || report("honest")).text();
    for forged in FORGERIES {
        let text = logged(Format::Text, Selection::default(), || report(forged)).text();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert_eq!(keys(&text), keys(&honest));
        let json = logged(Format::Json, Selection::default(), || report(forged)).text();
        assert_eq!(json.lines().count(), 1, "{json}");
        let object: serde_json::Value = serde_json::from_str(&json).unwrap();
        for key in ["host", "path", "user", "reason", "subprotocol", "upstream"] {
            assert_eq!(object[key], *forged);
        }
        for line in [text, json] {
            let line = line.strip_suffix('\n').unwrap();
            assert!(!line.contains(|c: char| c.is_control() || "\u{202e}\u{2066}\u{200f}\u{2028}\u{2029}\u{feff}".contains(c)), "{line:?}");
        }
    }
}

#[test]
fn a_line_is_bounded_however_long_its_values() {
    for long in ["x".repeat(1 << 20), "\u{1}".repeat(1 << 20), "é\"".repeat(1 << 20)] {
        for format in [Format::Text, Format::Json] {
            let client = Client { asked: AskedFor::new(&long, &long, None), ..ann() };
            let lines = logged(format, Selection::default(), || Event::Sample { client: &client, age: MS }.emit());
            assert!(!lines.text().contains("x".repeat(1025).as_str()));
            let open = Event::Open { client: &client, subprotocol: None, upstream: None, handshake: MS };
            let line = logged(format, Selection::default(), || open.emit()).text();
            assert!(line.contains('…') && line.len() < 3000, "{}", line.len());
        }
    }
}

#[test]
fn a_sink_takes_what_its_level_kind_and_routes_select() {
    let report = || {
        let client = ann();
        let elsewhere = Client { route: "feed".into(), ..ann() };
        let sample = |client| Event::Sample { client, age: MS }.emit();
        tracing::debug!(target: "wsgate::gateway", "debug of ours");
        tracing::debug!(target: "h2::frame", "debug of a library");
        tracing::info!(target: "a_plugin", tenants = 3, "loaded");
        tracing::warn!(target: "wsgate_plugin", "not ours by its name");
        tracing::warn!(target: "h2::proto::streams::recv", "what a stranger has done");
        Event::Stopped.emit();
        sample(&client);
        sample(&elsewhere);
        let (route, outcome) = (Some("chat"), UPSTREAM_REFUSED);
        Event::UpstreamFailed { connection: None, route, server: "a", outcome, detail: "", is_replaced: true }.emit();
        Event::Refused { attempt: Attempt::unread(1, &peer()), refusal: &denied(), told: Told::Nothing, duration: MS }.emit();
        Event::InternalError { what: "" }.emit();
    };
    let all = Selection { level: LevelFilter::TRACE, ..Selection::default() };
    let of = |routes: &[&str]| routes.iter().map(|route| Arc::from(*route)).collect();
    let at = |level| Selection { level, ..Selection::default() };
    let only = |only| Selection { only: Some(only), ..all.clone() };
    let infos = ["a_plugin", "wsgate_plugin", "stopped", "sample", "sample", "upstream_failed", "refused", "internal_error"];
    for (selection, names) in [
        (at(LevelFilter::OFF), &[][..]),
        (at(LevelFilter::ERROR), &["internal_error"]),
        (at(LevelFilter::WARN), &["wsgate_plugin", "upstream_failed", "refused", "internal_error"]),
        (Selection::default(), &infos),
        (only(Only::Errors), &["wsgate_plugin", "upstream_failed", "refused", "internal_error"]),
        (Selection { level: LevelFilter::ERROR, ..only(Only::Errors) }, &["internal_error"]),
        (only(Only::Access), &["sample", "sample", "refused"]),
        (Selection { routes: of(&["chat"]), ..all.clone() }, &["sample", "upstream_failed"]),
        (Selection { routes: of(&["feed", "chat"]), ..all.clone() }, &["sample", "sample", "upstream_failed"]),
        (Selection { routes: of(&["feed"]), ..only(Only::Errors) }, &[]),
    ] {
        assert_eq!(logged(Format::Text, selection.clone(), report).names(), names, "{selection:?}");
    }
    let everything = logged(Format::Text, all, report).text();
    assert!(!everything.contains("h2::frame") && everything.contains("a_plugin message=loaded tenants=3"), "{everything}");
    assert!(everything.starts_with("2026-11-22T15:04:05.123Z DEBUG "), "{everything}");
}

#[test]
fn every_sink_gets_its_own_format_and_selection_of_one_event() {
    let (logs, text, json, errors) = (support::logs(noon), Capture::default(), Capture::default(), Capture::default());
    logs.swap(vec![
        text.sink(Format::Text, Selection::default()),
        json.sink(Format::Json, Selection::default()),
        errors.sink(Format::Text, Selection { only: Some(Only::Errors), ..Selection::default() }),
    ]);
    with(&logs, || Event::Stopped.emit());
    assert_eq!(text.text(), "2026-11-22T15:04:05.123Z  INFO stopped\n");
    assert_eq!(json.text(), "{\"time\":\"2026-11-22T15:04:05.123Z\",\"level\":\"info\",\"event\":\"stopped\"}\n");
    assert_eq!(errors.text(), "");
}

/// Another layer of the same subscriber: remembers the names of events.
struct Names(Arc<Mutex<Vec<&'static str>>>);

impl<S: tracing::Subscriber> Layer<S> for Names {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        self.0.lock().unwrap().push(event.metadata().name());
    }
}

#[test]
fn another_layer_sees_what_no_sink_takes() {
    let (logs, seen) = (support::logs(noon), Arc::default());
    let subscriber = Registry::default().with(logs.layer()).with(Names(Arc::clone(&seen)));
    tracing::subscriber::with_default(subscriber, || Event::Stopped.emit());
    assert_eq!(*seen.lock().unwrap(), ["stopped"]);
}
