use proptest::prelude::*;

use super::*;
use crate::{examine::range::Range, rational::Rational};

/// The rungs of `standard` for a source of 1920x1080.
fn ladder() -> Vec<Rendition> {
    [
        (234, 145, 180, 290),
        (360, 365, 540, 730),
        (540, 2000, 3000, 4000),
        (720, 3000, 4500, 6000),
        (1080, 6000, 9000, 12_000),
    ]
    .into_iter()
    .map(|(short, average, max, buffer)| Rendition {
        name: format!("{short}p"),
        width: short * 16 / 9,
        height: short,
        rate: Rational { num: 25, den: 1 },
        frame_step: 1,
        average_bps: average * 1000,
        max_bps: max * 1000,
        buffer_bits: buffer * 1000,
        codec_profile: "high".into(),
        range: Range::Sdr,
    })
    .collect()
}

/// Averages in kb/s, with peaks a third higher.
fn needs(averages: [u64; 5]) -> Vec<Need> {
    averages.map(|kbps| Need { average_bps: kbps * 1000, peak_bps: kbps * 4000 / 3 }).to_vec()
}

fn made(choices: &[Choice]) -> Vec<&str> {
    choices
        .iter()
        .filter(|choice| choice.verdict == RungDecision::Made)
        .map(|choice| choice.name.as_str())
        .collect()
}

#[test]
fn a_hard_title_keeps_the_ladder_as_it_is() {
    let choices = choose(&ladder(), &needs([600, 1200, 5000, 9000, 20_000]), 1.25);
    assert_eq!(made(&choices), ["234p", "360p", "540p", "720p", "1080p"]);
    for (rung, choice) in ladder().iter().zip(&choices) {
        let (own, given) = (
            (rung.average_bps, rung.max_bps, rung.buffer_bits),
            (choice.average_bps, choice.max_bps, choice.buffer_bits),
        );
        assert_eq!(own, given, "{}", rung.name);
    }
}

#[test]
fn an_easy_title_has_its_rates_moved_down_with_room_for_what_was_not_sampled() {
    let choices = choose(&ladder(), &needs([100, 210, 450, 780, 1500]), 1.25);
    assert_eq!(made(&choices), ["234p", "360p", "540p", "720p", "1080p"]);
    let top = &choices[4];
    assert_eq!((top.average_bps, top.max_bps), (1_650_000, 3_000_000));
    // As long as the heaviest group at twice its rate: 3 s of 2 Mb/s.
    assert_eq!(top.buffer_bits, 6_000_000);
    assert_eq!(choices[0].max_bps, 180_000, "never above the profile's");
}

#[test]
fn rungs_that_end_at_nearly_the_same_rate_are_made_once() {
    let choices = choose(&ladder(), &needs([140, 360, 1000, 1100, 1190]), 1.25);
    assert_eq!(made(&choices), ["234p", "360p", "1080p"], "1000 and 1100 are both near 1190");
    assert_eq!(choices[3].verdict, RungDecision::NearTheNext);
    // Each is held against the next one that is made: no gap of more than the step opens by dropping.
    let choices = choose(&ladder(), &needs([600, 650, 800, 980, 1200]), 1.25);
    assert_eq!(made(&choices), ["234p", "360p", "540p", "1080p"], "600 is capped at 180, 650 at 540");
}

#[test]
fn below_what_everybody_can_play_there_is_nothing() {
    let choices = choose(&ladder(), &needs([8, 15, 30, 60, 110]), 1.25);
    assert_eq!(made(&choices), ["720p", "1080p"], "720p never exceeds the 180 kb/s of the lowest rung");
    assert_eq!(choices[0].verdict, RungDecision::WithinTheLowest);
}

#[test]
fn a_slide_gets_one_rung_and_a_cap_that_its_first_frame_fits_in() {
    let choices = choose(&ladder(), &needs([0, 0, 0, 0, 1]), 1.25);
    assert_eq!(made(&choices), ["1080p"]);
    assert_eq!((choices[4].max_bps, choices[4].average_bps), (32_000, 1100));
}

#[test]
fn two_rungs_of_one_size_that_do_not_reach_their_caps_are_one() {
    let mut rungs = ladder();
    rungs[3] = Rendition { name: "1080p-4000k".into(), width: 1920, height: 1080, ..rungs[3].clone() };
    let choices = choose(&rungs, &needs([140, 500, 1500, 4000, 4000]), 1.25);
    assert_eq!(made(&choices), ["234p", "360p", "540p", "1080p"]);
}

#[test]
fn samples_lie_in_the_middle_of_equal_parts_and_are_few_in_short_sources() {
    assert_eq!(starts(80.0, 4.0, 4), [8.0, 28.0, 48.0, 68.0]);
    assert_eq!(starts(20.0, 4.0, 4), [8.0]);
    assert_eq!(starts(3.0, 3.0, 4), [0.0]);
    assert_eq!(starts(43_200.0, 4.0, 2).len(), 2);
}

proptest! {
    #[test]
    fn nothing_is_raised_and_the_top_is_made(
        averages in proptest::array::uniform5(0u64..30_000), step in 1.0f64..3.0,
    ) {
        let rungs = ladder();
        let choices = choose(&rungs, &needs(averages), step);
        prop_assert_eq!(choices.last().map(|choice| choice.verdict), Some(RungDecision::Made));
        let mut kept = rungs.clone();
        apply(&mut kept, &choices);
        let rates = |choice: &Choice| (choice.name.clone(), choice.average_bps, choice.max_bps, choice.buffer_bits);
        let wanted: Vec<_> = choices.iter().filter(|choice| choice.verdict == RungDecision::Made).map(rates).collect();
        let got: Vec<_> =
            kept.into_iter().map(|rung| (rung.name, rung.average_bps, rung.max_bps, rung.buffer_bits)).collect();
        prop_assert_eq!(got, wanted);
        for (rung, choice) in rungs.iter().zip(&choices) {
            prop_assert!(choice.average_bps <= rung.average_bps && choice.max_bps <= rung.max_bps);
            prop_assert!(choice.average_bps <= choice.max_bps && choice.buffer_bits <= rung.buffer_bits);
            prop_assert!(choice.buffer_bits >= choice.max_bps / 2);
        }
    }

    #[test]
    fn samples_lie_inside_of_the_source(seconds in 0.04f64..50_000.0, length in 0.04f64..10.0, most in 1u32..10) {
        let length = length.min(seconds);
        let all = starts(seconds, length, most);
        prop_assert!(!all.is_empty() && all.len() <= most as usize);
        prop_assert!(all.iter().all(|&at| at >= 0.0 && at + length <= seconds + 1e-6));
    }
}
