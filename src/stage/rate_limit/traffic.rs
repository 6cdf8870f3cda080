//! One connection's traffic, charged to its key's bucket as it comes.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::units::{Amount, Rate, RateOf};
use crate::stage::rates::{Account, Bucket, Clock, Debt, Quick, Spent};
use crate::stage::refusal::{RATE_LIMITED, Refusal, Verdict};
use crate::stage::template::Template;
use crate::stage::{FrameHead, FrameInspector, Opcode, Pace, Side};

use super::table::{OnExcess, Table};

/// How long a frame may wait for its turn.
const MAX_DELAY: Duration = Duration::from_mins(1);

/// A limit, and what it is called in the log: `messages 100/s`.
pub(super) struct Rule<L> {
    pub(super) limit: L,
    name: Box<str>,
    key: &'static str,
}

impl Rule<Quick> {
    pub(super) fn quick(key: &'static str, rate: Option<&Rate>, clock: &Clock) -> Option<Self> {
        rate.map(|rate| Self::of(key, rate, clock))
    }

    pub(super) fn of(key: &'static str, rate: &Rate, clock: &Clock) -> Self {
        Self { limit: Quick::new(rate, clock), name: name(key, rate), key }
    }
}

impl Rule<Debt> {
    fn debt<A: Amount>(key: &'static str, rate: Option<&RateOf<A>>, clock: &Clock) -> Option<Self> {
        rate.map(|rate| Self { limit: Debt::new(rate, clock), name: name(key, rate), key })
    }
}

fn name(key: &str, rate: impl Display) -> Box<str> {
    format!("{key} {rate}").into()
}

impl<L> Rule<L> {
    /// The refusal of what would pass after `wait`.
    pub(super) fn refusal(&self, wait: Duration) -> Box<Refusal> {
        let refusal = Refusal::new(RATE_LIMITED).rule(self.name.clone()).at(self.key);
        Box::new(Refusal { retry_after: Some(wait), ..refusal })
    }
}

/// The limits on traffic.
pub(super) enum Limits {
    /// What is over its rate does not pass.
    Strict { messages: Option<Rule<Quick>>, frames: Option<Rule<Quick>>, bytes: Option<Rule<Debt>>, excess: Excess },
    /// What is over its rate passes later.
    Patient { messages: Option<Rule<Debt>>, frames: Option<Rule<Debt>>, bytes: Option<Rule<Debt>> },
}

/// What becomes of a message that does not pass.
pub(super) enum Excess {
    /// It ends the connection.
    Refuse,
    /// It is left out.
    Drop,
    /// The same, and the client is told this.
    Notify(Box<str>),
}

impl Limits {
    /// None where nothing of the traffic is limited.
    pub(super) fn of(table: &Table, clock: &Clock) -> Option<Self> {
        if table.messages.is_none() && table.frames.is_none() && table.bytes.is_none() {
            return None;
        }
        let bytes = Rule::debt("bytes", table.bytes.as_ref(), clock);
        let excess = match table.on_excess {
            OnExcess::Delay => {
                let messages = Rule::debt("messages", table.messages.as_ref(), clock);
                return Some(Self::Patient { messages, frames: Rule::debt("frames", table.frames.as_ref(), clock), bytes });
            }
            OnExcess::Refuse | OnExcess::Close => Excess::Refuse,
            OnExcess::Drop => Excess::Drop,
            OnExcess::Notify => Excess::Notify(notice(table.notify.as_ref())),
        };
        Some(Self::Strict {
            messages: Rule::quick("messages", table.messages.as_ref(), clock),
            frames: Rule::quick("frames", table.frames.as_ref(), clock),
            bytes,
            excess,
        })
    }

    /// Whether messages are left out.
    pub(super) fn leave_out(&self) -> bool {
        matches!(self, Self::Strict { excess: Excess::Drop | Excess::Notify(_), .. })
    }

    /// Charges one connection's traffic to the bucket of its key.
    pub(super) fn inspector(self: &Arc<Self>, bucket: Arc<Bucket>) -> Box<dyn FrameInspector> {
        Box::new(Charging { limits: self.clone(), bucket })
    }
}

fn notice(template: Option<&Template>) -> Box<str> {
    let filled = template.map(|template| template.fill(RATE_LIMITED.id, RATE_LIMITED.reason, RATE_LIMITED.code.unwrap_or_default()));
    filled.map_or_else(|| RATE_LIMITED.reason.into(), Into::into)
}

/// One connection's share in a bucket: an atomic operation for each limit, no lock and no lookup.
struct Charging {
    limits: Arc<Limits>,
    bucket: Arc<Bucket>,
}

impl FrameInspector for Charging {
    fn begin(&mut self, from: Side, head: &FrameHead) -> Result<Pace, Box<Refusal>> {
        // Whoever says goodbye may.
        if from == Side::Upstream || head.opcode == Opcode::Close {
            return Ok(Pace::Go);
        }
        let (counts, weighs) = (head.starts_message, !head.opcode.is_control() && head.length > 0);
        let account = &self.bucket.account;
        match &*self.limits {
            Limits::Strict { messages, frames, bytes, excess } => {
                let spent = frames
                    .as_ref()
                    .map_or(Ok(()), |rule| rule.spend(&account.frames))
                    .and_then(|()| messages.as_ref().filter(|_| counts).map_or(Ok(()), |rule| rule.spend(&account.messages)))
                    .and_then(|()| bytes.as_ref().filter(|_| weighs).map_or(Ok(()), |rule| rule.weigh(account, head, excess)));
                excess.of(spent)
            }
            Limits::Patient { messages, frames, bytes } => {
                let mut wait = Duration::ZERO;
                for (rule, spent, amount) in [
                    (frames.as_ref(), &account.frames, 1),
                    (messages.as_ref().filter(|_| counts), &account.messages, 1),
                    (bytes.as_ref().filter(|_| weighs), &account.bytes, head.length),
                ] {
                    let Some(rule) = rule else { continue };
                    wait = wait.max(rule.limit.reserve(spent, amount, MAX_DELAY).map_err(|wait| rule.refusal(wait))?);
                }
                Ok(if wait.is_zero() { Pace::Go } else { Pace::HoldUntil(Instant::now() + wait) })
            }
        }
    }
}

impl Rule<Quick> {
    /// Spends one, or refuses.
    pub(super) fn spend(&self, spent: &Spent) -> Verdict {
        self.limit.spend(spent).map_err(|wait| self.refusal(wait))
    }
}

impl Rule<Debt> {
    /// Charges a frame's payload. Where messages are left out, the rest of one whose beginning has passed is owed.
    fn weigh(&self, account: &Account, head: &FrameHead, excess: &Excess) -> Verdict {
        let is_owed = !head.starts_message && !matches!(excess, Excess::Refuse);
        let most = if is_owed { Duration::MAX } else { Duration::ZERO };
        self.limit.reserve(&account.bytes, head.length, most).map(|_| ()).map_err(|wait| self.refusal(wait))
    }
}

impl Excess {
    fn of(&self, spent: Verdict) -> Result<Pace, Box<Refusal>> {
        match (spent, self) {
            (Ok(()), _) => Ok(Pace::Go),
            (Err(refusal), Self::Refuse) => Err(refusal),
            (Err(refusal), Self::Drop) => Ok(Pace::Skip(Some(refusal))),
            (Err(refusal), Self::Notify(text)) => Ok(Pace::SkipAndTell(text.clone(), Some(refusal))),
        }
    }
}
