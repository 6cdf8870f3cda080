//! A question to a service, and what comes of it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::config::units::HttpUrl;

use super::Trust;

/// A question over HTTP: a GET without a body.
#[derive(Clone, Debug)]
pub struct Question {
    /// Where it goes.
    pub url: HttpUrl,
    /// Its headers; `Host` is the URL's where none is here.
    pub headers: HeaderMap,
    /// Who may say that the service is who it is; over TLS there has to be somebody.
    pub trust: Option<Trust>,
    /// How long all of it may take, from being handed in to the answer's last byte.
    pub within: Duration,
    /// The largest body of its answer, in bytes.
    pub max_body: usize,
    /// How many redirects are followed; one beyond is the answer.
    pub redirects: u8,
    /// Whether it takes one of the places that there are for questions to its service, and waits for one where none is free. What
    /// clients cause does; of what the file alone causes there is not more than it says.
    pub takes_place: bool,
}

/// What comes of a question.
pub type Answer = Result<Reply, Failed>;

/// A service's answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, whole.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// What kind of failure it is, of few there are.
    pub word: &'static str,
    /// What is known of it; the service is "it".
    pub detail: String,
}

impl Failed {
    /// A failure of this kind.
    pub fn new(word: &'static str, detail: impl Into<String>) -> Self {
        Self { word, detail: detail.into() }
    }

    /// It has taken longer than this.
    pub fn timed_out(within: Duration) -> Self {
        Self::new("timeout", format!("no answer within {within:?}"))
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}
