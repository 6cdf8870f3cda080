//! Scrapes while connections come and go: every page is whole, and nothing ever counts down.

use std::collections::BTreeMap;
use std::pin::pin;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::support::{Gateway, ask, closed};
use super::{page::Page, scrape};

/// Connections in all, and how many of them at a time.
const ALL: usize = 1000;
const AT_A_TIME: usize = 50;

/// The values of all series that only ever grow.
fn growing(page: &Page) -> BTreeMap<String, f64> {
    let grows = |name: &str| ["_total", "_count", "_bucket", "_sum"].iter().any(|end| name.split('{').next().unwrap().ends_with(end));
    page.series.iter().filter(|(written, _)| grows(written)).map(|(written, value)| (written.clone(), *value)).collect()
}

async fn visit(gateway: &Gateway, number: usize) {
    let mut socket = gateway.connect("public", &format!("/{}", number % 5)).await;
    assert_eq!(ask(&mut socket, "hello").await, "hello");
    socket.close(None).await.unwrap();
    closed(&mut socket).await;
}

/// So many connections, each of which is opened, used and closed.
async fn churn(gateway: &Gateway) {
    let mut visits = FuturesUnordered::new();
    for number in 0..ALL {
        if visits.len() == AT_A_TIME {
            visits.next().await;
        }
        visits.push(visit(gateway, number));
    }
    visits.collect::<()>().await;
}

/// One scrape after the other until the work is done.
async fn scrape_during(gateway: &Gateway, work: impl Future<Output = ()>) {
    let mut work = pin!(work);
    let (mut before, mut is_over) = (BTreeMap::new(), false);
    while !is_over {
        let mut scraping = pin!(scrape(gateway));
        let page = tokio::select! {
            page = scraping.as_mut() => page,
            () = work.as_mut() => {
                is_over = true;
                scraping.await
            }
        };
        let now = growing(&page);
        for (series, value) in &before {
            assert!(now.get(series) >= Some(value), "{series} was {value} and is {:?}", now.get(series));
        }
        before = now;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_churn_and_every_scrape_is_whole_and_none_counts_down() {
    let mut config = "[listener.public]\naddress = \"127.0.0.1:0\"\n[metrics.local]\naddress = \"127.0.0.1:0\"\n".to_owned();
    for route in 0..5 {
        config += &format!("[route.r{route}]\npath = \"/{route}\"\nendpoint = \"echo\"\n");
    }
    let mut gateway = Gateway::run(&config);
    scrape_during(&gateway, churn(&gateway)).await;
    for _ in 0..ALL {
        gateway.event("close");
    }
    let page = scrape(&gateway).await;
    let each = (ALL / 5) as f64;
    for route in 0..5 {
        let of = |name: &str, more: &str| page.value(&format!("wsgate_{name}{{route=\"r{route}\"{more}}}"));
        let counts = [
            of("handshakes_total", ",listener=\"public\",outcome=\"open\""),
            of("messages_total", ",from=\"client\""),
            of("messages_total", ",from=\"upstream\""),
            of("session_duration_seconds_count", ""),
            of("connections", "") + each,
        ];
        assert!(counts.iter().all(|count| count.total_cmp(&each).is_eq()), "{counts:?}");
    }
}
