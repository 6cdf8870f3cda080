//! A client of HTTP/2, made of the `h2` crate, whose streams are sockets to a WebSocket library.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Method, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::support::in_time;

/// A connection.
pub(crate) struct Client {
    pub(crate) send: SendRequest<Bytes>,
    /// Ends when the connection does, with what ended it.
    pub(crate) connection: JoinHandle<Result<(), h2::Error>>,
}

/// A stream of it that a WebSocket is spoken over.
pub(crate) type Socket = WebSocketStream<Stream>;

impl Client {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        Self::over(dialled(address).await).await
    }

    pub(crate) async fn over<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> Self {
        Self::with(stream, &mut h2::client::Builder::new()).await
    }

    pub(crate) async fn with<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, builder: &mut h2::client::Builder) -> Self {
        let (send, connection) = in_time(builder.handshake(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let send = in_time(send.ready()).await.unwrap();
        let client = Self { send, connection };
        // Its first SETTINGS say that an extended CONNECT is understood.
        while !client.send.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
        }
        client
    }

    /// Sends a request without a body.
    pub(crate) async fn ask(&mut self, method: Method, path: &str, headers: &[(&str, &str)]) -> Result<Response<RecvStream>, h2::Error> {
        let request = request(method, path, headers).body(()).unwrap();
        let (answer, _) = self.send.send_request(request, true)?;
        in_time(answer).await
    }

    /// The status, head and body of such an answer.
    pub(crate) async fn answer(&mut self, method: Method, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, String) {
        whole(self.ask(method, path, headers).await.unwrap()).await
    }

    /// Asks for a WebSocket; `headers` beside its version.
    pub(crate) async fn extended(&mut self, path: &str, headers: &[(&str, &str)]) -> (Response<RecvStream>, SendStream<Bytes>) {
        let version = ("sec-websocket-version", "13");
        let version = (!headers.iter().any(|(name, _)| *name == version.0)).then_some(version);
        let headers: Vec<_> = headers.iter().copied().chain(version).collect();
        let request = request(Method::CONNECT, path, &headers).extension(Protocol::from_static("websocket")).body(()).unwrap();
        let (answer, send) = self.send.send_request(request, false).unwrap();
        (in_time(answer).await.unwrap(), send)
    }

    /// A bare stream that was answered 200.
    pub(crate) async fn stream(&mut self, path: &str, headers: &[(&str, &str)]) -> Stream {
        let (answer, send) = self.extended(path, headers).await;
        assert_eq!(answer.status(), 200, "{path}");
        Stream { send, recv: answer.into_body(), chunk: Bytes::new() }
    }

    /// A WebSocket.
    pub(crate) async fn socket(&mut self, path: &str, headers: &[(&str, &str)]) -> Socket {
        WebSocketStream::from_raw_socket(self.stream(path, headers).await, Role::Client, None).await
    }

    /// The status and body of a WebSocket's refusal.
    pub(crate) async fn refusal(&mut self, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, String) {
        whole(self.extended(path, headers).await.0).await
    }
}

/// A TCP connection whose small frames do not wait for one another.
pub(crate) async fn dialled(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

pub(crate) fn request(method: Method, path: &str, headers: &[(&str, &str)]) -> http::request::Builder {
    let mut request = Request::builder().method(method).uri(format!("http://localhost{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
}

pub(crate) async fn whole(answer: Response<RecvStream>) -> (u16, HeaderMap, String) {
    let (head, mut body) = answer.into_parts();
    let mut all = Vec::new();
    while let Some(chunk) = in_time(body.data()).await {
        let chunk = chunk.unwrap();
        body.flow_control().release_capacity(chunk.len()).unwrap();
        all.extend_from_slice(&chunk);
    }
    (head.status.as_u16(), head.headers, String::from_utf8(all).unwrap())
}

/// A stream as a socket.
pub(crate) struct Stream {
    pub(crate) send: SendStream<Bytes>,
    pub(crate) recv: RecvStream,
    chunk: Bytes,
}

impl Stream {
    /// The reason of the reset that ends it; none where it ends well.
    pub(crate) async fn reset(&mut self) -> Option<Reason> {
        loop {
            match in_time(self.recv.data()).await {
                Some(Ok(chunk)) => self.recv.flow_control().release_capacity(chunk.len()).unwrap(),
                Some(Err(error)) => return error.reason(),
                None => return None,
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.chunk.is_empty() {
            match ready!(self.recv.poll_data(cx)) {
                Some(chunk) => self.chunk = chunk.map_err(io::Error::other)?,
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.chunk.len().min(buffer.remaining());
        buffer.put_slice(&self.chunk[..count]);
        self.chunk.advance(count);
        self.recv.flow_control().release_capacity(count).map_err(io::Error::other)?;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.send.reserve_capacity(bytes.len());
        while self.send.capacity() == 0 {
            match ready!(self.send.poll_capacity(cx)) {
                Some(capacity) => _ = capacity.map_err(io::Error::other)?,
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let count = self.send.capacity().min(bytes.len());
        self.send.send_data(Bytes::copy_from_slice(&bytes[..count]), false).map_err(io::Error::other)?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.send.send_data(Bytes::new(), true).map_err(io::Error::other))
    }
}
