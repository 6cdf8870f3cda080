//! `wsgate connect`: a WebSocket client for the terminal and for pipes.

use std::io::{self, Write};

use clap::Args;
use futures_util::{SinkExt, StreamExt};
use http::Uri;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::{Failure, say};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Where to connect: ws://HOST:PORT/PATH.
    #[arg(value_parser = url)]
    url: Uri,
    /// Send this token as `Authorization: Bearer TOKEN`.
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Send this header too; may be given several times.
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(HeaderName, HeaderValue)>,
    /// Ask for this subprotocol.
    #[arg(long, value_name = "NAME")]
    subprotocol: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let request = request(arguments)?;
    let url = &arguments.url;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        let connected = tokio_tungstenite::connect_async(request).await;
        talk(connected.map_err(|error| Failure::could(in_words(url, error)))?.0).await
    });
    // Standard input is read on a thread that cannot be interrupted: leave it behind.
    runtime.shutdown_background();
    done
}

fn request(arguments: &Arguments) -> Result<http::Request<()>, Failure> {
    let mut request = arguments.url.clone().into_client_request().map_err(Failure::could)?;
    let headers = request.headers_mut();
    if let Some(token) = &arguments.token {
        let value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
            .map_err(|_| Failure::could("the token has characters no header may have"))?;
        headers.insert(AUTHORIZATION, value);
    }
    if let Some(name) = &arguments.subprotocol {
        headers.insert("sec-websocket-protocol", HeaderValue::from_str(name).map_err(Failure::could)?);
    }
    for (name, value) in &arguments.header {
        headers.append(name, value.clone());
    }
    Ok(request)
}

fn url(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|_| "write it as ws://HOST:PORT/PATH".to_owned())?;
    match (uri.scheme_str(), text.split_once("://")) {
        (Some("ws"), _) if uri.host().is_some() => Ok(uri),
        (Some("wss"), Some((_, rest))) => Err(format!("TLS is not spoken; write ws://{rest}")),
        (Some(_), Some((_, rest))) => Err(format!("write ws://{rest}")),
        _ => Err(format!("write ws://{}", text.trim_start_matches('/'))),
    }
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it as \"NAME: VALUE\"")?;
    let name = name.trim().parse().map_err(|_| format!("{:?} is not the name of a header", name.trim()))?;
    let value = value.trim().parse().map_err(|_| "the value has characters no header may have")?;
    Ok((name, value))
}

async fn talk(mut socket: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Result<(), Failure> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut typing = true;
    let mut closed = None;
    loop {
        tokio::select! {
            line = lines.next_line(), if typing => match line? {
                Some(line) => socket.send(Message::text(line)).await.map_err(Failure::could)?,
                None => {
                    typing = false;
                    // The answers to what was sent come before the answer to this.
                    socket.close(None).await.map_err(Failure::could)?;
                }
            },
            message = socket.next() => match message {
                Some(Ok(Message::Close(frame))) => {
                    typing = false;
                    closed = Some(frame);
                }
                Some(Ok(message)) => print(message)?,
                Some(Err(tungstenite::Error::ConnectionClosed)) | None => return farewell(closed),
                Some(Err(error)) => return Err(Failure::could(error)),
            },
        }
    }
}

fn print(message: Message) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match message {
        Message::Text(text) => writeln!(out, "{text}"),
        Message::Binary(bytes) => writeln!(out, "({} bytes of binary)", bytes.len()),
        _ => Ok(()),
    }?;
    out.flush()
}

/// Says how the server closed; anything but a normal close is a failure for scripts.
fn farewell(closed: Option<Option<CloseFrame>>) -> Result<(), Failure> {
    match closed {
        None | Some(None) => Ok(()),
        Some(Some(frame)) => {
            let code = u16::from(frame.code);
            let line = format!("closed: {code} {}", frame.reason);
            if matches!(code, 1000 | 1005) {
                say(line.trim_end());
                return Ok(());
            }
            Err(Failure::could(line.trim_end()))
        }
    }
}

fn in_words(url: &Uri, error: tungstenite::Error) -> String {
    match error {
        tungstenite::Error::Http(response) => {
            let status = response.status();
            let body = response.body().as_ref().map(|body| String::from_utf8_lossy(body)).unwrap_or_default();
            // Ours begin with the number that has just been said.
            let body = body.trim().trim_start_matches(status.as_str()).trim_start();
            if body.is_empty() { format!("the server answered {status}") } else { format!("the server answered {status}: {body}") }
        }
        tungstenite::Error::Io(error) => format!("cannot connect to {url}: {error}"),
        error => format!("cannot connect to {url}: {error}"),
    }
}
