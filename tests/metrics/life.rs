//! For how long a page is served, and where.

use super::page::Page;
use super::support::{Gateway, in_time, raw};
use super::{scrape, scrape_at};
use tokio::net::TcpStream;
use wsgate::config::Document;
use wsgate::engine::Engine;
use wsgate::gateway::{Catalog, Gateway as Snapshot};
use wsgate::observe::metrics::Format;
use wsgate::stage::cells::Cells;

#[tokio::test]
async fn the_page_is_served_while_the_gateway_drains() {
    let mut gateway = Gateway::run(
        "[gateway]\ndrain = { over = \"100ms\" }\n[listener.public]\naddress = \"127.0.0.1:0\"\n[metrics.local]\naddress = \"127.0.0.1:0\"\n\
         [route.echo]\nendpoint = \"echo\"\nclose_timeout = \"8s\"\n",
    );
    // It does not answer the gateway's Close, so the drain goes on until it has gone.
    let mut client = raw::upgraded(gateway.address("public"), "/").await;
    gateway.signal("TERM");
    gateway.event("draining");
    assert_eq!(raw::next_frame(&mut client).await, (0x88, raw::closing(1001, "shutting down")));
    assert!(scrape(&gateway).await.value("wsgate_connections{route=\"echo\"}") > 0.0);
    drop(client);
    assert!(gateway.wait().success());
    assert!(TcpStream::connect(gateway.address("metrics.local")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_gateway_tells_where_its_page_is_and_what_is_on_it() {
    let text = "[listener.public]\naddress = \"127.0.0.1:0\"\n[metrics.local]\naddress = [\"127.0.0.1:0\", \"[::1]:0\"]\n[route.echo]\nendpoint = \"echo\"\n";
    let (gateway, faults) = Snapshot::compile(&Document::parse("embedded", text, "."), &Catalog::default(), &Cells::default());
    let engine = Engine::start(gateway.unwrap_or_else(|| panic!("{faults:?}"))).unwrap();
    let addresses = engine.metrics_addresses().to_vec();
    assert_eq!(addresses.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["local", "local"]);
    for (_, address) in &addresses {
        assert!(scrape_at(*address).await.families.contains_key("wsgate_connections"));
    }
    let page = engine.metrics_page(Format::OpenMetrics).unwrap();
    assert!(Page::parse(&page).families.contains_key("wsgate_slots_taken"));
    engine.stop();
    // Its socket goes with its task, which may be running still.
    in_time(async { while TcpStream::connect(addresses[0].1).await.is_ok() {} }).await;
}
