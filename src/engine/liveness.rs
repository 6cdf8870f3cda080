//! What time does to a live connection: pings, idleness, lifetime, expiry, samples.

use std::time::{Duration, SystemTime};

use crate::gateway::route::Times;
use crate::stage::refusal::{IDLE, LIFETIME, NO_PONG, SLOW_CONSUMER};
use crate::stage::{Refusal, Side};
use crate::wire::session::Session;
use crate::wire::tick::{Tick, Ticks};

/// How long a peer may take no byte while data waits for it.
const STALLED: Duration = Duration::from_secs(30);

/// How often a long connection reports how it is doing.
const SAMPLE: Duration = Duration::from_secs(300);

/// How old a connection is when its sockets are set up to last. Before, the kernel would not ask after a silent peer either.
const LASTED: Duration = Duration::from_secs(30);

/// What a tick that has begun may already have run: a wait counted from it is at least as long as asked for.
const PART: Ticks = Ticks::new(1);

/// A tick no clock reaches.
const NEVER: Tick = Tick::new(u32::MAX);

/// The clocks of one connection, in ticks of its worker's wheel.
#[derive(Debug)]
pub(super) struct Liveness {
    /// How long a leg is quiet before it is pinged.
    ping: Ticks,
    began: Tick,
    ends: Tick,
    /// When it is looked at for no other reason: when it has lasted for a while, and then for each sample.
    sample: Tick,
    /// When the stages' verdicts on it next change by themselves.
    review: Option<SystemTime>,
}

/// What has come due.
#[derive(Debug)]
pub(super) enum Due {
    /// Nothing before this tick.
    Nothing(Tick),
    /// A sample of its counters.
    Sample,
    /// The connection is to be judged again: what it was allowed by may have run out.
    Review,
    /// The connection is over.
    End(Box<Refusal>),
}

impl Liveness {
    /// The clocks of a connection that opens now. Pings and lifetimes are shortened by up to a tenth, so that connections
    /// opened together do not stay in step.
    pub(super) fn new(times: &Times, now: Tick, review: Option<SystemTime>) -> Self {
        Self {
            ping: times.ping.map_or(Ticks::FOREVER, |interval| jittered(interval).into()),
            began: now,
            ends: ends(times, now),
            sample: now + LASTED.into(),
            review,
        }
    }

    /// The route's clocks have changed. What runs goes on: an age counts from the beginning.
    pub(super) fn adopt(&mut self, before: &Times, times: &Times, now: Tick, review: Option<SystemTime>) {
        let new = Self::new(times, now, review);
        let ping = if before.ping == times.ping { self.ping } else { new.ping };
        let ends = if before.lifetime == times.lifetime { self.ends } else { ends(times, self.began) };
        *self = Self { ping, began: self.began, ends, sample: self.sample, ..new };
    }

    /// The connection was judged again, and stays; when it is to be judged next.
    pub(super) fn passed(&mut self, review: Option<SystemTime>) {
        self.review = review;
    }

    /// What is due at `now` by the clocks of its route; pings are sent on the way. To be asked again until it answers `Nothing`.
    pub(super) fn due(&mut self, session: &mut impl Session, times: &Times, now: Tick) -> Due {
        if now >= self.sample && self.sample == self.began + LASTED.into() {
            self.sample = self.began + SAMPLE.into();
            session.lasts();
        }
        if now >= self.sample {
            self.sample = now + SAMPLE.into();
            return Due::Sample;
        }
        if now >= self.ends {
            return Due::End(Box::new(Refusal::new(LIFETIME)));
        }
        let Some(review) = self.review(now) else { return Due::Review };
        let mut next = self.sample.min(self.ends).min(review);
        if let Some(idle) = times.idle {
            let at = last_data(session) + idle.into() + PART;
            if now >= at {
                return Due::End(Box::new(Refusal::new(IDLE)));
            }
            next = next.min(at);
        }
        for side in [Side::Client, Side::Upstream] {
            match self.leg(session, side, times.pong.into(), now) {
                Ok(at) => next = next.min(at),
                Err(refusal) => return Due::End(refusal),
            }
        }
        Due::Nothing(next)
    }

    /// The tick the connection is to be judged again at; `None` where that is now.
    fn review(&self, now: Tick) -> Option<Tick> {
        let Some(review) = self.review else { return Some(NEVER) };
        let left = review.duration_since(SystemTime::now()).ok().filter(|left| !left.is_zero())?;
        Some(now + left.into())
    }

    /// Looks after one leg: gives the tick to look again at.
    fn leg(&self, session: &mut impl Session, side: Side, pong: Ticks, now: Tick) -> Result<Tick, Box<Refusal>> {
        let Some(activity) = session.activity(side) else { return Ok(NEVER) };
        let mut next = NEVER;
        if let Some(since) = activity.stalled {
            next = since + STALLED.into();
            if now >= next {
                return Err(Box::new(Refusal::new(SLOW_CONSUMER).rule(name(side))));
            }
        }
        if self.ping == Ticks::FOREVER {
            return Ok(next);
        }
        let Some(pinged) = activity.ping else {
            let due = activity.received + self.ping;
            if now < due {
                return Ok(next.min(due));
            }
            // Where the leg is not quiet enough for a ping, its own traffic will tell of it.
            session.ping(side, now);
            return Ok(next.min(now + pong));
        };
        // While this leg is not read its pong may lie there unread: the deadline waits.
        let due = if activity.blocked { now + pong } else { pinged + pong + PART };
        if now >= due { Err(Box::new(Refusal::new(NO_PONG).rule(name(side)))) } else { Ok(next.min(due)) }
    }
}

/// When a peer that takes nothing now will have been waited for long enough.
pub(super) fn stalled_until(session: &impl Session) -> Option<Tick> {
    let stalled = |side| session.activity(side).and_then(|activity| activity.stalled);
    let since = [stalled(Side::Client), stalled(Side::Upstream)].into_iter().flatten().min()?;
    Some(since + STALLED.into())
}

/// The tick of the last data frame in either direction.
fn last_data(session: &impl Session) -> Tick {
    let data = |side| session.activity(side).map(|activity| activity.data);
    data(Side::Client).max(data(Side::Upstream)).unwrap_or_default()
}

fn name(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Upstream => "upstream",
    }
}

/// When a connection is as old as its route allows.
fn ends(times: &Times, began: Tick) -> Tick {
    times.lifetime.map_or(NEVER, |lifetime| began + jittered(lifetime).into())
}

/// Up to a tenth shorter.
fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(1.0 - 0.1 * rand::random::<f64>())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::task::{Context, Poll};

    use super::*;
    use crate::stage::{Ending, Inspector, Message};
    use crate::wire::session::{Activity, Rules, Tell};

    /// A session whose signs of life the test sets.
    struct Still {
        legs: [Activity; 2],
        pings: Vec<Side>,
        lasted: Cell<u32>,
    }

    impl Session for Still {
        fn poll(&mut self, _: &mut Context<'_>, _: Tick, _: Tell<'_>) -> Poll<Ending> {
            Poll::Pending
        }

        fn end(&mut self, _: Box<Refusal>, _: Tick) {}

        fn say(&mut self, _: &Message<'_>, _: Tick) {}

        fn ping(&mut self, side: Side, now: Tick) -> bool {
            self.pings.push(side);
            self.leg(side).ping = Some(now);
            true
        }

        fn lasts(&self) {
            self.lasted.set(self.lasted.get() + 1);
        }

        fn activity(&self, side: Side) -> Option<Activity> {
            Some(self.legs[usize::from(side == Side::Upstream)])
        }

        fn held_until(&self) -> Option<std::time::Instant> {
            None
        }

        fn deadline(&self) -> Option<Tick> {
            None
        }

        fn inspectors(&mut self) -> Vec<Inspector> {
            Vec::new()
        }

        fn adopt(&mut self, _: Rules, _: Tick) {}

        fn overdue(&self) -> Option<Tick> {
            None
        }
    }

    impl Still {
        fn new() -> Self {
            let quiet = Activity { received: at(0), data: at(0), ping: None, blocked: false, stalled: None };
            Self { legs: [quiet; 2], pings: Vec::new(), lasted: Cell::new(0) }
        }

        fn leg(&mut self, side: Side) -> &mut Activity {
            &mut self.legs[usize::from(side == Side::Upstream)]
        }
    }

    /// The tick of a second of the test's clock.
    fn at(second: u32) -> Tick {
        Tick::new(second * 10)
    }

    fn times() -> Times {
        let seconds = Duration::from_secs;
        Times { ping: None, pong: seconds(10), idle: None, lifetime: None, close: seconds(5) }
    }

    fn due((liveness, times): (&mut Liveness, &Times), session: &mut Still, second: u32) -> String {
        match liveness.due(session, times, at(second)) {
            Due::Nothing(next) => format!("look again at {}", next.get() / 10),
            Due::Sample => "sample".to_owned(),
            Due::Review => "review".to_owned(),
            Due::End(refusal) => refusal.outcome.id.to_owned(),
        }
    }

    #[test]
    fn a_connection_without_clocks_is_set_up_to_last_once_and_then_only_sampled() {
        let times = times();
        let mut liveness = Liveness::new(&times, at(0), None);
        let mut session = Still::new();
        assert_eq!(due((&mut liveness, &times), &mut session, 0), "look again at 30");
        assert_eq!(session.lasted.get(), 0);
        assert_eq!(due((&mut liveness, &times), &mut session, 40), "look again at 300");
        liveness.adopt(&times, &times, at(50), None);
        assert_eq!(due((&mut liveness, &times), &mut session, 300), "sample");
        assert_eq!(due((&mut liveness, &times), &mut session, 300), "look again at 600");
        assert_eq!(session.lasted.get(), 1);
    }

    #[test]
    fn idleness_is_counted_from_the_last_data_frame_of_either_side() {
        let times = Times { idle: Some(Duration::from_secs(60)), ..times() };
        let mut liveness = Liveness::new(&times, at(0), None);
        let mut session = Still::new();
        session.leg(Side::Upstream).data = at(50);
        session.leg(Side::Client).received = at(100);
        assert_eq!(due((&mut liveness, &times), &mut session, 100), "look again at 110");
        assert_eq!(due((&mut liveness, &times), &mut session, 111), "idle");
    }

    #[test]
    fn a_lifetime_ends_within_its_last_tenth() {
        let times = Times { lifetime: Some(Duration::from_secs(100)), ..times() };
        let mut liveness = Liveness::new(&times, at(0), None);
        assert_ne!(due((&mut liveness, &times), &mut Still::new(), 89), "lifetime");
        assert_eq!(due((&mut liveness, &times), &mut Still::new(), 100), "lifetime");
    }

    #[test]
    fn a_quiet_leg_is_pinged_and_given_up_when_nothing_answers() {
        let times = Times { ping: Some(Duration::from_secs(20)), ..times() };
        let mut liveness = Liveness::new(&times, at(0), None);
        let mut session = Still::new();
        session.leg(Side::Upstream).received = at(20);
        due((&mut liveness, &times), &mut session, 20);
        assert_eq!(session.pings, [Side::Client]);
        assert_eq!(due((&mut liveness, &times), &mut session, 29), "look again at 30");
        assert_eq!(due((&mut liveness, &times), &mut session, 31), "no_pong");
        session.leg(Side::Client).ping = None;
        session.leg(Side::Client).received = at(30);
        assert!(due((&mut liveness, &times), &mut session, 30).starts_with("look again"));
    }

    #[test]
    fn a_pong_that_cannot_be_read_is_not_missed() {
        let times = Times { ping: Some(Duration::from_secs(20)), ..times() };
        let mut liveness = Liveness::new(&times, at(0), None);
        let mut session = Still::new();
        *session.leg(Side::Client) = Activity { ping: Some(at(1)), blocked: true, ..session.legs[0] };
        session.leg(Side::Upstream).received = at(100);
        assert_eq!(due((&mut liveness, &times), &mut session, 100), "look again at 110");
    }

    #[test]
    fn a_peer_that_takes_nothing_for_30_seconds_is_too_slow() {
        let times = times();
        let mut liveness = Liveness::new(&times, at(0), None);
        let mut session = Still::new();
        session.leg(Side::Client).stalled = Some(at(10));
        assert_eq!(stalled_until(&session), Some(at(40)));
        assert_eq!(due((&mut liveness, &times), &mut session, 39), "look again at 40");
        assert_eq!(due((&mut liveness, &times), &mut session, 40), "slow_consumer");
    }

    #[test]
    fn a_verdict_that_changes_by_itself_is_asked_for_again_and_then_at_its_next_change() {
        let past = SystemTime::UNIX_EPOCH;
        let times = times();
        let mut liveness = Liveness::new(&times, at(0), Some(past));
        let mut session = Still::new();
        assert_eq!(due((&mut liveness, &times), &mut session, 1), "review");
        liveness.passed(Some(SystemTime::now() + Duration::from_secs(3600)));
        assert_eq!(due((&mut liveness, &times), &mut session, 1), "look again at 30");
        liveness.passed(None);
        assert_eq!(due((&mut liveness, &times), &mut session, 1), "look again at 30");
    }
}
