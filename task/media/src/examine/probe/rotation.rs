//! The rotation and flips that bring a video upright.
//!
//! ffmpeg can rotate by itself, but only before all other filters, where a change of size in the middle of a file
//! would reach the rotation. So the rotation is read here and applied by the filter graph.

use serde::Serialize;

/// One of the eight orientations of a rectangle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// No change.
    #[default]
    Upright,
    /// A quarter turn clockwise.
    Clockwise,
    /// A half turn.
    Half,
    /// A quarter turn counter-clockwise.
    Counterclockwise,
    /// Left and right exchanged.
    Mirrored,
    /// Top and bottom exchanged.
    Flipped,
    /// Exchanged across the diagonal from the top left.
    Transposed,
    /// Exchanged across the other diagonal.
    Antitransposed,
}

impl Rotation {
    /// Whether width and height are exchanged.
    pub fn swaps_sides(self) -> bool {
        matches!(self, Self::Clockwise | Self::Counterclockwise | Self::Transposed | Self::Antitransposed)
    }

    /// ffmpeg's filters for the rotation, with a comma at the end; empty for an upright video.
    pub fn filters(self) -> &'static str {
        match self {
            Self::Upright => "",
            Self::Clockwise => "transpose=clock,",
            Self::Half => "hflip,vflip,",
            Self::Counterclockwise => "transpose=cclock,",
            Self::Mirrored => "hflip,",
            Self::Flipped => "vflip,",
            Self::Transposed => "transpose=cclock_flip,",
            Self::Antitransposed => "transpose=clock_flip,",
        }
    }

    /// From ffprobe's dump of a display matrix: three rows of an address and three numbers. Angles in between become
    /// the nearest quarter. None if the text is not such a dump.
    pub(super) fn from_matrix(dump: &str) -> Option<Self> {
        let mut rows = dump.lines().filter_map(|line| line.split_once(':')).map(|(_, numbers)| {
            let mut numbers = numbers.split_whitespace().map(|number| number.parse::<i64>().ok());
            Some((numbers.next()??, numbers.next()??))
        });
        let ((a, b), (c, d)) = (rows.next()??, rows.next()??);
        let quarter = b.unsigned_abs() + c.unsigned_abs() > a.unsigned_abs() + d.unsigned_abs();
        Some(match (quarter, a < 0, d < 0, b < 0, c < 0) {
            (false, false, false, ..) => Self::Upright,
            (false, true, true, ..) => Self::Half,
            (false, true, false, ..) => Self::Mirrored,
            (false, false, true, ..) => Self::Flipped,
            (true, _, _, false, true) => Self::Clockwise,
            (true, _, _, true, false) => Self::Counterclockwise,
            (true, _, _, false, false) => Self::Transposed,
            (true, _, _, true, true) => Self::Antitransposed,
        })
    }

    /// From ffprobe's angle, counter-clockwise in degrees.
    pub(super) fn from_angle(degrees: i64) -> Self {
        match (degrees.rem_euclid(360) + 45) % 360 / 90 {
            1 => Self::Counterclockwise,
            2 => Self::Half,
            3 => Self::Clockwise,
            _ => Self::Upright,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rotation;

    #[test]
    fn matrices_and_angles_are_read() {
        let clockwise = "\n00000000:            0       65536           0\n00000001:       -65536           0           0\n\
                         00000002:            0           0  1073741824\n";
        assert_eq!(Rotation::from_matrix(clockwise), Some(Rotation::Clockwise));
        assert_eq!(Rotation::from_matrix("0: -65536 0 0\n1: 0 65536 0\n"), Some(Rotation::Mirrored));
        assert_eq!(
            Rotation::from_matrix("0: 65000 300 0\n1: -300 65000 0\n"),
            Some(Rotation::Upright),
            "half a degree"
        );
        assert_eq!(Rotation::from_matrix("0: x"), None);
        for (angle, rotation) in [
            (0, Rotation::Upright),
            (-90, Rotation::Clockwise),
            (180, Rotation::Half),
            (91, Rotation::Counterclockwise),
        ] {
            assert_eq!(Rotation::from_angle(angle), rotation, "{angle}");
        }
        Rotation::from_angle(i64::MIN);
        Rotation::from_angle(i64::MAX);
    }
}
