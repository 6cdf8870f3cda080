//! One connection's traffic, charged to its key's bucket as it comes.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use crate::config::units::{ByteRate, Rate};
use crate::stage::refusal::{RATE_LIMITED, Refusal, Verdict};
use crate::stage::{FrameHead, FrameInspector, Opcode, Side};

use super::bucket::{Bucket, Debt, Hold, Quick, Spent};
use super::clock::Clock;
use super::table::Table;

/// A limit, and what it is called in the log: `messages 100/s`.
pub(super) struct Rule<L> {
    pub(super) limit: L,
    name: Box<str>,
}

impl Rule<Quick> {
    pub(super) fn quick(key: &str, share: fn(&Bucket) -> &Spent, rate: Option<&Rate>, clock: &Clock) -> Option<Self> {
        rate.map(|rate| Self { limit: Quick::new(rate, share, clock), name: name(key, rate) })
    }
}

impl Rule<Debt> {
    fn debt(key: &str, rate: Option<&ByteRate>, clock: &Clock) -> Option<Self> {
        rate.map(|rate| Self { limit: Debt::new(rate, clock), name: name(key, rate) })
    }
}

fn name(key: &str, rate: impl Display) -> Box<str> {
    format!("{key} {rate}").into()
}

impl<L> Rule<L> {
    /// The refusal of what would pass after `wait`.
    pub(super) fn refusal(&self, wait: Duration) -> Box<Refusal> {
        let refusal = Refusal::new(RATE_LIMITED).rule(self.name.clone());
        Box::new(Refusal { retry_after: Some(wait), ..refusal })
    }
}

/// The limits on traffic.
pub(super) struct Limits {
    messages: Option<Rule<Quick>>,
    frames: Option<Rule<Quick>>,
    bytes: Option<Rule<Debt>>,
}

impl Limits {
    /// None where nothing of the traffic is limited.
    pub(super) fn of(table: &Table, clock: &Clock) -> Option<Self> {
        let limits = Self {
            messages: Rule::quick("messages", |bucket| &bucket.messages, table.messages.as_ref(), clock),
            frames: Rule::quick("frames", |bucket| &bucket.frames, table.frames.as_ref(), clock),
            bytes: Rule::debt("bytes", table.bytes.as_ref(), clock),
        };
        (limits.messages.is_some() || limits.frames.is_some() || limits.bytes.is_some()).then_some(limits)
    }
}

/// Charges one connection's traffic: an atomic operation a limit, no lock and no lookup.
pub(super) struct Charging {
    pub(super) limits: Arc<Limits>,
    pub(super) hold: Hold,
}

impl FrameInspector for Charging {
    fn begin(&mut self, from: Side, head: &FrameHead) -> Verdict {
        // Whoever says goodbye may.
        if from == Side::Upstream || head.opcode == Opcode::Close {
            return Ok(());
        }
        let (limits, hold) = (&*self.limits, &self.hold);
        if let Some(rule) = &limits.frames {
            rule.limit.spend(hold).map_err(|wait| rule.refusal(wait))?;
        }
        if let Some(rule) = limits.messages.as_ref().filter(|_| head.starts_message) {
            rule.limit.spend(hold).map_err(|wait| rule.refusal(wait))?;
        }
        if let Some(rule) = limits.bytes.as_ref().filter(|_| !head.opcode.is_control() && head.length > 0) {
            rule.limit.spend(&hold.0.bytes, head.length).map_err(|wait| rule.refusal(wait))?;
        }
        Ok(())
    }
}
