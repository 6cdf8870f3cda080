//! From a listener's `tls` to how it ends TLS.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::table::{ClientAuth, ListenerTls, TlsVersion};
use crate::gateway::compile::Compiler;
use crate::stage::authorities::of_file;
use crate::stage::build::Build;
use crate::stage::certificate::Certificate;
use crate::stage::fingerprint::Fingerprint;
use crate::wire::tls::accept::Settings;
use crate::wire::tls::names::Certificates;
use crate::wire::tls::provider;
use crate::wire::tls::resumption::Resumption;

use super::files::{Certified, certified};
use super::{Clients, Shown, Termination};

/// What certificates say of themselves whose keys come with the examples.
const TRIAL: &str = "O=for local trials only";

impl Compiler<'_> {
    /// How the listener at `at`, with these addresses, ends TLS, over HTTP/2 as well where it speaks that; none where it has faults, which are told.
    pub(in crate::gateway) fn termination(
        &mut self,
        name: &str,
        (table, http2): (&ListenerTls, bool),
        addresses: &[SocketAddr],
        at: &KeyPath,
    ) -> Option<Arc<Termination>> {
        let mut build = Build::new(at.clone(), &self.parts.config.folder, self.cells).in_world(self.world);
        let mut faults = Faults::default();
        let open = addresses.iter().find(|address| !address.ip().to_canonical().is_loopback());
        let (at_address, at) = (at.key("address"), at.key("tls"));
        let mut all: Vec<(KeyPath, Certified)> = Vec::new();
        for (files, at) in table.files(&at) {
            match certified(&files, &at, true, &mut build) {
                Ok(certified) => {
                    if let Some(open) = open.filter(|_| certified.says.subject.contains(TRIAL)) {
                        let fault = Fault::new(at.key("cert"), "this certificate is for local trials: everybody has its key");
                        faults.push(fault.hint("make one of your own").also(at_address.clone(), format!("{open} is not loopback")));
                    }
                    all.push((at, certified));
                }
                Err(found) => faults.extend(found),
            }
        }
        let certificates = by_name(&all, &mut faults);
        let clients = table.client_ca.as_ref().and_then(|file| {
            let is_required = table.client_auth != Some(ClientAuth::Request);
            clients(file, is_required, &at.key("client_ca"), &mut build).map_err(|fault| faults.push(fault)).ok()
        });
        let certificates = certificates.filter(|_| !faults.refuse());
        self.parts.files.extend(build.files);
        self.parts.faults.extend(build.warnings);
        self.parts.faults.extend(faults);
        let certificates = certificates?;

        let asked = clients.as_ref().map(|clients| (clients.authorities, clients.is_required));
        let resumption = self.cells.cell("listener", &format!("{name} {:?}", Fingerprint::of(asked)), Resumption::new);
        let settings = Settings {
            certificates,
            verifier: clients.as_ref().map(|clients| clients.verifier.clone()),
            speaks_1_2: table.min_version == TlsVersion::V1_2,
            speaks_h2: http2,
            resumption: resumption.clone(),
        };
        let config =
            settings.config().map_err(|error| self.fault(Fault::new(at.clone(), format!("TLS cannot be spoken: {error}")))).ok()?;
        Some(Arc::new(Termination {
            config,
            certificates: all.iter().map(|(_, certified)| shown(&certified.says)).collect(),
            clients,
            of: (table.clone(), http2, build.inputs),
            _resumption: resumption,
        }))
    }
}

fn shown(says: &Certificate) -> Shown {
    Shown { name: says.dns.first().unwrap_or(&says.subject).clone(), not_after: says.not_after }
}

/// Certificates by the names they are for, each name one's alone.
fn by_name(all: &[(KeyPath, Certified)], faults: &mut Faults) -> Option<Certificates> {
    let (_, first) = all.first()?;
    let mut certificates = Certificates::new(first.key.clone());
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, (at, certified)) in all.iter().enumerate() {
        for name in &certified.says.dns {
            let before = *names.entry(name).or_insert(index);
            if before == index {
                certificates.add(name, certified.key.clone());
            } else if let Some((other, _)) = all.get(before) {
                let fault = Fault::new(at.key("cert"), format!("there is a certificate for {name} already"));
                faults.push(
                    fault.hint("a client that asks for it can be shown one: leave the other out").also(other.key("cert"), "the other"),
                );
                // One name says enough of two files.
                break;
            }
        }
    }
    Some(certificates)
}

fn clients(file: &std::path::Path, is_required: bool, at: &KeyPath, build: &mut Build<'_>) -> Result<Clients, Fault> {
    let (roots, found) = of_file(file, at, build)?;
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider().clone());
    let builder = if is_required { builder } else { builder.allow_unauthenticated() };
    let wrong = |error| Fault::new(at.clone(), format!("{} cannot verify anybody: {error}", file.display()));
    let verifier: Arc<dyn ClientCertVerifier> = builder.build().map_err(wrong)?;
    let found: Vec<&[u8]> = found.iter().map(AsRef::as_ref).collect();
    Ok(Clients { verifier, is_required, authorities: Fingerprint::of(found) })
}
