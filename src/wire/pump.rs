//! One turn of one direction of a relay: read, look, write on.

use std::task::{Context, Poll};

use crate::stage::{Refusal, Side};

use super::close::Close;
use super::flow::{Flow, Outlet, Turning};
use super::judge::Judge;
use super::leg::Leg;
use super::reading::Reading;
use super::scan::{Stop, scan};
use super::session::Terms;
use super::stream::Stream;
use super::tick::Tick;

/// What one turn of one direction came to.
pub(super) enum Turn {
    /// The source has nothing to give now, or nothing more.
    Idle,
    /// The sink takes nothing now.
    Blocked,
    /// Something has changed; there may be more.
    Moved,
    /// The source's Close has gone on.
    Closed(Close),
    /// A frame must not go on.
    Refused(Box<Refusal>),
    /// The source has ended without a Close.
    Lost,
}

/// One turn of one direction: at most one read, and what it brought written on.
pub(super) fn pump<S, D>(
    from: Side,
    src: &mut Leg<S>,
    dst: &mut Leg<D>,
    terms: &mut Terms,
    cx: &mut Context<'_>,
    now: Tick,
    buffer: &mut [u8],
) -> Turn
where
    S: Stream,
    D: Stream,
{
    match src.flow {
        Flow::Open | Flow::Held | Flow::Draining => {}
        Flow::Discarding => return if src.discard(cx, now, buffer).is_ready() { Turn::Moved } else { Turn::Idle },
        Flow::Ended => return Turn::Blocked,
    }
    src.release();
    if !dst.is_clear() && dst.drain(cx, now).is_pending() {
        src.hold();
        return Turn::Blocked;
    }
    if matches!(dst.outlet, Outlet::Broken | Outlet::Shut) {
        src.flow = src.flow.after(Turning::GraceOver);
        return match src.flow {
            // Neither takes anything any more: nobody is left to find out about the other.
            Flow::Open | Flow::Held if src.is_broken() => Turn::Lost,
            Flow::Open | Flow::Held => Turn::Blocked,
            _ => Turn::Moved,
        };
    }
    // A frame that only has to end is not held up: nothing it brings is answered any more.
    let is_full = src.flow == Flow::Open && terms.outbox.waiting(from) >= terms.send_queue;
    if src.flow == Flow::Held || is_full {
        src.hold();
        // A socket that takes no more will not be there when it is due.
        return if src.is_broken() { Turn::Idle } else { Turn::Blocked };
    }
    src.resume(now);
    let Poll::Ready(bytes) = src.fill(cx, now, buffer) else {
        return Turn::Idle;
    };
    if bytes.is_empty() {
        let was = src.flow;
        src.flow = was.after(Turning::Ended);
        return if was == Flow::Open { Turn::Lost } else { Turn::Moved };
    }
    if src.flow == Flow::Draining { finish(from, src, dst, terms, cx, now, bytes) } else { forward(from, src, dst, terms, cx, now, bytes) }
}

/// Looks at what was read and writes it on.
fn forward<S, D>(
    from: Side,
    src: &mut Leg<S>,
    dst: &mut Leg<D>,
    terms: &mut Terms,
    cx: &mut Context<'_>,
    now: Tick,
    bytes: &mut [u8],
) -> Turn
where
    S: Stream,
    D: Stream,
{
    // Only what a client has sent is ever cut short of what it has begun.
    let open = (from == Side::Client).then(|| src.cursor.going());
    let (mut judge, client) = Judge::new(now, terms, &src.cursor, std::mem::take(&mut src.is_judged));
    let is_read = judge.reads || src.cursor.is_withholding();
    let mut reading = is_read.then(|| src.reading.take().unwrap_or_else(Reading::take));
    let found = scan(&mut src.cursor, bytes, &mut judge, reading.as_deref_mut());
    if judge.settle(client) {
        src.passed_data(now);
    }
    if let Some(reading) = reading {
        src.read_on(reading);
    }
    src.answered(found.pong);
    dst.asked(found.ping);
    // The backend answers the client's Close with its own.
    let is_last = from == Side::Upstream && dst.flow == Flow::Discarding && matches!(found.stop, Some(Stop::Closed(_)));
    match bytes.get(..found.kept).unwrap_or_default() {
        [] => {}
        chunk if is_last && found.behind.is_empty() => dst.send_last(cx, now, chunk),
        chunk => dst.send(cx, now, chunk, open),
    }
    // Whole frames, behind the end of one.
    match &*found.behind {
        [] => {}
        frames if is_last => dst.send_last(cx, now, frames),
        frames => dst.send(cx, now, frames, open.map(|_| 0)),
    }
    let rest = bytes.get(found.end..).unwrap_or_default();
    match found.stop {
        None => {
            src.keep(rest);
            // Most reads bring all there is. Where nothing keeps the source from being read again it is asked here, which saves the turn
            // of both sides that would only find that out.
            let is_free = dst.is_clear() && matches!(dst.outlet, Outlet::Open) && terms.outbox.is_empty();
            if is_free && src.awaits(cx) { Turn::Idle } else { Turn::Moved }
        }
        Some(Stop::Full) => {
            src.keep_fresh(rest);
            Turn::Moved
        }
        Some(Stop::Held(until)) => {
            src.wait(until, rest);
            Turn::Moved
        }
        Some(Stop::Closed(close)) => {
            src.flow = src.flow.after(Turning::Closed);
            if matches!(dst.outlet, Outlet::Open) {
                dst.outlet = Outlet::Closing;
            }
            Turn::Closed(close)
        }
        Some(Stop::Refused(refusal)) => Turn::Refused(refusal),
    }
}

/// Writes on the rest of the open frame, and nothing behind it.
fn finish<S, D>(from: Side, src: &mut Leg<S>, dst: &mut Leg<D>, terms: &Terms, cx: &mut Context<'_>, now: Tick, bytes: &[u8]) -> Turn
where
    D: Stream,
{
    let count = src.cursor.pass(bytes.len()).unwrap_or_default();
    terms.client.counters.add(from, 0, count as u64);
    dst.send(cx, now, bytes.get(..count).unwrap_or_default(), None);
    if src.cursor.open() == 0 {
        src.flow = src.flow.after(Turning::FrameDone);
    }
    Turn::Moved
}
