//! The keys of `[client_cert.*]`, with their defaults.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::units::{Many, written_as_string};
use crate::stage::certificate::Certificate;
use crate::stage::sha256::Sha256;

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

/// Whose certificates are let in.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Allow {
    /// Names of hosts in its subjectAltName: `"device-7.example.com"`, or `"*.example.com"` for every name with one label more.
    #[serde(skip_serializing_if = "is_empty")]
    pub dns: Many<Host>,
    /// URIs there: `"spiffe://example.com/chat"`.
    #[serde(skip_serializing_if = "is_empty")]
    pub uri: Many<String>,
    /// Mail addresses there.
    #[serde(skip_serializing_if = "is_empty")]
    pub email: Many<String>,
    /// Common names of its subject.
    #[serde(skip_serializing_if = "is_empty")]
    pub cn: Many<String>,
    /// Certificates themselves, by their SHA-256 in hex: `openssl x509 -in cert.pem -noout -fingerprint -sha256`.
    #[serde(skip_serializing_if = "is_empty")]
    pub fingerprint: Many<Fingerprint>,
}

fn is_empty<T>(list: &Many<T>) -> bool {
    list.0.is_empty()
}

impl Allow {
    /// Whether it names nobody.
    pub(super) fn is_empty(&self) -> bool {
        let texts = [&self.uri, &self.email, &self.cn];
        self.dns.is_empty() && self.fingerprint.is_empty() && texts.iter().all(|list| list.is_empty())
    }

    /// Whether one of its lists names this certificate.
    pub(super) fn covers(&self, certificate: &Certificate) -> bool {
        let one_of = |allowed: &[String], names: &[Box<str>]| names.iter().any(|name| allowed.iter().any(|allowed| **allowed == **name));
        certificate.dns.iter().any(|name| self.dns.iter().any(|allowed| allowed.covers(name)))
            || one_of(&self.uri, &certificate.uri)
            || one_of(&self.email, &certificate.email)
            || one_of(&self.cn, certificate.cn.as_slice())
            || self.fingerprint.iter().any(|allowed| allowed.0 == certificate.fingerprint)
    }
}

/// A host's name, or every name with one label more than what stands behind `*.`; lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(Box<str>);

impl Host {
    fn covers(&self, name: &str) -> bool {
        match self.0.strip_prefix("*.") {
            Some(behind) => name.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == behind),
            None => name == &*self.0,
        }
    }
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix("*.").unwrap_or(text);
        if name.contains('*') {
            return Err(format!("in {text:?} the `*` is not the whole first label; write \"*.example.com\""));
        }
        let is_label = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !name.split('.').all(is_label) {
            return Err(format!("{text:?} is not the name of a host; write \"device-7.example.com\" or \"*.example.com\""));
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

written_as_string!(
    Host,
    "HostOfCertificate",
    "the name of a host: \"device-7.example.com\", \"*.example.com\"",
    r"^(\*\.)?[A-Za-z0-9._-]+$"
);

/// A certificate's SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub(super) Sha256);

impl FromStr for Fingerprint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // As OpenSSL prints it: in capitals, with colons.
        let digits: String = text.chars().filter(|c| *c != ':').collect();
        let parsed = Sha256::from_hex(&digits);
        parsed
            .map(Self)
            .ok_or_else(|| format!("{text:?} is not a SHA-256; write its 64 digits, as openssl x509 -fingerprint -sha256 prints them"))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

written_as_string!(Fingerprint, "CertificateFingerprint", "a SHA-256 in hex, with or without colons", r"^[0-9A-Fa-f:]{64,95}$");
