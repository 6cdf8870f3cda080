//! Trials: a made-up request judged by a compiled gateway, step by step, without a socket.
//!
//! A trial goes the way of a connection: its head is judged raw and parsed, it is routed, every stage is asked, and its messages pass
//! through a session. No backend is dialled. It charges the limits of the gateway it is given, so that one is compiled for it alone.

mod asked;
mod proof;
mod rehearsal;
mod stages;
mod talk;

use std::path::Path;
use std::sync::Arc;

use crate::config::fault::KeyPath;
use crate::stage::refusal::{HEAD_TOO_LARGE, MESSAGE_TOO_LARGE, Refusal, URI_TOO_LONG};
use crate::stage::supposed::Shown;
use crate::wire::answers;
use crate::wire::close::cut;

use super::Gateway;
use super::request::Target;
use super::route::Route;
use super::table::choice::Way;

pub use asked::{Ask, Credential, Unclear};
pub use proof::prove;
pub use stages::{Judged, Word};
pub use talk::{Fate, Sent};

/// What a connection that is not refused comes to, as tests and trials call it.
pub const OPEN: &str = "open";
/// The same of a probe, whose request is answered over HTTP.
pub const ANSWERED: &str = "answered";

/// What came of a request.
pub struct Trial {
    /// The listener it came to, without its kind.
    pub listener: Arc<str>,
    /// The `Host` it was made with.
    pub authority: String,
    /// Whether it is made over TLS.
    pub is_tls: bool,
    /// What it asks for; none where its path is ambiguous.
    pub asked: Option<Target>,
    /// Where its credential was put.
    pub bearing: Option<Bearing>,
    /// Whether the gateway takes its path itself, before any route.
    pub is_renewal: bool,
    /// What covers it, the one that takes it first.
    pub ways: Vec<Way>,
    /// The route that took it.
    pub route: Option<Arc<Route>>,
    /// Every stage on its way, in order.
    pub stages: Vec<Judged>,
    /// What the client is sent as soon as it is open.
    pub greeting: Vec<String>,
    /// The messages that were sent, in order; behind one that is refused none is.
    pub messages: Vec<Sent>,
    /// What a probe is answered.
    pub answered: Option<Told>,
    /// Why it is not open.
    pub refused: Option<Refused>,
}

/// Where a made-up client bears its credential.
pub struct Bearing {
    /// The stage that looks there first; none where nothing on the way reads tokens.
    pub stage: Option<Arc<str>>,
    /// Where.
    pub shown: Shown,
}

/// A refusal, and how the client is told.
pub struct Refused {
    /// The refusal, as its stages have worded it.
    pub refusal: Box<Refusal>,
    /// What the client reads.
    pub told: Told,
}

/// What a refused client reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// An answer over HTTP.
    Http {
        /// Its status.
        status: u16,
        /// Its body.
        body: String,
    },
    /// A Close frame, behind a 101.
    Close {
        /// Its code.
        code: u16,
        /// Its reason.
        reason: String,
        /// A text message before it.
        notice: Option<String>,
    },
    /// Its socket is closed.
    Nothing,
}

impl Told {
    /// How a client is told that is open, or would be opened to be told.
    fn closed(refusal: &Refusal) -> Self {
        match refusal.close_code() {
            Some(code) => Self::Close { code, reason: cut(&refusal.reason).to_owned(), notice: refusal.notification() },
            None => Self::Nothing,
        }
    }

    /// How a client is told whose request waits for an answer; `is_sealed` where its TLS has not come about.
    fn answered(refusal: &Refusal, is_sealed: bool) -> Self {
        if is_sealed || refusal.outcome.status.is_none() {
            return Self::Nothing;
        }
        let (parts, body) = answers::refusal(refusal).into_parts();
        Self::Http { status: parts.status.as_u16(), body: String::from_utf8_lossy(&body).into_owned() }
    }
}

impl Trial {
    /// Makes a request to this gateway.
    ///
    /// # Errors
    /// Why it cannot be told to which listener.
    pub async fn of(gateway: &Gateway, ask: &Ask) -> Result<Self, Unclear> {
        let listener = ask.listener(gateway)?;
        Ok(rehearsal::Rehearsal::new(gateway, listener, ask).run().await)
    }

    /// [`OPEN`], [`ANSWERED`], or the id of the outcome.
    pub fn outcome(&self) -> &'static str {
        let accepted = if self.answered.is_some() { ANSWERED } else { OPEN };
        self.refused.as_ref().map_or(accepted, |refused| refused.refusal.outcome.id)
    }

    /// Where in the file the rule stands that refused: a stage's, or a limit of the listener's or route's own.
    pub fn rule(&self) -> Option<KeyPath> {
        let refusal = &self.refused.as_ref()?.refusal;
        if refusal.stage.is_some() {
            return refusal.path();
        }
        let listener = KeyPath::table("listener", &self.listener);
        match refusal.outcome.id {
            id if id == HEAD_TOO_LARGE.id && refusal.rule.as_ref().is_some_and(|rule| rule.contains("max_headers")) => {
                Some(listener.key("max_headers"))
            }
            id if id == HEAD_TOO_LARGE.id || id == URI_TOO_LONG.id => Some(listener.key("max_head")),
            id if id == MESSAGE_TOO_LARGE.id => Some(KeyPath::table("route", &self.route.as_ref()?.name).key("max_message").key("client")),
            _ => None,
        }
    }

    /// The line that rule stands on, where it is one of a file that the config names.
    pub fn line(&self) -> Option<(&Path, usize)> {
        line(&self.refused.as_ref()?.refusal)
    }
}

/// The line a refusal's rule stands on, where it is one of a file that the config names.
pub fn line(refusal: &Refusal) -> Option<(&Path, usize)> {
    refusal.clause.as_ref()?.line.as_ref().map(|(file, line)| (&**file, *line))
}
