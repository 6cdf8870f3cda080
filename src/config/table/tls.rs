//! TLS: what a listener shows and asks for, and whom an upstream trusts.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::units::Many;

/// How a listener speaks TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerTls {
    /// A file in PEM with its certificate, and behind it those that lead to an authority that clients trust: most call it
    /// `fullchain.pem`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// The file with that certificate's private key in PEM, without a passphrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// In the place of `cert` and `key`, several: `[{ cert = "a.pem", key = "a.key" }, ...]`. A client is shown the one for the name it
    /// asks for, by its own name before one with `*.`; the first where there is none.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub certificates: Many<CertificateFiles>,
    /// A file in PEM with the authorities whose clients are let in by their certificates, as `client_cert` stages go by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
    /// Beside `client_ca`, whether every client has to show a certificate: `"require"`, unless said otherwise; `"request"` lets in who
    /// has none, and nobody with a bad one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_auth: Option<ClientAuth>,
    /// The oldest version of TLS that is spoken.
    #[serde(default)]
    pub min_version: TlsVersion,
}

fn is_empty<T>(list: &Many<T>) -> bool {
    list.0.is_empty()
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateFiles {
    /// The file with the certificate, and behind it those that lead to an authority.
    pub cert: PathBuf,
    /// The file with its private key.
    pub key: PathBuf,
}

/// Whether clients have to show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// Who has none is not let in.
    Require,
    /// They are asked for one, and may have none.
    Request,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// The version of RFC 5246, with AEAD ciphers and ephemeral keys only.
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
    /// The version of RFC 8446.
    #[serde(rename = "1.3")]
    V1_3,
}

/// How servers of an upstream are spoken to over TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamTls {
    /// A file in PEM with the authorities that are trusted to say who servers are, in the place of those this machine trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// A file in PEM with the certificate that servers are shown which ask for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// The file with that certificate's private key in PEM, without a passphrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The name that servers are asked for, and have to have in their certificates, in the place of the host of their URLs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

impl ListenerTls {
    /// Tells what is wrong with one at this path.
    pub(super) fn check(&self, at: &KeyPath, faults: &mut Faults) {
        let has_own = self.cert.is_some() || self.key.is_some();
        if !has_own && self.certificates.is_empty() {
            let fault = Fault::new(at.clone(), "TLS needs a certificate");
            faults.push(fault.hint("write { cert = \"fullchain.pem\", key = \"privkey.pem\" }"));
        }
        if has_own && !self.certificates.is_empty() {
            let fault = Fault::new(at.key("certificates"), "a certificate stands beside `certificates`");
            faults.push(fault.hint("put it into the list, as { cert, key }"));
        }
        both(self.cert.is_some(), self.key.is_some(), at, faults);
        if self.client_auth.is_some() && self.client_ca.is_none() {
            let fault = Fault::new(at.key("client_auth"), "clients are asked for certificates that nobody could verify");
            faults.push(fault.hint("add `client_ca`, with the authorities that issue them"));
        }
    }

    /// Each certificate and key, with the keys of the table that name them.
    pub fn files(&self, at: &KeyPath) -> Vec<(CertificateFiles, KeyPath)> {
        let one = self.cert.clone().zip(self.key.clone()).map(|(cert, key)| (CertificateFiles { cert, key }, at.clone()));
        let list = self.certificates.iter().enumerate().map(|(index, files)| (files.clone(), at.key("certificates").index(index)));
        one.into_iter().chain(list).collect()
    }
}

impl UpstreamTls {
    /// Tells what is wrong with one at this path.
    pub(super) fn check(&self, at: &KeyPath, faults: &mut Faults) {
        both(self.cert.is_some(), self.key.is_some(), at, faults);
    }
}

/// A certificate is nothing without its key, and a key nothing without its certificate.
fn both(has_cert: bool, has_key: bool, at: &KeyPath, faults: &mut Faults) {
    let (there, missing) = match (has_cert, has_key) {
        (true, false) => ("cert", "key"),
        (false, true) => ("key", "cert"),
        _ => return,
    };
    faults.push(Fault::new(at.key(there), format!("`{there}` stands without its `{missing}`")));
}
