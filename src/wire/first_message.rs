//! The first message of a connection, read before its session begins: where a token may stand.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use crate::stage::refusal::{CLIENT_LOST, MESSAGE_TOO_LARGE};
use crate::stage::{Ending, Message, Opcode, Pace, Refusal, Side};

use super::close::Close;
use super::closing::Closing;
use super::deflate::Inflater;
use super::flow::{Flow, Outlet, Turning};
use super::leg::Leg;
use super::message::Item;
use super::own;
use super::reading::Reading;
use super::scratch;
use super::stream::Stream;
use super::tick::{Tick, Ticks};

/// Why there is no first message.
#[derive(Debug)]
pub enum NoMessage {
    /// What the client sent is refused; it has not been told yet.
    Refused(Box<Refusal>),
    /// The client has closed, and its Close is answered, or it is lost.
    Ended(Box<Ending>),
}

/// Reads exactly one message of at most `max` bytes; pings before it are answered, what follows it stays in the leg. The time
/// around it is the caller's: until it is over, at most one second's worth of control frames is taken.
///
/// `inflater` is the client's, where permessage-deflate was agreed on.
///
/// Cancel-safe: what was read of a message stays in the leg.
///
/// # Errors
/// Why there is none.
pub async fn first_message<C>(leg: &mut Leg<C>, max: u64, inflater: Option<&mut Inflater>, now: Tick) -> Result<Message<'static>, NoMessage>
where
    C: Stream,
{
    leg.open(Side::Client, max, inflater.is_some(), now);
    let (mut ending, mut alone) = (None, Inflater::default());
    let inflater = inflater.unwrap_or(&mut alone);
    poll_fn(|cx| scratch::with(|buffer| poll(leg, cx, now, buffer, inflater, &mut ending))).await
}

fn poll<C>(
    leg: &mut Leg<C>,
    cx: &mut Context<'_>,
    now: Tick,
    buffer: &mut [u8],
    inflater: &mut Inflater,
    ending: &mut Option<Ending>,
) -> Poll<Result<Message<'static>, NoMessage>>
where
    C: Stream,
{
    loop {
        ready!(leg.drain(cx, now));
        if ending.is_some() {
            ready!(leg.shut(cx));
        }
        if let Some(ending) = ending.take() {
            return Poll::Ready(Err(NoMessage::Ended(Box::new(ending))));
        }
        let bytes = ready!(leg.fill(cx, now, buffer));
        if bytes.is_empty() || leg.flow != Flow::Open {
            return Poll::Ready(Err(NoMessage::Ended(Box::new(
                Closing::lost(Side::Client, &Refusal::new(CLIENT_LOST), Ticks::default(), now).ending,
            ))));
        }
        let mut reading = leg.reading.take().unwrap_or_else(Reading::take);
        let (taken, item) = match reading.assembler.read(&mut leg.cursor, bytes, now, inflater, |_, _| Ok(Pace::Go)) {
            Ok(read) => read,
            Err(refusal) if refusal.outcome.id == MESSAGE_TOO_LARGE.id => {
                return Poll::Ready(Err(NoMessage::Refused(Box::new(refusal.rule("message over first_message.max")))));
            }
            Err(refusal) => return Poll::Ready(Err(NoMessage::Refused(refusal))),
        };
        let rest = bytes.get(taken..).unwrap_or_default();
        let frame = match item {
            None => {
                leg.keep(rest);
                leg.reading = Some(reading);
                continue;
            }
            Some(Item::Message(message)) => {
                leg.keep_fresh(rest);
                return Poll::Ready(Ok(message.into_owned()));
            }
            // Nobody holds what comes first.
            Some(Item::Held(_)) => continue,
            Some(Item::Control(frame)) => frame,
        };
        leg.keep_fresh(rest);
        leg.reading = Some(reading);
        match frame.opcode {
            Opcode::Close => {
                // The cursor has read this payload before: it parses.
                let close = Close::parse(frame.payload()).unwrap_or_default();
                leg.send(cx, now, &own::close(Side::Client, close.code, &close.reason), None);
                leg.flow = leg.flow.after(Turning::Closed);
                leg.outlet = Outlet::Closing;
                *ending = Some(Closing::answering(Side::Client, close, Ticks::default(), now).ending);
            }
            Opcode::Ping => {
                let mut pong = Vec::new();
                own::pong(frame.payload(), &mut pong);
                leg.send(cx, now, &pong, None);
            }
            _ => {}
        }
    }
}
