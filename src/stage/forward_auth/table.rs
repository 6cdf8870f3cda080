//! The keys of `[forward_auth.*]`, with their defaults.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::units::{HttpUrl, Interval, Many, Switch};
use crate::stage::outside::ServiceTls;

/// `[forward_auth.NAME]`: whether a service outside lets a client in.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Where the service is asked, by a GET without a body.
    pub url: HttpUrl,
    /// Headers of the client's request that the service is sent. Left out: all but those of its connection and of its handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send: Option<Many<String>>,
    /// Headers of the service's answer that a backend is sent, in the place of the client's own of these names.
    #[serde(default)]
    pub receive: Many<String>,
    /// The header of the service's answer that names the user: an answer without it lets nobody in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// How long the service may take to answer.
    #[serde(default = "timeout")]
    pub timeout: Interval,
    /// How long its answer is gone by when the very same is to be asked again; an hour at most.
    #[serde(default = "off")]
    pub cache: Switch<Interval>,
    /// What becomes of clients while it gives no answer that can be gone by.
    #[serde(default)]
    pub on_error: OnError,
    /// How long who was let in may stay before it has to come back and be asked about again.
    #[serde(default = "off")]
    pub lifetime: Switch<Interval>,
    /// Who may say that the service is who it is, where not the authorities that this machine trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ServiceTls>,
}

/// What becomes of clients while a service gives no answer that can be gone by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// They are told to come back.
    #[default]
    Deny,
    /// They are let in, and nobody knows who they are.
    Allow,
}

fn timeout() -> Interval {
    Interval::seconds(2)
}

fn off() -> Switch<Interval> {
    Switch::Off
}
