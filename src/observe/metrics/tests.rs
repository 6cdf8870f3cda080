//! What is counted of which fact, and when series come and go.

use std::time::Duration;

use super::*;
use crate::observe::event::{Concerned, Told};
use crate::stage::client::Counters;
use crate::stage::refusal::{CLOSED, Clause, RATE_LIMITED, UPSTREAM_REFUSED};
use crate::stage::{Client, Ending, Party, Refusal, Side, sample};

fn metrics(routes: &[&'static str]) -> Metrics {
    let metrics = Metrics::new(2);
    metrics.retain(&names(routes));
    metrics
}

fn names(routes: &[&'static str]) -> Names<'static> {
    Names { routes: routes.iter().copied().collect(), listeners: ["public"].into(), servers: ["ws://a:80"].into() }
}

fn page(metrics: &Metrics) -> String {
    metrics.page(State::default(), Format::OpenMetrics).unwrap()
}

/// A connection to this route, on this thread.
fn client(metrics: &Metrics, route: &str, thread: usize) -> Client {
    let mut client = sample::client(&[]);
    client.route = route.into();
    client.peer.listener = "public".into();
    client.counters = Counters::adding_to(metrics.traffic(route, thread));
    client
}

fn open(metrics: &Metrics, client: &Client) {
    metrics.count(&Event::Open { client, subprotocol: None, upstream: None, handshake: Duration::from_millis(3) });
}

fn close(metrics: &Metrics, client: &Client, ending: &Ending) {
    metrics.count(&Event::Close { client, ending, subprotocol: None, upstream: None, duration: Duration::from_secs(100) });
}

fn by_client() -> Ending {
    Ending { by: Party::Client, outcome: CLOSED, code: 1000, reason: "".into(), stage: None, rule: None, clause: None }
}

#[test]
fn a_route_has_its_series_before_anything_has_happened() {
    let page = page(&metrics(&["chat"]));
    for series in [
        "wsgate_connections{route=\"chat\"} 0\n",
        "wsgate_messages_total{route=\"chat\",from=\"upstream\"} 0\n",
        "wsgate_session_duration_seconds_count{route=\"chat\"} 0\n",
        "wsgate_accept_paused{listener=\"public\"} 0\n",
        "wsgate_config_generation 1\n",
    ] {
        assert!(page.contains(series), "{series} of {page}");
    }
    assert!(page.ends_with("\n# EOF\n"));
}

#[test]
fn threads_add_up_and_what_is_passed_on_is_told_while_the_connection_lives() {
    let metrics = metrics(&["chat"]);
    let clients = [0, 1, 1].map(|thread| client(&metrics, "chat", thread));
    for client in &clients {
        open(&metrics, client);
        client.counters.add(Side::Client, 2, 30);
        client.counters.add(Side::Upstream, 1, 5);
    }
    let page = page(&metrics);
    for series in [
        "wsgate_connections{route=\"chat\"} 3\n",
        "wsgate_messages_total{route=\"chat\",from=\"client\"} 6\n",
        "wsgate_message_bytes_total{route=\"chat\",from=\"client\"} 90\n",
        "wsgate_message_bytes_total{route=\"chat\",from=\"upstream\"} 15\n",
        "wsgate_handshakes_total{route=\"chat\",listener=\"public\",outcome=\"open\"} 3\n",
        "wsgate_handshake_duration_seconds_bucket{le=\"0.0025\",route=\"chat\"} 0\n",
        "wsgate_handshake_duration_seconds_bucket{le=\"0.005\",route=\"chat\"} 3\n",
    ] {
        assert!(page.contains(series), "{series} of {page}");
    }
}

#[test]
fn the_series_of_a_removed_route_go_with_its_last_connection() {
    let metrics = metrics(&["chat", "news"]);
    let (first, second) = (client(&metrics, "chat", 0), client(&metrics, "chat", 1));
    open(&metrics, &first);
    open(&metrics, &second);
    metrics.retain(&names(&["news"]));
    close(&metrics, &first, &by_client());
    drop(first);
    let kept = page(&metrics);
    assert!(kept.contains("wsgate_connections{route=\"chat\"} 1\n"), "{kept}");
    assert!(kept.contains("wsgate_closes_total{route=\"chat\",by=\"client\",outcome=\"closed\",code=\"1000\"} 1\n"), "{kept}");
    close(&metrics, &second, &by_client());
    drop(second);
    let gone = page(&metrics);
    assert!(!gone.contains("\"chat\"") && gone.contains("wsgate_connections{route=\"news\"} 0\n"), "{gone}");
}

#[test]
fn a_route_that_comes_back_while_a_connection_of_it_lives_goes_on_counting() {
    let metrics = metrics(&["chat"]);
    let client = client(&metrics, "chat", 0);
    open(&metrics, &client);
    metrics.retain(&names(&[]));
    metrics.retain(&names(&["chat"]));
    drop(client);
    assert!(page(&metrics).contains("wsgate_handshakes_total{route=\"chat\",listener=\"public\",outcome=\"open\"} 1\n"));
}

#[test]
fn listeners_and_servers_that_are_gone_are_told_no_more() {
    let metrics = metrics(&["chat"]);
    let client = client(&metrics, "chat", 0);
    open(&metrics, &client);
    let failed =
        |server| Event::UpstreamFailed { connection: None, route: None, server, outcome: UPSTREAM_REFUSED, detail: "", is_replaced: false };
    metrics.count(&failed("ws://a:80"));
    metrics.count(&failed("ws://b:80"));
    metrics.retain(&Names { listeners: ["other"].into(), ..names(&["chat"]) });
    let page = page(&metrics);
    assert!(!page.contains("\"public\"") && !page.contains("ws://b:80"), "{page}");
    assert!(page.contains("wsgate_upstream_failures_total{server=\"ws://a:80\",outcome=\"upstream_refused\"} 1\n"), "{page}");
}

fn clause(key: &'static str, index: Option<usize>) -> Clause {
    Clause { key, index, line: None }
}

#[test]
fn what_a_stage_ends_is_a_refusal_and_what_a_peer_ends_is_none() {
    let metrics = metrics(&["chat"]);
    let client = client(&metrics, "chat", 0);
    let stage: Option<Arc<str>> = Some("rate_limit.burst".into());
    let limited = Ending {
        by: Party::Gateway,
        outcome: RATE_LIMITED,
        stage: stage.clone(),
        clause: Some(Box::new(clause("messages", None))),
        ..by_client()
    };
    close(&metrics, &client, &limited);
    close(&metrics, &client, &by_client());
    let clause = Some(clause("deny", Some(0)));
    let refusal = Refusal { stage, clause, ..Refusal::new(RATE_LIMITED).rule("deny[0] 203.0.113.7 (secret)") };
    metrics.count(&Event::WouldRefuse { attempt: (&client).into(), refusal: &refusal });
    let page = page(&metrics);
    let labels = |rule| format!("{{route=\"chat\",stage=\"rate_limit.burst\",rule=\"{rule}\",outcome=\"rate_limited\"}} 1\n");
    assert!(page.contains(&format!("wsgate_refusals_total{}", labels("messages"))), "{page}");
    assert!(page.contains(&format!("wsgate_would_refuse_total{}", labels("deny[0]"))), "{page}");
    assert_eq!(page.matches("wsgate_refusals_total{").count(), 1);
    assert!(!page.contains("203.0.113.7") && !page.contains("secret"), "{page}");
}

#[test]
fn a_fault_of_the_gateway_itself_is_told_from_the_first_on() {
    let metrics = metrics(&["chat"]);
    assert!(page(&metrics).contains("wsgate_internal_errors_total 0\n"));
    let client = client(&metrics, "chat", 0);
    close(&metrics, &client, &Ending { by: Party::Gateway, outcome: INTERNAL, code: 1011, ..by_client() });
    close(&metrics, &client, &by_client());
    let (attempt, refusal) = ((&client).into(), &Refusal::new(INTERNAL));
    metrics.count(&Event::Refused { attempt, refusal, told: Told::Nothing, duration: Duration::ZERO });
    assert!(page(&metrics).contains("wsgate_internal_errors_total 2\n"));
}

#[test]
fn a_reload_is_a_generation_and_a_failed_one_is_none() {
    let metrics = metrics(&[]);
    let taken = |generation, is_saved| Event::Reloaded {
        generation,
        added: &[],
        changed: &[],
        removed: &[],
        kept: 0,
        connections: Concerned { kept: 0, adopted: 0, closed: 0, causes: "" },
        compiled: Duration::ZERO,
        applied: Duration::ZERO,
        is_saved,
    };
    let is = |events: &[Event<'_>], generation: u64, successful: u8| {
        events.iter().for_each(|event| metrics.count(event));
        let page = page(&metrics);
        assert!(page.contains(&format!("wsgate_config_generation {generation}\n")), "{page}");
        assert!(page.contains(&format!("wsgate_config_last_reload_successful {successful}\n")), "{page}");
    };
    let refused = |is_saved| Event::ReloadRefused { faults: "", is_saved };
    is(&[], 1, 1);
    is(&[refused(false)], 1, 0);
    is(&[Event::ReloadUnchanged { is_saved: true }], 1, 1);
    is(&[refused(true)], 1, 1);
    is(&[refused(false), taken(2, false)], 2, 0);
    is(&[taken(3, true)], 3, 1);
    is(&[taken(4, true), refused(false)], 4, 0);
}

#[test]
fn a_listener_is_paused_until_it_accepts_again_or_is_opened_anew() {
    let metrics = metrics(&[]);
    let error = std::io::Error::other("too many open files");
    let paused = Event::AcceptPaused { listener: "public", error: &error };
    for (event, is_paused) in [(paused, 1), (paused, 1), (Event::AcceptResumed { listener: "public" }, 0), (paused, 1)] {
        metrics.count(&event);
        assert!(page(&metrics).contains(&format!("wsgate_accept_paused{{listener=\"public\"}} {is_paused}\n")));
    }
    metrics.retain(&names(&[]));
    assert!(page(&metrics).contains("wsgate_accept_paused{listener=\"public\"} 0\n"));
}
