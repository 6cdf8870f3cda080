//! Begins TLS with a server.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

use crate::stage::fingerprint::Fingerprint;
use crate::wire::stream::Socket;

use super::carrier::Carrier;
use super::failure::Failure;
use super::{HTTP_1_1, provider};

/// Speaks TLS with servers that prove who they are.
#[derive(Clone, Debug)]
pub struct Connector {
    config: Arc<ClientConfig>,
    /// Whom servers have to prove to be, where not the host that is dialled.
    name: Option<ServerName<'static>>,
    made_of: Fingerprint,
}

/// Two are equal that are made of the same.
impl PartialEq for Connector {
    fn eq(&self, other: &Self) -> bool {
        self.made_of == other.made_of
    }
}

impl Eq for Connector {}

impl Connector {
    /// Trusts these authorities, and shows this certificate to servers that ask for one.
    ///
    /// # Errors
    /// None that its arguments could cause.
    pub fn new(roots: RootCertStore, own: Option<Arc<CertifiedKey>>, name: Option<ServerName<'static>>) -> Result<Self, rustls::Error> {
        let made_of = Fingerprint::of((
            Fingerprint::of_authorities(&roots),
            own.as_ref().map(|own| own.cert.iter().map(AsRef::as_ref).collect::<Vec<&[u8]>>()),
            &name,
        ));
        let versions = rustls::DEFAULT_VERSIONS;
        let builder = ClientConfig::builder_with_provider(provider().clone()).with_protocol_versions(versions)?;
        let builder = builder.with_root_certificates(roots);
        let mut config = match own {
            Some(own) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        Ok(Self { config: Arc::new(config), name, made_of })
    }

    /// Begins TLS with the server at this host, a name or an address without brackets. The deadline is the caller's.
    ///
    /// # Errors
    /// What either side has found fault with.
    pub async fn connect(&self, tcp: TcpStream, host: &str) -> Result<Socket, Failure> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => server_name(host).ok_or_else(|| Failure::new("other_name", format!("{host} is no name that a certificate has")))?,
        };
        let connected = TlsConnector::from(self.config.clone()).connect(name, Carrier::new(tcp, Vec::new())).await;
        connected.map(|stream| Socket::Tls(Box::new(TlsStream::Client(stream)))).map_err(|error| Failure::of(&error))
    }
}

/// The host as certificates name it; an address has no brackets.
pub fn server_name(host: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(host.to_owned()).ok()
}
