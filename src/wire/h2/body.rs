//! An ordinary request over a stream: its body on the way to a server, and the answer on its way back.

use std::future::poll_fn;
use std::sync::Mutex;

use bytes::Bytes;
use http::HeaderMap;
use http::response::Parts;
use tokio::time::timeout;

use super::super::fields::strip_hop_by_hop;
use super::super::http::answer::{Manner, fields};
use super::super::http::framing::Framing;
use super::super::http::pass::{Answers, Broken, Gives, Takes, Terms};
use super::super::http::sink::{STALL, Unwritten};
use super::input::Input;
use super::stream::{Output, lock};

/// What a client sends behind the head of its request.
pub struct Body<'a> {
    input: &'a mut Input,
    output: &'a Mutex<Output>,
}

/// What a client is answered.
pub struct Answer<'a> {
    output: &'a Mutex<Output>,
}

impl<'a> Body<'a> {
    pub(super) fn new(input: &'a mut Input, output: &'a Mutex<Output>) -> Self {
        Self { input, output }
    }
}

impl<'a> Answer<'a> {
    pub(super) fn new(output: &'a Mutex<Output>) -> Self {
        Self { output }
    }
}

impl Gives for Body<'_> {
    async fn begins(&mut self) -> bool {
        poll_fn(|cx| self.input.poll_fill(cx).map(|filled| filled.is_ok_and(|bytes| !bytes.is_empty()))).await
    }

    /// The frames say where it ends, and have been held to its length by whoever took them apart.
    async fn give<T: Takes>(&mut self, _: Framing, to: &mut T, terms: &Terms<'_>) -> Result<(), Broken> {
        let mut passed = 0_u64;
        loop {
            let filled = poll_fn(|cx| self.input.poll_fill(cx).map_ok(Bytes::clone));
            let filled = match terms.patience {
                Some(patience) => timeout(patience, filled).await.map_err(|_| Broken::Silent)?,
                None => filled.await,
            };
            let bytes = filled.map_err(|_| Broken::Cut)?;
            if bytes.is_empty() {
                break;
            }
            passed = passed.saturating_add(bytes.len() as u64);
            if passed > terms.max {
                return Err(Broken::TooLarge);
            }
            to.data(&bytes).await?;
            to.push().await?;
            self.input.consume(bytes.len());
            (terms.count)(bytes.len() as u64);
        }
        let trailers = self.input.trailers().await.map_err(|_| Broken::Cut)?.map(|mut trailers| {
            (terms.trailers)(&mut trailers);
            trailers
        });
        Ok(to.end(trailers.as_ref()).await?)
    }

    async fn is_left(&mut self) {
        poll_fn(|cx| lock(self.output).poll_reset(cx)).await;
    }
}

impl Takes for Answer<'_> {
    async fn push(&mut self) -> Result<(), Unwritten> {
        Ok(())
    }

    async fn data(&mut self, mut data: &[u8]) -> Result<(), Unwritten> {
        while !data.is_empty() {
            let sent = timeout(STALL, poll_fn(|cx| lock(self.output).poll_send(cx, data))).await;
            let sent = sent.map_err(|_| Unwritten::Stalled)?.map_err(Unwritten::Gone)?;
            data = data.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    async fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Unwritten> {
        let mut output = lock(self.output);
        let ended = match trailers {
            Some(trailers) => output.end_with(trailers.clone()),
            None => output.end(Bytes::new()),
        };
        ended.map_err(Unwritten::Gone)
    }
}

impl Answers for Answer<'_> {
    fn begin(&mut self, answer: Parts, framing: Framing, _: Manner) -> Result<(), Unwritten> {
        let status = answer.status;
        let is_whole = !framing.has_body();
        lock(self.output).begin(status, fields(answer, framing), is_whole).map_err(Unwritten::Gone)
    }

    async fn inform(&mut self, answer: Parts) -> Result<(), Unwritten> {
        let Parts { status, mut headers, .. } = answer;
        strip_hop_by_hop(&mut headers);
        lock(self.output).inform(status, headers).map_err(Unwritten::Gone)
    }
}
