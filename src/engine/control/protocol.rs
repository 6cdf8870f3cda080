//! What is spoken over the control socket: one request as a line of JSON, and a line for each reply to it.
//!
//! ```text
//! {"version":1,"verb":{"ps":{"route":"chat"}}}
//! {"item":{"id":"00000000000000ab","route":"chat", …}}
//! {"done":{"shown":1}}
//! ```

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::units::{Cidr, Interval};

/// The version that is spoken; another is refused.
pub const VERSION: u32 = 1;

/// The longest request, in bytes.
pub const MAX_REQUEST: usize = 16 << 10;

/// A request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`VERSION`].
    pub version: u32,
    /// What is asked.
    pub verb: Verb,
}

/// What can be asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Verb {
    /// How the gateway does.
    Status,
    /// The config in force, each of its tables an item.
    Show {
        /// Only what connections of this route meet.
        route: Option<String>,
    },
    /// The connections, each an item.
    Ps(Selector),
    /// Ends connections.
    Kick(Kick),
    /// Events, each an item.
    Events(Follow),
    /// What an edit would come to.
    Plan {
        /// The file; the config itself where it is left out. An absolute path.
        file: Option<PathBuf>,
    },
    /// Puts the config in force as it is saved.
    Reload {
        /// Whether it may close more than `max_closed` allows.
        force: bool,
    },
    /// Puts the text in force that was before.
    Rollback {
        /// As with `reload`.
        force: bool,
    },
    /// Adds a network to a list that a firewall denies by.
    Deny(Deny),
    /// Takes one out of it.
    Undeny(Undeny),
    /// Adds to a list of what is revoked.
    Revoke(Revoke),
}

/// One line of an answer. The last is no item.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// One of what was asked for.
    Item(Value),
    /// It is done, or this is all.
    Done(Value),
    /// A text has faults, and nothing was done.
    Faults(Faulty),
    /// It could not be done, for this reason.
    Failed(String),
}

/// The faults of a text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Faulty {
    /// As `wsgate check` prints them.
    pub rendered: String,
    /// As `wsgate check --json` does.
    pub faults: Value,
}

/// Which connections are meant: those to which all of it applies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Selector {
    /// The connection of this id, as logs write it.
    pub id: Option<String>,
    /// Clients of these addresses.
    pub ip: Option<Cidr>,
    /// Of this user.
    pub user: Option<String>,
    /// Of this route.
    pub route: Option<String>,
    /// Connected to this server, as the file writes it.
    pub server: Option<String>,
}

/// Which connections to end, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kick {
    /// Which; all of them where nothing is selected, which `all` has to confirm.
    pub selector: Selector,
    /// Whether all are meant.
    pub all: bool,
    /// Only counts them.
    pub dry_run: bool,
    /// The close code, where the route's own is not to be.
    pub code: Option<u16>,
    /// The reason, at most 123 bytes, where the route's own is not to be.
    pub reason: Option<String>,
}

/// Which events, and for how long.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Follow {
    /// Whether those to come are wanted.
    pub follow: bool,
    /// How many of the latest, before those to come; all that are kept where it is left out.
    pub last: Option<usize>,
    /// `error`, `warn` or `info`: that and above.
    pub level: Option<String>,
    /// Only those that carry this route.
    pub route: Option<String>,
}

/// Whom to deny.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deny {
    /// The addresses.
    pub cidr: Cidr,
    /// How long; for good where neither this nor `until` is there.
    pub r#for: Option<Interval>,
    /// Until when, as 2027-01-31T18:00:00Z.
    pub until: Option<String>,
    /// Why, for whoever reads the list and the log.
    pub note: Option<String>,
    /// Which list, where there are several.
    pub list: List,
    /// Whether it may close more than `max_closed` allows.
    pub force: bool,
}

/// Whom to deny no longer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undeny {
    /// The addresses, as they stand in the list.
    pub cidr: Cidr,
    /// Which list, where there are several.
    pub list: List,
}

/// What to revoke.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// `jti`, `sub`, `kid` or `ip`.
    pub kind: String,
    /// Its value.
    pub value: String,
    /// How long; for good where neither this nor `until` is there.
    pub r#for: Option<Interval>,
    /// Until when, as 2027-01-31T18:00:00Z.
    pub until: Option<String>,
    /// Why, for whoever reads the list and the log.
    pub note: Option<String>,
    /// Which list, where there are several.
    pub list: List,
    /// Whether it may close more than `max_closed` allows.
    pub force: bool,
}

/// Which list of those that the config names.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct List {
    /// One that this stage names; its name without its kind.
    pub stage: Option<String>,
    /// This file, as the config writes it.
    pub file: Option<String>,
}
