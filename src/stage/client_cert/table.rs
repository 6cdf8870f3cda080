//! The keys of `[client_cert.*]`, with their defaults.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::units::Many;
use crate::stage::certificate::{Allow, Certificate};

/// `[client_cert.NAME]`: who a client is, proven by the certificate that it has shown in its TLS handshake.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// What of the certificate names the user: the first that it has.
    #[serde(default = "user")]
    #[schemars(extend("minItems" = 1))]
    pub user: Many<Naming>,
    /// Who is let in, of those whose certificates the listener has verified: whoever one of these lists names. Left out, all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Allow>,
}

fn user() -> Many<Naming> {
    Many(vec![Naming::Uri, Naming::Email, Naming::Dns, Naming::Cn])
}

/// A part of a certificate that may name whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Naming {
    /// The first URI of its subjectAltName.
    #[serde(rename = "san.uri")]
    Uri,
    /// The first mail address there.
    #[serde(rename = "san.email")]
    Email,
    /// The first name of a host there.
    #[serde(rename = "san.dns")]
    Dns,
    /// The common name of its subject.
    #[serde(rename = "subject.cn")]
    Cn,
    /// All of its subject, as RFC 4514 writes it.
    #[serde(rename = "subject")]
    Subject,
}

impl Naming {
    /// What a certificate has of it.
    pub(super) fn of(self, certificate: &Certificate) -> Option<&str> {
        let names = match self {
            Self::Uri => &*certificate.uri,
            Self::Email => &certificate.email,
            Self::Dns => &certificate.dns,
            Self::Cn => certificate.cn.as_slice(),
            Self::Subject => std::slice::from_ref(&certificate.subject),
        };
        names.iter().map(|name| &**name).find(|name| !name.is_empty())
    }
}
