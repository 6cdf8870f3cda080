//! Pages of metrics: served over HTTP to whoever can reach them.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::observe::metrics::Format;
use crate::stage::slots::Permit;

use super::scrape::Scraper;

/// How long a client may take over the head of a request, and leave its connection unused before.
const HEAD: Duration = Duration::from_secs(10);
/// The largest head, in bytes.
const MAX_HEAD: usize = 8 << 10;
/// The most headers of a request.
const MAX_HEADERS: usize = 64;
/// How long a connection is kept for further requests.
const LIFE: Duration = Duration::from_mins(1);
/// How much longer it may take over the last answer.
const LAST: Duration = Duration::from_secs(10);
/// How long accepting rests when the system refuses.
const REST: Duration = Duration::from_millis(100);

/// Serves the page of this name until its task is dropped. A connection beyond those that may ask at a time is closed at once.
pub(super) async fn serve(sockets: TcpListener, name: Arc<str>, scraper: Arc<Scraper>) {
    let mut conversations = JoinSet::new();
    loop {
        tokio::select! {
            accepted = sockets.accept() => match (accepted, scraper.clients.enter()) {
                (Ok((socket, _)), Some(permit)) => _ = conversations.spawn(converse(socket, name.clone(), scraper.clone(), permit)),
                (Ok(_), None) => {}
                (Err(_), _) => sleep(REST).await,
            },
            Some(_) = conversations.join_next() => {}
        }
    }
}

/// Answers one request after the other, for no longer than [`LIFE`] and [`LAST`].
async fn converse(socket: TcpStream, name: Arc<str>, scraper: Arc<Scraper>, _permit: Permit) {
    let service = service_fn(|request| {
        let (name, scraper) = (name.clone(), scraper.clone());
        async move { Ok::<_, Infallible>(answer(&request, &name, scraper).await) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD).max_header_size(MAX_HEAD).max_headers(MAX_HEADERS);
    let mut conversation = pin!(server.serve_connection(TokioIo::new(socket), service));
    // What goes wrong between the two is theirs: a scrape that failed is known where it was asked for.
    if timeout(LIFE, conversation.as_mut()).await.is_err() {
        conversation.as_mut().graceful_shutdown();
        _ = timeout(LAST, conversation).await;
    }
}

async fn answer(request: &Request<Incoming>, name: &str, scraper: Arc<Scraper>) -> Response<Full<Bytes>> {
    // The one in force: an edit may have given the page another.
    let Some(path) = scraper.path(name) else { return told(StatusCode::NOT_FOUND, "There are no metrics here.\n".to_owned()) };
    if request.uri().path() != &*path {
        return told(StatusCode::NOT_FOUND, format!("The metrics are at {path}.\n"));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = told(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD are answered here.\n".to_owned());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let format = Format::wanted(request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()));
    // Away from the acceptors, which share this thread: it takes a while where there are many routes.
    let page = tokio::task::spawn_blocking(move || scraper.page(format)).await;
    let Ok(Ok(page)) = page else { return told(StatusCode::INTERNAL_SERVER_ERROR, "The page could not be written.\n".to_owned()) };
    let mut response = Response::new(Full::new(page.into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    response
}

fn told(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
