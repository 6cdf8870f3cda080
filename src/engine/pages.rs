//! Pages of metrics: served over HTTP to whoever can reach them.

use std::convert::Infallible;
use std::net::SocketAddr;
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

use crate::gateway::Gateway;
use crate::gateway::metrics::Page;
use crate::observe::event::Event;
use crate::observe::metrics::Format;
use crate::stage::slots::{Permit, Slots};

use super::scrape::Scraper;
use super::{StartError, accept};

/// How many may ask at a time, over all pages; a connection beyond is closed at once.
const CLIENTS: usize = 16;
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

/// A page with a socket for it.
pub(super) struct Bound {
    page: Page,
    address: SocketAddr,
    socket: TcpListener,
}

/// Binds the addresses of every page.
///
/// # Errors
/// The first that cannot be.
pub(super) fn bind(gateway: &Gateway) -> Result<Vec<Bound>, StartError> {
    let mut bound = Vec::new();
    for page in &gateway.metrics {
        for &address in &page.addresses {
            let failed = || StartError::new(format!("cannot listen on {address} (metrics.{})", page.name));
            let socket = accept::bind(address, page.has_v4_twin(address)).map_err(failed())?;
            let address = socket.local_addr().map_err(failed())?;
            bound.push(Bound { page: page.clone(), address, socket: TcpListener::from_std(socket).map_err(failed())? });
        }
    }
    Ok(bound)
}

/// The pages that are served, until they are dropped.
pub(super) struct Pages {
    /// The addresses, with the names of their pages.
    pub(super) addresses: Vec<(Arc<str>, SocketAddr)>,
    _serving: JoinSet<()>,
}

impl Pages {
    /// Serves them on the tokio runtime this is called in.
    pub(super) fn serve(bound: Vec<Bound>, scraper: &Arc<Scraper>) -> Self {
        let (mut addresses, mut serving) = (Vec::new(), JoinSet::new());
        let clients = Arc::new(Slots::new(Some(CLIENTS)));
        for Bound { page, address, socket } in bound {
            scraper.observer().report(&Event::MetricsListening { metrics: &page.name, address, path: &page.path });
            serving.spawn(serve(socket, page.path, scraper.clone(), clients.clone()));
            addresses.push((page.name, address));
        }
        Self { addresses, _serving: serving }
    }
}

async fn serve(sockets: TcpListener, path: Arc<str>, scraper: Arc<Scraper>, clients: Arc<Slots>) {
    let mut conversations = JoinSet::new();
    loop {
        tokio::select! {
            accepted = sockets.accept() => match (accepted, clients.enter()) {
                (Ok((socket, _)), Some(permit)) => _ = conversations.spawn(converse(socket, path.clone(), scraper.clone(), permit)),
                (Ok(_), None) => {}
                (Err(_), _) => sleep(REST).await,
            },
            Some(_) = conversations.join_next() => {}
        }
    }
}

/// Answers one request after the other, for no longer than [`LIFE`] and [`LAST`].
async fn converse(socket: TcpStream, path: Arc<str>, scraper: Arc<Scraper>, _permit: Permit) {
    let service = service_fn(|request| {
        let (path, scraper) = (path.clone(), scraper.clone());
        async move { Ok::<_, Infallible>(answer(&request, &path, scraper).await) }
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

async fn answer(request: &Request<Incoming>, path: &str, scraper: Arc<Scraper>) -> Response<Full<Bytes>> {
    if request.uri().path() != path {
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
