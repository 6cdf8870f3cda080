//! Ends a socket so that the peer still gets what was sent last.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The most that is read off a peer that is being shown out, in bytes: a peer that goes on sending is not waited for.
pub const MAX_DISCARDED: usize = 256 * 1024;
/// Read at a time.
const CHUNK: usize = 2048;

/// Shuts down writing, then reads and discards until the peer has closed too, `timeout` has passed or [`MAX_DISCARDED`] bytes came.
///
/// Closing a socket with unread input resets the connection, and a reset destroys what the peer has not read yet: its refusal, or
/// its Close frame (RFC 9112 §9.6).
pub async fn linger<IO: AsyncRead + AsyncWrite + Unpin>(mut io: IO, timeout: Duration) {
    let discard = async {
        io.shutdown().await?;
        let mut chunk = [0; CHUNK];
        let mut discarded = 0;
        while discarded < MAX_DISCARDED {
            match io.read(&mut chunk).await? {
                0 => break,
                read => discarded += read,
            }
        }
        std::io::Result::Ok(())
    };
    // However it ends, the socket is dropped next and there is nobody left to tell.
    let _ = tokio::time::timeout(timeout, discard).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lingering_ends_when_the_peer_closes() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let peer = async {
            theirs.write_all(&[7; 40]).await.unwrap();
            let mut rest = Vec::new();
            theirs.read_to_end(&mut rest).await.unwrap();
            drop(theirs);
        };
        let begun = tokio::time::Instant::now();
        tokio::join!(linger(ours, Duration::from_secs(5)), peer);
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn lingering_ends_at_its_timeout_when_the_peer_stays() {
        let (ours, theirs) = tokio::io::duplex(64);
        let begun = tokio::time::Instant::now();
        linger(ours, Duration::from_secs(5)).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
        drop(theirs);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_goes_on_sending_is_not_read_for_ever() {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let peer = async {
            let mut sent = 0;
            while theirs.write_all(&[0; 1024]).await.is_ok() {
                sent += 1024;
            }
            sent
        };
        let ((), sent) = tokio::join!(linger(ours, Duration::from_secs(5)), peer);
        assert!((MAX_DISCARDED..=MAX_DISCARDED + 8192).contains(&sent), "{sent}");
    }
}
