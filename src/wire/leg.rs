//! One peer's socket, with what has been read and not passed on, what waits to be sent, and when it last gave a sign of life.

mod before;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncWrite, ReadBuf};
use tokio::task::unconstrained;

use crate::stage::Side;

use super::backlog::Backlog;
use super::budget::{Budget, Charge, charge};
use super::carry::Carry;
use super::flow::{Flow, Outlet, Turning};
use super::frame::Cursor;
use super::mark::Mark;
use super::own;
use super::reading::Reading;
use super::session::Activity;
use super::socket;
use super::stream::Stream;
use super::tick::Tick;

/// How much is looked at in one go of what was read with a frame that has waited: many may have to, one after the other, and what is
/// behind each is put back.
const PACED: usize = 4 * 1024;

/// One end of a connection through the gateway.
pub struct Leg<S> {
    io: Option<S>,
    /// Read and not passed on.
    carry: Carry,
    pub(super) backlog: Backlog,
    pub(super) cursor: Cursor,
    /// What there is of the message that is being read.
    pub(super) reading: Option<Box<Reading>>,
    /// What it is charged with for what it holds, where it holds anything.
    charge: Option<Box<Charge>>,
    pub(super) outlet: Outlet,
    pub(super) flow: Flow,
    /// Whether `carry` has not been looked at.
    is_fresh: bool,
    /// Whether the stream itself may hold bytes it has taken and not sent (TLS records).
    is_unflushed: bool,
    /// Whether it was not read when it last could have been.
    is_held: bool,
    /// Whether the next frame's head has been judged: it has only waited since.
    pub(super) is_judged: bool,
    received: Tick,
    data: Tick,
    ping: Option<Tick>,
    progress: Tick,
    /// The last Ping that this peer was sent, until it is answered.
    unanswered: Option<Mark>,
}

impl<S> Leg<S> {
    /// A leg whose handshake is done; `early` is what was read behind it and counts as if just read.
    pub fn new(io: S, early: Vec<u8>) -> Self {
        Self {
            io: Some(io),
            is_fresh: !early.is_empty(),
            carry: early.into(),
            backlog: Backlog::default(),
            cursor: Cursor::new(Side::Client, 0, false),
            reading: None,
            charge: None,
            outlet: Outlet::Open,
            flow: Flow::Open,
            is_unflushed: false,
            is_held: false,
            is_judged: false,
            received: Tick::default(),
            data: Tick::default(),
            ping: None,
            progress: Tick::default(),
            unanswered: None,
        }
    }

    /// Becomes this side of a session. What was read before stays, and so does the place in the frame it broke off in.
    pub(super) fn open(&mut self, side: Side, max_message: u64, compression: bool, now: Tick) {
        self.cursor.adopt(side, max_message, compression);
        (self.received, self.data, self.progress) = (now, now, now);
    }

    /// Whether everything sent toward this peer has been taken by its socket.
    pub(super) fn is_clear(&self) -> bool {
        self.backlog.is_empty() && !self.is_unflushed
    }

    /// Whether the socket is given up.
    pub(super) fn is_gone(&self) -> bool {
        self.io.is_none()
    }

    /// When what was sent and seen last.
    pub(super) fn activity(&self) -> Activity {
        let stalled = (!self.is_clear() && !self.is_gone()).then_some(self.progress);
        Activity { received: self.received, data: self.data, ping: self.ping, blocked: self.is_held, stalled }
    }

    /// Queues a ping of the gateway's own where the leg is quiet; `at_boundary` as the direction toward it knows.
    pub(super) fn ping(&mut self, side: Side, now: Tick, at_boundary: bool) -> bool {
        let is_quiet = at_boundary && self.ping.is_none() && self.is_clear() && matches!(self.outlet, Outlet::Open);
        if is_quiet {
            self.backlog.push(&own::ping(side));
            self.asked(Some(own::ping_mark()));
            (self.ping, self.progress) = (Some(now), now);
        }
        is_quiet
    }

    /// This Ping goes to the peer, if any does.
    pub(super) fn asked(&mut self, ping: Option<Mark>) {
        self.unanswered = ping.or(self.unanswered);
    }

    /// This Pong has come from it, if any has. Of several Pings it may answer the last alone (RFC 6455 §5.5.3).
    pub(super) fn answered(&mut self, pong: Option<Mark>) {
        self.unanswered = self.unanswered.filter(|ping| pong != Some(*ping));
    }

    /// Queues whole frames on a leg toward which no message is open.
    pub(super) fn queue(&mut self, frames: &[u8], now: Tick) {
        self.backlog.push(frames);
        self.progress = now;
    }

    /// Data frames have passed.
    pub(super) fn passed_data(&mut self, now: Tick) {
        self.data = now;
    }

    /// This leg is not read now: what it has sent waits for the other to take it.
    pub(super) fn hold(&mut self) {
        self.is_held = true;
    }

    /// Nothing keeps this leg from being read. The time in which it was held does not count against a pong.
    pub(super) fn resume(&mut self, now: Tick) {
        if std::mem::take(&mut self.is_held) {
            self.ping = self.ping.map(|_| now);
        }
    }

    /// The next frame, with which `rest` begins, goes on when it is due. What was read with it is kept, at most one read buffer, and
    /// nothing is read until then.
    pub(super) fn wait(&mut self, until: Instant, rest: &[u8]) {
        self.keep_fresh(rest);
        self.flow = self.flow.after(Turning::Held);
        self.carry.hold(until);
        self.is_judged = true;
        self.hold();
    }

    /// When the frame that waits is due.
    pub(super) fn held_until(&self) -> Option<Instant> {
        self.carry.due().filter(|_| self.flow == Flow::Held)
    }

    /// Lets what waits go on if it is due, whether or not the other side takes it now: an owner that waits for a moment must not find
    /// it past and nothing changed.
    pub(super) fn release(&mut self) {
        if self.held_until().is_some_and(|due| due <= Instant::now()) {
            self.flow = self.flow.after(Turning::Released);
        }
    }

    /// Gives back what reads this leg's messages: the leg keeps it only while one of them is open.
    pub(super) fn read_on(&mut self, reading: Box<Reading>) {
        if self.cursor.is_withholding() && self.cursor.is_in_message() {
            self.reading = Some(reading);
        } else {
            reading.leave();
        }
    }

    /// Keeps the end of what was filled for the next time.
    pub(super) fn keep(&mut self, rest: &[u8]) {
        self.carry.put_back(rest);
    }

    /// Keeps the end of what was filled, which has not been looked at.
    pub(super) fn keep_fresh(&mut self, rest: &[u8]) {
        self.keep(rest);
        self.is_fresh = !self.carry.is_empty();
    }

    /// The gateway is ending the connection.
    pub(super) fn stop(&mut self) {
        self.flow = self.flow.after(Turning::Stopped { mid_frame: self.cursor.going() > 0 });
        self.reading = None;
    }

    /// Whether the socket takes no more.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self.outlet, Outlet::Broken)
    }

    /// The time a farewell may take is over: who has not taken all that went before it is given up.
    pub(super) fn lose_patience(&mut self) {
        self.flow = self.flow.after(Turning::GraceOver);
        if !self.is_clear() {
            self.hang_up();
        }
    }

    /// Gives the socket up at once.
    pub(super) fn hang_up(&mut self) {
        self.io = None;
        self.flow = Flow::Ended;
        self.outlet = Outlet::Shut;
        (self.carry, self.is_fresh) = (Carry::default(), false);
        self.reading = None;
        self.backlog.clear();
        self.charge = None;
        self.is_unflushed = false;
    }

    fn fail(&mut self) {
        self.outlet = Outlet::Broken;
        self.backlog.clear();
        self.is_unflushed = false;
    }
}

impl<S: Stream> Leg<S> {
    /// Whether it holds nothing, and is charged for nothing.
    pub(super) fn is_empty(&mut self) -> bool {
        self.charge.is_none()
            && self.backlog.is_empty()
            && self.reading.is_none()
            && !self.is_fresh
            && self.io.as_mut().is_none_or(|io| io.unread() == 0)
    }

    /// Whether what it holds now, of messages and of bytes on their way, may be held beside all that others hold; `unsaid` is what waits
    /// elsewhere until this peer can be told it.
    pub(super) fn is_within(&mut self, budget: &Arc<Budget>, unsaid: usize) -> bool {
        let fresh = if self.is_fresh { self.carry.held() } else { 0 };
        let unread = fresh + self.io.as_mut().map_or(0, Stream::unread);
        let reading = self.reading.as_ref().map_or(0, |reading| reading.held());
        charge(&mut self.charge, budget, self.backlog.held() + reading + unread + unsaid)
    }

    /// Whether a read would bring nothing now, where that can be told without one; the task is woken once it would.
    pub(super) fn awaits(&mut self, cx: &mut Context<'_>) -> bool {
        !self.is_fresh && self.io.as_mut().is_some_and(|io| io.awaits(cx))
    }

    /// Whether nothing more has come from this peer, as far as is known, and nothing it was sent asks for an answer: a Ping does until
    /// the peer has got our Close (RFC 6455 §5.5.2), and over TLS the end does.
    pub(super) fn has_said_all(&mut self, cx: &mut Context<'_>) -> bool {
        let can_tell = self.unanswered.is_none() && self.io.as_ref().is_some_and(|io| io.tcp().is_some());
        // A task that has used up its time would find everything silent, and what is dropped then with input unread is reset.
        let look = poll_fn(|cx| Poll::Ready(self.awaits(cx)));
        can_tell && matches!(pin!(unconstrained(look)).poll(cx), Poll::Ready(true))
    }

    /// Reads into `buffer`, behind what was carried over. Ready with nothing at the end of input or on an error.
    pub(super) fn fill<'b>(&mut self, cx: &mut Context<'_>, now: Tick, buffer: &'b mut [u8]) -> Poll<&'b mut [u8]> {
        let most = if self.carry.due().is_some() { PACED } else { buffer.len() };
        let carried = self.carry.len().min(buffer.len()).min(most);
        if carried > 0
            && let (Some(head), Some(carry)) = (buffer.get_mut(..carried), self.carry.get(..carried))
        {
            head.copy_from_slice(carry);
        }
        let filled = if self.is_fresh {
            carried
        } else {
            match ready!(self.read(cx, now, buffer.get_mut(carried..).unwrap_or_default())) {
                0 => 0,
                count => carried + count,
            }
        };
        if carried > 0 {
            self.carry.taken(carried);
            self.is_fresh &= !self.carry.is_empty();
        }
        Poll::Ready(buffer.get_mut(..filled).unwrap_or_default())
    }

    /// Reads into `space`: how many bytes, 0 at the end of input or on an error.
    fn read(&mut self, cx: &mut Context<'_>, now: Tick, space: &mut [u8]) -> Poll<usize> {
        let Some(io) = &mut self.io else { return Poll::Pending };
        let mut space = ReadBuf::new(space);
        let count = ready!(Pin::new(io).poll_read(cx, &mut space)).map_or(0, |()| space.filled().len());
        if count > 0 {
            (self.received, self.ping) = (now, None);
        }
        Poll::Ready(count)
    }

    /// Reads and throws away.
    pub(super) fn discard(&mut self, cx: &mut Context<'_>, now: Tick, buffer: &mut [u8]) -> Poll<()> {
        (self.carry, self.is_fresh) = (Carry::default(), false);
        if ready!(self.fill(cx, now, buffer)).is_empty() {
            self.flow = self.flow.after(Turning::Ended);
        }
        Poll::Ready(())
    }

    /// Sends on. What the socket does not take now is held back, behind what was before; `open` is for [`Backlog::hold`].
    pub(super) fn send(&mut self, cx: &mut Context<'_>, now: Tick, chunk: &[u8], open: Option<u64>) {
        if !self.backlog.is_empty() {
            return self.backlog.push(chunk);
        }
        let mut sent = 0;
        while let Some(rest) = chunk.get(sent..).filter(|rest| !rest.is_empty()) {
            match write(&mut self.io, cx, rest) {
                Poll::Ready(Some(count)) => sent += count,
                Poll::Ready(None) => return self.fail(),
                Poll::Pending => {
                    self.progress = now;
                    return self.backlog.hold(chunk, sent, open);
                }
            }
        }
        if self.flush(cx).is_pending() {
            self.progress = now;
        }
    }

    /// The same of what is the last toward this peer: it leaves in one packet with the end of our direction, which has to follow.
    pub(super) fn send_last(&mut self, cx: &mut Context<'_>, now: Tick, chunk: &[u8]) {
        let socket = self.io.as_ref().and_then(Stream::tcp).filter(|_| self.backlog.is_empty());
        // What is the matter with a socket that does not take it, the next write finds out.
        let sent = socket.and_then(|socket| socket::send_last(socket, chunk).ok()).unwrap_or(0);
        self.send(cx, now, chunk.get(sent..).unwrap_or_default(), None);
    }

    /// Has the kernel notice when the network takes this peer away. Whatever it cannot do, a read or a write will tell.
    pub(super) fn watch(&self) {
        if let Some(socket) = self.io.as_ref().and_then(Stream::tcp) {
            let _ = socket::watch(socket);
        }
    }

    /// Sends what was held back. Ready once there is nothing left, or nobody to take it.
    pub(super) fn drain(&mut self, cx: &mut Context<'_>, now: Tick) -> Poll<()> {
        let drained = self.empty(cx, now);
        // What a stream has taken and not sent goes out without a write or a flush being done.
        if self.io.as_mut().is_some_and(Stream::has_sent) {
            self.progress = now;
        }
        drained
    }

    fn empty(&mut self, cx: &mut Context<'_>, now: Tick) -> Poll<()> {
        while !self.backlog.is_empty() {
            let Some(count) = ready!(write(&mut self.io, cx, self.backlog.unsent())) else {
                self.fail();
                break;
            };
            self.backlog.advance(count);
            (self.progress, self.is_unflushed) = (now, true);
        }
        if self.is_unflushed { self.flush(cx) } else { Poll::Ready(()) }
    }

    /// Shuts our direction down, once everything is sent.
    pub(super) fn shut(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(io) = &mut self.io {
            match ready!(Pin::new(io).poll_shutdown(cx)) {
                Ok(()) => self.outlet = Outlet::Shut,
                Err(_) => self.fail(),
            }
        }
        Poll::Ready(())
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let flushed = self.io.as_mut().map_or(Poll::Ready(Ok(())), |io| Pin::new(io).poll_flush(cx));
        self.is_unflushed = flushed.is_pending();
        match flushed {
            Poll::Ready(Err(_)) => self.fail(),
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) => {}
        }
        Poll::Ready(())
    }
}

/// How many bytes the socket took; none where it takes no more.
fn write<S: AsyncWrite + Unpin>(io: &mut Option<S>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Option<usize>> {
    let Some(io) = io else {
        return Poll::Ready(None);
    };
    Pin::new(io).poll_write(cx, bytes).map(|written| written.ok().filter(|count| *count > 0))
}

#[cfg(test)]
mod tests;
