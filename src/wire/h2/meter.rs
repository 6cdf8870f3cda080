//! Counts a client's frames by their heads, for what flow control does not bound: frames that carry nothing, and heads that never end.
//! Sans-I/O.

use std::time::{Duration, Instant};

use super::{STREAMS, TURN};

/// Frames that carry nothing: so many at once,
pub(super) const BURST: u32 = 1000;
/// and so many in a second from then on. A browser sends some dozens in a whole visit.
const RATE: u32 = 200;

/// A client may widen a window as often as it is sent something. Two windows are widened for each frame of DATA, the smallest of which
/// has ten bytes.
const WIDENED: usize = 5;
/// That it may do later: after so many bytes, no more is kept for it.
const OWED: usize = 1 << 20;

/// The length of the preface (RFC 9113 §3.4).
const PREFACE: usize = 24;
/// The length of a frame's head (RFC 9113 §4.1).
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
/// Of DATA: nothing comes behind it on its stream.
const END_STREAM: u8 = 1;
/// Of DATA: its first byte says how much of its end is padding (RFC 9113 §6.1).
const PADDED: u8 = 8;
/// Of HEADERS and CONTINUATION: no CONTINUATION follows.
const END_HEADERS: u8 = 4;

/// What has been read of a connection.
#[derive(Debug)]
pub(super) struct Meter {
    /// Bytes of the preface, or of a frame's payload, that are still to come.
    skip: usize,
    /// The length of the padded DATA whose first byte is still to come.
    padded: Option<usize>,
    head: [u8; HEAD],
    /// How much of the head there is.
    filled: usize,
    /// Since when a request's head has been coming that is not whole.
    open: Option<Instant>,
    /// Whether it is whole with the payload that is coming.
    closes: bool,
    /// What has come in this turn, in frames of DATA. A request weighs so much more that there are no more of them than streams.
    turn: u32,
    /// Bytes that were sent, and for which no window has been widened.
    sent: usize,
    left: u32,
    counted: Instant,
    is_flooded: bool,
}

impl Meter {
    /// Nothing is read yet.
    pub(super) fn new(now: Instant) -> Self {
        let (skip, left) = (PREFACE, BURST);
        let (open, padded, head) = (None, None, [0; HEAD]);
        Self { skip, padded, head, filled: 0, open, closes: false, turn: 0, sent: 0, left, counted: now, is_flooded: false }
    }

    /// These bytes come next.
    pub(super) fn read(&mut self, mut bytes: &[u8], now: Instant) {
        while !bytes.is_empty() {
            let wanted = if self.skip > 0 { self.skip } else { HEAD - self.filled };
            let (taken, rest) = bytes.split_at_checked(wanted).unwrap_or((bytes, &[]));
            bytes = rest;
            if self.skip > 0 {
                self.skip -= taken.len();
                if let (Some(length), Some(padding)) = (self.padded.take(), taken.first()) {
                    self.data(length > 1 + usize::from(*padding), now);
                }
            } else {
                if let Some(space) = self.head.get_mut(self.filled..self.filled + taken.len()) {
                    space.copy_from_slice(taken);
                }
                self.filled += taken.len();
                if self.filled == HEAD {
                    self.begin(now);
                }
            }
            if self.skip == 0 && self.filled == 0 && std::mem::take(&mut self.closes) {
                self.open = None;
            }
        }
    }

    /// A frame's head is whole.
    fn begin(&mut self, now: Instant) {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.filled = 0;
        self.skip = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        match kind {
            HEADERS | CONTINUATION => {
                self.open.get_or_insert(now);
                self.closes = flags & END_HEADERS != 0;
                self.turn = self.turn.saturating_add(TURN / STREAMS);
            }
            DATA if flags & END_STREAM != 0 => self.data(true, now),
            DATA if flags & PADDED != 0 && self.skip > 0 => self.padded = Some(self.skip),
            DATA => self.data(self.skip > 0, now),
            WINDOW_UPDATE if self.sent >= WIDENED => self.sent -= WIDENED,
            _ => self.count(now),
        }
    }

    /// A frame of DATA comes; does it carry anything, if only the end?
    fn data(&mut self, carries: bool, now: Instant) {
        if carries {
            self.turn = self.turn.saturating_add(1);
        } else {
            self.count(now);
        }
    }

    /// So many bytes have been sent.
    pub(super) fn write(&mut self, count: usize) {
        self.sent = self.sent.saturating_add(count).min(OWED);
    }

    fn count(&mut self, now: Instant) {
        let back = now.saturating_duration_since(self.counted).as_millis() * u128::from(RATE) / 1000;
        if back > 0 {
            self.left = self.left.saturating_add(u32::try_from(back).unwrap_or(u32::MAX)).min(BURST);
            self.counted = now;
        }
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => self.is_flooded = true,
        }
    }

    /// Whether more frames have come that carry nothing than anybody needs.
    pub(super) fn is_flooded(&self) -> bool {
        self.is_flooded
    }

    /// Whether so much has come that it has to be taken off before anything more is read.
    pub(super) fn is_turn_over(&self) -> bool {
        self.turn >= TURN
    }

    /// All that came has been taken off. Says whether the turn was over before it.
    pub(super) fn begin_turn(&mut self) -> bool {
        std::mem::take(&mut self.turn) >= TURN
    }

    /// When a request's head has to be whole that may take so long.
    pub(super) fn due(&self, within: Duration) -> Option<Instant> {
        self.open.map(|since| since + within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let [_, high, middle, low] = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[high, middle, low, kind, flags, 0, 0, 0, 1][..], payload].concat()
    }

    fn meter(now: Instant) -> Meter {
        let mut meter = Meter::new(now);
        meter.read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", now);
        meter
    }

    #[test]
    fn a_head_is_due_from_its_first_frame_until_the_last_byte_of_its_last_wherever_it_is_cut() {
        let now = Instant::now();
        let within = Duration::from_secs(5);
        let bytes = [frame(4, 0, &[]), frame(HEADERS, 0, b"abc"), frame(CONTINUATION, 0, b""), frame(CONTINUATION, 4, b"de")].concat();
        let (begins, ends) = (2 * HEAD, bytes.len());
        for cut in 0..=ends {
            let mut meter = meter(now);
            let (first, second) = bytes.split_at(cut);
            meter.read(first, now);
            assert_eq!(meter.due(within), (begins..ends).contains(&cut).then_some(now + within), "{cut}");
            meter.read(second, now);
            assert_eq!(meter.due(within), None, "{cut}");
        }
    }

    #[test]
    fn frames_that_carry_nothing_are_bounded_and_those_that_carry_something_are_not() {
        let now = Instant::now();
        let rows = [(0, b"".as_slice(), true), (2, b"12345", true), (3, b"1234", true), (4, b"", true), (6, b"12345678", true)];
        for (kind, payload, is_bounded) in rows.into_iter().chain([(0, b"x".as_slice(), false), (8, b"1234", true), (1, b"x", false)]) {
            let mut meter = meter(now);
            for _ in 0..BURST {
                meter.read(&frame(kind, END_HEADERS, payload), now);
            }
            assert!(!meter.is_flooded(), "{kind}");
            meter.read(&frame(kind, END_HEADERS, payload), now);
            assert_eq!(meter.is_flooded(), is_bounded, "{kind}");
        }
    }

    #[test]
    fn padding_is_nothing_wherever_it_is_cut() {
        let now = Instant::now();
        let rows = [(b"\0".as_slice(), true), (b"\x03...", true), (b"\x04...", true), (b"\x02...", false), (b"\0x", false), (b"", true)];
        for (payload, is_bounded) in rows {
            for ends in [0, END_STREAM] {
                let bytes = frame(DATA, PADDED | ends, payload);
                for cut in 0..bytes.len() {
                    let mut meter = meter(now);
                    let (first, second) = bytes.split_at(cut);
                    for _ in 0..=BURST {
                        meter.read(first, now);
                        meter.read(second, now);
                    }
                    assert_eq!(meter.is_flooded(), is_bounded && ends == 0, "{payload:?} {ends} {cut}");
                }
            }
        }
    }

    #[test]
    fn the_end_of_a_body_may_come_by_itself_as_often_as_there_are_bodies() {
        let now = Instant::now();
        let mut meter = meter(now);
        for _ in 0..3 * BURST {
            meter.read(&[frame(HEADERS, END_HEADERS, b"x"), frame(DATA, 0, b"x"), frame(DATA, END_STREAM, b"")].concat(), now);
        }
        assert!(!meter.is_flooded());
    }

    #[test]
    fn windows_are_widened_as_often_as_something_is_sent_and_not_without_end_later() {
        let now = Instant::now();
        let both = [frame(WINDOW_UPDATE, 0, b"1234"), frame(WINDOW_UPDATE, 0, b"1234")].concat();
        let mut first = meter(now);
        for _ in 0..10 * BURST {
            first.write(HEAD + 1);
            first.read(&both, now);
        }
        assert!(!first.is_flooded());
        let mut late = meter(now);
        late.write(usize::MAX);
        (0..=OWED / WIDENED + BURST as usize).for_each(|_| late.read(&frame(WINDOW_UPDATE, 0, b"1234"), now));
        assert!(late.is_flooded());
    }

    #[test]
    fn who_has_used_up_its_burst_may_send_on_slowly() {
        let mut now = Instant::now();
        let mut meter = meter(now);
        for _ in 0..BURST {
            meter.read(&frame(6, 0, b"12345678"), now);
        }
        for _ in 0..1000 {
            now += Duration::from_millis(5);
            meter.read(&frame(6, 0, b"12345678"), now);
        }
        assert!(!meter.is_flooded());
    }
}
