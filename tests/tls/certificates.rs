//! Authorities and what they issue, made for the test, and peers that speak TLS with them.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite};
use wsgate::wire::tls::provider;

use super::support::in_time;

pub(crate) type Spoken = TlsStream<TcpStream>;
pub(crate) type Socket = WebSocketStream<Spoken>;

pub(crate) const ANY_VERSION: &[&SupportedProtocolVersion] = rustls::ALL_VERSIONS;

/// An authority of the test's own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, in PEM.
pub(crate) struct Issued {
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these hosts and addresses.
    pub(crate) fn issue(&self, names: &[&str]) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.issue_as(|params| params.subject_alt_names = CertificateParams::new(names).unwrap().subject_alt_names)
    }

    /// A client's certificate, with this common name.
    pub(crate) fn issue_to(&self, name: &str) -> Issued {
        self.issue_as(|params| params.distinguished_name.push(DnType::CommonName, name))
    }

    pub(crate) fn issue_as(&self, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let mut params = CertificateParams::default();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        Issued { cert: cert.pem(), key: key.serialize_pem() }
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }
}

impl Issued {
    /// Writes `NAME.pem` and `NAME.key`.
    pub(crate) fn write(&self, folder: &Path, name: &str) {
        // As whoever renews certificates does: each is whole as soon as it is there.
        for (ending, text) in [("key", &self.key), ("pem", &self.cert)] {
            let path = folder.join(name).with_extension(ending);
            std::fs::write(path.with_extension("new"), text).unwrap();
            std::fs::rename(path.with_extension("new"), path).unwrap();
        }
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()
    }

    fn parts(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (vec![self.der()], PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap())
    }
}

/// Valid until the end of the year 2000.
pub(crate) fn expired(params: &mut CertificateParams) {
    params.not_after = date_time_ymd(2000, 12, 31);
}

/// Good for one side of TLS alone.
pub(crate) fn only_for(purpose: ExtendedKeyUsagePurpose) -> impl FnOnce(&mut CertificateParams) {
    move |params| params.extended_key_usages = vec![purpose]
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

pub(crate) fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

/// A client that trusts this authority, shows this certificate where it is asked for one, and speaks these versions.
pub(crate) fn client_of(authority: &Authority, own: Option<&Issued>, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider().clone()).with_protocol_versions(versions).unwrap();
    let builder = builder.with_root_certificates(authority.roots());
    match own.map(Issued::parts) {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    }
}

/// The same, in every version.
pub(crate) fn client(authority: &Authority, own: Option<&Issued>) -> Arc<ClientConfig> {
    client_of(authority, own, ANY_VERSION).into()
}

/// A server that shows this certificate and, where an authority is given, asks clients for one of its.
pub(crate) fn server(own: &Issued, asks: Option<&Authority>) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(provider().clone()).with_protocol_versions(ANY_VERSION).unwrap();
    let (chain, key) = own.parts();
    let builder = match asks {
        Some(authority) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(authority.roots().into(), provider().clone());
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    builder.with_single_cert(chain, key).unwrap().into()
}

/// A TLS session with whoever is at this address and called so.
pub(crate) async fn dial(address: SocketAddr, name: &str, config: &Arc<ClientConfig>) -> io::Result<Spoken> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    in_time(TlsConnector::from(config.clone()).connect(ServerName::try_from(name.to_owned()).unwrap(), tcp)).await
}

/// A WebSocket over it.
pub(crate) async fn connect(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    request: impl IntoClientRequest + Unpin,
) -> Result<Socket, tungstenite::Error> {
    let stream = dial(address, "localhost", config).await?;
    in_time(client_async(request, stream)).await.map(|(socket, _)| socket)
}

/// What a client is told that is turned away within TLS: the status.
pub(crate) async fn refused(address: SocketAddr, config: &Arc<ClientConfig>, request: impl IntoClientRequest + Unpin) -> u16 {
    match connect(address, config, request).await {
        Err(tungstenite::Error::Http(answer)) => answer.status().as_u16(),
        other => panic!("not refused over HTTP: {other:?}"),
    }
}
