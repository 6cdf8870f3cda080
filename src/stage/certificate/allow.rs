//! Which certificates are meant, by what they say.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::units::{Many, written_as_string};
use crate::stage::sha256::Sha256;

use super::Certificate;

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
    pub(in crate::stage) fn is_empty(&self) -> bool {
        let texts = [&self.uri, &self.email, &self.cn];
        self.dns.is_empty() && self.fingerprint.is_empty() && texts.iter().all(|list| list.is_empty())
    }

    /// Whether one of its lists names this certificate.
    pub(in crate::stage) fn covers(&self, certificate: &Certificate) -> bool {
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
pub struct Fingerprint(pub(in crate::stage) Sha256);

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
