//! `client_cert`: who a client is, proven by the certificate that it has shown in its TLS handshake.

mod table;

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Map, Value};

use crate::config::fault::{Fault, Faults};

use super::build::Need;
use super::certificate::{Allow, Certificate};
use super::refusal::{CERTIFICATE_DENIED, CERTIFICATE_EXPIRED, CERTIFICATE_MISSING, Refusal, Verdict};
use super::{Build, Client, Configure, Identity, Judgement, Proof, Stage};

pub use table::{Naming, Table};

/// The largest claims that are kept for a connection, as JSON text in bytes.
const MAX_CLAIMS: usize = 4096;
/// Digits of the fingerprint that tell in a log which certificate it was.
const SHOWN: usize = 16;

/// Authenticates clients by certificates that their listener has verified, and ends connections whose certificates no longer hold.
#[derive(Debug)]
pub struct ClientCert {
    name: Arc<str>,
    user: Box<[Naming]>,
    allow: Option<Allow>,
}

impl ClientCert {
    /// Judges what does not depend on when the connection came.
    fn hold(&self, certificate: &Certificate, now: SystemTime) -> Verdict {
        if certificate.not_after <= now {
            return Err(Box::new(Refusal::new(CERTIFICATE_EXPIRED).rule(certificate.subject.clone())));
        }
        if self.allow.as_ref().is_some_and(|allow| !allow.covers(certificate)) {
            let rule = format!("{} ({}) is not in `allow`", certificate.subject, shown(certificate));
            return Err(Box::new(Refusal::new(CERTIFICATE_DENIED).rule(rule).at("allow")));
        }
        Ok(())
    }

    fn identity(&self, certificate: &Certificate) -> Result<Identity, Box<Refusal>> {
        let user = self.user.iter().find_map(|naming| naming.of(certificate));
        let claims = Value::Object(claims(certificate, user)).to_string();
        if claims.len() > MAX_CLAIMS {
            return Err(Box::new(Refusal::new(CERTIFICATE_DENIED).rule(format!("names of over {MAX_CLAIMS} bytes"))));
        }
        Ok(Identity {
            by: self.name.clone(),
            user: user.map(Into::into),
            claims: claims.into(),
            expires: Some(certificate.not_after),
            proof: Proof {
                key: shown(certificate).into(),
                kid: Some(certificate.fingerprint.to_string().into()),
                key_set: None,
                algorithm: "X.509",
            }
            .into(),
        })
    }
}

/// What a certificate says, in the form of a token's claims. `sub` is the user, for whoever goes by that.
fn claims(certificate: &Certificate, user: Option<&str>) -> Map<String, Value> {
    let list = |names: &[Box<str>]| Value::from_iter(names.iter().map(|name| &**name));
    let all = [
        ("sub", user.map(Value::from)),
        ("subject", Some(Value::from(&*certificate.subject))),
        ("cn", certificate.cn.as_deref().map(Value::from)),
        ("dns", Some(list(&certificate.dns))),
        ("uri", Some(list(&certificate.uri))),
        ("email", Some(list(&certificate.email))),
        ("ip", Some(Value::from_iter(certificate.ip.iter().map(ToString::to_string)))),
        ("serial", Some(Value::from(&*certificate.serial))),
        ("fingerprint", Some(Value::from(certificate.fingerprint.to_string()))),
    ];
    let known = all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    known.filter(|(_, value)| value.as_array().is_none_or(|list| !list.is_empty())).collect()
}

/// A name for a certificate that is short enough to read.
fn shown(certificate: &Certificate) -> String {
    format!("sha256:{}", certificate.fingerprint.to_string().chars().take(SHOWN).collect::<String>())
}

fn missing(rule: &str) -> Box<Refusal> {
    Box::new(Refusal::new(CERTIFICATE_MISSING).rule(rule).missing())
}

impl Stage for ClientCert {
    fn handshake<'a>(&'a self, client: &'a mut Client) -> Judgement<'a> {
        let proven = match client.certificate() {
            None => Err(missing("it has shown none")),
            Some(certificate) => self.hold(certificate, SystemTime::now()).and_then(|()| self.identity(certificate)),
        };
        Judgement::Now(proven.map(|identity| client.prove(identity)))
    }

    /// The certificate is the connection's for as long as it lives; but who was let in otherwise was never asked for one.
    fn review(&self, client: &Client, now: SystemTime) -> Verdict {
        let Some(certificate) = client.certificate() else { return Err(missing("it has shown none")) };
        let fingerprint = certificate.fingerprint.to_string();
        if !client.identities.iter().any(|identity| identity.proof.kid.as_deref() == Some(&*fingerprint)) {
            return Err(missing("authenticated otherwise"));
        }
        self.hold(certificate, now)
    }
}

impl Configure for ClientCert {
    const KIND: &'static str = "client_cert";
    const BARE: bool = true;
    const AUTHENTICATES: bool = true;
    type Table = Table;

    fn configure(table: Table, build: &mut Build<'_>) -> Result<Self, Faults> {
        let at = build.at().clone();
        build.needs.push(Need::Certificate(at.clone()));
        let mut faults = Faults::default();
        if table.user.is_empty() {
            faults.push(Fault::new(at.key("user"), "`user` is empty: nobody would have a name"));
        }
        if table.allow.as_ref().is_some_and(Allow::is_empty) {
            let fault = Fault::new(at.key("allow"), "`allow` names nobody, so nobody would be let in");
            faults.push(fault.hint("leave it out to let in every certificate that the listener has verified"));
        }
        if faults.refuse() {
            return Err(faults);
        }
        Ok(Self { name: build.name().into(), user: table.user.0.into(), allow: table.allow })
    }
}

#[cfg(test)]
mod tests;
