//! Any bytes from both sides through a relay whose messages are read: each side receives the messages that the other was allowed to
//! send, whole and unchanged, and nothing that a strict reader would refuse.

#![no_main]

#[path = "../../tests/frames/bench.rs"]
#[allow(dead_code, reason = "the bench is the tests' own")]
mod bench;
#[path = "../../tests/frames/verdict.rs"]
#[allow(dead_code, reason = "this target takes what it needs of it")]
mod verdict;

use bench::Setup;
use libfuzzer_sys::fuzz_target;
use verdict::{End, LIMIT, Seen, ours, theirs};
use wsgate::stage::{Fate, Message, MessageInspector, Refusal, Side};

struct Reader;

impl MessageInspector for Reader {
    fn message(&mut self, _: Side, _: &Message<'_>) -> Result<Fate, Box<Refusal>> {
        Ok(Fate::Pass)
    }
}

fuzz_target!(|input: &[u8]| {
    let [first, second, bytes @ ..] = input else { return };
    let (up, down) = bytes.split_at(bytes.len() * usize::from(*first) / 255);
    let setup = Setup { max_message: LIMIT as u64, readers: vec![Box::new(Reader)], ..Setup::default() };
    let mut bench = setup.relay();
    let cuts = [usize::from(second & 0x0f) + 1, usize::from(second >> 4) * 16 + 1];
    let mut received = [Vec::new(), Vec::new()];
    let (mut ups, mut downs) = (verdict::parts(up, &cuts), verdict::parts(down, &cuts));
    loop {
        let (up, down) = (ups.next(), downs.next());
        if (up.is_none() && down.is_none()) || bench.ending.is_some() {
            break;
        }
        for (side, part) in [(Side::Client, up), (Side::Upstream, down)] {
            if bench.ending.is_none()
                && let Some(part) = part
            {
                bench.send(side, part);
            }
            // A second for each part, as for `ours`: control frames are counted by it.
            received[0].extend(bench.receive(Side::Upstream));
            received[1].extend(bench.receive(Side::Client));
        }
        bench.now += 10;
    }
    check(Side::Client, up, &cuts, &received[0]);
    check(Side::Upstream, down, &cuts, &received[1]);
});

/// What one side said beside what the other has received.
fn check(from: Side, said: &[u8], cuts: &[usize], received: &[u8]) {
    let (said, _) = ours(from, said, cuts);
    let (heard, end) = theirs(from, received);
    assert!(!matches!(end, End::Refused(_)), "it passes what is to be refused: {heard:?} {end:?}");
    let is_message = |seen: &&Seen| matches!(seen, Seen::Message(_));
    let (said, heard): (Vec<_>, Vec<_>) = (said.iter().filter(is_message).collect(), heard.iter().filter(is_message).collect());
    // The other side may have ended it before all of it was passed on.
    assert_eq!(said.get(..heard.len()), Some(&heard[..]));
}
