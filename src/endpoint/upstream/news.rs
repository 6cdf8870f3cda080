//! What opening a connection tells of an upstream's servers, for whoever reports it.

use std::sync::Arc;

use crate::stage::Outcome;

/// Something an operator would want to know of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A try has failed.
    Failed {
        /// The server.
        server: Arc<str>,
        /// What the client would have been told if this had been the last try.
        outcome: Outcome,
        /// What the server did.
        detail: String,
        /// Whether another server has answered in its place; where none has, the refusal's rule tells of every try too.
        is_replaced: bool,
    },
    /// It has failed too often in a row, and is left alone for [`REST`](super::REST).
    Resting {
        /// The server.
        server: Arc<str>,
    },
    /// It rested, and has answered again.
    Back {
        /// The server.
        server: Arc<str>,
    },
}
