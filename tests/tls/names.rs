//! Which certificate is shown: the table of names.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use wsgate::wire::tls::provider;

use super::certificates::{Authority, Issued, dial};
use super::support::Gateway;
use super::{folder, listening};

/// Takes whatever it is shown.
#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

fn trusting_anything() -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider().clone()).with_safe_default_protocol_versions().unwrap();
    builder.dangerous().with_custom_certificate_verifier(Arc::new(Anything)).with_no_client_auth().into()
}

/// Which of these a client is shown that asks for this name.
pub(crate) async fn shown(gateway: &Gateway, name: &str, among: &[(&'static str, &Issued)]) -> &'static str {
    let stream = dial(gateway.address("public"), name, &trusting_anything()).await.unwrap();
    let shown = &stream.get_ref().1.peer_certificates().unwrap()[0];
    among.iter().find(|(_, issued)| issued.der() == *shown).map_or("none of them", |(name, _)| name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_shown_the_certificate_for_the_name_it_asks_for() {
    let authority = Authority::new("ca");
    let issued = [
        ("first", authority.issue(&["first.example", "a.example.com"])),
        ("wild", authority.issue(&["*.example.com"])),
        ("two", authority.issue(&["b.example.com", "example.com"])),
    ];
    let folder = folder(&authority);
    let mut list = Vec::new();
    for (name, issued) in &issued {
        issued.write(folder.path(), name);
        list.push(format!("{{ cert = \"{name}.pem\", key = \"{name}.key\" }}"));
    }
    let gateway = Gateway::run_in(folder, &listening(&format!("tls = {{ certificates = [{}] }}", list.join(", ")), ""));
    let among: Vec<(&str, &Issued)> = issued.iter().map(|(name, issued)| (*name, issued)).collect();
    for (asks, sees) in [
        ("first.example", "first"),
        ("a.example.com", "first"),
        ("b.example.com", "two"),
        ("B.Example.COM", "two"),
        ("example.com", "two"),
        ("c.example.com", "wild"),
        ("x.c.example.com", "first"),
        ("elsewhere.example", "first"),
        // An address is not asked for by name.
        ("127.0.0.1", "first"),
    ] {
        assert_eq!(shown(&gateway, asks, &among).await, sees, "{asks}");
    }
}
