//! Logs under test: captured lines, a clock that stands still, facts to report.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime};

use tracing::Dispatch;
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use wsgate::observe::Logs;
use wsgate::observe::select::Selection;
use wsgate::observe::sink::{Format, Sink};
use wsgate::stage::refusal::{CLIENT_LOST, IP_DENIED, Party};
use wsgate::stage::tls::Tls;
use wsgate::stage::{AskedFor, Client, Ending, Identity, Peer, Proof, Refusal, Side, sample};

/// Longer than any writer here takes unless it is stuck.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// 2026-11-22T15:04:05.123Z.
pub(crate) fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_359_845_123)
}

/// Logs that go by this clock. While a process has just one subscriber, `tracing` takes the one of the thread that asks for it to be asked
/// again: a test's thread that has none would silence the others. Two more, which want nothing, keep it from that.
pub(crate) fn logs(clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Logs {
    static OTHERS: LazyLock<[Dispatch; 2]> = LazyLock::new(|| [(); 2].map(|()| Dispatch::new(NoSubscriber::default())));
    LazyLock::force(&OTHERS);
    Logs::with_clock(clock)
}

/// Runs `emit` with these logs as the subscriber of this thread.
pub(crate) fn reporting<T>(logs: &Logs, emit: impl FnOnce() -> T) -> T {
    tracing::subscriber::with_default(Registry::default().with(logs.layer()), emit)
}

/// Does that, and waits until all is written.
pub(crate) fn with<T>(logs: &Logs, emit: impl FnOnce() -> T) -> T {
    let done = reporting(logs, emit);
    assert!(logs.flush(SOON), "lines are still queued");
    done
}

/// What was written to a sink.
#[derive(Clone, Default)]
pub(crate) struct Capture(Arc<Mutex<Vec<u8>>>);

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Capture {
    pub(crate) fn sink(&self, format: Format, selection: Selection) -> Sink {
        Sink::new("captured", format, selection, self.clone()).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The events' names, from lines of text.
    pub(crate) fn names(&self) -> Vec<String> {
        self.text().lines().map(|line| line.split_whitespace().nth(2).unwrap().to_owned()).collect()
    }
}

/// The lines of what `emit` reports.
pub(crate) fn logged(format: Format, selection: Selection, emit: impl FnOnce()) -> Capture {
    let (logs, capture) = (logs(noon), Capture::default());
    logs.swap(vec![capture.sink(format, selection)]);
    with(&logs, emit);
    capture
}

pub(crate) fn peer() -> Peer {
    Peer {
        address: SocketAddr::from(([203, 0, 113, 7], 50112)),
        local: SocketAddr::from(([192, 0, 2, 1], 443)),
        accepted: noon(),
        ..sample::peer("203.0.113.7")
    }
}

fn tls() -> Tls {
    let (server_name, certificate) = (Some("chat.example.com".into()), None);
    Tls { version: "1.3", cipher: "TLS_AES_256_GCM_SHA384", server_name, is_resumed: false, certificate, trusted_by: None }
}

/// Ann in a chat room, 12 messages there and 3 back.
pub(crate) fn ann() -> Client {
    named("ann")
}

/// The same under another name.
pub(crate) fn named(user: &str) -> Client {
    let mut client = Client {
        id: 0xab,
        peer: Peer { tls: Some(tls().into()), ..peer() },
        route: "chat".into(),
        asked: AskedFor::new("chat.example.com", "/chat/room", Some("https://example.com")),
        request: None,
        ..sample::client(&[])
    };
    client.prove(Identity {
        by: "jwt.users".into(),
        user: Some(user.into()),
        claims: "{\"sub\":\"ann\",\"secret\":\"claims are never logged\"}".into(),
        expires: None,
        proof: Proof { key: "key-is-never-logged".into(), kid: None, key_set: None, algorithm: "HS256" }.into(),
    });
    client.counters.add(Side::Client, 12, 345);
    client.counters.add(Side::Upstream, 3, 6789);
    client
}

pub(crate) fn denied() -> Refusal {
    let mut refusal = Refusal::new(IP_DENIED).rule("203.0.113.0/24");
    refusal.stage = Some("firewall.office".into());
    refusal
}

pub(crate) fn lost() -> Ending {
    Ending { by: Party::Client, outcome: CLIENT_LOST, code: 1006, reason: "".into(), stage: None, rule: None, clause: None }
}
