//! Warnings: stable words for what a viewer of a package could miss, although the job succeeded.

use std::fmt;

/// A stable word at the beginning of a line in `result.warnings` of `metadata.json`; the figures of this source follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the table below gives the meanings")]
pub enum Warning {
    LeftOut,
    BeginsLate,
    Joined,
    ClockJumps,
    FormatChanges,
    Damaged,
    ShorterThanDeclared,
    SizeOff,
    StandsStill,
    Scrambled,
    Channels,
    Alpha,
    Colours,
    Cropped,
    Stereo3d,
    Chapters,
    CaptionsDropped,
    ShapeChanges,
    Speed,
}

impl Warning {
    /// All of them, in the order of the documents.
    pub const ALL: &'static [Self] = &[
        Self::LeftOut,
        Self::BeginsLate,
        Self::Joined,
        Self::ClockJumps,
        Self::FormatChanges,
        Self::Damaged,
        Self::ShorterThanDeclared,
        Self::SizeOff,
        Self::StandsStill,
        Self::Scrambled,
        Self::Channels,
        Self::Alpha,
        Self::Colours,
        Self::Cropped,
        Self::Stereo3d,
        Self::Chapters,
        Self::CaptionsDropped,
        Self::ShapeChanges,
        Self::Speed,
    ];

    /// The word.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// What it means.
    pub const fn meaning(self) -> &'static str {
        self.row().1
    }

    #[rustfmt::skip]
    const fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::LeftOut => ("left_out", "A stream of the source is not in the package; the line says why."),
            Self::BeginsLate => ("begins_late", "A stream begins so late in the file that it was not found in time, and is left out."),
            Self::Joined => ("joined", "A track of a transport stream goes on under another number (PID); both parts are one track."),
            Self::ClockJumps => ("clock_jumps", "The clock of the file jumps; the parts are played one behind the other."),
            Self::FormatChanges => ("format_changes", "The sample rate or the channels of an audio track change; the track is converted to one format."),
            Self::Damaged => ("damaged", "Packets or frames of a stream are damaged; the line counts them."),
            Self::ShorterThanDeclared => ("shorter_than_declared", "A stream is shorter than its header says, though the file is whole."),
            Self::SizeOff => ("size_off", "A length in the file is a few bytes larger than the file: a writer's mistake."),
            Self::StandsStill => ("stands_still", "The source has no frames for a long time; the last one stays."),
            Self::Scrambled => ("scrambled", "A small part of a stream is scrambled and cannot be read."),
            Self::Channels => ("channels", "The channels of an audio track belong to no loudspeakers; they are mixed evenly."),
            Self::Alpha => ("alpha", "The video can be transparent; it is shown over black or, where the line says so, as if nothing were transparent."),
            Self::Colours => ("colours", "The colours are in a form that cannot be converted; the line says what they are taken for."),
            Self::Cropped => ("cropped", "The file asks players to cut off the edges of the frames; the rest is encoded."),
            Self::Stereo3d => ("stereo_3d", "The frames hold two views, for both eyes; they are shown as they are."),
            Self::Chapters => ("chapters", "The source has chapters; `metadata.json` lists them, and players do not show them."),
            Self::CaptionsDropped => ("captions_dropped", "Captions inside the video stream cannot be read, or are CEA-708 alone."),
            Self::ShapeChanges => ("shape_changes", "The shape of the picture (4:3, 16:9) changes; all of it is shown in the shape that most of it has."),
            Self::Speed => ("speed", "The file asks players to play a part at another speed (slow motion); it is played at its own."),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
