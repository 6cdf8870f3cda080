//! Judges: the stage trait and everything built on it.
//!
//! A stage sees facts and answers pass or a [`Refusal`]. It writes no log line and touches no socket.

pub mod api_key;
pub mod asked;
pub mod authorities;
pub mod authorize;
pub mod build;
pub mod cells;
pub mod certificate;
pub mod client;
pub mod client_cert;
pub mod cookies;
pub mod credentials;
pub mod errors;
mod few;
pub mod fields;
pub mod fingerprint;
pub mod firewall;
pub mod forward_auth;
mod header_name;
pub mod headers;
pub mod holders;
pub mod holdings;
pub mod identities;
pub mod inputs;
mod json;
pub mod jwt;
mod lines;
pub mod message;
mod networks;
pub mod origin;
pub mod outside;
pub mod path;
pub mod pattern;
pub mod pem;
pub mod pipeline;
pub mod proof;
pub mod query;
pub mod rate_limit;
pub mod rates;
pub mod refusal;
pub mod renewal;
pub mod revoked;
pub mod sample;
pub mod sha256;
pub mod slots;
pub mod supposed;
pub mod template;
pub mod ticket;
pub mod tls;
pub mod traffic;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Serialize, de::DeserializeOwned};

use crate::config::Part;
use crate::config::fault::Faults;

use supposed::Shown;

pub use crate::config::secret::Secret;

pub use asked::AskedFor;
pub use build::Build;
pub use client::{Asks, Client, Identity, Peer};
pub use pipeline::{Findings, Inspector, Mode, Pipeline};
pub use proof::Proof;
pub use refusal::{Ending, Outcome, Party, Refusal, Verdict};
pub use renewal::Renewal;
pub use traffic::{Fate, FrameHead, FrameInspector, Inspect, Message, MessageInspector, Opcode, Pace, Side};

/// A future a stage answers with when it must ask somebody first.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A stage's answer to a handshake.
pub enum Judgement<'a> {
    /// An answer now.
    Now(Verdict),
    /// An answer later.
    Later(BoxFuture<'a, Verdict>),
    /// Answer 101 first, and ask again with the first message in [`Client::first_message`].
    FirstMessage(FirstMessage),
}

/// What a stage wants of a first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstMessage {
    /// How long the client may take to send it, from the 101 on.
    pub timeout: Duration,
    /// Its largest size in bytes.
    pub max: u64,
}

/// One policy of a listener or route, shared by all its connections.
///
/// Every method has a pass-through default: a stage writes only the moments it cares about.
pub trait Stage: Send + Sync + 'static {
    /// The client's address is known: of a client that speaks for itself before anything is read, of one behind a trusted proxy once
    /// its request is.
    ///
    /// # Errors
    /// The refusal that turns the client away.
    fn connect(&self, _peer: &Peer) -> Verdict {
        Ok(())
    }

    /// An ordinary HTTP request comes from this address, on a connection that was let in, or behind a proxy: what judges the address judges
    /// it again; what counts connections has none to count.
    ///
    /// # Errors
    /// The refusal that turns the client away.
    fn revisit(&self, peer: &Peer) -> Verdict {
        self.connect(peer)
    }

    /// The request is read, nothing has been answered.
    fn handshake<'a>(&'a self, _client: &'a mut Client) -> Judgement<'a> {
        Judgement::Now(Ok(()))
    }

    /// Another stage of its any-of group has passed the client: takes out of the request what this one would have read as a credential,
    /// so that none goes on to a backend.
    fn withhold(&self, _client: &mut Client) {}

    /// The config, or time, has changed under a live connection.
    ///
    /// # Errors
    /// The refusal that ends it.
    fn review(&self, _client: &Client, _now: SystemTime) -> Verdict {
        Ok(())
    }

    /// How it renews what it has proven under a live connection, where it does.
    fn renewal(&self) -> Option<&dyn Renewal> {
        None
    }

    /// How this connection's traffic is to be looked at. Asked when it opens; where that was not at all, again when its identity has been
    /// renewed.
    fn inspect(&self, _client: &Client) -> Inspect {
        Inspect::Nothing
    }

    /// Shapes what a refused client is told; `client` is unknown before a request was routed.
    fn error(&self, _client: Option<&Client>, _refusal: &mut Refusal) {}

    /// The connection has ended. For counting; what it held releases itself.
    fn close(&self, _client: &Client, _ending: &Ending) {}

    /// How a client would show this token where the stage looks first, for trials; nothing where it looks at none.
    fn show(&self, _token: &str) -> Option<Shown> {
        None
    }

    /// What it asks of clients, in words, where its table takes reading; for whoever wants a request explained.
    fn says(&self) -> Option<String> {
        None
    }

    /// Whether every compressed message has to stand alone for it (RFC 7692 §7.1.1): it may leave some out, or reads them.
    fn bars_takeover(&self) -> bool {
        false
    }

    /// It is in force from now on, and may have been before: what it has done beside all traffic begins.
    fn take_effect(&self) {}

    /// Gives back what nobody uses. Asked every few seconds, away from all traffic, where it may take a while.
    fn tidy(&self) {}

    /// When this stage's verdicts next change by themselves, as when a rule expires.
    fn next_change(&self, _now: SystemTime) -> Option<SystemTime> {
        None
    }
}

/// How a stage is made from its table in the file.
pub trait Configure: Stage + Sized {
    /// The kind, as the file writes it: `[kind.name]`.
    const KIND: &'static str;
    /// Whether a bare `"kind"` may stand in a pipeline: its defaults are complete.
    const BARE: bool = false;
    /// Whether a client that passed this stage has an [`Identity`].
    const AUTHENTICATES: bool = false;
    /// Whether a browser that passed this stage was sent by a page that may connect.
    const JUDGES_ORIGINS: bool = false;
    /// Rows of its own, besides those of [`TABLE`](refusal::TABLE): `wsgate errors` lists them, and an `errors` stage may name them.
    const OUTCOMES: &'static [Outcome] = &[];
    /// The table's keys. `mode` is not among them: the pipeline keeps it.
    type Table: DeserializeOwned + Serialize + JsonSchema;

    /// Makes the stage. All that can fail fails here.
    ///
    /// # Errors
    /// Every fault of the table that its shape alone does not show.
    fn configure(table: Self::Table, build: &mut Build<'_>) -> Result<Self, Faults>;
}

/// Every stage that is built in. To add one: write its file, its `mod` line above, and its entry here.
pub const STAGES: &[StageKind] = &[
    StageKind::of::<api_key::ApiKey>(),
    StageKind::of::<authorize::Authorize>(),
    StageKind::of::<client_cert::ClientCert>(),
    StageKind::of::<errors::Errors>(),
    StageKind::of::<firewall::Firewall>(),
    StageKind::of::<forward_auth::ForwardAuth>(),
    StageKind::of::<headers::Headers>(),
    StageKind::of::<jwt::Jwt>(),
    StageKind::of::<message::Messages>(),
    StageKind::of::<origin::Origin>(),
    StageKind::of::<rate_limit::RateLimit>(),
    StageKind::of::<revoked::Revoked>(),
];

/// Makes a stage from its table.
pub type MakeStage = fn(&Part, &mut Build<'_>) -> Result<Arc<dyn Stage>, Faults>;

/// Fills in the defaults of a table.
pub type ExpandTable = fn(&Part) -> Result<toml::Table, Faults>;

/// One kind of stage: what the file calls it, and how it is made.
#[derive(Clone, Copy, Debug)]
pub struct StageKind {
    /// [`Configure::KIND`].
    pub kind: &'static str,
    /// [`Configure::BARE`].
    pub bare: bool,
    /// [`Configure::AUTHENTICATES`].
    pub authenticates: bool,
    /// [`Configure::JUDGES_ORIGINS`].
    pub judges_origins: bool,
    /// [`Configure::OUTCOMES`].
    pub outcomes: &'static [Outcome],
    /// Makes the stage from its table, which is without `mode`.
    pub build: MakeStage,
    /// The JSON Schema of its table.
    pub schema: fn() -> Schema,
    /// Its table with every default filled in and every secret masked, without `mode`.
    pub expand: ExpandTable,
}

impl StageKind {
    /// The entry of this stage. One with an [outcome](Configure::OUTCOMES) that the wire cannot carry does not compile.
    pub const fn of<S: Configure>() -> Self {
        const { assert!(are_sound(S::OUTCOMES), "an outcome has a status, a close code or a reason that the wire cannot carry") };
        Self {
            kind: S::KIND,
            bare: S::BARE,
            authenticates: S::AUTHENTICATES,
            judges_origins: S::JUDGES_ORIGINS,
            outcomes: S::OUTCOMES,
            build: |part, build| Ok(Arc::new(S::configure(part.read()?, build)?)),
            schema: || schema_for!(S::Table),
            expand: |part| part.expand::<S::Table>(),
        }
    }
}

const fn are_sound(mut outcomes: &[Outcome]) -> bool {
    while let Some((outcome, rest)) = outcomes.split_first() {
        if !outcome.is_sound() {
            return false;
        }
        outcomes = rest;
    }
    true
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::cells::Cells;
    use super::*;
    use crate::config::Config;
    use crate::config::document::Document;

    /// The stages' tables in a text.
    fn parts(text: &str) -> Vec<Part> {
        let kinds: Vec<_> = STAGES.iter().map(|stage| stage.kind).chain(["authenticated", "echo"]).collect();
        let (config, _) = Config::read(&Document::parse("test", text, "."), &kinds);
        config.unwrap().parts.into_values().collect()
    }

    fn build(stage: &StageKind, part: &Part, folder: &Path) -> (Option<Faults>, Faults) {
        let cells = Cells::default();
        let mut build = Build::new(part.at(), folder, &cells);
        let built = (stage.build)(part, &mut build);
        (built.err(), build.warnings)
    }

    #[test]
    fn every_stage_has_a_name_of_its_own() {
        let kinds: BTreeSet<_> = STAGES.iter().map(|stage| stage.kind).collect();
        assert_eq!(kinds.len(), STAGES.len());
        assert!(kinds.iter().all(|kind| kind.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
    }

    #[test]
    fn a_key_no_stage_knows_is_refused_by_every_one() {
        for stage in STAGES {
            let part = parts(&format!("[{}.x]\nno_such_key = 1", stage.kind)).remove(0);
            let faults = build(stage, &part, Path::new(".")).0.unwrap();
            assert!(faults.0[0].message.contains("no_such_key"), "{}: {faults:?}", stage.kind);
        }
    }

    #[test]
    fn a_stage_is_complete_without_keys_where_it_may_stand_bare_and_only_there() {
        for stage in STAGES {
            let (faults, _) = build(stage, &Part::bare(stage.kind), Path::new("."));
            assert_eq!(faults.is_none(), stage.bare, "{}", stage.kind);
        }
    }

    #[test]
    fn every_stage_has_an_example_whose_tables_it_takes() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/configs");
        for stage in STAGES {
            let text = std::fs::read_to_string(folder.join(stage.kind).with_extension("toml")).unwrap();
            let tables: Vec<_> = parts(&text).into_iter().filter(|part| part.kind == stage.kind).collect();
            assert!(!tables.is_empty(), "no [{}.*] in its example", stage.kind);
            for part in tables {
                assert_eq!(build(stage, &part, &folder), (None, Faults::default()), "{}", part.at());
            }
        }
    }

    #[test]
    fn every_schema_closes_its_table_and_describes_its_keys() {
        for stage in STAGES {
            let schema = (stage.schema)();
            assert_eq!(schema.get("additionalProperties"), Some(&false.into()), "{}", stage.kind);
            let keys = schema.get("properties").and_then(|keys| keys.as_object()).unwrap();
            assert!(keys.values().all(|key| key.get("description").is_some()), "{}: {keys:?}", stage.kind);
        }
    }
}
