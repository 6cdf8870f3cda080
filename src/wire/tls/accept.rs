//! Ends a client's TLS.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::BufMut;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, ServerConnection};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, HandshakeKind, ProtocolVersion, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsStream};

use crate::stage::refusal::BAD_HANDSHAKE;
use crate::stage::tls::Tls;
use crate::stage::{Refusal, certificate::Certificate};
use crate::wire::flaw::Flaw;
use crate::wire::h2;
use crate::wire::head::Unread;
use crate::wire::stream::Socket;

use super::carrier::Carrier;
use super::failure::Failure;
use super::names::Certificates;
use super::resumption::Resumption;
use super::{HTTP_1_1, provider};

/// How a record of a handshake begins (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;
/// Read before it is known who speaks TLS; the usual hello fits.
const CHUNK: usize = 2048;

/// What a listener's TLS is made of.
pub struct Settings {
    /// The certificates it shows.
    pub certificates: Certificates,
    /// Who verifies clients' certificates, where they are asked for any.
    pub verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// Whether version 1.2 is spoken, too.
    pub speaks_1_2: bool,
    /// Whether clients may choose HTTP/2.
    pub speaks_h2: bool,
    /// What clients come back with.
    pub resumption: Arc<Resumption>,
}

impl Settings {
    /// What [`accept`] takes.
    ///
    /// # Errors
    /// None that the settings could cause.
    pub fn config(self) -> Result<Arc<ServerConfig>, rustls::Error> {
        let versions: &[_] = if self.speaks_1_2 { &[&TLS12, &TLS13] } else { &[&TLS13] };
        let verifier = self.verifier.unwrap_or_else(|| Arc::new(NoClientAuth));
        let builder = ServerConfig::builder_with_provider(provider().clone()).with_protocol_versions(versions)?;
        let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(Arc::new(self.certificates));
        config.alpn_protocols = self.speaks_h2.then_some(h2::ALPN).into_iter().chain([HTTP_1_1]).map(<[u8]>::to_vec).collect();
        config.session_storage = self.resumption.sessions.clone();
        if let Some(tickets) = &self.resumption.tickets {
            config.ticketer = tickets.clone();
        }
        // Each costs a client's connection bytes, and one that comes back takes one.
        config.send_tls13_tickets = 1;
        Ok(Arc::new(config))
    }
}

/// Reads until it is known whether a client speaks TLS; what was read before, and is read here, is added to `early`. The deadline is the
/// caller's.
///
/// Cancel-safe: what was read stays in `early`.
///
/// # Errors
/// [`Unread`]: the client went, or it begins with something else. One that speaks plain HTTP is told so, and is the only one that can be.
pub async fn hello<IO: AsyncRead + Unpin>(io: &mut IO, early: &mut Vec<u8>) -> Result<(), Unread> {
    if early.is_empty() {
        early.reserve(CHUNK);
        if !matches!(io.read_buf(&mut (&mut *early).limit(CHUNK)).await, Ok(1..)) {
            return Err(Unread::Nothing);
        }
    }
    match early.first() {
        Some(&HANDSHAKE) => Ok(()),
        Some(byte) if byte.is_ascii_alphabetic() => {
            let mut refusal: Box<Refusal> = Flaw(BAD_HANDSHAKE, "plain HTTP where TLS is spoken").into();
            refusal.telling.bodiless = early.starts_with(b"HEAD ");
            Err(Unread::Refused(refusal))
        }
        _ => Err(Unread::Refused(Failure::new("no_tls", "what it sends is not TLS").into())),
    }
}

/// Ends the TLS of a client that has begun with it; `early` is what has been read. The deadline is the caller's.
///
/// # Errors
/// `tls_failed`, with the connection: the client has been sent an alert where there is one for it.
pub async fn accept(config: Arc<ServerConfig>, tcp: TcpStream, early: Vec<u8>) -> Result<(Socket, Tls), (Box<Refusal>, TcpStream)> {
    let accepted = TlsAcceptor::from(config).accept(Carrier::new(tcp, early)).into_fallible().await;
    let stream = accepted.map_err(|(error, carrier)| (Failure::of(&error).into(), carrier.into_tcp()))?;
    match facts(stream.get_ref().1) {
        Ok(tls) => Ok((Socket::Tls(Box::new(TlsStream::Server(stream))), tls)),
        Err(failure) => Err((failure.into(), stream.into_inner().0.into_tcp())),
    }
}

/// What is known of a session whose handshake is done.
fn facts(session: &ServerConnection) -> Result<Tls, Failure> {
    let certificate = session.peer_certificates().filter(|chain| !chain.is_empty()).map(|chain| {
        let certificate = Certificate::read(chain).map_err(|error| Failure::new("certificate", format!("its certificate {error}")))?;
        // Who comes back with a session is not asked again.
        if certificate.not_after <= SystemTime::now() {
            return Err(Failure::new("expired", "its certificate has expired"));
        }
        Ok(certificate)
    });
    Ok(Tls {
        version: match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "1.2",
            _ => "1.3",
        },
        cipher: session.negotiated_cipher_suite().map_or("", |suite| cipher(suite.suite())),
        server_name: session.server_name().map(|name| name.to_ascii_lowercase().into()),
        is_resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
        certificate: certificate.transpose()?.map(Box::new),
        trusted_by: None,
    })
}

/// The name of a cipher suite at IANA; the library has other ones for those of version 1.3.
fn cipher(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or_default(),
    }
}
