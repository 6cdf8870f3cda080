//! The keys of `[jwt.*]`, with their defaults.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::secret::SecretSource;
use crate::config::units::{Interval, Many, Switch};
use crate::stage::credentials::{FirstMessageTable, Source};
use crate::stage::outside::ServiceTls;
use crate::stage::template::{OfTime, Template};

use super::algorithm::Signature;
use super::issuer::{Issuer, KeySetPlace};
use super::warn::Warn;

/// `[jwt.NAME]`: who a client is, proven by a JSON Web Token (RFC 7519).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Algorithms that tokens may be signed with: HS256, HS384, HS512, RS and PS of the same lengths, ES256, ES384, EdDSA. Left out, all
    /// for which there are public keys.
    #[serde(default = "algorithms")]
    #[schemars(extend("minItems" = 1))]
    pub algorithms: Many<Signature>,
    /// Shared secrets, for HS algorithms: the first signs what `wsgate token` mints, all verify.
    #[serde(default)]
    pub secret: Many<SecretSource>,
    /// Public keys in PEM or as JWKs, for all other algorithms.
    #[serde(default)]
    pub key: Many<SecretSource>,
    /// A set of public keys: its URL, which is fetched again whenever it has been gone by for long enough, or `{ file }`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<KeySetPlace>,
    /// Issuers, of which `iss` must be one, each with a set of keys and an `audience` of its own where it is written as a table. The
    /// table's `secret`, `key` and `jwks` are for those without a set; where there is none of these, an issuer is asked where its keys
    /// are (OpenID Connect Discovery).
    #[serde(default)]
    pub issuer: Many<Issuer>,
    /// Audiences, of which `aud` must name one.
    #[serde(default)]
    pub audience: Many<String>,
    /// Claims that must be there.
    #[serde(default = "require")]
    pub require: Many<String>,
    /// Claims that may name the user: the first that is there does. Dotted paths lead into objects.
    #[serde(default = "user")]
    pub user: Many<String>,
    /// How far the issuer's clock may differ from ours; 10 minutes at most.
    #[serde(default = "leeway")]
    pub leeway: Switch<Interval>,
    /// Where a token may stand: `"header"` as `Authorization: Bearer`, `"header:NAME"`, `"query:NAME"`, `"cookie:NAME"`, `"subprotocol:MARKER"` as what
    /// the client offers behind that one, `"first_message"` as the first text after the upgrade. The first that is there decides, and
    /// none of them goes on to a backend or into a log.
    #[serde(default = "sources")]
    #[schemars(extend("minItems" = 1))]
    pub sources: Many<Source>,
    /// What becomes of live connections whose key has gone from its set: `"recheck"` closes them, in turn, `"keep"` leaves them.
    #[serde(default)]
    pub on_key_removed: OnKeyRemoved,
    /// Who may say that providers of key sets are who they are, where not the authorities that this machine trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ServiceTls>,
    /// How long a live connection outlives its token.
    #[serde(default = "grace")]
    pub grace: Switch<Interval>,
    /// How long before a live connection ends with its token that is told: `"30s"`, once a token in the log; with `{ before, message }`
    /// the client is told too.
    #[serde(default = "warn")]
    pub warn: Switch<Warn>,
    /// How a live connection may show a newer token of the same subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renew: Option<RenewTable>,
    /// What is known of the first message, where it is a source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_message: Option<FirstMessageTable>,
}

/// What becomes of live connections whose key has gone from its set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnKeyRemoved {
    /// They are judged again, and closed in turn.
    #[default]
    Recheck,
    /// They go on until their tokens end.
    Keep,
}

/// All that public keys verify.
pub(super) fn algorithms() -> Many<Signature> {
    Many(Signature::paired().collect())
}

/// The keys of `renew`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RenewTable {
    /// By a message of the client's, which goes no further, good or bad.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<RenewMessage>,
    /// By `POST /.well-known/wsgate/renew` on the listener, with the token as `Authorization: Bearer` and the connection's ticket as
    /// `X-Wsgate-Ticket`. The ticket is what the client has put into its query, `?wsgate_ticket=`, or is given in that header of the 101.
    pub ticket: bool,
}

/// The keys of `renew.message`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewMessage {
    /// What the message is told by, a JSON object of 64 KiB at most: each of these fields, by its name or the dotted path to it, is this
    /// text, as in `{ type = "auth" }` or `{ "op.kind" = "auth" }`.
    #[serde(rename = "match")]
    #[schemars(extend("minProperties" = 1))]
    pub matches: BTreeMap<String, String>,
    /// Where the token stands in it: `"token"`, `"payload.token"`.
    pub field: String,
    /// What the client is told once the new token is in force: a template with `{seconds}`, until the connection ends. Left out, nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<Template<OfTime>>,
    /// What it is told where it is not, and the old one still is: a template with `{id}`, `{reason}` and `{code}`. Left out, nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Template>,
}

fn require() -> Many<String> {
    Many(vec!["exp".into()])
}

fn user() -> Many<String> {
    Many(vec!["sub".into()])
}

fn leeway() -> Switch<Interval> {
    Switch::On(Interval::seconds(30))
}

fn sources() -> Many<Source> {
    Many(vec![Source::Header])
}

fn grace() -> Switch<Interval> {
    Switch::Off
}

fn warn() -> Switch<Warn> {
    Switch::Off
}
