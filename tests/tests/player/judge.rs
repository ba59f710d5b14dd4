//! Judges the players' reports.

use serde_json::Value;

use super::{FRAME, RATE, SECONDS};

/// How far audio may be from its video (design: 20 ms).
pub(crate) const IN_STEP: f64 = 0.020;

pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn near(what: &str, measured: f64, wanted: f64, tolerance: f64) {
    assert!((measured - wanted).abs() <= tolerance, "{what}: {measured}, not {wanted}");
}

/// Checks of every package: it begins at 0, audio is in step, no errors, it plays to its end.
pub(crate) fn judge(player: &str, seen: &Value, kinds: &[&str]) {
    let (start, play) = (&seen["start"], &seen["play"]);
    near(&format!("{player}: begins"), number(&start["time"]), 0.0, 0.0);
    near(&format!("{player}: duration"), number(&start["duration"]), SECONDS, FRAME);
    for kind in kinds {
        let held = list(&start["buffered"][kind]);
        assert_eq!(held.len(), 1, "{player}: {kind} in one piece, {held:?}");
        near(&format!("{player}: {kind} begins"), number(&held[0][0]), 0.0, IN_STEP / 2.0);
        near(&format!("{player}: {kind} ends"), number(&held[0][1]), SECONDS, 0.05);
    }
    assert!(list(&start["offsets"]).iter().all(|offset| offset == 0), "{player} moves a track: {start}");
    let audio = number(&start["buffered"]["audio"][0][0]) + number(&start["beep"]["start"]);
    near(&format!("{player}: the beep"), audio, 1.0, IN_STEP);
    for said in ["problems", "/start/errors", "/play/errors"] {
        let said = if said.starts_with('/') { seen.pointer(said).unwrap() } else { &seen[said] };
        assert!(list(said).is_empty(), "{player}: {said}");
    }
    near(&format!("{player}: ends"), number(&play["time"]), number(&play["duration"]), FRAME);
}

/// Checks of a package with video: the right frames, in each rung, nearly all of them shown.
pub(crate) fn judge_video(player: &str, seen: &Value, sizes: [(u32, u32); 2]) {
    let first = &seen["start"]["frame"];
    near(&format!("{player}: the first frame"), number(&first["time"]), 0.0, 0.001);
    assert_eq!(first["number"], 0, "{player}: {first}");
    let mut rungs = Vec::new();
    for level in list(&seen["levels"]) {
        let frame = &level["frame"];
        // Sought in the middle between two frames.
        let due = (number(&level["wanted"]) * RATE).floor();
        near(&format!("{player}: sought {}, frame", level["wanted"]), number(&frame["number"]), due, 0.0);
        near(&format!("{player}: its time"), number(&frame["time"]) * RATE, due, 0.01);
        rungs.push((number(&frame["width"]), number(&frame["height"])));
    }
    rungs.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert_eq!(rungs, sizes.map(|(width, height)| (width.into(), height.into())), "{player}: rungs");
    let play = &seen["play"];
    near(&format!("{player}: the last frame"), number(&play["last"]["number"]), SECONDS * RATE - 1.0, 0.0);
    // A busy machine may drop some; a storm is most of them.
    assert!(number(&play["dropped"]) * 2.0 < number(&play["frames"]), "{player}: dropped {play}");
}

pub(crate) fn judge_storyboard(player: &str, seen: &Value) {
    let board = &seen["storyboard"];
    let cues = list(&board["cues"]);
    near(&format!("{player}: storyboard ends"), number(&cues[cues.len() - 1]["end"]), SECONDS, FRAME);
    let mut clock = 0.0;
    for cue in cues {
        near(&format!("{player}: {cue} follows"), number(&cue["start"]), clock, 0.001);
        clock = number(&cue["end"]);
        let [x, y, width, height] = [0, 1, 2, 3].map(|at| number(&cue["area"][at]));
        let inside = x + width <= number(&board["width"]) && y + height <= number(&board["height"]);
        assert!(inside && width > 0.0 && height > 0.0, "{player}: {cue} lies outside {board}");
    }
}

/// The MP4 beside the streams, without any player.
pub(crate) fn judge_file(seen: &Value) {
    let file = &seen["file"];
    near("the file's duration", number(&file["duration"]), SECONDS, FRAME);
    assert_eq!(file["first"]["number"], 0, "{file}");
    near(
        "the file's middle",
        number(&file["middle"]["number"]),
        (number(&file["wanted"]) * RATE).floor(),
        0.0,
    );
    near("the file's last frame", number(&file["last"]["number"]), SECONDS * RATE - 1.0, 0.0);
    assert_eq!(file["first"]["width"], 256, "the rung that was asked for: {file}");
    near("the file's beep", number(&file["beep"]["start"]), 1.0, IN_STEP);
}
