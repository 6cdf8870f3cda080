//! A route of the snapshot: what it asks of a client, what answers, and its limits.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use crate::config::table::OnReload;
use crate::endpoint::Endpoint;
use crate::stage::Pipeline;
use crate::stage::rate_limit::Requests;
use crate::wire::extensions::Compression;
use crate::wire::session::{Limits, MaxMessage};

/// One route.
pub struct Route {
    /// Its name, without its kind.
    pub name: Arc<str>,
    /// What its connections pass after their listener's pipeline.
    pub pipeline: Pipeline,
    /// What answers.
    pub endpoint: Endpoint,
    /// The same, as the file names it.
    pub answers: Arc<str>,
    /// The subprotocols that may be agreed on; `None` for all of them.
    pub subprotocols: Option<Vec<String>>,
    /// The largest message of each side.
    pub max_message: MaxMessage,
    /// How many bytes of the gateway's own messages may wait for a peer.
    pub send_queue: usize,
    /// What ordinary requests may do, where they pass.
    pub http: Option<Http>,
    /// Its clocks.
    pub times: Times,
    /// What becomes of permessage-deflate on the way to a backend.
    pub compression: Compression,
    /// Headers the backend gets, each with the claim it tells.
    pub forward_claims: Vec<(HeaderName, String)>,
    /// What becomes of its connections when an edit changes it.
    pub on_reload: OnReload,
}

/// Routes are equal when they say the same and are made of the same stages and endpoint.
impl PartialEq for Route {
    fn eq(&self, other: &Self) -> bool {
        self.pipeline == other.pipeline && self.endpoint == other.endpoint && self.answers == other.answers && self.has_settings_of(other)
    }
}

impl Route {
    /// Whether it is equal to another but for its pipeline and what answers.
    pub(super) fn has_settings_of(&self, other: &Self) -> bool {
        let Self { name, pipeline: _, endpoint: _, answers: _, subprotocols, max_message, send_queue, .. } = self;
        let Self { times, compression, forward_claims, on_reload, http, .. } = self;
        *name == other.name
            && *subprotocols == other.subprotocols
            && *max_message == other.max_message
            && *send_queue == other.send_queue
            && *http == other.http
            && *times == other.times
            && *compression == other.compression
            && *forward_claims == other.forward_claims
            && *on_reload == other.on_reload
    }

    /// What its connections may take.
    pub fn limits(&self) -> Limits {
        Limits { max_message: self.max_message, close_timeout: self.times.close.into(), send_queue: self.send_queue }
    }

    /// The subprotocols the gateway may promise before a backend is asked: an endpoint of its own speaks those it is said to, a
    /// backend may speak any; `None` is any.
    pub fn promised_subprotocols(&self) -> Option<&[String]> {
        match (&self.endpoint, &self.subprotocols) {
            (_, Some(named)) => Some(named),
            (Endpoint::Own(_) | Endpoint::Health(_), None) => Some(&[]),
            (Endpoint::Upstream(_), None) => None,
        }
    }
}

/// What ordinary requests of a route may do.
#[derive(Clone, PartialEq)]
pub struct Http {
    /// How many of them a client may make.
    pub requests: Option<Arc<Requests>>,
    /// The largest body, in bytes.
    pub max_body: u64,
    /// How long a backend may take to begin its answer.
    pub within: Duration,
    /// Whether preflights pass without a credential.
    pub preflight: bool,
}

/// The clocks of a route's connections; `None` is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// How long a leg may be silent before it is pinged.
    pub ping: Option<Duration>,
    /// How long a ping may go without any byte in answer.
    pub pong: Duration,
    /// How long no message may pass.
    pub idle: Option<Duration>,
    /// How long a connection may last.
    pub lifetime: Option<Duration>,
    /// How long each step of a closing handshake may take.
    pub close: Duration,
}
