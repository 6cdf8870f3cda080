//! The messages of a trial: a session over memory, as a connection has one over sockets.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use crate::endpoint::Endpoint;
use crate::gateway::listener::Listener;
use crate::gateway::route::Route;
use crate::stage::pipeline::{Step, tell};
use crate::stage::{self, Client, FrameHead, FrameInspector, Inspect, Inspector, Message, MessageInspector, Pace, Refusal, Side};
use crate::wire::budget::Budget;
use crate::wire::leg::Leg;
use crate::wire::memory::{Heard, Peer, Stream};
use crate::wire::relay::Relay;
use crate::wire::session::{Said, Session, Settings};
use crate::wire::terminal::{Silent, Terminal};
use crate::wire::tick::Tick;

/// A message that was sent, and what came of it.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The message.
    pub text: String,
    /// What became of it.
    pub fate: Fate,
    /// What stages said of it, each with its name; of those that let it pass, nothing.
    pub words: Vec<(Arc<str>, String)>,
    /// What the client reads in answer.
    pub heard: Vec<String>,
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on, after as long as it is held.
    Passed(Duration),
    /// It is left out.
    LeftOut,
    /// It ends the connection.
    Refused,
    /// It was the first message, which a stage has read.
    Read,
}

type Remarks = Arc<Mutex<Vec<(Arc<str>, Remark)>>>;

/// What an inspector has said of a frame or message.
enum Remark {
    Held(Duration),
    LeftOut,
    /// It is left out for the credential that it bears; the first message is not.
    Renews,
    Replaced,
    WouldRefuse(Box<Refusal>),
}

/// A connection of a trial that is open.
pub(super) struct Talk {
    client: Arc<Client>,
    listener: Arc<Listener>,
    route: Arc<Route>,
    peer: Peer,
    backend: Peer,
    session: Box<dyn Session>,
    remarks: Remarks,
    refused: RefCell<Option<Box<Refusal>>>,
}

impl Talk {
    /// Opens the session; `first` is a first message that the backend is to be sent too.
    pub(super) fn open(
        (client, listener, route): (Client, Arc<Listener>, Arc<Route>),
        (peer, leg): (Peer, Leg<Stream>),
        first: Option<&Message<'static>>,
    ) -> Self {
        let (client, remarks, now) = (Arc::new(client), Remarks::default(), Tick::default());
        let steps = listener.pipeline.steps().chain(route.pipeline.steps());
        let settings = Settings {
            client: client.clone(),
            limits: route.limits(),
            compression: false,
            inspectors: steps.filter_map(|step| Heeding::of(step, &client, &remarks)).collect(),
            budget: Arc::new(Budget::new(None)),
        };
        let (backend, stream) = Peer::new();
        let session: Box<dyn Session> = match &route.endpoint {
            Endpoint::Own(answer) => Box::new(Terminal::new(leg, answer.responder(), None, settings, now)),
            Endpoint::Upstream(_) => {
                let mut relay = Relay::new(leg, Leg::new(stream, Vec::new()), settings, now);
                if let Some(first) = first {
                    relay.begin_with(first);
                }
                Box::new(relay)
            }
            // Nobody stays there.
            Endpoint::Health(_) => Box::new(Terminal::new(leg, Box::new(Silent), None, settings, now)),
        };
        let mut talk = Self { client, listener, route, peer, backend, session, remarks, refused: RefCell::default() };
        talk.turn();
        talk
    }

    /// What the client reads before it has said anything.
    pub(super) fn greeting(&self) -> Vec<String> {
        self.hear()
    }

    /// What has become of the first message, which a stage has read, and which has gone on since.
    pub(super) fn first(&self, text: &str) -> Sent {
        let sent = self.became(text, true);
        let fate = if let Fate::Passed(_) = sent.fate { Fate::Read } else { sent.fate };
        Sent { fate, ..sent }
    }

    /// Sends a message.
    pub(super) fn say(&mut self, text: &str) -> Sent {
        self.peer.say(&text.into());
        self.turn();
        self.became(text, false)
    }

    /// What has become of the message that was sent last.
    fn became(&self, text: &str, is_first: bool) -> Sent {
        let mut remarks = std::mem::take(&mut *self.remarks.lock().unwrap_or_else(PoisonError::into_inner));
        remarks.retain(|(_, remark)| !is_first || !matches!(remark, Remark::Renews));
        let held = remarks.iter().filter_map(|(_, remark)| if let Remark::Held(time) = remark { Some(*time) } else { None }).max();
        let is_left_out = remarks.iter().any(|(_, remark)| matches!(remark, Remark::LeftOut | Remark::Renews));
        let fate = match (self.refused.borrow().is_some(), is_left_out) {
            (true, _) => Fate::Refused,
            (false, true) => Fate::LeftOut,
            (false, false) => Fate::Passed(held.unwrap_or_default()),
        };
        let words = remarks.into_iter().map(|(stage, remark)| (stage, remark.told())).collect();
        // What a refused client is notified of belongs to its refusal.
        let notice = self.refused.borrow().as_ref().and_then(|refusal| refusal.notification());
        let heard = self.hear().into_iter().filter(|heard| Some(heard) != notice.as_ref()).collect();
        Sent { text: text.to_owned(), fate, words, heard }
    }

    /// What has ended it, as its stages have worded it.
    pub(super) fn refusal(&self) -> Option<Box<Refusal>> {
        self.refused.borrow().clone()
    }

    /// Polls the session until nothing moves. It never ends by itself: the client's end of the stream stays open.
    fn turn(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        let told = |said: Said<'_>| {
            let Said::Refused(refusal) = said else { return };
            tell(&self.listener.pipeline, Some(&self.route.pipeline), Some(&self.client), refusal);
            self.refused.borrow_mut().get_or_insert_with(|| Box::new(refusal.clone()));
        };
        loop {
            let before = (self.peer.standing(), self.backend.standing());
            let is_over = self.session.poll(&mut cx, Tick::default(), &told).is_ready();
            if is_over || before == (self.peer.standing(), self.backend.standing()) {
                return;
            }
        }
    }

    fn hear(&self) -> Vec<String> {
        let heard = self.peer.hear().into_iter().filter_map(|heard| match heard {
            Heard::Message(Message::Text(text)) => Some(text.into_owned()),
            Heard::Message(Message::Binary(bytes)) => Some(format!("({} bytes of binary)", bytes.len())),
            // What refuses says what a Close does.
            Heard::Close(_) => None,
        });
        heard.collect()
    }
}

impl Remark {
    fn told(&self) -> String {
        match self {
            Self::Held(time) => format!("holds it for {:.1} s", time.as_secs_f64()),
            Self::LeftOut | Self::Renews => "leaves it out".to_owned(),
            Self::Replaced => "puts another in its place".to_owned(),
            Self::WouldRefuse(refusal) => {
                let rule = refusal.rule.as_ref().map(|rule| format!(", {rule}")).unwrap_or_default();
                format!("would refuse it with {}{rule}, and only reports", refusal.outcome.id)
            }
        }
    }
}

/// An inspector whose words are taken down. A trial does not wait: what is held goes on at once.
struct Heeding {
    stage: Arc<str>,
    inner: Inspector,
    remarks: Remarks,
}

impl Heeding {
    /// The inspector of a stage, where it has one.
    fn of(step: &Step, client: &Client, remarks: &Remarks) -> Option<Inspector> {
        let heeding = |inner| Box::new(Self { stage: step.name.clone(), inner, remarks: remarks.clone() });
        match step.stage.inspect(client) {
            Inspect::Nothing => None,
            Inspect::Frames(inner) => Some(Inspector::frames(step.clone(), heeding(Inspector::frames(step.clone(), inner)))),
            Inspect::Messages(inner) => Some(Inspector::messages(step.clone(), heeding(Inspector::messages(step.clone(), inner)))),
        }
    }

    fn remark(&self, remark: Remark) {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).push((self.stage.clone(), remark));
    }
}

impl FrameInspector for Heeding {
    fn begin(&mut self, from: Side, head: &FrameHead) -> Result<Pace, Box<Refusal>> {
        let (remark, pace) = match self.inner.begin(from, head) {
            Ok(Pace::HoldUntil(until)) => (Remark::Held(until.saturating_duration_since(Instant::now())), Pace::Go),
            Ok(pace @ (Pace::Skip(_) | Pace::SkipAndTell(..))) => (Remark::LeftOut, pace),
            Err(refusal) if refusal.report => (Remark::WouldRefuse(refusal), Pace::Go),
            judged => return judged,
        };
        self.remark(remark);
        Ok(pace)
    }
}

impl MessageInspector for Heeding {
    fn reads(&self, from: Side) -> bool {
        self.inner.reads(from)
    }

    fn message(&mut self, from: Side, message: &Message<'_>) -> Result<stage::Fate, Box<Refusal>> {
        let (remark, fate) = match self.inner.message(from, message) {
            Ok(fate @ (stage::Fate::Drop(_) | stage::Fate::Reply(..))) => (Remark::LeftOut, fate),
            Ok(fate @ stage::Fate::Renew(_)) => (Remark::Renews, fate),
            Ok(fate @ stage::Fate::Replace(_)) => (Remark::Replaced, fate),
            Err(refusal) if refusal.report => (Remark::WouldRefuse(refusal), stage::Fate::Pass),
            judged => return judged,
        };
        self.remark(remark);
        Ok(fate)
    }
}
