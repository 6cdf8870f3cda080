//! Tells of certificates that end soon, day after day: a gateway whose file nobody edits reads it once, and a renewal may fail in silence.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, MissedTickBehavior};

use crate::gateway::{Gateway, tls};
use crate::observe::event::Event;

use super::Shared;

/// How often it is told.
const EVERY: Duration = Duration::from_hours(24);

/// Tells of them again and again; not at once, as whoever reads the file warns of them then.
pub(super) async fn tell(shared: Arc<Shared>) {
    let mut clock = tokio::time::interval_at(Instant::now() + EVERY, EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let gateway = shared.gateway.load();
        for event in ending(&gateway, SystemTime::now()) {
            shared.observer.report(&event);
        }
    }
}

fn ending(gateway: &Gateway, now: SystemTime) -> impl Iterator<Item = Event<'_>> {
    let soon = tls::shown(gateway).filter(move |(_, shown)| shown.ends_soon(now));
    soon.map(|(listener, shown)| Event::CertificateEnds { listener, certificate: &shown.name, at: shown.not_after })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Document;
    use crate::gateway::Catalog;
    use crate::stage::cells::Cells;

    #[test]
    fn a_certificate_is_told_of_from_two_weeks_before_its_end_on() {
        let text = "[listener.l]\naddress = \"127.0.0.1:0\"\ntls = { cert = \"trial-server.pem\", key = \"trial-server.key\" }\n\
                    [listener.plain]\naddress = \"127.0.0.1:0\"\n[route.r]\nlistener = [\"l\", \"plain\"]\nendpoint = \"echo\"\n";
        let document = Document::parse("test", text, "examples/configs");
        let (gateway, faults) = Gateway::compile(&document, &Catalog::default(), &Cells::default());
        let gateway = gateway.unwrap_or_else(|| panic!("{faults:?}"));
        let (_, shown) = tls::shown(&gateway).next().unwrap();
        let day = EVERY;
        for (now, is_told) in [(shown.not_after - 15 * day, false), (shown.not_after - 13 * day, true), (shown.not_after + day, true)] {
            let told: Vec<_> = ending(&gateway, now).collect();
            assert_eq!(told.len(), usize::from(is_told), "{told:?}");
        }
    }
}
