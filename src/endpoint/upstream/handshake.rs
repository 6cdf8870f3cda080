//! The backend's handshake: sends the upgrade, and judges the answer before a byte behind it is believed (RFC 6455 §4.1).

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::response::Parts;
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::wire::extensions::{Deflate, Offer};
use crate::wire::fields::{elements, has_token, only, strip_hop_by_hop};

use super::failure::Failure;

/// The largest head a backend may answer with, in bytes.
pub const MAX_HEAD: usize = 16 * 1024;
/// The most headers it may have.
pub const MAX_HEADERS: usize = 128;
/// The largest body of a backend's own refusal that is passed on, in bytes.
pub const MAX_BODY: usize = 64 * 1024;

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
pub(super) async fn upgrade<IO>(io: IO, request: Request<Empty<Bytes>>, offer: &Offer, deadline: Instant) -> Result<Answer<IO>, Failure>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let sent = Sent::new(request.headers(), offer);
    let exchange = async {
        let (mut sender, mut connection) = builder().handshake(TokioIo::new(io)).await?;
        let mut response = pin!(sender.send_request(request));
        // The connection is what moves bytes; polled first, it has the answer ready when that is asked for.
        let response = poll_fn(|cx| match (connection.poll_without_shutdown(cx), response.as_mut().poll(cx)) {
            (_, Poll::Ready(response)) => Poll::Ready(response),
            (Poll::Ready(Err(error)), Poll::Pending) => Poll::Ready(Err(error)),
            (_, Poll::Pending) => Poll::Pending,
        });
        let response = response.await?;
        Ok((response, connection))
    };
    let (response, connection) = match timeout_at(deadline, exchange).await {
        Ok(Ok(answered)) => answered,
        Ok(Err(error)) => return Err(Failure::from_hyper(&error)),
        Err(_) => return Err(Failure::Silent),
    };
    let (parts, body) = response.into_parts();
    if parts.status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Answer::Declined(declined(parts, body, connection, deadline).await));
    }
    let agreed = sent.judge(parts).map_err(Failure::Bad)?;
    let left = connection.into_parts();
    // Copied, because even an empty slice would keep hyper's buffer alive.
    Ok(Answer::Switched(Switched { io: left.io.into_inner(), early: left.read_buf.to_vec(), agreed }))
}

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.max_headers(MAX_HEADERS).max_header_size(MAX_HEAD).max_buf_size(2 * MAX_HEAD).title_case_headers(true);
    builder
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

/// A backend's own refusal. Of its body the client gets all or, where it is too large or late, nothing, and then no fields on it.
async fn declined<IO>(
    mut parts: Parts,
    body: Incoming,
    mut connection: http1::Connection<TokioIo<IO>, Empty<Bytes>>,
    deadline: Instant,
) -> Response<Bytes>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut collected = pin!(Limited::new(body, MAX_BODY).collect());
    let mut is_over = false;
    let whole = poll_fn(|cx| {
        // However the connection ends, the body's end tells.
        is_over = is_over || connection.poll_without_shutdown(cx).is_ready();
        collected.as_mut().poll(cx)
    });
    let body = timeout_at(deadline, whole).await.ok().and_then(Result::ok).map(|body| body.to_bytes());

    strip_hop_by_hop(&mut parts.headers);
    if body.is_none() {
        for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_RANGE, header::CONTENT_LANGUAGE, header::ETAG] {
            parts.headers.remove(name);
        }
    }
    let mut response = Response::new(body.unwrap_or_default());
    *response.status_mut() = parts.status;
    *response.headers_mut() = parts.headers;
    response
}
