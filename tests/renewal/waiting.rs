//! While whoever must be asked about a newer credential has not answered, the connection runs on under its old deadline.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::SinkExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use wsgate::config::document::Document;
use wsgate::config::fault::Faults;
use wsgate::config::secret::Secret;
use wsgate::engine::Engine;
use wsgate::gateway::{Catalog, Gateway};
use wsgate::stage::cells::Cells;
use wsgate::stage::refusal::TOKEN_EXPIRED;
use wsgate::stage::renewal::Warning;
use wsgate::stage::{
    BoxFuture, Build, Client, Configure, Fate, Identity, Inspect, Judgement, Message, MessageInspector, Proof, Refusal, Renewal, Side,
    Stage, Verdict, ticket,
};

use super::support::{self, Socket, ask, closed, next_text, raw};

/// `[slow.*]`: lets everybody in for a while, and lets a `renew NAME` go on for an hour once the test says so.
struct Slow {
    name: Arc<str>,
    lasts: Duration,
    says: Arc<Semaphore>,
}

/// The keys of `[slow.*]`.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SlowTable {
    /// How long a connection lives, in milliseconds.
    lasts: u64,
}

impl Configure for Slow {
    const KIND: &'static str = "slow";
    const AUTHENTICATES: bool = true;
    type Table = SlowTable;

    fn configure(table: SlowTable, build: &mut Build<'_>) -> Result<Self, Faults> {
        let lasts = Duration::from_millis(table.lasts);
        Ok(Self { name: build.name().into(), lasts, says: build.cell(|| Semaphore::new(0)) })
    }
}

impl Slow {
    fn identity(&self, claims: &str, lasts: Duration) -> Identity {
        let expires = Some(SystemTime::now() + lasts);
        let claims = format!("{{\"sub\":\"alice\",\"shown\":{claims:?}}}").into();
        Identity {
            by: self.name.clone(),
            user: Some("alice".into()),
            claims,
            expires,
            proof: Proof { key: "k".into(), kid: None, key_set: None, algorithm: "HS256" }.into(),
        }
    }
}

impl Stage for Slow {
    fn handshake<'a>(&'a self, client: &'a mut Client) -> Judgement<'a> {
        let issued = client.request.as_deref_mut().map_or(Ok(()), ticket::issue);
        client.prove(self.identity("", self.lasts));
        Judgement::Now(issued)
    }

    fn review(&self, client: &Client, now: SystemTime) -> Verdict {
        let expires = client.identity(&self.name).and_then(|identity| identity.expires).unwrap();
        if expires <= now { Err(Box::new(Refusal::new(TOKEN_EXPIRED))) } else { Ok(()) }
    }

    fn inspect(&self, _: &Client) -> Inspect {
        Inspect::Messages(Box::new(Reader))
    }

    fn bars_takeover(&self) -> bool {
        true
    }

    fn renewal(&self) -> Option<&dyn Renewal> {
        Some(self)
    }
}

impl Renewal for Slow {
    fn identity(&self, client: &Client) -> Option<Arc<Identity>> {
        client.identity(&self.name)
    }

    fn renew<'a>(&'a self, _: &'a Client, credential: &'a str) -> BoxFuture<'a, Result<Identity, Box<Refusal>>> {
        Box::pin(async move {
            self.says.acquire().await.unwrap().forget();
            Ok(Self::identity(self, credential, Duration::from_secs(3600)))
        })
    }

    fn told(&self, outcome: Result<Option<Duration>, &Refusal>) -> Option<Message<'static>> {
        Some(outcome.map_or_else(|refusal| format!("refused: {}", refusal.outcome.id), |_| "renewed".to_owned()).into())
    }

    fn warning(&self, _: &Client) -> Option<Warning> {
        None
    }

    fn takes_tickets(&self) -> bool {
        true
    }
}

struct Reader;

impl MessageInspector for Reader {
    fn message(&mut self, from: Side, message: &Message<'_>) -> Result<Fate, Box<Refusal>> {
        match message {
            Message::Text(text) if from == Side::Client && text.starts_with("renew ") => Ok(Fate::Renew(Secret::new(&**text))),
            _ => Ok(Fate::Pass),
        }
    }
}

/// A gateway in this process, and how the test says what the stage waits for.
fn start(lasts: u64, listener: &str) -> (Engine, SocketAddr, Arc<Semaphore>) {
    let config = format!(
        "[listener.public]\naddress = \"127.0.0.1:0\"\n{listener}\n[slow.one]\nlasts = {lasts}\n\
         [route.r]\npipeline = [\"slow.one\"]\nendpoint = \"echo\"\n"
    );
    let cells = Cells::default();
    let document = Document::parse("embedded", config, ".");
    let (gateway, faults) = Gateway::compile(&document, &Catalog::default().with_stage::<Slow>(), &cells);
    let engine = Engine::start(gateway.unwrap_or_else(|| panic!("{faults:?}"))).unwrap();
    let address = engine.addresses()[0].1;
    (engine, address, cells.cell("slow", "one", || Semaphore::new(0)))
}

const TICKET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

async fn connect(address: SocketAddr) -> Socket {
    support::connect(format!("ws://{address}/?wsgate_ticket={TICKET}")).await.unwrap()
}

async fn post(address: SocketAddr) -> String {
    let request =
        format!("POST /.well-known/wsgate/renew HTTP/1.1\r\nHost: a\r\nX-Wsgate-Ticket: {TICKET}\r\nAuthorization: Bearer x\r\n\r\n");
    raw::exchange(address, request.as_bytes()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_goes_on_while_its_renewal_waits_and_the_last_credential_counts() {
    let (engine, address, says) = start(3_600_000, "");
    let mut socket = connect(address).await;
    for credential in ["renew a", "renew b", "renew c"] {
        socket.send(credential.into()).await.unwrap();
        assert_eq!(ask(&mut socket, "hello").await, "hello", "{credential}");
    }
    says.add_permits(1);
    assert_eq!(next_text(&mut socket).await, "renewed");
    assert_eq!(ask(&mut socket, "hello").await, "hello");
    assert_eq!(says.available_permits(), 0, "one was looked at to its end");
    engine.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_comes_too_late_saves_nobody() {
    let (engine, address, _says) = start(1000, "");
    let mut socket = connect(address).await;
    socket.send("renew a".into()).await.unwrap();
    let asked = tokio::spawn(post(address));
    assert_eq!(ask(&mut socket, "hello").await, "hello");
    assert_eq!(closed(&mut socket).await.0, 3000);
    asked.abort();
    engine.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_waits_no_longer_than_a_handshake_may() {
    let (engine, address, says) = start(3_600_000, "handshake_timeout = \"200ms\"");
    let mut socket = connect(address).await;
    assert_eq!(ask(&mut socket, "renew a").await, "refused: auth_unavailable");
    let answer = post(address).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(ask(&mut socket, "hello").await, "hello");
    says.add_permits(2);
    assert_eq!(ask(&mut socket, "renew b").await, "renewed");
    let answer = post(address).await;
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    engine.stop();
}
