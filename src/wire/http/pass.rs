//! Passes a body on: from where it is read to where it is written, as it comes, and no faster than it is taken.

use std::time::Duration;

use http::HeaderMap;
use http::response::Parts;
use tokio::io::AsyncRead;
use tokio::time::timeout;

use super::answer::Manner;
use super::decoder::{Decoder, Malformed, Part};
use super::framing::Framing;
use super::sink::Unwritten;
use super::source::{CHUNK, Source};

/// Why a body did not pass whole.
#[derive(Debug)]
pub enum Broken {
    /// Its sender has gone in the midst of it.
    Cut,
    /// It breaks this rule.
    Malformed(&'static str),
    /// Its sender has sent nothing for as long as it may.
    Silent,
    /// It is larger than it may be.
    TooLarge,
    /// It cannot be written any further.
    Unwritten(Unwritten),
}

impl From<Malformed> for Broken {
    fn from(Malformed(rule): Malformed) -> Self {
        Self::Malformed(rule)
    }
}

impl From<Unwritten> for Broken {
    fn from(unwritten: Unwritten) -> Self {
        Self::Unwritten(unwritten)
    }
}

/// Whoever a client's body is read from, and who knows whether the client is still there. Of either version of HTTP.
pub trait Gives: Send {
    /// Waits for the first of it; false where the client has gone instead.
    fn begins(&mut self) -> impl Future<Output = bool> + Send;

    /// Passes it on, up to its end; framed so, where its bytes do not say themselves how they are.
    fn give<T: Takes>(&mut self, framing: Framing, to: &mut T, terms: &Terms<'_>) -> impl Future<Output = Result<(), Broken>> + Send;

    /// Returns when the client has gone. What it sends ahead of its answer is kept, up to a bound.
    fn is_left(&mut self) -> impl Future<Output = ()> + Send;
}

/// Whoever a body is written to.
pub trait Takes: Send {
    /// Writes what waits for more.
    fn push(&mut self) -> impl Future<Output = Result<(), Unwritten>> + Send;

    /// Writes some of the body.
    fn data(&mut self, data: &[u8]) -> impl Future<Output = Result<(), Unwritten>> + Send;

    /// Ends the body, with these trailers where it is of a kind that has them.
    fn end(&mut self, trailers: Option<&HeaderMap>) -> impl Future<Output = Result<(), Unwritten>> + Send;
}

/// Whoever a client is answered through.
pub trait Answers: Takes {
    /// Takes the head of the answer, behind which a body comes that is framed so.
    ///
    /// # Errors
    /// The client has gone.
    fn begin(&mut self, answer: Parts, body: Framing, manner: Manner) -> Result<(), Unwritten>;

    /// Writes the head of an informational answer.
    fn inform(&mut self, answer: Parts) -> impl Future<Output = Result<(), Unwritten>> + Send;
}

impl<G: Gives> Gives for &mut G {
    fn begins(&mut self) -> impl Future<Output = bool> + Send {
        G::begins(self)
    }

    fn give<T: Takes>(&mut self, framing: Framing, to: &mut T, terms: &Terms<'_>) -> impl Future<Output = Result<(), Broken>> + Send {
        G::give(self, framing, to, terms)
    }

    fn is_left(&mut self) -> impl Future<Output = ()> + Send {
        G::is_left(self)
    }
}

/// What a body may be, and who is told how it comes.
pub struct Terms<'a> {
    /// Its largest size in bytes.
    pub max: u64,
    /// How long its sender may be silent.
    pub patience: Option<Duration>,
    /// Told how many bytes have passed, each time that some have.
    pub count: &'a (dyn Fn(u64) + Sync),
    /// What is done with its trailers before they go on.
    pub trailers: &'a (dyn Fn(&mut HeaderMap) + Sync),
}

/// Passes one body on, up to its end. What the source has behind it stays there.
///
/// # Errors
/// Why it did not pass whole; what it was written to cannot be used any more.
pub async fn pass<R, T>(source: &mut Source<R>, decoder: &mut Decoder, sink: &mut T, terms: &Terms<'_>) -> Result<(), Broken>
where
    R: AsyncRead + Unpin + Send,
    T: Takes,
{
    let mut passed = 0_u64;
    loop {
        let Gathered { length, end, then } = gather(source, decoder, terms.max - passed);
        if length > 0 {
            sink.data(source.bytes().get(..length).unwrap_or_default()).await?;
            passed += length as u64;
            (terms.count)(length as u64);
        }
        source.advance(end);
        match then? {
            Then::End(trailers) => {
                let trailers = trailers.map(|mut trailers| {
                    (terms.trailers)(&mut trailers);
                    trailers
                });
                return Ok(sink.end(trailers.as_ref()).await?);
            }
            Then::More => {
                sink.push().await?;
                let filled = match terms.patience {
                    Some(patience) => timeout(patience, source.fill(CHUNK)).await.map_err(|_| Broken::Silent)?,
                    None => source.fill(CHUNK).await,
                };
                match filled {
                    Ok(1..) => {}
                    Ok(0) if decoder.ends_with_connection() => return Ok(sink.end(None).await?),
                    Ok(0) | Err(_) => return Err(Broken::Cut),
                }
            }
        }
    }
}

/// What was read at once of a body.
struct Gathered {
    /// How much of the body stands at the front of what was read.
    length: usize,
    /// Where in it what was looked at ends.
    end: usize,
    /// What comes behind it.
    then: Result<Then, Broken>,
}

/// What comes behind what was read of a body.
enum Then {
    More,
    End(Option<HeaderMap>),
}

/// Brings together all there is of a body in what was read, at most so much: a sender that makes a chunk of each byte does not cost us a
/// write for each. What comes alone, as most does, is not moved.
fn gather<R>(source: &mut Source<R>, decoder: &mut Decoder, most: u64) -> Gathered {
    let (mut length, mut end) = (0, 0);
    let then = loop {
        match decoder.next(source.bytes().get(end..).unwrap_or_default()) {
            Ok(Part::Data { length: more, .. }) if (length + more) as u64 > most => break Err(Broken::TooLarge),
            Ok(Part::Data { skip, length: more }) if length == 0 => {
                source.advance(skip);
                (length, end) = (more, more);
            }
            Ok(Part::Data { skip, length: more }) => {
                let start = end + skip;
                end = start + more;
                source.shift(start..end, length);
                length += more;
            }
            Ok(Part::End { skip, trailers }) => {
                end += skip;
                break Ok(Then::End(trailers));
            }
            Ok(Part::More { skip }) => {
                end += skip;
                break Ok(Then::More);
            }
            Err(malformed) => break Err(malformed.into()),
        }
    };
    Gathered { length, end, then }
}

#[cfg(test)]
mod tests {
    use super::super::sink::{STALL, Sink};
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::Instant;

    const TERMS: Terms<'static> = Terms { max: 100, patience: Some(STALL), count: &|_| {}, trailers: &|_| {} };

    #[tokio::test(start_paused = true)]
    async fn a_body_that_pauses_for_too_long_is_silent_and_one_that_goes_on_is_not() {
        let ((mut sender, from), (to, mut taker)) = (duplex(64), duplex(64));
        let (mut source, mut sink, mut decoder) =
            (Source::new(from, b"ab"), Sink::new(to, Framing::Length(4)), Decoder::new(Framing::Length(4)));
        let began = Instant::now();
        let send = async {
            tokio::time::sleep(STALL - Duration::from_secs(1)).await;
            sender.write_all(b"c").await.unwrap();
            taker.read_exact(&mut [0; 3]).await.unwrap();
        };
        let (passed, ()) = tokio::join!(pass(&mut source, &mut decoder, &mut sink, &TERMS), send);
        assert!(matches!(passed, Err(Broken::Silent)), "{passed:?}");
        assert_eq!(began.elapsed(), STALL * 2 - Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_nobody_takes_is_stalled_and_holds_no_more_than_was_read_at_once() {
        let ((mut sender, from), (to, _taker)) = (duplex(1 << 20), duplex(1));
        sender.write_all(&[7; 1 << 20]).await.unwrap();
        let mut source = Source::new(from, &[]);
        let terms = Terms { max: u64::MAX, ..TERMS };
        let passed = pass(&mut source, &mut Decoder::new(Framing::UntilEnd), &mut Sink::new(to, Framing::Chunked), &terms).await;
        assert!(matches!(passed, Err(Broken::Unwritten(Unwritten::Stalled))), "{passed:?}");
        assert!(source.bytes().len() <= CHUNK, "{}", source.bytes().len());
    }

    #[tokio::test]
    async fn a_body_over_its_bound_stops_before_the_byte_too_much() {
        let (to, mut taker) = duplex(1024);
        let body = format!("64\r\n{}\r\n1\r\n!\r\n0\r\n\r\n", "x".repeat(100));
        let (mut source, mut sink) = (Source::new(tokio::io::empty(), body.as_bytes()), Sink::new(to, Framing::Chunked));
        let passed = pass(&mut source, &mut Decoder::new(Framing::Chunked), &mut sink, &TERMS).await;
        assert!(matches!(passed, Err(Broken::TooLarge)), "{passed:?}");
        drop(sink);
        let mut taken = String::new();
        taker.read_to_string(&mut taken).await.unwrap();
        assert_eq!(taken, format!("64\r\n{}\r\n", "x".repeat(100)));
    }

    #[tokio::test]
    async fn what_was_read_at_once_is_written_at_once() {
        let (to, mut taker) = duplex(1 << 16);
        let body = format!("{}3\r\nend\r\n0\r\n\r\nGET", "1\r\nx\r\n".repeat(1000));
        let counted = std::sync::Mutex::new(Vec::new());
        let terms = Terms { max: 1003, count: &|count| counted.lock().unwrap().push(count), ..TERMS };
        let mut source = Source::new(tokio::io::empty(), body.as_bytes());
        pass(&mut source, &mut Decoder::new(Framing::Chunked), &mut Sink::new(to, Framing::Chunked), &terms).await.unwrap();
        let mut taken = String::new();
        taker.read_to_string(&mut taken).await.unwrap();
        assert_eq!(taken, format!("3eb\r\n{}end\r\n0\r\n\r\n", "x".repeat(1000)), "in one chunk");
        assert_eq!((source.bytes(), &*counted.lock().unwrap()), (&b"GET"[..], &vec![1003]), "what is behind it stays");
    }

    #[tokio::test]
    async fn an_end_of_the_connection_is_a_body_s_end_where_nothing_else_is() {
        for (framing, is_whole) in [(Framing::UntilEnd, true), (Framing::Length(3), false), (Framing::Chunked, false)] {
            let (to, _taker) = duplex(1024);
            let mut source = Source::new(tokio::io::empty(), b"2\r");
            let passed = pass(&mut source, &mut Decoder::new(framing), &mut Sink::new(to, Framing::Chunked), &TERMS).await;
            assert_eq!(passed.is_ok(), is_whole, "{framing:?}");
            assert!(is_whole || matches!(passed, Err(Broken::Cut)), "{framing:?}");
        }
    }
}
