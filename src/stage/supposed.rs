//! What clients bear that are only made up: a token where a stage looks for one, and claims that are taken as proven. Trials alone
//! have such clients; no connection ever does.

use serde_json::{Map, Value};

/// Left in a made-up request's extensions: a token with this text is taken for one that proves these claims. All but its signature
/// is judged. The extensions of a request that was received are empty, so nothing that a client sends becomes one.
#[derive(Clone, Debug)]
pub struct Supposed {
    /// The text that stands for the token.
    pub token: Box<str>,
    /// What it proves.
    pub claims: Map<String, Value>,
}

/// Left in the extensions of every made-up request: nobody outside is asked about it.
#[derive(Clone, Copy, Debug)]
pub struct Rehearsed;

/// What a made-up client shows of a token, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// A parameter of the query, encoded.
    pub query: Option<String>,
    /// A header's name and value.
    pub header: Option<(Box<str>, String)>,
    /// The first message after the upgrade.
    pub first_message: Option<String>,
}
