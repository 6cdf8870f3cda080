//! What the series say of what was done.

use super::busy::{Busy, busy};
use super::scrape;
use super::support::{ask, closed, in_time};

/// What has been counted, but for the tries at a server whose port the system picks.
const COUNTED: [&str; 43] = [
    r#"closes_total{route="chat",by="client",outcome="closed",code="1000"} 1"#,
    r#"closes_total{route="chat",by="client",outcome="closed",code="other"} 1"#,
    r#"closes_total{route="limited",by="gateway",outcome="rate_limited",code="1008"} 1"#,
    r#"closes_total{route="quiet",by="client",outcome="client_lost",code="1006"} 1"#,
    r#"closes_total{route="lossy",by="client",outcome="closed",code="1005"} 1"#,
    r#"handshakes_total{route="",listener="public",outcome="ip_denied"} 1"#,
    r#"handshakes_total{route="",listener="public",outcome="no_route"} 1"#,
    r#"handshakes_total{route="",listener="sealed",outcome="tls_failed"} 1"#,
    r#"handshakes_total{route="chat",listener="public",outcome="open"} 2"#,
    r#"handshakes_total{route="down",listener="public",outcome="upstream_refused"} 4"#,
    r#"handshakes_total{route="limited",listener="public",outcome="open"} 1"#,
    r#"handshakes_total{route="limited",listener="public",outcome="origin_denied"} 1"#,
    r#"handshakes_total{route="lossy",listener="public",outcome="open"} 1"#,
    r#"left_out_total{route="lossy",stage="rate_limit.lossy",rule="messages",outcome="rate_limited"} 2"#,
    r#"handshakes_total{route="open",listener="public",outcome="open"} 1"#,
    r#"handshakes_total{route="quiet",listener="public",outcome="open"} 1"#,
    r#"message_bytes_total{route="chat",from="client"} 7"#,
    r#"message_bytes_total{route="chat",from="upstream"} 7"#,
    r#"message_bytes_total{route="limited",from="client"} 6"#,
    r#"message_bytes_total{route="limited",from="upstream"} 6"#,
    r#"message_bytes_total{route="open",from="client"} 5"#,
    r#"message_bytes_total{route="open",from="upstream"} 5"#,
    r#"messages_total{route="chat",from="client"} 2"#,
    r#"messages_total{route="chat",from="upstream"} 2"#,
    r#"messages_total{route="limited",from="client"} 2"#,
    r#"messages_total{route="limited",from="upstream"} 2"#,
    r#"message_bytes_total{route="lossy",from="client"} 3"#,
    r#"message_bytes_total{route="lossy",from="upstream"} 3"#,
    r#"messages_total{route="lossy",from="client"} 1"#,
    r#"messages_total{route="lossy",from="upstream"} 1"#,
    r#"messages_total{route="open",from="client"} 1"#,
    r#"messages_total{route="open",from="upstream"} 1"#,
    r#"refusals_total{route="",stage="firewall.door",rule="deny[1]",outcome="ip_denied"} 1"#,
    r#"refusals_total{route="limited",stage="origin.pages",rule="allow",outcome="origin_denied"} 1"#,
    r#"refusals_total{route="limited",stage="rate_limit.slow",rule="messages",outcome="rate_limited"} 1"#,
    r#"tls_failures_total{listener="sealed",reason="no_tls"} 1"#,
    r#"request_bytes_total{route="polled",from="upstream"} 2"#,
    r#"closes_total{route="renewed",by="client",outcome="closed",code="1005"} 1"#,
    r#"handshakes_total{route="renewed",listener="public",outcome="open"} 1"#,
    r#"renewals_total{route="renewed",result="renewed"} 1"#,
    r#"renewals_total{route="renewed",result="token_invalid"} 1"#,
    r#"requests_total{route="polled",status="2xx",outcome="answered"} 1"#,
    r#"would_refuse_total{route="quiet",stage="firewall.door",rule="deny[2]",outcome="ip_denied"} 1"#,
];

#[tokio::test(flavor = "multi_thread")]
async fn every_number_is_what_was_done() {
    let Busy { gateway, backend, nobody, open: _open } = busy().await;
    let page = scrape(&gateway).await;
    let mut expected: Vec<String> = COUNTED.iter().map(ToString::to_string).collect();
    // Each of the four at `/down` tried once; of the two at `/chat` one met it first.
    expected.push(format!(r#"upstream_failures_total{{server="ws://{nobody}",outcome="upstream_refused"}} 5"#));
    expected.sort();
    assert_eq!(page.counted(), expected);
    for (series, value) in [
        ("wsgate_connections{route=\"open\"}", 1.0),
        ("wsgate_connections{route=\"chat\"}", 0.0),
        ("wsgate_slots_taken{of=\"gateway\"}", 1.0),
        ("wsgate_slots_taken{of=\"listener.public\"}", 1.0),
        ("wsgate_slots_max{of=\"gateway\"}", 100_000.0),
        ("wsgate_slots_max{of=\"listener.public\"}", 50.0),
        ("wsgate_handshake_duration_seconds_count{route=\"chat\"}", 2.0),
        ("wsgate_handshake_duration_seconds_count{route=\"down\"}", 0.0),
        ("wsgate_session_duration_seconds_count{route=\"chat\"}", 2.0),
        ("wsgate_session_duration_seconds_count{route=\"open\"}", 0.0),
        (&format!("wsgate_upstream_connections{{upstream=\"ws://{backend}\",server=\"ws://{backend}\"}}"), 1.0),
        (&format!("wsgate_upstream_connections{{upstream=\"chat\",server=\"ws://{backend}\"}}"), 0.0),
        (&format!("wsgate_upstream_server_state{{upstream=\"chat\",server=\"ws://{backend}\",state=\"up\"}}"), 1.0),
        (&format!("wsgate_upstream_server_state{{upstream=\"ws://{nobody}\",server=\"ws://{nobody}\",state=\"up\"}}"), 0.0),
        (&format!("wsgate_upstream_server_state{{upstream=\"ws://{nobody}\",server=\"ws://{nobody}\",state=\"resting\"}}"), 1.0),
        (&format!("wsgate_upstream_server_state{{upstream=\"chat\",server=\"ws://{nobody}/drains\",state=\"draining\"}}"), 1.0),
        (&format!("wsgate_upstream_server_state{{upstream=\"chat\",server=\"ws://{nobody}/drains\",state=\"up\"}}"), 0.0),
        ("wsgate_accept_paused{listener=\"public\"}", 0.0),
        ("wsgate_certificate_expires_timestamp_seconds{listener=\"sealed\",name=\"chat.example.com\"}", 4_102_444_799.0),
        ("wsgate_log_lines_lost_total{log=\"for-the-test\"}", 0.0),
        ("wsgate_internal_errors_total", 0.0),
        ("wsgate_config_generation", 1.0),
        ("wsgate_config_last_reload_successful", 1.0),
        (&format!("wsgate_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1.0),
    ] {
        assert_eq!(page.value(series).total_cmp(&value), std::cmp::Ordering::Equal, "{series}: {}", page.value(series));
    }
    for series in ["process_resident_memory_bytes", "process_max_fds", "process_open_fds", "wsgate_start_time_seconds"] {
        assert!(page.value(series) > 1.0, "{series}");
    }
    assert!(page.series.contains_key("process_cpu_seconds_total"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_label_holds_an_address_a_note_or_what_a_client_has_sent() {
    let Busy { gateway, .. } = busy().await;
    let page = scrape(&gateway).await;
    for series in page.series.keys() {
        for secret in ["127.0.0.66", "127.0.0.77", "token-like", "evil.example", "nowhere", "4321"] {
            assert!(!series.contains(secret), "{series}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_counts_while_it_is_open() {
    let Busy { gateway, mut open, .. } = busy().await;
    for more in 1..=3_u8 {
        assert_eq!(ask(&mut open, "again").await, "again");
        assert_eq!(scrape(&gateway).await.value("wsgate_messages_total{route=\"open\",from=\"client\"}"), f64::from(1 + more));
    }
    // A handshake is over a moment behind its line: its task has to end.
    in_time(async { while scrape(&gateway).await.value("wsgate_handshakes_in_progress") > 0.0 {} }).await;
    let waiting = tokio::net::TcpStream::connect(gateway.address("public")).await.unwrap();
    in_time(async { while scrape(&gateway).await.value("wsgate_handshakes_in_progress") < 1.0 {} }).await;
    drop(waiting);
    open.close(None).await.unwrap();
    closed(&mut open).await;
    drop(open);
    in_time(async { while scrape(&gateway).await.value("wsgate_connections{route=\"open\"}") > 0.0 {} }).await;
}
