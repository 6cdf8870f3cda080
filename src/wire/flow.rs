//! The states of a connection's two ends: what becomes of the bytes from a side, and what may still be sent toward it.

/// What becomes of the bytes that come from one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// Frames are judged and go on.
    Open,
    /// The next frame waits for its time. Nothing goes on, and nothing is read.
    Held,
    /// The gateway is ending the connection: the rest of the open frame goes on, nothing behind it does.
    Draining,
    /// Nothing goes on. Input is read and thrown away, because closing a socket with unread input resets it and destroys the Close
    /// that is under way.
    Discarding,
    /// Nothing more comes.
    Ended,
}

/// What happens to a [`Flow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turning {
    /// The next frame is to wait.
    Held,
    /// Its time has come.
    Released,
    /// The side's own Close has gone on.
    Closed,
    /// The gateway is ending the connection.
    Stopped {
        /// Whether a frame from this side has gone on in part.
        mid_frame: bool,
    },
    /// The frame that was open has gone on to its end.
    FrameDone,
    /// The time a frame had to finish is over, or there is nobody to finish it for.
    GraceOver,
    /// End of input, an error, or the socket given up.
    Ended,
}

impl Flow {
    /// The state after this has happened. A flow that is being ended never opens again.
    #[must_use]
    pub(super) fn after(self, turning: Turning) -> Self {
        match (self, turning) {
            (Self::Ended, _) | (_, Turning::Ended) => Self::Ended,
            (Self::Open, Turning::Held) => Self::Held,
            (Self::Held, Turning::Released) => Self::Open,
            (Self::Open | Self::Held, Turning::Stopped { mid_frame: true }) => Self::Draining,
            (Self::Open | Self::Held, Turning::Stopped { mid_frame: false } | Turning::Closed) => Self::Discarding,
            (Self::Draining, Turning::FrameDone | Turning::GraceOver) => Self::Discarding,
            (unmoved, _) => unmoved,
        }
    }

    /// Whether bytes from this side may still go on.
    pub(super) fn is_passing(self) -> bool {
        matches!(self, Self::Open | Self::Held | Self::Draining)
    }
}

/// What may still be sent toward one side.
#[derive(Debug)]
pub(super) enum Outlet {
    /// Frames.
    Open,
    /// The gateway's farewell, as soon as the frame that is going out has ended.
    Owing(Box<Farewell>),
    /// Nothing behind what is queued already: its last frame is a Close, or it breaks off in mid-frame.
    Closing,
    /// Nothing: everything is sent and our direction of the socket is shut down.
    Shut,
    /// Nothing: the socket takes no more.
    Broken,
}

/// What the gateway says to a peer at the end.
#[derive(Debug, Default)]
pub(super) struct Farewell {
    /// A message, sent only where no fragmented one is open toward the peer.
    pub notify: Option<Box<str>>,
    /// The Close frame, encoded; empty where the peer's TCP is to be ended without one.
    pub close: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use Flow::{Discarding, Draining, Ended, Held, Open};

    #[test]
    fn a_flow_turns_as_the_table_says() {
        let (whole, part) = (Turning::Stopped { mid_frame: false }, Turning::Stopped { mid_frame: true });
        let (held, released) = (Turning::Held, Turning::Released);
        let turnings = [held, released, Turning::Closed, whole, part, Turning::FrameDone, Turning::GraceOver, Turning::Ended];
        for (flow, after) in [
            (Open, [Held, Open, Discarding, Discarding, Draining, Open, Open, Ended]),
            (Held, [Held, Open, Discarding, Discarding, Draining, Held, Held, Ended]),
            (Draining, [Draining, Draining, Draining, Draining, Draining, Discarding, Discarding, Ended]),
            (Discarding, [Discarding, Discarding, Discarding, Discarding, Discarding, Discarding, Discarding, Ended]),
            (Ended, [Ended; 8]),
        ] {
            assert_eq!(turnings.map(|turning| flow.after(turning)), after, "{flow:?}");
        }
    }
}
