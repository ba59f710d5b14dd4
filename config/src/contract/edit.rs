//! Edits of a job: a part of the source, and an image over the video.

use serde::{Deserialize, Serialize};

/// The edits of a job. A specification with an edit has the schema [`super::SPEC_WITH_EDIT`]: a reader that does not
/// know edits must not transcode the source without them (S15).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The part of the source that is used; none uses all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<Clip>,
    /// An image over the video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<Overlay>,
}

/// A part of the source, in milliseconds from its beginning. Both ends are moved to the nearest frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Clip {
    #[serde(default)]
    pub start_ms: u64,
    /// Where it ends; the end itself is excluded. None, and anything beyond the source, is the source's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<u64>,
}

/// A PNG, JPEG or WebP image, and its placement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Overlay {
    pub bucket: String,
    pub key: String,
    /// Version, where the bucket keeps versions; none takes the newest at the time of each attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// Where and how.
    #[serde(default)]
    pub place: Placement,
}

/// The placement of an overlay. Percentages are of the width of the video as it is displayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Placement {
    /// Which corner, or the middle.
    pub position: Position,
    /// Width of the overlay, 1–100. Its height follows; one that would be too high is made smaller as a whole.
    pub width_percent: u32,
    /// Distance from the edges, 0–40.
    pub margin_percent: u32,
    /// Its opacity, 1–100.
    pub opacity_percent: u32,
}

impl Default for Placement {
    fn default() -> Self {
        Self { position: Position::BottomRight, width_percent: 15, margin_percent: 3, opacity_percent: 100 }
    }
}

/// Where in the video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// Left upper corner.
    TopLeft,
    /// Right upper corner.
    TopRight,
    /// Left lower corner.
    BottomLeft,
    /// Right lower corner.
    BottomRight,
    /// The middle.
    Center,
}

impl Edit {
    /// Whether there is no edit.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Checks the numbers. The error names the key.
    pub fn check(&self) -> Result<(), String> {
        if let Some(Clip { start_ms, end_ms: Some(end_ms) }) = self.clip
            && end_ms <= start_ms
        {
            return Err(format!("clip.end_ms: {end_ms} is not after clip.start_ms, {start_ms}"));
        }
        let Some(Overlay { bucket, key, place, .. }) = &self.overlay else { return Ok(()) };
        if bucket.is_empty() || bucket.len() > 63 || key.is_empty() || key.len() > 1024 {
            return Err("overlay: bucket or key is empty or longer than S3 allows".into());
        }
        let within = |name: &str, value: u32, from: u32, to: u32| {
            let wrong = || format!("overlay.place.{name}: {value} is not between {from} and {to}");
            (from..=to).contains(&value).then_some(()).ok_or_else(wrong)
        };
        within("width_percent", place.width_percent, 1, 100)?;
        within("margin_percent", place.margin_percent, 0, 40)?;
        within("opacity_percent", place.opacity_percent, 1, 100)?;
        if place.width_percent + 2 * place.margin_percent > 100 {
            return Err("overlay.place: its width and both margins are more than 100 percent".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_make_no_sense_are_refused_by_name() {
        let place = |text: &str| format!(r#"{{"overlay":{{"bucket":"b","key":"k","place":{{{text}}}}}}}"#);
        for (text, key) in [
            (r#"{"clip":{"start_ms":5,"end_ms":5}}"#.to_owned(), "clip.end_ms"),
            (r#"{"overlay":{"bucket":"","key":"k"}}"#.to_owned(), "bucket"),
            (place(r#""width_percent":0"#), "width_percent"),
            (place(r#""margin_percent":41"#), "margin_percent"),
            (place(r#""opacity_percent":101"#), "opacity_percent"),
            (place(r#""width_percent":90,"margin_percent":6"#), "more than 100"),
        ] {
            let edit: Edit = serde_json::from_str(&text).unwrap();
            let problem = edit.check().unwrap_err();
            assert!(problem.contains(key), "{text}: {problem}");
        }
        let edit: Edit = serde_json::from_str(&place("")).unwrap();
        assert_eq!(edit.check(), Ok(()));
        assert!(serde_json::from_str::<Edit>(&place(r#""widht_percent":5"#)).is_err(), "misspelt");
    }
}
