//! From an upstream's `tls` to what its servers are spoken to with.

use rustls::pki_types::ServerName;

use crate::config::fault::{Fault, Faults, KeyPath};
use crate::config::table::{CertificateFiles, UpstreamTable, UpstreamTls};
use crate::config::units::Address;
use crate::stage::authorities::{of_file, of_system};
use crate::stage::build::Build;
use crate::wire::tls::connect::{Connector, server_name};

use super::files::certified;

/// What the servers of an upstream are spoken to with over TLS; none where no server is.
pub(in crate::gateway) fn connector(table: &UpstreamTable, at: &KeyPath, build: &mut Build<'_>) -> Result<Option<Connector>, Faults> {
    if !table.servers.iter().any(|server| server.url.is_tls) {
        return Ok(None);
    }
    let unsaid = UpstreamTls::default();
    let (tls, at_tls) = (table.tls.as_ref().unwrap_or(&unsaid), at.key("tls"));
    let mut faults = Faults::default();
    let name = match &tls.server_name {
        Some(name) => read_name(name, &at_tls.key("server_name")).map_err(|fault| faults.push(fault)).ok(),
        None => {
            unnamed(table, at, &mut faults);
            None
        }
    };
    let roots = match &tls.ca {
        Some(file) => of_file(file, &at_tls.key("ca"), build).map(|(roots, _)| roots),
        None => of_system(&first_of_tls(table, at), build),
    };
    let own = tls.cert.clone().zip(tls.key.clone()).map(|(cert, key)| certified(&CertificateFiles { cert, key }, &at_tls, false, build));
    let own = own.transpose().map_err(|found| faults.extend(found)).ok().flatten();
    match roots {
        Ok(roots) if !faults.refuse() => {
            let made = Connector::new(roots, own.map(|own| own.key), name);
            Ok(Some(made.map_err(|error| Fault::new(at_tls, format!("TLS cannot be spoken: {error}")))?))
        }
        roots => {
            faults.0.extend(roots.err());
            Err(faults)
        }
    }
}

fn read_name(name: &str, at: &KeyPath) -> Result<ServerName<'static>, Fault> {
    let wrong =
        || Fault::new(at.clone(), format!("{name:?} is no name that a certificate has")).hint("write a host, as \"chat.example.com\"");
    server_name(name).ok_or_else(wrong)
}

/// Tells of servers whose hosts no certificate could name.
fn unnamed(table: &UpstreamTable, at: &KeyPath, faults: &mut Faults) {
    for (index, server) in table.servers.iter().enumerate().filter(|(_, server)| server.url.is_tls) {
        if let Address::Name { host, .. } = &server.url.address
            && server_name(host).is_none()
        {
            let fault = Fault::new(at.key("servers").index(index), format!("{host:?} is no name that a certificate has"));
            faults.push(fault.hint("say which name it has with `tls = { server_name = \"...\" }`"));
        }
    }
}

/// Where the file says that TLS is spoken.
fn first_of_tls(table: &UpstreamTable, at: &KeyPath) -> KeyPath {
    let first = table.servers.iter().position(|server| server.url.is_tls);
    first.map_or_else(|| at.clone(), |index| at.key("servers").index(index))
}
