//! A gateway inside a program: started from a text, met by a client, drained. Nothing outside of it changes: no signal, no panic hook,
//! no limit of the process, and no subscriber; its events go to the `tracing` subscriber the program has, here none.
//!
//! ```text
//! cargo run --example embed
//! ```

#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::error::Error;

use futures_util::{SinkExt, StreamExt};
use wsgate::config::{Document, render};
use wsgate::engine::Engine;
use wsgate::gateway::{Catalog, Gateway};
use wsgate::stage::cells::Cells;

const CONFIG: &str = r#"
[listener.inside]
address = "127.0.0.1:0"

[gateway]
threads = 1
drain   = { over = "100ms" }

[echo.received]
prefix = "the gateway received: "

[route.echo]
endpoint = "echo.received"
"#;

fn main() -> Result<(), Box<dyn Error>> {
    // The program's runtime carries the acceptors; connections have threads of their own.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve())
}

async fn serve() -> Result<(), Box<dyn Error>> {
    // Everything that can fail of a config fails here, all at once. The cells keep what outlives it: hand the same ones to the next.
    let cells = Cells::default();
    let document = Document::parse("embedded", CONFIG, ".");
    let (gateway, faults) = Gateway::compile(&document, &Catalog::default(), &cells);
    let gateway = gateway.ok_or_else(|| render(&document, &faults, false))?;

    let mut engine = Engine::start(gateway)?;
    for (listener, address) in engine.addresses() {
        println!("listener.{listener} is at {address}");
    }

    let addresses = engine.addresses();
    let (_, address) = addresses.first().ok_or("a config without a listener is none")?;
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{address}/")).await?;
    socket.send("hello".into()).await?;
    if let Some(answer) = socket.next().await {
        println!("{}", answer?.into_text()?);
    }
    println!("{} connection is open", engine.connections());

    // Whoever is still there is told to go, and given the time to.
    let client = tokio::spawn(async move {
        while let Some(Ok(message)) = socket.next().await {
            if let tokio_tungstenite::tungstenite::Message::Close(Some(close)) = message {
                println!("the client was told {} {}", close.code, close.reason);
            }
        }
    });
    engine.drain().await;
    client.await?;
    println!("{} connections are left", engine.connections());
    engine.stop();
    Ok(())
}
