//! TLS, from files to what connections are given: a listener's [`Termination`], and what upstreams trust.

mod files;
mod listener;
mod upstream;
mod warnings;

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;

use crate::config::fault::{Fault, KeyPath};
use crate::config::table::ListenerTls;
use crate::gateway::Gateway;
use crate::stage::certificate::Certificate;
use crate::stage::fingerprint::Fingerprint;
use crate::stage::inputs::Inputs;
use crate::stage::pem;
use crate::stage::refusal::{CERTIFICATE_DENIED, CERTIFICATE_MISSING, Verdict};
use crate::stage::tls::Tls;
use crate::stage::{Client, Refusal};
use crate::wire::tls::failure::Failure;
use crate::wire::tls::resumption::Resumption;

pub(super) use upstream::connector;

/// The certificate that a client of a trial shows, out of what a file holds.
///
/// # Errors
/// A fault at `at`: there is none in it, or one that cannot be read.
pub fn shown_by_client(bytes: &[u8], file: &Path, at: &KeyPath) -> Result<Certificate, Fault> {
    let chain = pem::certificates(bytes, file, at)?;
    Certificate::read(&chain).map_err(|why| Fault::new(at.clone(), format!("the certificate in {} {why}", file.display())))
}

/// How a listener ends TLS.
pub struct Termination {
    /// What handshakes go by.
    pub config: Arc<ServerConfig>,
    /// The certificates it shows.
    pub certificates: Box<[Shown]>,
    clients: Option<Clients>,
    /// What it was made of.
    of: (ListenerTls, bool, Inputs),
    /// Held so that the snapshot after this one finds it.
    _resumption: Arc<Resumption>,
}

/// A certificate that clients are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The first name it is for; where it has none, its subject.
    pub name: Box<str>,
    /// Its last moment.
    pub not_after: SystemTime,
}

impl Shown {
    /// Whether its operator would want to know of it now: what renews certificates by itself has done so by then.
    pub fn ends_soon(&self, now: SystemTime) -> bool {
        self.not_after <= now + warnings::SOON
    }
}

/// Every certificate that clients are shown, with the listener that shows it.
pub fn shown(gateway: &Gateway) -> impl Iterator<Item = (&Arc<str>, &Shown)> {
    let tls = gateway.listeners.values().filter_map(|listener| Some((&listener.name, listener.tls.as_ref()?)));
    tls.flat_map(|(name, tls)| tls.certificates.iter().map(move |shown| (name, shown)))
}

/// What is asked of clients.
struct Clients {
    verifier: Arc<dyn ClientCertVerifier>,
    is_required: bool,
    authorities: Fingerprint,
}

impl Termination {
    /// By which authorities clients' certificates are verified, told apart from any others.
    pub fn authorities(&self) -> Option<Fingerprint> {
        self.clients.as_ref().map(|clients| clients.authorities)
    }

    /// What a client's handshake would come to that shows this certificate where it is asked for one.
    ///
    /// # Errors
    /// `tls_failed`: it has to show one, or this one is not trusted.
    pub(super) fn rehearse(&self, certificate: Option<&Certificate>, now: SystemTime) -> Result<Tls, Box<Refusal>> {
        let shown = certificate.filter(|_| self.clients.is_some());
        match (&self.clients, shown) {
            (Some(clients), Some(certificate)) => clients.verify(certificate.chain(), now).map_err(Failure::of_tls)?,
            (Some(Clients { is_required: true, .. }), None) => return Err(Failure::of_tls(rustls::Error::NoCertificatesPresented).into()),
            _ => {}
        }
        let (server_name, certificate, trusted_by) = (None, shown.cloned().map(Box::new), self.authorities());
        Ok(Tls { version: "1.3", cipher: "", server_name, is_resumed: false, certificate, trusted_by })
    }

    /// Judges a live connection again, by the certificate it was let in with.
    ///
    /// # Errors
    /// It would not be let in any more: it has none, or one of an authority that is trusted no more.
    pub(super) fn review(&self, client: &Client, now: SystemTime) -> Verdict {
        let Some(clients) = &self.clients else { return Ok(()) };
        match client.peer.tls.as_ref().and_then(|tls| Some((tls, tls.certificate.as_ref()?))) {
            None if clients.is_required => Err(Box::new(Refusal::new(CERTIFICATE_MISSING).rule("the listener asks for one"))),
            None => Ok(()),
            Some((tls, _)) if tls.trusted_by == Some(clients.authorities) => Ok(()),
            Some((_, certificate)) => clients.verify(certificate.chain(), now).map_err(|error| {
                let rule = format!("the listener does not let it in any more: {}", Failure::of_tls(error));
                Box::new(Refusal::new(CERTIFICATE_DENIED).rule(rule))
            }),
        }
    }
}

impl PartialEq for Termination {
    fn eq(&self, other: &Self) -> bool {
        self.of == other.of
    }
}

impl Clients {
    fn verify<'c>(&self, chain: impl Iterator<Item = &'c [u8]>, now: SystemTime) -> Result<(), rustls::Error> {
        let chain: Vec<CertificateDer<'_>> = chain.map(CertificateDer::from).collect();
        let now = UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
        let (first, rest) = chain.split_first().ok_or(rustls::Error::NoCertificatesPresented)?;
        self.verifier.verify_client_cert(first, rest, now).map(drop)
    }
}
