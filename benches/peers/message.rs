//! The message that clients send: the same text each time but for a number in it, by which every answer is known to be its own.

use std::io::Write;
use std::ops::Range;

use crate::frame::{MASK, TEXT, masked};

/// Where the number stands in a text: sixteen digits.
const MARK: &str = "0000000000000000";

pub struct Message {
    text: Vec<u8>,
    frame: Vec<u8>,
    mark: Range<usize>,
    /// Bytes of the frame's head.
    head: usize,
}

impl Message {
    pub fn new(text: &str) -> Self {
        let frame = masked(TEXT, text.as_bytes());
        let mark = text.find(MARK).unwrap();
        Self { text: text.as_bytes().to_vec(), head: frame.len() - text.len(), frame, mark: mark..mark + MARK.len() }
    }

    /// The frame with this client's message of this number.
    pub fn frame(&mut self, client: u32, number: u32) -> &[u8] {
        self.write(client, number);
        for at in self.mark.clone() {
            self.frame[self.head + at] = self.text[at] ^ MASK[at % 4];
        }
        &self.frame
    }

    /// Whether this is the answer to that message, byte by byte.
    pub fn is_answer(&mut self, client: u32, number: u32, answer: &[u8]) -> bool {
        self.write(client, number);
        self.text == answer
    }

    fn write(&mut self, client: u32, number: u32) {
        write!(&mut self.text[self.mark.clone()], "{client:08x}{number:08x}").unwrap();
    }
}
