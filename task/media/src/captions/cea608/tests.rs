//! Captions as encoders send them.

use proptest::prelude::*;

use super::*;

const RCL: [u8; 2] = [0x14, 0x20];
const RU2: [u8; 2] = [0x14, 0x25];
const RDC: [u8; 2] = [0x14, 0x29];
const EDM: [u8; 2] = [0x14, 0x2c];
const CR: [u8; 2] = [0x14, 0x2d];
const ENM: [u8; 2] = [0x14, 0x2e];
const EOC: [u8; 2] = [0x14, 0x2f];
/// The last row, and the one above it.
const ROW_15: [u8; 2] = [0x14, 0x70];
const ROW_14: [u8; 2] = [0x14, 0x50];

/// A pair in each frame of 40 ms; control codes twice, as the standard asks.
#[derive(Default)]
struct Sender {
    decoder: Decoder,
    frame: u64,
}

impl Sender {
    fn send(&mut self, field: Field, pair: [u8; 2]) {
        let parity = pair.map(|byte| byte | if byte.count_ones() % 2 == 0 { 0x80 } else { 0 });
        self.decoder.pair(field, parity, self.frame * 40);
        self.frame += 1;
    }

    fn codes(&mut self, codes: &[[u8; 2]]) -> &mut Self {
        for &code in codes {
            self.send(Field::One, code);
            self.send(Field::One, code);
        }
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        for pair in text.as_bytes().chunks(2) {
            self.send(Field::One, [pair[0], pair.get(1).copied().unwrap_or(0)]);
        }
        self
    }

    fn at(&mut self, frame: u64) -> &mut Self {
        assert!(frame >= self.frame, "frame {} is over", self.frame);
        self.frame = frame;
        self
    }

    fn cues(&mut self, end: u64) -> Vec<(u64, u64, String)> {
        let channels = std::mem::take(&mut self.decoder).finish(end);
        assert!(channels.iter().all(|(name, _)| *name == "CC1"), "{channels:?}");
        let cues = channels.into_iter().flat_map(|(_, cues)| cues);
        cues.map(|cue| (cue.start, cue.end, cue.text)).collect()
    }
}

fn cue(start: u64, end: u64, text: &str) -> (u64, u64, String) {
    (start, end, text.into())
}

#[test]
fn prepared_captions_are_there_from_their_end_code_to_the_next_or_the_erasure() {
    let mut sender = Sender::default();
    sender.codes(&[RCL, ENM, ROW_14]).text("Hello").codes(&[ROW_15]).text("& <you>").at(25).codes(&[EOC]);
    sender.codes(&[RCL, ENM, ROW_15]).text("Next").at(50).codes(&[EOC]).at(75).codes(&[EDM]);
    assert_eq!(sender.cues(9000), [cue(1000, 2000, "Hello\n&amp; &lt;you&gt;"), cue(2000, 3000, "Next")]);
}

#[test]
fn lines_that_roll_are_whole_and_the_last_one_stays_to_the_end() {
    let mut sender = Sender::default();
    sender.codes(&[RU2, CR, ROW_15]).text("one").at(25).codes(&[RU2, CR, ROW_15]).text("two");
    // A line that waits a second above an empty one is seen alone.
    sender.at(50).codes(&[RU2, CR]).at(75).codes(&[ROW_15]).text("three");
    assert_eq!(
        sender.cues(5000),
        [
            cue(240, 1080, "one"),
            cue(1080, 2080, "one\ntwo"),
            cue(2080, 3080, "two"),
            cue(3080, 5000, "two\nthree"),
        ]
    );
}

#[test]
fn captions_painted_on_begin_with_their_first_letters() {
    let mut sender = Sender::default();
    sender.codes(&[RDC, ROW_14]).at(10).text("slow").at(50).codes(&[RDC, ROW_15]).text("ly");
    sender.at(75).codes(&[EDM]);
    assert_eq!(sender.cues(9000), [cue(400, 2000, "slow"), cue(2000, 3000, "slow\nly")]);
}

#[test]
fn accents_replace_letters_corrections_hold_and_damage_is_left_out() {
    let mut sender = Sender::default();
    // É behind the E that old decoders show; a wrong letter taken back; ♪.
    sender.codes(&[RCL, ENM, ROW_15]).text("E").codes(&[[0x12, 0x21]]).text("tx").codes(&[[0x14, 0x21]]);
    sender.text("e ").codes(&[[0x11, 0x37]]);
    sender.decoder.pair(Field::One, [0x41, 0x41], 900);
    sender.at(25).codes(&[EOC]);
    assert_eq!(sender.cues(2000), [cue(1000, 2000, "Éte ♪")]);
}

#[test]
fn a_channel_that_talks_without_end_takes_bounded_memory() {
    let mut sender = Sender::default();
    for number in 0..60_000 {
        sender.codes(&[RCL, ENM, ROW_15]).text(&format!("{number:032}")).codes(&[EOC]);
    }
    let channels = std::mem::take(&mut sender.decoder).finish(sender.frame * 40);
    let cost: usize = channels.iter().flat_map(|(_, cues)| cues).map(Cue::cost).sum();
    assert!((4 << 20..(4 << 20) + 400).contains(&cost), "{cost}");
}

#[test]
fn channels_are_told_apart_and_data_and_text_pages_are_no_captions() {
    let mut sender = Sender::default();
    sender.codes(&[RU2, CR, ROW_15]).text("one");
    // CC2, a page of text on T1, data on the programme and CC3 in the other field.
    sender.codes(&[[0x1c, 0x25], [0x1c, 0x2d], [0x1c, 0x70]]).text("two").codes(&[[0x14, 0x2b]]).text("page");
    for pair in
        [[0x15, 0x25], [0x15, 0x2d], [0x15, 0x70], *b"th", [1, 3], *b"xy", [0x0f, 0x41], *b"re", *b"e\0"]
    {
        sender.send(Field::Two, pair);
    }
    let texts = sender.decoder.finish(5000);
    let texts: Vec<_> = texts.iter().map(|(channel, cues)| (*channel, cues[0].text.as_str())).collect();
    assert_eq!(texts, [("CC1", "one"), ("CC2", "two"), ("CC3", "three")]);
}

proptest! {
    #[test]
    fn no_pairs_make_it_panic_and_cues_follow_each_other(pairs in proptest::collection::vec(any::<(bool, [u8; 2], u8)>(), 0..200)) {
        let (mut decoder, mut at) = (Decoder::default(), 0);
        for (first, pair, later) in pairs {
            at += u64::from(later);
            let parity = pair.map(|byte| (byte & 0x7f) | if (byte & 0x7f).count_ones() % 2 == 0 { 0x80 } else { 0 });
            decoder.pair(if first { Field::One } else { Field::Two }, parity, at);
        }
        for (_, cues) in decoder.finish(at + 100) {
            prop_assert!(cues.iter().all(|cue| cue.start < cue.end && !cue.text.contains("-->")));
            prop_assert!(cues.is_sorted_by(|one, next| one.end <= next.start));
        }
    }
}
