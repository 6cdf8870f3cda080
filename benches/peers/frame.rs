//! Frames as both ends write and read them (RFC 6455 §5.2): whole messages in one frame each, whatever stands between.

pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// What every frame of the clients is masked with. That it is always the same costs a proxy no less.
pub const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The head of a frame.
pub struct Head {
    pub opcode: u8,
    pub mask: Option<[u8; 4]>,
    /// Bytes that the head takes, and its payload.
    pub size: usize,
    pub length: usize,
}

impl Head {
    /// What `bytes` begin with, if all of it is there.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (first, second) = (*bytes.first()?, *bytes.get(1)?);
        assert!(first & 0xf0 == 0x80, "a frame is not final, or has a reserved bit: {first:#x}");
        let (length, mut size) = match second & 0x7f {
            126 => (u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap()).into(), 4),
            127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap()) as usize, 10),
            short => (short.into(), 2),
        };
        let mask = if second & 0x80 == 0 { None } else { Some(bytes.get(size..size + 4)?.try_into().unwrap()) };
        size += if mask.is_some() { 4 } else { 0 };
        Some(Self { opcode: first & 0x0f, mask, size, length })
    }

    /// Bytes of the whole frame.
    pub fn whole(&self) -> usize {
        self.size + self.length
    }
}

/// Puts a frame behind `out`.
pub fn put(out: &mut Vec<u8>, opcode: u8, key: Option<[u8; 4]>, payload: &[u8]) {
    let bit = if key.is_some() { 0x80 } else { 0 };
    out.push(0x80 | opcode);
    match payload.len() {
        short @ ..126 => out.push(bit | short as u8),
        middle @ 126..=0xffff => {
            out.push(bit | 126);
            out.extend((middle as u16).to_be_bytes());
        }
        long => {
            out.push(bit | 127);
            out.extend((long as u64).to_be_bytes());
        }
    }
    out.extend(key.into_iter().flatten());
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = key {
        mask(&mut out[start..], key);
    }
}

/// A client's frame, whole.
pub fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, opcode, Some(MASK), payload);
    out
}

/// Puts a mask on, or takes it off; whole words first, so that it compiles to vector instructions.
pub fn mask(bytes: &mut [u8], key: [u8; 4]) {
    let wide = u32::from_ne_bytes(key);
    let (words, rest) = bytes.as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}
