//! Asks HTTP services what stages want to know of them: on connections that are kept, so many at once of each service, within bounds of
//! time, size and redirects.

mod idle;
mod places;

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, LOCATION};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::{interval, timeout};

use crate::stage::fingerprint::Fingerprint;
use crate::stage::outside::{Answer, Failed, HttpUrl, Question, Reply, Trust};

use super::dial::dial;
use super::socket::watch;
use super::stream::Socket;
use super::tls::connect::Connector;
use idle::{Idle, Origin};
use places::Places;

/// The largest head of an answer, in bytes.
const MAX_HEAD: usize = 32 << 10;
/// The most headers of an answer.
const MAX_HEADERS: usize = 100;
/// As many sets of authorities are remembered; there are as many as the file names.
const MAX_TRUSTS: usize = 64;

/// How often connections are looked at that nobody asks over.
const TIDIED: Duration = Duration::from_secs(5);

type Sender = SendRequest<Empty<Bytes>>;

/// Asks, and keeps connections for the next question.
#[derive(Default)]
pub struct Asker {
    idle: Idle<Sender>,
    places: Places,
    connectors: Mutex<HashMap<Fingerprint, Connector>>,
}

impl Asker {
    /// Asks one question, within its time, which it may spend waiting for a place.
    ///
    /// Cancel-safe: dropped, it hangs up.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ask(&self, question: &Question) -> Answer {
        let asked = async {
            let _place = match question.takes_place {
                true => self.places.take(Origin::of(&question.url, None)).await,
                false => None,
            };
            self.follow(question).await
        };
        timeout(question.within, asked).await.unwrap_or_else(|_| Err(Failed::timed_out(question.within)))
    }

    /// Hangs up on services that nobody has asked for a while, again and again. Never returns.
    pub async fn tidy(&self) {
        let mut clock = interval(TIDIED);
        loop {
            clock.tick().await;
            self.idle.tidy();
        }
    }

    async fn follow(&self, question: &Question) -> Answer {
        let (mut url, mut headers) = (question.url.clone(), question.headers.clone());
        let mut left = question.redirects;
        loop {
            let reply = self.ask_once(&url, &headers, question).await?;
            let location = reply.headers.get(LOCATION).filter(|_| reply.status.is_redirection() && question.redirects > 0);
            let Some(location) = location else { return Ok(reply) };
            left = left.checked_sub(1).ok_or_else(|| Failed::new("redirect", format!("more than {} redirects", question.redirects)))?;
            let bad = |why| Failed::new("redirect", format!("a redirect that is not followed: {why}"));
            let next = url.follow(location.to_str().map_err(|_| bad("it is not text".to_owned()))?).map_err(bad)?;
            if Origin::of(&next, None) != Origin::of(&url, None) {
                // What one service may know is not told to another.
                headers = HeaderMap::new();
            }
            url = next;
        }
    }

    async fn ask_once(&self, url: &HttpUrl, headers: &HeaderMap, question: &Question) -> Answer {
        let origin = Origin::of(url, question.trust.as_ref());
        let (mut sender, response) = loop {
            let Some(mut sender) = self.idle.take(&origin) else {
                let mut sender = self.connect(url, question.trust.as_ref()).await?;
                let response = sender.send_request(request(url, headers)?).await.map_err(|error| broken(&error))?;
                break (sender, response);
            };
            // It may be hung up on at any moment; asking twice is asking once.
            if sender.ready().await.is_ok()
                && let Ok(response) = sender.send_request(request(url, headers)?).await
            {
                break (sender, response);
            }
        };
        let reply = read(response, question.max_body).await?;
        if sender.ready().await.is_ok() {
            self.idle.keep(origin, sender);
        }
        Ok(reply)
    }

    async fn connect(&self, url: &HttpUrl, trust: Option<&Trust>) -> Result<Sender, Failed> {
        let host = url.host();
        let unreachable = |error: io::Error| Failed::new("unreachable", error.to_string());
        let tcp = dial(&host, url.address.port()).await.map_err(unreachable)?;
        watch(&tcp).map_err(unreachable)?;
        let socket = match (url.is_tls, trust) {
            (false, _) => Socket::Plain(tcp),
            (true, Some(trust)) => {
                self.connector(trust)?.connect(tcp, &host).await.map_err(|failure| Failed::new("tls", failure.to_string()))?
            }
            (true, None) => return Err(Failed::new("tls", "nobody is trusted to say who it is")),
        };
        let mut builder = Builder::new();
        builder.max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
        let (sender, connection) = builder.handshake(TokioIo::new(socket)).await.map_err(|error| broken(&error))?;
        // It ends with its sender, and what is wrong with it is told there.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn connector(&self, trust: &Trust) -> Result<Connector, Failed> {
        let mut connectors = self.connectors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = connectors.get(&trust.made_of) {
            return Ok(known.clone());
        }
        let made = Connector::new((*trust.roots).clone(), None, None).map_err(|error| Failed::new("tls", error.to_string()))?;
        if connectors.len() >= MAX_TRUSTS {
            connectors.clear();
        }
        connectors.insert(trust.made_of, made.clone());
        Ok(made)
    }
}

fn request(url: &HttpUrl, headers: &HeaderMap) -> Result<Request<Empty<Bytes>>, Failed> {
    let unsayable = |what: &str| Failed::new("malformed", format!("{what} cannot be asked for"));
    let mut request = Request::get(&url.target).body(Empty::new()).map_err(|_| unsayable(&url.target))?;
    *request.headers_mut() = headers.clone();
    if !headers.contains_key(HOST) {
        request.headers_mut().insert(HOST, HeaderValue::try_from(url.authority()).map_err(|_| unsayable("its host"))?);
    }
    Ok(request)
}

async fn read(response: Response<Incoming>, max: usize) -> Answer {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, max).collect().await.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
        Some(_) => Failed::new("too_large", format!("its answer is larger than {max} bytes")),
        None => Failed::new("lost", format!("its answer broke off: {}", innermost(&*error))),
    })?;
    Ok(Reply { status: head.status, headers: head.headers, body: body.to_bytes() })
}

fn broken(error: &hyper::Error) -> Failed {
    let word = if error.is_parse() { "malformed" } else { "lost" };
    Failed::new(word, format!("no answer of HTTP/1.1: {}", innermost(error)))
}

/// The cause of an error that has one.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_service_that_is_asked_nothing_more_is_hung_up_on() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let within = Duration::from_secs(20);
        let question = Question { url, headers: HeaderMap::new(), trust: None, within, max_body: 10, redirects: 0, takes_place: false };
        let serve = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            _ = socket.read(&mut [0; 1024]).await.unwrap();
            socket.write_all(b"HTTP/1.1 204 X\r\n\r\n").await.unwrap();
            socket
        };
        let asker = Asker::default();
        let (mut socket, reply) = tokio::join!(serve, asker.ask(&question));
        assert_eq!(reply.unwrap().status, 204);
        tokio::time::pause();
        let mut byte = [0; 1];
        let ended = tokio::select! {
            ended = timeout(within * 2, socket.read(&mut byte)) => ended,
            () = asker.tidy() => return,
        };
        assert_eq!(ended.expect("it is hung up on").unwrap(), 0);
    }
}
