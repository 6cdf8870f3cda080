use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Waker;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWriteExt};

use super::super::tick::Ticks;
use super::*;

/// A stream that has taken everything, and sends some of it whenever it is asked to: it is never done.
#[derive(Default)]
struct Slow {
    has_sent: bool,
    stands_still: bool,
}

impl Stream for Slow {
    fn has_sent(&mut self) -> bool {
        std::mem::take(&mut self.has_sent)
    }
}

impl AsyncRead for Slow {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Slow {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.has_sent = !self.stands_still;
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn what_was_read_with_a_frame_that_waits_is_looked_at_little_by_little() {
    let mut cx = Context::from_waker(Waker::noop());
    let burst: Vec<u8> = (0..=u8::MAX).cycle().take(50_000).collect();
    let mut buffer = vec![0; 1 << 16];
    let mut leg = Leg::new(Slow::default(), Vec::new());
    leg.wait(Instant::now(), &burst);
    let mut looked = Vec::new();
    while let Poll::Ready(bytes) = leg.fill(&mut cx, Tick::default(), &mut buffer) {
        assert!(bytes.len() <= PACED, "{}", bytes.len());
        let (taken, rest) = bytes.split_at(bytes.len().min(6));
        looked.extend_from_slice(taken);
        leg.keep_fresh(rest);
    }
    assert!(looked == burst);
}

#[tokio::test]
async fn a_task_that_has_used_up_its_time_does_not_take_a_peer_that_has_spoken_for_silent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (far, accepted) = tokio::join!(tokio::net::TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let (mut far, (near, _)) = (far.unwrap(), accepted.unwrap());
    far.write_all(b"more").await.unwrap();
    near.readable().await.unwrap();
    let mut leg = Leg::new(near, Vec::new());
    poll_fn(|cx| {
        while pin!(tokio::task::consume_budget()).poll(cx).is_ready() {}
        assert!(!leg.has_said_all(cx));
        Poll::Ready(())
    })
    .await;
}

#[test]
fn a_peer_that_takes_what_its_stream_holds_makes_progress_and_one_that_does_not_has_stalled() {
    let mut cx = Context::from_waker(Waker::noop());
    let at = |seconds| Tick::default() + Ticks::from(Duration::from_secs(seconds));
    let mut leg = Leg::new(Slow::default(), Vec::new());
    leg.send(&mut cx, at(0), b"taken", None);
    assert_eq!((leg.backlog.is_empty(), leg.activity().stalled), (true, Some(at(0))), "it is the stream that holds it");
    assert!(leg.drain(&mut cx, at(20)).is_pending());
    assert_eq!(leg.activity().stalled, Some(at(20)));
    if let Some(io) = &mut leg.io {
        io.stands_still = true;
    }
    assert!(leg.drain(&mut cx, at(40)).is_pending());
    assert_eq!(leg.activity().stalled, Some(at(20)));
}
