//! Passes a body on: from where it is read to where it is written, as it comes, and no faster than it is taken.

use std::time::Duration;

use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::decoder::{Decoder, Malformed, Part};
use super::sink::{Sink, Unwritten};
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
pub async fn pass<R, W>(source: &mut Source<R>, decoder: &mut Decoder, sink: &mut Sink<W>, terms: &Terms<'_>) -> Result<(), Broken>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut passed = 0_u64;
    loop {
        match decoder.next(source.bytes())? {
            Part::Data { skip, length } => {
                source.advance(skip);
                passed = passed.saturating_add(length as u64);
                if passed > terms.max {
                    return Err(Broken::TooLarge);
                }
                sink.data(source.bytes().get(..length).unwrap_or_default()).await?;
                source.advance(length);
                (terms.count)(length as u64);
            }
            Part::End { skip, trailers } => {
                source.advance(skip);
                let trailers = trailers.map(|mut trailers| {
                    (terms.trailers)(&mut trailers);
                    trailers
                });
                return Ok(sink.end(trailers.as_ref()).await?);
            }
            Part::More { skip } => {
                source.advance(skip);
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
