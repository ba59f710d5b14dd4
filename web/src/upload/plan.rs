//! How a file is cut into parts.

use serde::{Deserialize, Serialize};

use crate::WebError;

/// Most parts of an upload (S3).
pub const MAX_PARTS: u32 = 10_000;

/// Largest file, in bytes.
const MAX_BYTES: u64 = 5 << 40;

/// Size of the parts of files up to 48 GiB, in bytes: the smallest that S3 takes, because a cut line costs what was on
/// its way of a part.
const USUAL_PART: u64 = 5 << 20;

/// Parts of large files are a multiple of this, in bytes.
const STEP: u64 = 1 << 20;

/// A file of a known size in parts of one size; the last may be shorter.
///
/// The same size always gives the same plan, so that whoever goes on with an upload cuts at the same places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartPlan {
    size: u64,
    part: u64,
}

/// A part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Part {
    /// From 1.
    pub number: u32,
    /// Where in the file it begins, in bytes.
    pub offset: u64,
    /// Its size in bytes.
    pub length: u64,
}

impl PartPlan {
    /// The plan for a file of `size` bytes.
    pub fn of(size: u64) -> Result<Self, WebError> {
        if !(1..=MAX_BYTES).contains(&size) {
            return Err(WebError::refused(format!("a file has 1–{MAX_BYTES} bytes, not {size}")));
        }
        let least = size.div_ceil(u64::from(MAX_PARTS)).next_multiple_of(STEP);
        Ok(Self { size, part: least.max(USUAL_PART) })
    }

    /// Size of the file, in bytes.
    pub fn size(self) -> u64 {
        self.size
    }

    /// Size of each part but the last, in bytes.
    pub fn part_bytes(self) -> u64 {
        self.part
    }

    /// Number of parts: 1 to [`MAX_PARTS`].
    pub fn parts(self) -> u32 {
        u32::try_from(self.size.div_ceil(self.part)).unwrap_or(MAX_PARTS)
    }

    /// The part of this number; none outside of the file.
    pub fn part(self, number: u32) -> Option<Part> {
        let offset = u64::from(number.checked_sub(1)?) * self.part;
        let length = self.size.checked_sub(offset).filter(|left| *left > 0)?.min(self.part);
        Some(Part { number, offset, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Smallest part but the last, and largest (S3), in bytes.
    const MIN_PART: u64 = 5 << 20;
    const MAX_PART: u64 = 5 << 30;

    #[test]
    fn parts_cover_every_file_once_within_the_limits_of_s3() {
        for size in [1, MIN_PART, MIN_PART + 1, 50_000 << 20, (50_000 << 20) + 1, MAX_BYTES] {
            let plan = PartPlan::of(size).unwrap();
            let all: Vec<_> = (1..=plan.parts()).filter_map(|number| plan.part(number)).collect();
            assert_eq!(all.len(), plan.parts() as usize, "{size}");
            assert!(plan.parts() <= MAX_PARTS, "{size}: {} parts", plan.parts());
            let mut end = 0;
            for part in &all {
                assert_eq!(part.offset, end, "{size}: {part:?}");
                end += part.length;
                let last = part.number == plan.parts();
                assert!(part.length <= MAX_PART && (last || part.length >= MIN_PART), "{size}: {part:?}");
            }
            assert_eq!(end, size);
            assert_eq!((plan.part(0), plan.part(plan.parts() + 1)), (None, None));
        }
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        assert!(PartPlan::of(0).is_err() && PartPlan::of(MAX_BYTES + 1).is_err());
    }
}
