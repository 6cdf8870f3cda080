//! The backend's handshake: sends the upgrade, and judges the answer before a byte behind it is believed (RFC 6455 §4.1).

use std::io;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::response::Parts;
use http::{Request, Response, StatusCode, Version};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::wire::extensions::{Deflate, Offer};
use crate::wire::fields::{elements, has_token, only, strip_hop_by_hop, write};
use crate::wire::http::source::Source;

use super::answer;
use super::failure::Failure;

/// What a backend answered.
pub(super) enum Answer<IO> {
    /// It switched.
    Switched(Switched<IO>),
    /// It did not, in its own words, which are the client's to read.
    Declined(Response<Bytes>),
}

/// A backend's side of the upgrade, checked.
pub(super) struct Switched<IO> {
    pub(super) io: IO,
    /// What came glued to the 101.
    pub(super) early: Vec<u8>,
    pub(super) agreed: Agreed,
}

/// What a backend's 101 settles.
#[derive(Debug)]
pub(super) struct Agreed {
    pub(super) subprotocol: Option<HeaderValue>,
    pub(super) extensions: Option<Deflate>,
    /// Its other fields, as cookies.
    pub(super) headers: HeaderMap,
}

/// Sends the request and reads the answer's head by the deadline.
///
/// # Errors
/// Silence, an end without an answer, or a bad answer.
pub(super) async fn upgrade<IO>(mut io: IO, request: Request<()>, offer: &Offer, deadline: Instant) -> Result<Answer<IO>, Failure>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let sent = Sent::new(request.headers(), offer);
    let silent = |_| Failure::Silent("handshake_timeout");
    let out = timeout_at(deadline, send(&mut io, &request)).await.map_err(silent)?;
    let mut source = Source::new(&mut io, &[]);
    let answered = timeout_at(deadline, answer::read(&mut source)).await.map_err(silent)?;
    if let Err(error) = out {
        // Who refuses our certificate says so and closes, which may be before the request is out.
        return Err(answered.err().filter(Failure::is_insecure).unwrap_or_else(|| Failure::from_exchange(&error)));
    }
    let parts = answered?;
    if parts.status != StatusCode::SWITCHING_PROTOCOLS {
        let whole = timeout_at(deadline, answer::declined(&mut source, parts.clone())).await;
        return Ok(Answer::Declined(whole.unwrap_or_else(|_| answer::refusal(parts, None))));
    }
    let early = source.into_rest();
    let agreed = sent.judge(parts).map_err(Failure::Bad)?;
    Ok(Answer::Switched(Switched { io, early, agreed }))
}

async fn send<IO: AsyncWrite + Unpin>(io: &mut IO, request: &Request<()>) -> io::Result<()> {
    io.write_all(&encode(request)).await?;
    io.flush().await
}

/// What most requests fit in, in bytes.
const REQUEST: usize = 1024;

/// The request as bytes; it has no body.
fn encode(request: &Request<()>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(REQUEST);
    bytes.extend_from_slice(b"GET ");
    bytes.extend_from_slice(request.uri().path_and_query().map_or("/", |target| target.as_str()).as_bytes());
    bytes.extend_from_slice(b" HTTP/1.1\r\n");
    write(&mut bytes, request.headers());
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// What the answer is judged against.
struct Sent<'a> {
    accept: String,
    subprotocols: Vec<Box<[u8]>>,
    offer: &'a Offer,
}

impl<'a> Sent<'a> {
    fn new(headers: &HeaderMap, offer: &'a Offer) -> Self {
        Self {
            accept: derive_accept_key(only(headers, &header::SEC_WEBSOCKET_KEY).unwrap_or_default()),
            subprotocols: elements(headers, &header::SEC_WEBSOCKET_PROTOCOL).map(Into::into).collect(),
            offer,
        }
    }

    /// Judges a 101; the error is the rule it breaks.
    fn judge(&self, mut answer: Parts) -> Result<Agreed, &'static str> {
        let headers = &answer.headers;
        if answer.version != Version::HTTP_11 {
            return Err("a 101 that is not HTTP/1.1");
        }
        if !only(headers, &header::UPGRADE).is_some_and(|value| value.eq_ignore_ascii_case(b"websocket")) {
            return Err("a 101 without `Upgrade: websocket`");
        }
        if !has_token(headers, &header::CONNECTION, "upgrade") {
            return Err("a 101 without `Connection: Upgrade`");
        }
        match only(headers, &header::SEC_WEBSOCKET_ACCEPT) {
            Some(accept) if accept == self.accept.as_bytes() => {}
            Some(_) => return Err("a Sec-WebSocket-Accept for another key"),
            None => return Err("not exactly one Sec-WebSocket-Accept"),
        }
        let subprotocol = self.subprotocol(headers)?;
        let extensions = self.offer.answer(headers)?;
        let own = [
            header::SEC_WEBSOCKET_ACCEPT,
            header::SEC_WEBSOCKET_PROTOCOL,
            header::SEC_WEBSOCKET_EXTENSIONS,
            header::SEC_WEBSOCKET_VERSION,
            header::SEC_WEBSOCKET_KEY,
        ];
        strip_hop_by_hop(&mut answer.headers);
        for name in own {
            answer.headers.remove(name);
        }
        Ok(Agreed { subprotocol, extensions, headers: answer.headers })
    }

    fn subprotocol(&self, headers: &HeaderMap) -> Result<Option<HeaderValue>, &'static str> {
        let mut lines = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
        match (lines.next(), lines.next()) {
            (None, _) => Ok(None),
            (Some(line), None) if self.subprotocols.iter().any(|offered| **offered == *line.as_bytes()) => Ok(Some(line.clone())),
            (Some(_), None) => Err("a subprotocol nobody offered"),
            (Some(_), Some(_)) => Err("two Sec-WebSocket-Protocol headers"),
        }
    }
}
