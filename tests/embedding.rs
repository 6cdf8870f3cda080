//! The gateway as a library: a program's own stage, in a gateway started within it, through the public API alone.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

mod support;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use support::{PATIENCE, Socket, ask, backend, closed, raw};
use tokio::sync::Semaphore;
use tracing::level_filters::LevelFilter;
use wsgate::config::document::Document;
use wsgate::config::fault::Faults;
use wsgate::engine::Engine;
use wsgate::gateway::{Catalog, Gateway};
use wsgate::observe::Logs;
use wsgate::observe::logs::Guard;
use wsgate::observe::select::Selection;
use wsgate::observe::sink::{Format, Sink};
use wsgate::stage::cells::Cells;
use wsgate::stage::refusal::{FORBIDDEN, RATE_LIMITED};
use wsgate::stage::{
    Build, Client, Configure, Ending, FirstMessage, FrameHead, FrameInspector, Inspect, Judgement, Outcome, Pace, Refusal, Side, Stage,
};

/// A row of the program's own.
static USED_UP: Outcome = Outcome {
    id: "quota_used_up",
    code: Some(4008),
    reason: "quota used up",
    summary: "the client has sent as many messages as `[quota.*]` grants",
    ..RATE_LIMITED
};

/// `[quota.*]`: so many messages a connection, and no more.
struct Quota {
    grants: u64,
    rule_reports: bool,
    ended: Arc<Mutex<Vec<(&'static str, u64)>>>,
}

/// The keys of `[quota.*]`.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct QuotaTable {
    /// How many messages a client may send; 0 lets nobody in.
    grants: u64,
    /// Whether its one rule only reports.
    #[serde(default)]
    rule_reports: bool,
}

impl Configure for Quota {
    const KIND: &'static str = "quota";
    type Table = QuotaTable;

    fn configure(table: QuotaTable, build: &mut Build<'_>) -> Result<Self, Faults> {
        Ok(Self { grants: table.grants, rule_reports: table.rule_reports, ended: build.cell(Mutex::default) })
    }
}

impl Stage for Quota {
    fn handshake<'a>(&'a self, client: &'a mut Client) -> Judgement<'a> {
        // Whoever it asked would answer later.
        Judgement::Later(Box::pin(async move {
            tokio::task::yield_now().await;
            match client.path() {
                "/members" => Err(Box::new(Refusal::new(FORBIDDEN).rule("members only"))),
                _ if self.grants == 0 => Err(Box::new(Refusal::new(USED_UP))),
                _ => Ok(()),
            }
        }))
    }

    fn inspect(&self, _: &Client) -> Inspect {
        Inspect::Frames(Box::new(Left { messages: self.grants, reports: self.rule_reports }))
    }

    fn close(&self, client: &Client, ending: &Ending) {
        self.ended.lock().unwrap().push((ending.outcome.id, client.counters.from(Side::Client).messages()));
    }
}

/// What one connection has left.
struct Left {
    messages: u64,
    reports: bool,
}

impl FrameInspector for Left {
    fn begin(&mut self, from: Side, head: &FrameHead) -> Result<Pace, Box<Refusal>> {
        if from == Side::Client && head.starts_message {
            match self.messages.checked_sub(1) {
                Some(left) => self.messages = left,
                None => {
                    let refusal = Refusal::new(USED_UP).rule("grants");
                    return Err(Box::new(if self.reports { refusal.reported() } else { refusal }));
                }
            }
        }
        Ok(Pace::Go)
    }
}

/// `[asking.*]`: asks for the first message again and again, which no stage may.
struct Asking;

/// The keys of `[asking.*]`: none.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoKeys {}

impl Configure for Asking {
    const KIND: &'static str = "asking";
    type Table = NoKeys;

    fn configure(_: NoKeys, _: &mut Build<'_>) -> Result<Self, Faults> {
        Ok(Self)
    }
}

impl Stage for Asking {
    fn handshake<'a>(&'a self, _: &'a mut Client) -> Judgement<'a> {
        Judgement::FirstMessage(FirstMessage { timeout: PATIENCE, max: 100 })
    }
}

/// `[tidy.*]`: counts how often it was asked to tidy up.
struct Tidy(Arc<Semaphore>);

impl Configure for Tidy {
    const KIND: &'static str = "tidy";
    type Table = NoKeys;

    fn configure(_: NoKeys, build: &mut Build<'_>) -> Result<Self, Faults> {
        Ok(Self(build.cell(|| Semaphore::new(0))))
    }
}

impl Stage for Tidy {
    fn tidy(&self) {
        self.0.add_permits(1);
    }
}

/// The lines of this process's logs, of all its tests.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A gateway in this process.
struct Embedded {
    engine: Engine,
    cells: Cells,
    lines: Lines,
    logs: Logs,
}

impl Embedded {
    /// Starts one whose catalog has the stages above. Its routes' names are its own among all tests.
    fn start(config: &str) -> Self {
        static LOGS: OnceLock<(Logs, Lines, Guard)> = OnceLock::new();
        let (logs, lines, _) = LOGS.get_or_init(|| {
            let (logs, lines) = (Logs::default(), Lines::default());
            let selection = Selection { level: LevelFilter::INFO, ..Selection::default() };
            logs.swap(vec![Sink::new("captured", Format::Json, selection, lines.clone()).unwrap()]);
            let guard = logs.install().unwrap();
            (logs, lines, guard)
        });
        let catalog = Catalog::default().with_stage::<Quota>().with_stage::<Asking>().with_stage::<Tidy>();
        let cells = Cells::default();
        let document = Document::parse("embedded", format!("[listener.public]\naddress = \"127.0.0.1:0\"\n{config}"), ".");
        let (gateway, faults) = Gateway::compile(&document, &catalog, &cells);
        let gateway = gateway.unwrap_or_else(|| panic!("{faults:?}"));
        Self { engine: Engine::start(gateway).unwrap(), cells, lines: lines.clone(), logs: logs.clone() }
    }

    fn address(&self) -> SocketAddr {
        self.engine.addresses()[0].1
    }

    async fn connect(&self, path: &str) -> Socket {
        support::connect(format!("ws://{}{path}", self.address())).await.unwrap()
    }

    /// What was logged about a route, once every connection has gone.
    async fn logged(&self, route: &str) -> Vec<Value> {
        support::in_time(async {
            while self.engine.connections() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert!(self.logs.flush(PATIENCE));
        let lines = String::from_utf8(self.lines.0.lock().unwrap().clone()).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).filter(|event: &Value| event["route"] == route).collect()
    }
}

/// The names of events.
fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_of_ones_own_ends_a_live_connection_by_a_row_of_ones_own() {
    let (address, mut seen) = backend::witness(Vec::new()).await;
    let gateway = Embedded::start(&format!(
        "[quota.free]\ngrants = 2\n[gateway.route]\npipeline = [\"quota.free\"]\n\
         [route.own-echo]\npath = \"/echo\"\nendpoint = \"echo\"\n[route.own-chat]\npath = \"/chat\"\nendpoint = \"ws://{address}\"\n"
    ));
    for (path, route) in [("/echo", "own-echo"), ("/chat", "own-chat")] {
        let mut client = raw::upgraded(gateway.address(), path).await;
        let pings = raw::frame(0x89, b"").repeat(3);
        let messages = [raw::frame(0x01, b"o"), raw::frame(0x80, b"ne"), raw::frame(0x82, b"two"), raw::frame(0x81, b"three")].concat();
        tokio::io::AsyncWriteExt::write_all(&mut client, &[pings, messages].concat()).await.unwrap();
        let received = raw::frames(&raw::rest(&mut client).await);
        assert_eq!(*received.last().unwrap(), (0x88, raw::closing(4008, "quota used up")), "{path}");
        drop(client);
        let events = gateway.logged(route).await;
        assert_eq!(names(&events), ["open", "close"], "{path}");
        let fields = ["by", "outcome", "code", "stage", "rule", "client_messages"].map(|field| events[1][field].clone());
        assert_eq!(json!(fields), json!(["gateway", "quota_used_up", 4008, "quota.free", "grants", 2]), "{path}");
        assert_eq!(events[1]["level"], "warn");
    }
    let passed = raw::frames(&support::in_time(seen.recv()).await.unwrap());
    assert_eq!(passed[3..], [(0x01, b"o".to_vec()), (0x80, b"ne".to_vec()), (0x82, b"two".to_vec()), (0x88, raw::closing(1001, ""))]);
    let ended = gateway.cells.cell::<Mutex<Vec<(&str, u64)>>>("quota", "free", Mutex::default);
    assert_eq!(*ended.lock().unwrap(), [("quota_used_up", 2), ("quota_used_up", 2)], "the stage is told of every end");
    gateway.engine.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stage_or_rule_only_reports_is_logged_once_and_ends_nothing() {
    let gateway = Embedded::start(
        "[quota.trial]\nmode = \"report\"\ngrants = 1\n[quota.rule]\ngrants = 1\nrule_reports = true\n[quota.wide]\ngrants = 5\n\
         [route.trial-stage]\npath = \"/stage\"\npipeline = [\"quota.trial\", \"quota.wide\"]\nendpoint = \"echo\"\n\
         [route.trial-rule]\npath = \"/rule\"\npipeline = [\"quota.rule\", \"quota.wide\"]\nendpoint = \"echo\"\n",
    );
    for (path, route, stage) in [("/stage", "trial-stage", "quota.trial"), ("/rule", "trial-rule", "quota.rule")] {
        let mut socket = gateway.connect(path).await;
        for text in ["1", "2", "3", "4", "5"] {
            assert_eq!(ask(&mut socket, text).await, text);
        }
        futures_util::SinkExt::send(&mut socket, "6".into()).await.unwrap();
        assert_eq!(closed(&mut socket).await.0, 4008, "the stage behind it is asked all the while");
        drop(socket);
        let events = gateway.logged(route).await;
        assert_eq!(names(&events), ["open", "would_refuse", "close"], "{path}");
        let fields = ["outcome", "stage", "rule", "path"].map(|field| events[1][field].clone());
        assert_eq!(json!(fields), json!(["quota_used_up", stage, "grants", path]));
        assert_eq!(events[2]["stage"], "quota.wide");
    }
    gateway.engine.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_of_ones_own_refuses_a_handshake_by_its_row() {
    let gateway = Embedded::start(
        "[quota.none]\ngrants = 0\n[route.refusing]\npipeline = [\"quota.none\", \"errors.ours\"]\nendpoint = \"echo\"\n\
         [errors.ours]\nbody = \"json\"\n",
    );
    for (path, status, id, message, rule) in
        [("/", 429, "quota_used_up", "quota used up", Value::Null), ("/members", 403, "forbidden", "forbidden", json!("members only"))]
    {
        let answer = raw::exchange(gateway.address(), raw::upgrade(path, "").as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!(body, json!({ "error": id, "message": message }));
        let events = gateway.logged("refusing").await;
        let last = events.last().unwrap();
        assert_eq!(json!([last["event"], last["outcome"], last["stage"], last["rule"]]), json!(["refused", id, "quota.none", rule]));
    }
    gateway.engine.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_asks_for_a_second_first_message_is_a_fault_of_the_gateway() {
    let gateway = Embedded::start("[asking.twice]\n[route.asking]\npipeline = [\"asking.twice\"]\nendpoint = \"echo\"\n");
    let mut socket = gateway.connect("/").await;
    futures_util::SinkExt::send(&mut socket, "here".into()).await.unwrap();
    assert_eq!(closed(&mut socket).await, (1011, "internal error".to_owned()));
    drop(socket);
    let events = gateway.logged("asking").await;
    assert_eq!(json!([events[0]["outcome"], events[0]["code"], events[0]["level"]]), json!(["internal", 1011, "error"]));
    gateway.engine.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stage_in_force_is_asked_to_tidy_up() {
    let gateway = Embedded::start("[tidy.a]\n[tidy.b]\n[route.tidy]\npipeline = [\"tidy.a\", \"tidy.b\"]\nendpoint = \"echo\"\n");
    for name in ["a", "b"] {
        let asked = gateway.cells.cell("tidy", name, || Semaphore::new(0));
        support::in_time(asked.acquire()).await.unwrap().forget();
    }
    gateway.engine.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_stage_of_ones_own_does_not_know_is_a_fault_at_its_place() {
    let document = Document::parse("embedded", "[listener.public]\naddress = \"127.0.0.1:0\"\n[quota.free]\ngrant = 2\n", ".");
    let (gateway, faults) = Gateway::compile(&document, &Catalog::default().with_stage::<Quota>(), &Cells::default());
    assert!(gateway.is_none());
    assert!(faults.0.iter().any(|fault| fault.message.contains("grant")), "{faults:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_stopped_ends_its_connections_and_listens_no_more() {
    let mut gateway = Embedded::start("[route.stopping]\nendpoint = \"echo\"\n[gateway]\ndrain = { over = \"100ms\" }\n");
    let mut socket = gateway.connect("/").await;
    assert_eq!(ask(&mut socket, "hi").await, "hi");
    let client = tokio::spawn(async move { closed(&mut socket).await });
    let address = gateway.address();
    support::in_time(gateway.engine.drain()).await;
    assert_eq!(client.await.unwrap(), (1001, "shutting down".to_owned()));
    assert_eq!(names(&gateway.logged("stopping").await), ["open", "close"]);
    gateway.engine.stop();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
