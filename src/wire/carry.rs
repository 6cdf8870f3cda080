//! What a leg has read and not passed on.

use std::ops::Deref;
use std::time::Instant;

/// A head or control frame that is not whole, or bytes of which nothing has been looked at. Empty, it holds no memory.
#[derive(Debug, Default)]
pub(super) struct Carry(Option<Box<Carried>>);

/// There is always something.
#[derive(Debug, Default)]
struct Carried {
    bytes: Vec<u8>,
    /// How much of `bytes` has been taken out: room for what is put back, so that the rest need not be moved.
    start: usize,
    /// When the frame it begins with goes on, where that has to wait for its time.
    due: Option<Instant>,
}

impl From<Vec<u8>> for Carry {
    fn from(bytes: Vec<u8>) -> Self {
        if bytes.is_empty() { Self::default() } else { Self(Some(Box::new(Carried { bytes, start: 0, due: None }))) }
    }
}

impl Deref for Carry {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_ref().and_then(|carried| carried.bytes.get(carried.start..)).unwrap_or_default()
    }
}

impl Carry {
    /// How many bytes of memory it takes.
    pub(super) fn held(&self) -> usize {
        self.0.as_ref().map_or(0, |carried| carried.bytes.capacity())
    }

    /// Takes these back, which had been taken out of it or were read behind what was.
    pub(super) fn put_back(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            return;
        }
        let carried = &mut **self.0.get_or_insert_default();
        let start = carried.start.saturating_sub(rest.len());
        match carried.bytes.get_mut(start..carried.start).filter(|room| room.len() == rest.len()) {
            Some(room) => room.copy_from_slice(rest),
            None => drop(carried.bytes.splice(..carried.start, rest.iter().copied())),
        }
        carried.start = start;
    }

    /// Takes these, which were read behind all of it.
    pub(super) fn push(&mut self, more: &[u8]) {
        if !more.is_empty() {
            self.0.get_or_insert_default().bytes.extend_from_slice(more);
        }
    }

    /// So many bytes have been taken out of it.
    pub(super) fn taken(&mut self, count: usize) {
        match &mut self.0 {
            Some(carried) if count < carried.bytes.len() - carried.start => carried.start += count,
            _ => self.0 = None,
        }
    }

    /// The frame it begins with is to wait until then.
    pub(super) fn hold(&mut self, until: Instant) {
        self.0.get_or_insert_default().due = Some(until);
    }

    /// When the frame that waits is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.as_ref().and_then(|carried| carried.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_back_comes_first_and_nothing_is_left_of_what_was_taken() {
        let mut carry = Carry::from(b"cd".to_vec());
        carry.put_back(b"ab");
        carry.push(b"");
        carry.hold(Instant::now());
        assert_eq!((&*carry, carry.due().is_some()), (&b"abcd"[..], true));
        carry.taken(3);
        assert_eq!(&*carry, b"d");
        carry.taken(1);
        assert_eq!((carry.len(), carry.held(), carry.due()), (0, 0, None));
    }

    #[test]
    fn what_is_taken_and_put_back_in_part_moves_nothing_else() {
        let mut carry = Carry::from(b"abcdefgh".to_vec());
        let last = carry[7..].as_ptr();
        carry.taken(6);
        carry.put_back(b"ef");
        assert_eq!((&*carry, carry[3..].as_ptr()), (&b"efgh"[..], last));
        carry.put_back(b"0123456789");
        assert_eq!(&*carry, b"0123456789efgh", "where there is no room for it, it is made");
    }
}
