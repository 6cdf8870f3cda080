//! `wsgate connect`: a WebSocket client for the terminal and for pipes.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use http::Uri;
use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::wire::stream::Socket;

use super::talk::talk;
use super::trust::trusting;
use super::{Failure, say};

/// How long a server may take to accept and to answer the upgrade.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Args)]
#[command(after_help = "Exit codes: 0 after a normal close (1000, or none), 1 after any other or where there is no connection, \
2 where the command line is wrong.")]
pub(crate) struct Arguments {
    /// Where to connect: ws://HOST:PORT/PATH, or wss:// for TLS.
    #[arg(value_parser = url)]
    url: Uri,
    /// Send this token as `Authorization: Bearer TOKEN`; `-` takes the first line of the input for it.
    #[arg(long, value_name = "TOKEN", env = "WSGATE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Send this header too, as `Origin: https://example.com`; may be given several times.
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(HeaderName, HeaderValue)>,
    /// Ask for this subprotocol; may be given several times, the preferred one first.
    #[arg(long, value_name = "NAME")]
    subprotocol: Vec<String>,
    /// For wss://, trust the authorities whose certificates are in this file, in PEM, and not those this machine trusts.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Show the certificate in this file, in PEM, to a server that asks for one.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The file with that certificate's private key, in PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Print messages and failures only: no pings, no agreed subprotocol, no normal close.
    #[arg(long, short)]
    quiet: bool,
}

/// Lines of standard input.
pub(super) type Input = Lines<BufReader<Stdin>>;

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(converse(arguments));
    // Standard input is read on a thread that cannot be interrupted: leave it behind.
    runtime.shutdown_background();
    done
}

async fn converse(arguments: &Arguments) -> Result<(), Failure> {
    let url = &arguments.url;
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    let request = request(arguments, &mut input).await?;
    let connected = timeout(PATIENCE, async {
        let socket = dial(arguments).await?;
        client_async(request, socket).await.map_err(|error| Failure::could(in_words(url, error)))
    });
    let late = |_| Failure::could(format!("{url} did not answer within {} s", PATIENCE.as_secs()));
    let (socket, response) = connected.await.map_err(late)??;
    if let Some(agreed) = response.headers().get(SEC_WEBSOCKET_PROTOCOL).filter(|_| !arguments.quiet) {
        say(&format!("subprotocol: {}", agreed.as_bytes().escape_ascii()));
    }
    talk(socket, input, arguments.quiet).await
}

async fn dial(arguments: &Arguments) -> Result<Socket, Failure> {
    let url = &arguments.url;
    let failed = |error: &dyn std::fmt::Display| Failure::could(format!("cannot connect to {}: {error}", shown(url)));
    let is_tls = url.scheme_str() == Some("wss");
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let own = arguments.cert.as_deref().zip(arguments.key.as_deref());
    let connector = if is_tls { Some(trusting(arguments.ca.as_deref(), own)?) } else { None };
    let tcp = TcpStream::connect((host, port)).await.map_err(|error| failed(&error))?;
    tcp.set_nodelay(true)?;
    match connector {
        None => Ok(Socket::Plain(tcp)),
        Some(connector) => connector.connect(tcp, host).await.map_err(|failure| failed(&format!("TLS: {failure}"))),
    }
}

async fn request(arguments: &Arguments, input: &mut Input) -> Result<http::Request<()>, Failure> {
    let mut request = arguments.url.clone().into_client_request().map_err(Failure::could)?;
    let headers = request.headers_mut();
    let token = match arguments.token.as_deref() {
        Some("-") => Some(input.next_line().await?.ok_or_else(|| Failure::could("there is no token in the input"))?),
        token => token.map(str::to_owned),
    };
    if let Some(token) = token.filter(|token| !token.trim().is_empty()) {
        let value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
            .map_err(|_| Failure::could("the token has characters no header may have"))?;
        headers.insert(AUTHORIZATION, value);
    }
    if !arguments.subprotocol.is_empty() {
        let offer = HeaderValue::from_str(&arguments.subprotocol.join(", "));
        headers.insert(SEC_WEBSOCKET_PROTOCOL, offer.map_err(|_| Failure::could("a subprotocol has characters no header may have"))?);
    }
    for (name, value) in &arguments.header {
        // A request has one host: this is how a route of another is tried without its name in the DNS.
        if name == HOST {
            headers.remove(HOST);
        }
        headers.append(name, value.clone());
    }
    Ok(request)
}

fn url(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|_| "write it as ws://HOST:PORT/PATH".to_owned())?;
    match (uri.scheme_str(), text.split_once("://")) {
        (Some("ws" | "wss"), _) if uri.host().is_some() => Ok(uri),
        (Some("https"), Some((_, rest))) => Err(format!("write wss://{rest}")),
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

fn in_words(url: &Uri, error: tungstenite::Error) -> String {
    match error {
        tungstenite::Error::Http(response) => {
            let status = response.status();
            let body = response.body().as_ref().map(|body| String::from_utf8_lossy(body)).unwrap_or_default();
            // Ours begin with the number that has just been said.
            let body = body.trim().trim_start_matches(status.as_str()).trim_start();
            if body.is_empty() { format!("the server answered {status}") } else { format!("the server answered {status}: {body}") }
        }
        error => {
            let error = match &error {
                tungstenite::Error::Io(error) => error as &dyn std::fmt::Display,
                error => error,
            };
            format!("cannot connect to {}: {error}", shown(url))
        }
    }
}

/// The URL without its query, where a token may stand.
fn shown(url: &Uri) -> String {
    url.to_string().split('?').next().unwrap_or_default().to_owned()
}
