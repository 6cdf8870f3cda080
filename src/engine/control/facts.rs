//! What the verbs answer with, as programs read it with `--json`. Times are RFC 3339, lengths of time seconds.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::config::units::Moment;

/// `status`: how a gateway does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The gateway's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// The file or folder it serves.
    pub config: String,
    /// Whether clients may be sent here.
    pub ready: bool,
    /// Why not.
    pub unready: Option<String>,
    /// When it started.
    pub started: String,
    /// How many configs have been in force with the one that is.
    pub generation: u64,
    /// Since when that is.
    pub since: String,
    /// Where the text in force is not the file's.
    pub rolled_back: Option<RolledBack>,
    /// The edit that does not take effect, until one does.
    pub refused: Option<RefusedEdit>,
    /// Connections that are open.
    pub connections: usize,
    /// Those among them that an edit has ended, and that wait for their turn to be closed.
    #[serde(default)]
    pub leaving: usize,
    /// Handshakes in progress.
    pub handshakes: usize,
    /// The routes, those of earlier configs that still have connections among them.
    pub routes: Vec<RouteStatus>,
    /// Listeners and routes of earlier configs that live on because connections use them.
    pub parts_aside: usize,
    /// The stages and rules that refuse nobody.
    pub reporting: Vec<String>,
    /// The key sets that are fetched.
    #[serde(default)]
    pub key_sets: Vec<KeySetStatus>,
}

/// A key set that is fetched.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeySetStatus {
    /// Its URL, or its issuer.
    pub set: String,
    /// How many keys it has.
    pub keys: usize,
    /// When it was fetched last; none where it never was.
    pub fetched: Option<String>,
    /// How many seconds ago that was.
    pub age: Option<u64>,
    /// How often it could not be fetched.
    pub failures: u64,
    /// Why it could not be fetched the last time, where it could not.
    pub error: Option<String>,
}

/// A text of before is in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RolledBack {
    /// The generation whose text it is.
    pub to: u64,
    /// Since when.
    pub at: String,
}

/// An edit that does not take effect.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RefusedEdit {
    /// When it was refused.
    pub at: String,
    /// Every fault with its place, one a line, or the one reason.
    pub faults: String,
}

/// A route and its connections.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RouteStatus {
    /// Its name.
    pub route: String,
    /// Its connections.
    pub connections: usize,
    /// The same by the last generation whose rules they go by.
    pub generations: BTreeMap<u64, usize>,
}

/// `ps`: a connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Connection {
    /// Its id, as in the log.
    pub id: String,
    /// Seconds since it was accepted.
    pub age: f64,
    /// Its listener.
    pub listener: String,
    /// Its route.
    pub route: String,
    /// The client's address.
    pub ip: String,
    /// The user, where a stage has said who it is.
    pub user: Option<String>,
    /// Seconds until what it was let in by ends, and it does unless that is renewed; none where it does not.
    pub expires_in: Option<f64>,
    /// The host it asked for.
    pub host: String,
    /// The path it asked for.
    pub path: String,
    /// The server it is connected to, where it is an upstream's.
    pub server: Option<String>,
    /// The subprotocol that was agreed on.
    pub subprotocol: Option<String>,
    /// Messages from the client.
    pub client_messages: u64,
    /// Bytes of them.
    pub client_bytes: u64,
    /// Messages from the backend.
    pub upstream_messages: u64,
    /// Bytes of them.
    pub upstream_bytes: u64,
    /// The last generation whose rules it goes by.
    pub generation: u64,
    /// Whether it was told to end, and only has not yet.
    pub ending: bool,
}

/// `show`, when all tables were shown: what they are the tables of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InForce {
    /// The file or folder that is served.
    pub config: String,
    /// How many configs have been in force with this one.
    pub generation: u64,
    /// Since when it is.
    pub since: String,
    /// Where the text in force is not the file's.
    pub rolled_back: Option<RolledBack>,
    /// The edit that does not take effect, until one does.
    pub refused: Option<RefusedEdit>,
}

/// `ps`, when all connections were shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// How many.
    pub shown: usize,
}

/// `kick`: what became of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kicked {
    /// How many connections were ended, or would have been.
    pub connections: usize,
    /// Whether they were only counted.
    pub dry_run: bool,
}

/// `plan`, `reload` and `rollback`: what an edit comes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Whether it changes anything.
    pub changes: bool,
    /// The generation that is in force now; none for a plan.
    pub generation: Option<u64>,
    /// The generation whose text is in force, of a rollback.
    pub rolled_back_to: Option<u64>,
    /// Tables that are new.
    pub added: Vec<String>,
    /// Tables that say something else, or whose files do, or that refer to one that does.
    pub changed: Vec<String>,
    /// Tables that are gone.
    pub removed: Vec<String>,
    /// How many tables are as they were.
    pub same: usize,
    /// Connections that are not concerned.
    pub kept: usize,
    /// Connections that are judged again, and allowed.
    pub judged_again: usize,
    /// Connections that are closed, at once or in their turn.
    pub closed: usize,
    /// Connections that an edit before has ended, and that still wait for their turn.
    #[serde(default)]
    pub leaving: usize,
    /// Every route.
    pub routes: Vec<RouteOutcome>,
    /// Why it would be refused unless it were forced, of a plan.
    pub refused: Option<String>,
    /// What its operator would want to know of it.
    pub warnings: Vec<String>,
}

/// What an edit comes to for a route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteOutcome {
    /// Its name.
    pub route: String,
    /// `unchanged`, `changed`, `added` or `removed`.
    pub fate: String,
    /// The tables that are why.
    pub because: Vec<String>,
    /// Its connections that are not concerned.
    pub kept: usize,
    /// Those that are judged again, and allowed.
    pub judged_again: usize,
    /// Those that are closed, by what closes them, the most first.
    pub closed: Vec<Closed>,
}

/// Connections that are closed for one reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Closed {
    /// How many.
    pub connections: usize,
    /// The outcome's id.
    pub outcome: String,
    /// The stage that decides, where one does.
    pub stage: Option<String>,
    /// Its rule.
    pub rule: Option<String>,
}

/// `deny`, `undeny` and `revoke`: what became of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listed {
    /// The file.
    pub file: String,
    /// The line that was added.
    pub added: Option<String>,
    /// Lines that were taken out.
    pub removed: Vec<String>,
    /// How many connections are closed.
    pub closed: usize,
    /// What the operator would want to know.
    pub warnings: Vec<String>,
}

/// A moment as it is told, to the second.
pub(super) fn told(at: SystemTime) -> String {
    Moment::at(at).to_string()
}
