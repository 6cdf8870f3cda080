//! The end of what has gone over a connection compressed, for messages to refer back to.

/// The last so many bytes, and no memory for more.
#[derive(Debug)]
pub(super) struct History {
    bytes: Vec<u8>,
    most: usize,
}

impl History {
    pub(super) fn new(most: usize) -> Self {
        Self { bytes: Vec::new(), most }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// This message has gone over the connection.
    pub(super) fn push(&mut self, text: &[u8]) {
        let text = text.get(text.len().saturating_sub(self.most)..).unwrap_or(text);
        let surplus = (self.bytes.len() + text.len()).saturating_sub(self.most);
        self.bytes.drain(..surplus);
        let length = self.bytes.len() + text.len();
        if length > self.bytes.capacity() {
            self.bytes.reserve_exact(length.next_power_of_two().min(self.most) - self.bytes.len());
        }
        self.bytes.extend_from_slice(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_all_that_was_pushed_is_its_end() {
        for lengths in [&[3, 0, 4][..], &[8], &[9], &[100], &[5, 5], &[1; 20], &[8, 1], &[3, 20, 3]] {
            let (mut history, mut all) = (History::new(8), Vec::new());
            for length in lengths {
                let text: Vec<u8> = (0..=255).cycle().skip(all.len()).take(*length).collect();
                history.push(&text);
                all.extend(text);
                assert_eq!(history.bytes(), &all[all.len().saturating_sub(8)..], "{lengths:?}");
                assert!(history.bytes.capacity() <= 8, "{lengths:?}");
            }
        }
    }
}
