//! The error table as a whole: every row is reached by a test over real sockets, or here is why it cannot be.

use wsgate::stage::refusal::TABLE;

/// The tests that look at a gateway from outside.
const TESTS: &[&str] = &[
    include_str!("../admission.rs"),
    include_str!("../embedding.rs"),
    include_str!("../http/connections.rs"),
    include_str!("../http/framing.rs"),
    include_str!("../http/limits.rs"),
    include_str!("../identity/edits.rs"),
    include_str!("../identity/sessions.rs"),
    include_str!("../message/violations.rs"),
    include_str!("../peers.rs"),
    include_str!("../proxy/failing.rs"),
    include_str!("../proxy/health.rs"),
    include_str!("../rate_limit/connections.rs"),
    include_str!("../rate_limit/replacing.rs"),
    include_str!("../reload/edits.rs"),
    include_str!("../renewal/tickets.rs"),
    include_str!("../tls/clients.rs"),
    include_str!("../tls/reloads.rs"),
    include_str!("broken.rs"),
    include_str!("closes.rs"),
    include_str!("lost.rs"),
    include_str!("stopping.rs"),
    include_str!("time.rs"),
];

/// Rows for stages that come later.
const LATER: &[&str] = &["auth_unavailable"];

/// They take a peer that takes or sends nothing for 30 s: tests within the crate pass that time in no time.
const TOO_SLOW: &[&str] = &["slow_consumer", "body_timeout"];

#[test]
fn every_row_is_reached_by_a_test_or_listed_here() {
    let is_named = |id: &str| TESTS.iter().any(|test| test.contains(&format!("\"{id}\"")));
    for row in TABLE {
        let is_excused = LATER.contains(&row.id) || TOO_SLOW.contains(&row.id);
        assert_ne!(is_named(row.id), is_excused, "{}", row.id);
    }
    for id in LATER.iter().chain(TOO_SLOW) {
        assert!(TABLE.iter().any(|row| row.id == *id), "{id} is no row");
    }
}
