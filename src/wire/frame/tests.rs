use super::*;

const LIMIT: u64 = 1000;

/// What the cursor makes of whole frames: their heads and payloads passed, or the rule they break.
fn read(from: Side, compression: bool, mut bytes: &[u8]) -> Result<Cursor, Violation> {
    let mut cursor = Cursor::new(from, LIMIT, compression);
    loop {
        let size = match cursor.next(bytes, Tick::default())? {
            Step::Need => break,
            Step::Head { head, size, .. } => {
                cursor.enter(&head);
                size
            }
            Step::Payload(count) => count,
            Step::Control(frame) => frame.size,
        };
        bytes = &bytes[size..];
    }
    Ok(cursor)
}

#[test]
fn a_backends_frames_are_judged_by_the_table() {
    use Violation::*;
    let frames: &[(&str, &[u8], Option<Violation>)] = &[
        ("an empty text", b"\x81\x00", None),
        ("a binary of two fragments", b"\x02\x01a\x80\x01b", None),
        ("a ping between fragments", b"\x02\x01a\x89\x01p\x80\x01b", None),
        ("masked", b"\x81\x80....", Some(Masked)),
        ("RSV1 on a message", b"\xc1\x00", Some(ReservedBit)),
        ("RSV2", b"\xa1\x00", Some(ReservedBit)),
        ("RSV3", b"\x91\x00", Some(ReservedBit)),
        ("RSV1 on a ping", b"\xc9\x00", Some(ReservedBit)),
        ("opcode 3", b"\x83\x00", Some(ReservedOpcode)),
        ("opcode 7", b"\x87\x00", Some(ReservedOpcode)),
        ("opcode 11", b"\x8b\x00", Some(ReservedOpcode)),
        ("opcode 15", b"\x8f\x00", Some(ReservedOpcode)),
        ("a fragment of a ping", b"\x09\x00", Some(FragmentedControl)),
        ("a ping of 126 bytes", b"\x89\x7e\x00\x7e", Some(LongControl)),
        ("a continuation of nothing", b"\x80\x00", Some(NothingToContinue)),
        ("a continuation of a whole message", b"\x81\x00\x80\x00", Some(NothingToContinue)),
        ("a message in a message", b"\x01\x00\x81\x00", Some(MessageInMessage)),
        ("125 in 16 bits", b"\x82\x7e\x00\x7d", Some(LengthNotMinimal)),
        ("126 in 16 bits", b"\x82\x7e\x00\x7e", None),
        ("126 in 64 bits", b"\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x7e", Some(LengthNotMinimal)),
        ("a length of 64 bits", b"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", Some(LengthOver63Bits)),
        ("the longest message", b"\x82\x7e\x03\xe8", None),
        ("a longer one", b"\x82\x7e\x03\xe9", Some(MessageTooLarge)),
        ("an endless one", b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", Some(MessageTooLarge)),
        ("a longer one in fragments", b"\x02\x01a\x80\x7e\x03\xe8", Some(MessageTooLarge)),
        ("an empty Close", b"\x88\x00", None),
        ("a Close of one byte", b"\x88\x01\x03", Some(CloseCut)),
        ("Close 1005", b"\x88\x02\x03\xed", Some(CloseCode)),
        ("Close 1014", b"\x88\x02\x03\xf6", None),
        ("a Close with a bad reason", b"\x88\x03\x03\xe8\xff", Some(CloseReason)),
    ];
    for (name, bytes, broken) in frames {
        assert_eq!(read(Side::Upstream, false, bytes).err(), *broken, "{name}");
    }
}

#[test]
fn a_clients_frames_are_masked() {
    assert_eq!(read(Side::Client, false, b"\x81\x00").err(), Some(Violation::NotMasked));
    assert!(read(Side::Client, false, b"\x81\x80....").is_ok());
    // 1000, masked with "wsgt": the code is judged behind the mask.
    assert!(read(Side::Client, false, &[0x88, 0x82, b'w', b's', b'g', b't', 0x03 ^ b'w', 0xe8 ^ b's']).is_ok());
}

#[test]
fn a_negotiated_bit_stands_on_the_first_frame_of_a_message_only() {
    for (bytes, broken) in [
        (&b"\xc1\x00"[..], None),
        (b"\x41\x00\x80\x00", None),
        (b"\x01\x00\xc0\x00", Some(Violation::ReservedBit)),
        (b"\xc9\x00", Some(Violation::ReservedBit)),
        (b"\xe1\x00", Some(Violation::ReservedBit)),
    ] {
        assert_eq!(read(Side::Upstream, true, bytes).err(), broken, "{bytes:x?}");
    }
}

#[test]
fn a_head_says_where_its_message_stands() {
    let mut cursor = Cursor::new(Side::Upstream, LIMIT, true);
    let mut head = |bytes: &[u8]| match cursor.next(bytes, Tick::default()) {
        Ok(Step::Head { head, .. }) => {
            cursor.enter(&head);
            assert_eq!(cursor.pass(usize::MAX), Some(3));
            head
        }
        other => panic!("{other:?}"),
    };
    let first = head(b"\x41\x03");
    let expected =
        FrameHead { opcode: Opcode::Text, is_final: false, is_compressed: true, starts_message: true, length: 3, message_length: 3 };
    assert_eq!(first, expected);
    let last = head(b"\x80\x03");
    assert_eq!(last, FrameHead { opcode: Opcode::Continuation, is_final: true, starts_message: false, message_length: 6, ..expected });
}

#[test]
fn a_frame_that_is_not_entered_has_not_begun() {
    let mut cursor = Cursor::new(Side::Upstream, LIMIT, false);
    for _ in 0..2 {
        assert!(matches!(cursor.next(b"\x01\x05hello", Tick::default()), Ok(Step::Head { size: 2, .. })));
        assert_eq!((cursor.open(), cursor.in_message()), (0, false));
    }
}

#[test]
fn a_control_frame_is_given_whole_and_unmasked() {
    let frame = b"\x89\x83wsgt\x07\x1a\x09";
    let mut cursor = Cursor::new(Side::Client, LIMIT, false);
    for cut in 0..frame.len() {
        assert!(matches!(cursor.next(&frame[..cut], Tick::default()), Ok(Step::Need)), "{cut} bytes");
    }
    let Ok(Step::Control(ping)) = cursor.next(frame, Tick::default()) else { panic!("it is whole") };
    assert_eq!((ping.opcode, ping.size, ping.payload()), (Opcode::Ping, frame.len(), &b"pin"[..]));
}

#[test]
fn control_frames_are_refused_beyond_200_within_a_second() {
    let mut cursor = Cursor::new(Side::Upstream, LIMIT, false);
    let mut ping = |tick| cursor.next(b"\x89\x00", Tick::new(tick)).err();
    for count in 0..200 {
        assert_eq!(ping(50 + count % 10), None);
    }
    assert_eq!(ping(59), Some(Violation::ControlFlood));
    assert_eq!(ping(60), None);
}
