//! Reads from a Matroska file which edges of the frames players are asked to cut off (RFC 9559, 5.1.4.1.28.9 to 12).
//!
//! ffmpeg before 7.1 ignores them; newer versions report them and cut by themselves.

use std::io::{self, Read};

use serde::Serialize;

use super::ending::{Length, vint};

/// Bytes in which the descriptions of the tracks are searched.
const HEAD: u64 = 1 << 20;

/// Pixels to cut off, as coded and before rotation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Crop {
    pub left: u32,
    pub right: u32,
    pub top: u32,
    pub bottom: u32,
    /// Whether the file gives the shape of what is left, and not that of the whole frame.
    #[serde(skip)]
    pub shaped: bool,
    /// Whether ffmpeg cuts them off by itself.
    #[serde(skip)]
    pub done: bool,
}

impl Crop {
    /// Whether anything is cut off.
    pub fn any(self) -> bool {
        [self.left, self.right, self.top, self.bottom].iter().any(|edge| *edge > 0)
    }

    /// The size that is left; none if nothing is.
    pub fn left_of(self, width: u32, height: u32) -> Option<(u32, u32)> {
        let width = width.checked_sub(self.left.checked_add(self.right)?)?;
        let height = height.checked_sub(self.top.checked_add(self.bottom)?)?;
        (width > 0 && height > 0).then_some((width, height))
    }
}

/// The crop of each track, in the file's order, which is that of ffmpeg's streams; empty for files of other kinds.
pub fn read(file: impl Read) -> io::Result<Vec<Crop>> {
    let mut head = Vec::new();
    file.take(HEAD).read_to_end(&mut head)?;
    let Some(b"\x1a\x45\xdf\xa3") = head.first_chunk::<4>() else { return Ok(Vec::new()) };
    Ok(tracks(&head).iter().map(|track| if track.video { track.crop } else { Crop::default() }).collect())
}

#[derive(Debug, Default)]
struct Track {
    video: bool,
    crop: Crop,
}

/// Elements that hold others, and lie around the crop: segment, tracks, track entry, video.
const AROUND: [u32; 4] = [0x1853_8067, 0x1654_ae6b, 0xae, 0xe0];

fn tracks(mut bytes: &[u8]) -> Vec<Track> {
    let mut tracks = Vec::new();
    // Elements that hold others are entered, so that one loop reads them all. Nothing behind the first cluster counts.
    while let Some((id, length)) = element(&mut bytes) {
        if id == 0x1f43_b675 {
            break;
        }
        if id == 0xae {
            tracks.push(Track::default());
        }
        if AROUND.contains(&id) {
            continue;
        }
        let Some((body, rest)) =
            usize::try_from(length).ok().and_then(|length| bytes.split_at_checked(length))
        else {
            break;
        };
        bytes = rest;
        let value = body.iter().take(4).fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
        let Some(track) = tracks.last_mut() else { continue };
        match id {
            0x83 => track.video = value == 1,
            0x54aa => track.crop.bottom = value,
            0x54bb => track.crop.top = value,
            0x54cc => track.crop.left = value,
            0x54dd => track.crop.right = value,
            0x54b0 => track.crop.shaped = true,
            _ => {}
        }
    }
    tracks
}

/// The number and the length of the element that begins here.
fn element(bytes: &mut &[u8]) -> Option<(u32, u64)> {
    let width = usize::try_from(bytes.first()?.leading_zeros()).ok()? + 1;
    let (id, rest) = bytes.split_at_checked(width).filter(|_| width <= 4)?;
    *bytes = rest;
    let id = id.iter().fold(0_u32, |id, byte| id << 8 | u32::from(*byte));
    match vint(bytes)? {
        Length::Known(length) => Some((id, length)),
        Length::Unknown => Some((id, u64::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_leaves_something_is_cut_off() {
        let crop = |left, right| Crop { left, right, ..Crop::default() };
        assert_eq!(crop(40, 40).left_of(320, 180), Some((240, 180)));
        assert_eq!(crop(160, 160).left_of(320, 180), None);
        assert_eq!(crop(u32::MAX, 2).left_of(320, 180), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            read(&bytes[..]).unwrap();
            let tracks = [b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff\x16\x54\xae\x6b\xff\xae\xff\xe0\xff", &bytes[..]].concat();
            for crop in read(&tracks[..]).unwrap() {
                crop.left_of(320, 180);
            }
        }
    }
}
