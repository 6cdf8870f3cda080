//! A session between peers in memory, polled by hand, its time counted by hand.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use wsgate::stage::pipeline::{Inspector, Named, Step};
use wsgate::stage::{Client, Ending, FrameInspector, MessageInspector, Mode, Outcome, Refusal, Side, Stage, sample};
use wsgate::wire::budget::Budget;
use wsgate::wire::leg::Leg;
use wsgate::wire::relay::Relay;
use wsgate::wire::session::{Activity, Limits, MaxMessage, Rules, Session, Settings};
use wsgate::wire::stream::Stream;
use wsgate::wire::terminal::{Responder, Terminal};
use wsgate::wire::tick::{Tick, Ticks};

/// How long endings may take in these tests: 5 s.
pub(crate) const CLOSE_TIMEOUT: u32 = 50;

/// A session, its peers, and what has come of it.
pub(crate) struct Bench {
    pub(crate) session: Box<dyn Session>,
    pub(crate) client: End,
    pub(crate) upstream: End,
    pub(crate) facts: Arc<Client>,
    pub(crate) now: u32,
    pub(crate) ending: Option<Ending>,
}

/// A peer's end of its connection.
pub(crate) struct End {
    io: Option<DuplexStream>,
    /// Whether the other end has shut down.
    pub(crate) is_over: bool,
}

/// What a bench is set up with.
pub(crate) struct Setup {
    pub(crate) room: usize,
    /// Whether its sockets can say that nothing has come, as those of bare TCP can and those of TLS cannot.
    pub(crate) tells: bool,
    pub(crate) early: [Vec<u8>; 2],
    pub(crate) max_message: u64,
    pub(crate) compression: bool,
    pub(crate) inspectors: Vec<Box<dyn FrameInspector>>,
    pub(crate) readers: Vec<Box<dyn MessageInspector>>,
    pub(crate) budget: Arc<Budget>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            room: 1 << 20,
            tells: true,
            early: Default::default(),
            max_message: 1000,
            compression: false,
            inspectors: Vec::new(),
            readers: Vec::new(),
            budget: unbounded(),
        }
    }
}

pub(crate) fn facts() -> Arc<Client> {
    Arc::new(Client { request: None, ..sample::client(&[]) })
}

impl Setup {
    /// A relay; `room` is what each pipe holds.
    pub(crate) fn relay(self) -> Bench {
        let ((client, near_client), (upstream, near_upstream)) = (self.pipe(), self.pipe());
        let facts = facts();
        let [early_client, early_upstream] = self.early.clone();
        let settings = self.settings(&facts);
        let legs = (Leg::new(near_client, early_client), Leg::new(near_upstream, early_upstream));
        let session = Box::new(Relay::new(legs.0, legs.1, settings, Tick::new(0)));
        Bench { session, client: End::new(client), upstream: End::new(upstream), facts, now: 0, ending: None }
    }

    /// A relay to a backend whose socket takes nothing and gives nothing, not even its end.
    pub(crate) fn relay_to_nowhere(self) -> Bench {
        let (client, near) = self.pipe();
        let facts = facts();
        let settings = self.settings(&facts);
        let session = Box::new(Relay::new(Leg::new(near, Vec::new()), Leg::new(Nowhere(Vec::new()), Vec::new()), settings, Tick::new(0)));
        Bench { session, client: End::new(client), upstream: End { io: None, is_over: true }, facts, now: 0, ending: None }
    }

    /// A relay for a client of that kind.
    pub(crate) fn relay_from_nowhere(self) -> Bench {
        let (upstream, near) = self.pipe();
        let facts = facts();
        let settings = self.settings(&facts);
        let session = Box::new(Relay::new(Leg::new(Nowhere(Vec::new()), Vec::new()), Leg::new(near, Vec::new()), settings, Tick::new(0)));
        Bench { session, client: End { io: None, is_over: true }, upstream: End::new(upstream), facts, now: 0, ending: None }
    }

    /// A peer's end, and the relay's.
    fn pipe(&self) -> (DuplexStream, Near) {
        let (far, near) = duplex(self.room);
        (far, Near { io: near, tells: self.tells, first: None })
    }

    /// A terminated endpoint; its upstream end is nobody.
    pub(crate) fn terminal(self, responder: impl Responder + 'static) -> Bench {
        let (client, near) = self.pipe();
        let facts = facts();
        let early = self.early[0].clone();
        let settings = self.settings(&facts);
        let session = Box::new(Terminal::new(Leg::new(near, early), Box::new(responder), None, settings, Tick::new(0)));
        let upstream = End { io: None, is_over: true };
        Bench { session, client: End::new(client), upstream, facts, now: 0, ending: None }
    }

    fn settings(self, client: &Arc<Client>) -> Settings {
        Settings {
            client: client.clone(),
            limits: limits(self.max_message),
            compression: self.compression,
            inspectors: self.inspectors.into_iter().map(inspector).chain(self.readers.into_iter().map(reader)).collect(),
            budget: self.budget,
        }
    }
}

/// As many bytes as there are.
pub(crate) fn unbounded() -> Arc<Budget> {
    Arc::new(Budget::new(None))
}

/// Limits with this one on messages.
pub(crate) fn limits(max_message: u64) -> Limits {
    let max_message = MaxMessage { client: max_message, upstream: max_message };
    Limits { max_message, close_timeout: Ticks::new(CLOSE_TIMEOUT), send_queue: 1 << 16 }
}

/// A stage that does nothing, for inspectors of the tests' own to be of.
struct Plain;

impl Stage for Plain {}

pub(crate) fn inspector(inner: Box<dyn FrameInspector>) -> Inspector {
    Inspector::frames(plain(), inner)
}

pub(crate) fn reader(inner: Box<dyn MessageInspector>) -> Inspector {
    Inspector::messages(plain(), inner)
}

fn plain() -> Step {
    Named { name: "test.plain".into(), mode: Mode::Enforce, stage: Arc::new(Plain) }.into()
}

pub(crate) fn relay() -> Bench {
    Setup::default().relay()
}

impl Bench {
    /// Polls until nothing moves any more, and then says that the wakers of real sockets would be quiet too.
    pub(crate) fn poll(&mut self) -> &mut Self {
        if self.ending.is_none()
            && let Poll::Ready(ending) = self.session.poll(&mut context(), Tick::new(self.now), &|_| {})
        {
            self.ending = Some(ending);
        }
        self
    }

    /// Lets time pass, and polls as the deadline asks.
    pub(crate) fn pass(&mut self, ticks: u32) -> &mut Self {
        self.now += ticks;
        if self.session.deadline().or(self.session.overdue()).is_some_and(|deadline| deadline <= Tick::new(self.now)) {
            self.poll();
        }
        self
    }

    /// One peer sends, and the session is polled.
    pub(crate) fn send(&mut self, from: Side, bytes: &[u8]) -> &mut Self {
        assert_eq!(self.peer(from).write(bytes), bytes.len(), "the pipe is full");
        self.poll()
    }

    /// What a peer has received since it was last asked.
    pub(crate) fn receive(&mut self, side: Side) -> Vec<u8> {
        self.peer(side).read(usize::MAX)
    }

    /// A peer goes without a Close.
    pub(crate) fn vanish(&mut self, side: Side) -> &mut Self {
        self.peer(side).io = None;
        self.poll()
    }

    pub(crate) fn end(&mut self, outcome: Outcome) -> &mut Self {
        self.session.end(Box::new(Refusal::new(outcome)), Tick::new(self.now));
        self.poll()
    }

    /// An edit puts these in the place of the inspectors there are.
    pub(crate) fn adopt(&mut self, max_message: u64, inspectors: Vec<Inspector>) -> &mut Self {
        self.session.inspectors();
        self.session.adopt(Rules { limits: limits(max_message), inspectors, responder: None }, Tick::new(self.now));
        self
    }

    pub(crate) fn ping(&mut self, side: Side) -> bool {
        self.session.ping(side, Tick::new(self.now))
    }

    pub(crate) fn activity(&self, side: Side) -> Activity {
        self.session.activity(side).unwrap()
    }

    /// Messages and bytes counted from a side.
    pub(crate) fn counted(&self, side: Side) -> (u64, u64) {
        let tally = self.facts.counters.from(side);
        (tally.messages(), tally.bytes())
    }

    /// The outcome, code and reason of the ending that has come.
    pub(crate) fn ended(&self) -> (&'static str, &'static str, u16, &str) {
        let ending = self.ending.as_ref().expect("it has not ended");
        (ending.by.as_str(), ending.outcome.id, ending.code, &ending.reason)
    }

    pub(crate) fn peer(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Upstream => &mut self.upstream,
        }
    }
}

impl End {
    fn new(io: DuplexStream) -> Self {
        Self { io: Some(io), is_over: false }
    }

    /// Writes what the pipe takes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            match Pin::new(self.io.as_mut().unwrap()).poll_write(&mut context(), &bytes[written..]) {
                Poll::Ready(Ok(count)) => written += count,
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        written
    }

    /// Reads what the pipe has, at most so much.
    pub(crate) fn read(&mut self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; most.min(1 << 20)];
        let mut buffer = ReadBuf::new(&mut bytes);
        let Some(io) = &mut self.io else { return Vec::new() };
        while buffer.remaining() > 0 {
            let before = buffer.filled().len();
            match Pin::new(&mut *io).poll_read(&mut context(), &mut buffer) {
                Poll::Ready(Ok(())) if buffer.filled().len() > before => {}
                Poll::Ready(_) => {
                    self.is_over = true;
                    break;
                }
                Poll::Pending => break,
            }
        }
        buffer.filled().to_vec()
    }

    /// Whether the other end has shut down and everything it sent was received before.
    pub(crate) fn is_shut(&mut self) -> bool {
        assert_eq!(self.read(usize::MAX), b"", "something was left");
        self.is_over
    }

    /// Ends this peer's sending, as closing a socket does.
    pub(crate) fn shut_down(&mut self) {
        let shut = Pin::new(self.io.as_mut().unwrap()).poll_shutdown(&mut context());
        assert!(matches!(shut, Poll::Ready(Ok(()))));
    }
}

/// The relay's end of a pipe. To say whether anything has come it has to read a byte, which it gives first then.
struct Near {
    io: DuplexStream,
    tells: bool,
    first: Option<u8>,
}

impl Stream for Near {
    fn awaits(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.tells || self.first.is_some() {
            return false;
        }
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let polled = Pin::new(&mut self.io).poll_read(cx, &mut buffer);
        self.first = buffer.filled().first().copied();
        polled.is_pending()
    }
}

impl AsyncRead for Near {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let first = self.first.take();
        buffer.put_slice(first.as_slice());
        let polled = Pin::new(&mut self.io).poll_read(cx, buffer);
        if first.is_some() { Poll::Ready(Ok(())) } else { polled }
    }
}

impl AsyncWrite for Near {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Reading gives these bytes and then waits, writing fails.
pub(crate) struct Nowhere(pub(crate) Vec<u8>);

impl Stream for Nowhere {
    fn awaits(&mut self, _: &mut Context<'_>) -> bool {
        self.0.is_empty()
    }
}

impl AsyncRead for Nowhere {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.0.is_empty() {
            return Poll::Pending;
        }
        buffer.put_slice(&std::mem::take(&mut self.0));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Nowhere {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}
