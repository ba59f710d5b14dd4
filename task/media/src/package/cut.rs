//! Cuts the encoder's files into segments while they are written.
//!
//! The encoder writes one growing file for each rendition, or one for each chunk of it. Its fragments become the
//! published segments: for video some groups of pictures, each in a `moof` of its own so that I-frame playlists can
//! point to them (rule 6.10); for audio one `moof` with the AAC frames nearest to the same times. The header is
//! published with the first fragment, whose times determine the edit list that brings the first frame to 0.

use std::{collections::VecDeque, fs::File, io, path::PathBuf};

use transcode_config::contract::{Failure, FailureCode};

use super::{
    folder::Folder,
    fragment::{self, BoxReader, Init, ParsedFragment},
    header,
    track::{Fragment, INIT, Segment, Track},
};
use crate::{plan::AAC_FRAME, rational::float};

/// Audio seldom ends where the video does, but a frame or two later. Up to this many AAC frames join the last
/// segment, because a player requests each segment, and some fail on one of 10 ms.
pub const REST_FRAMES: u32 = 2;

/// Where segments end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cut {
    /// After so many groups of pictures.
    Groups(u32),
    /// At the audio frames nearest to the multiples of so many seconds.
    Seconds(f64),
}

impl Cut {
    /// A rest of at most this many fragments is no segment of its own: it joins the one before.
    fn shortest(self) -> usize {
        match self {
            Self::Groups(_) => 0,
            Self::Seconds(_) => REST_FRAMES as usize,
        }
    }
}

/// Cuts growing files that follow one another and together make one track.
#[derive(Debug)]
pub struct Cutter {
    folder: String,
    cut: Cut,
    /// The file that is read, and those that follow it.
    sources: VecDeque<Source>,
    /// The encoder's first header: the others must be the same.
    encoded: Option<Vec<u8>>,
    /// The header that is published with the first fragment.
    init: Option<Init>,
    waiting: Vec<ParsedFragment>,
    /// How many of those end a segment, once the fragment after them has begun.
    ended: Option<usize>,
    segments: Vec<Segment>,
    sequence: u32,
}

/// A file of the encoder.
#[derive(Debug)]
struct Source {
    file: PathBuf,
    /// Where its clock begins on the track's, in ticks.
    start: u64,
    reader: Option<BoxReader<File>>,
    /// Whether its header was read, and its first fragment.
    opened: bool,
    begun: bool,
    /// Whether the encoder has finished it.
    ended: bool,
}

impl Cutter {
    /// A cutter without files. Segments go to `folder` in the package.
    pub fn new(folder: String, cut: Cut) -> Self {
        Self {
            folder,
            cut,
            sources: VecDeque::new(),
            encoded: None,
            init: None,
            waiting: Vec::new(),
            ended: None,
            segments: Vec::new(),
            sequence: 0,
        }
    }

    /// Adds a file, which the encoder will create, after those before it. Its clock begins at `start` on the track's,
    /// in ticks.
    pub fn follow(&mut self, file: PathBuf, start: u64) {
        self.sources.push_back(Source {
            file,
            start,
            reader: None,
            opened: false,
            begun: false,
            ended: false,
        });
    }

    /// The encoder has finished the file that begins at `start`.
    pub fn ended(&mut self, start: u64) {
        self.sources.iter_mut().filter(|source| source.start == start).for_each(|source| source.ended = true);
    }

    /// Publishes every segment that is complete.
    pub fn advance(&mut self, package: &mut Folder) -> Result<(), Failure> {
        while let Some(fragment) = self.next(package)? {
            if self.ended.is_none() && self.begins_segment(&fragment) {
                self.ended = Some(self.waiting.len());
            }
            self.waiting.push(fragment);
            if let Some(ended) = self.ended.filter(|ended| self.waiting.len() - ended > self.cut.shortest()) {
                self.ended = None;
                let rest = self.waiting.split_off(ended);
                self.publish(package)?;
                self.waiting = rest;
            }
        }
        Ok(())
    }

    /// The next complete fragment.
    fn next(&mut self, package: &mut Folder) -> Result<Option<ParsedFragment>, Failure> {
        loop {
            let found = self.read().map_err(|error| unreadable(&self.folder, &error))?;
            match found {
                Some((fragment, first)) => {
                    if first {
                        self.begin(&fragment, package)?;
                    }
                    return Ok(Some(fragment));
                }
                None if self.sources.len() > 1 && self.sources.front().is_some_and(|source| source.ended) => {
                    // Its segments are published, and a long source would fill the disk twice.
                    self.sources.pop_front().map(|read| std::fs::remove_file(read.file));
                }
                None => return Ok(None),
            }
        }
    }

    /// The next fragment of the current file, and whether it is the file's first.
    fn read(&mut self) -> io::Result<Option<(ParsedFragment, bool)>> {
        let Some(source) = self.sources.front_mut() else { return Ok(None) };
        let reader = match &mut source.reader {
            Some(reader) => reader,
            None => match File::open(&source.file) {
                Ok(file) => source.reader.insert(BoxReader::new(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            },
        };
        if !source.opened {
            let Some(init) = reader.init()? else { return Ok(None) };
            source.opened = true;
            let same = self.encoded.get_or_insert_with(|| init.bytes.clone()) == &init.bytes;
            if !same {
                return Err(fragment::invalid("a chunk with a header of its own"));
            }
            self.init.get_or_insert(init);
        }
        let Some(init) = &self.init else { return Ok(None) };
        let Some(mut fragment) = reader.fragment(init, true)? else { return Ok(None) };
        fragment.start += source.start;
        Ok(Some((fragment, !std::mem::replace(&mut source.begun, true))))
    }

    /// Publishes the header with the first fragment of the track. With the first fragment of a later chunk, checks
    /// that the header is valid for it too.
    fn begin(&mut self, first: &ParsedFragment, package: &mut Folder) -> Result<(), Failure> {
        let Some(init) = &mut self.init else { return Ok(()) };
        let unreadable = |error| unreadable(&self.folder, &error);
        let shift = delay(first);
        if self.sequence > 0 || !self.waiting.is_empty() {
            let same = init.shift == Some(shift);
            let differs = || fragment::invalid("a chunk that is shown later after decoding than the others");
            return if same { Ok(()) } else { Err(unreadable(differs())) };
        }
        init.bytes = header::published(&init.bytes, shift).map_err(unreadable)?;
        init.shift = Some(shift);
        package.write(&format!("{}/{INIT}", self.folder), &init.bytes)
    }

    /// Folder, header and segments so far; none before the first segment.
    pub fn published(&self) -> Option<(&str, &Init, &[Segment])> {
        let init = self.init.as_ref().filter(|_| !self.segments.is_empty())?;
        Some((&self.folder, init, &self.segments))
    }

    /// Publishes the rest after the encoder has ended.
    pub fn finish(mut self, package: &mut Folder) -> Result<Track, Failure> {
        self.advance(package)?;
        self.publish(package)?;
        match self.init {
            Some(init) if !self.segments.is_empty() => {
                Ok(Track { folder: self.folder, init, segments: self.segments })
            }
            _ => Err(Failure::new(FailureCode::DecodeFailed, "nothing could be decoded")
                .with("track", self.folder)),
        }
    }

    fn begins_segment(&self, fragment: &ParsedFragment) -> bool {
        match self.cut {
            Cut::Groups(groups) => u32::try_from(self.waiting.len()).is_ok_and(|waiting| waiting >= groups),
            Cut::Seconds(seconds) => {
                let Some(init) = &self.init else { return false };
                let next = seconds * float(u64::try_from(self.segments.len()).unwrap_or_default() + 1);
                // Half a frame early is nearer than half a frame late.
                let middle = fragment.start + u64::from(AAC_FRAME / 2);
                !self.waiting.is_empty() && float(middle) / f64::from(init.timescale) >= next
            }
        }
    }

    fn publish(&mut self, package: &mut Folder) -> Result<(), Failure> {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() {
            return Ok(());
        }
        let groups = match self.cut {
            Cut::Groups(_) => waiting,
            Cut::Seconds(_) => vec![merged(waiting)],
        };
        let mut bytes = fragment::segment_type().map_err(|error| unreadable(&self.folder, &error))?;
        let mut fragments = Vec::new();
        for group in groups {
            fragments
                .push(self.append(&mut bytes, &group).map_err(|error| unreadable(&self.folder, &error))?);
        }
        let name = format!("{:05}.m4s", self.segments.len() + 1);
        package.write(&format!("{}/{name}", self.folder), &bytes)?;
        self.segments.push(Segment {
            name,
            start: fragments.first().map_or(0, |fragment| fragment.start),
            duration: fragments.iter().map(|fragment| fragment.duration).sum(),
            bytes: length(&bytes),
            fragments,
        });
        Ok(())
    }

    fn append(&mut self, out: &mut Vec<u8>, group: &ParsedFragment) -> io::Result<Fragment> {
        self.sequence += 1;
        let offset = length(out);
        let moof = fragment::write(out, self.sequence, group.start, &group.samples, &group.data)?;
        let key_size = group.samples.first().map_or(0, |sample| sample.size);
        Ok(Fragment {
            offset,
            // The mdat's own header is 8 bytes.
            key_bytes: moof + 8 + u64::from(key_size),
            key_size,
            bytes: length(out) - offset,
            start: group.start,
            duration: group.duration(),
            samples: u32::try_from(group.samples.len()).unwrap_or(u32::MAX),
        })
    }
}

/// Ticks from decoding the first sample to its presentation. The encoder's own clock begins at 0 with it.
fn delay(first: &ParsedFragment) -> u64 {
    first.samples.first().and_then(|sample| u64::try_from(sample.offset).ok()).unwrap_or(0)
}

/// Merges fragments of one frame into one of many frames.
fn merged(fragments: Vec<ParsedFragment>) -> ParsedFragment {
    let mut all = ParsedFragment { start: 0, samples: Vec::new(), data: Vec::new(), moof_bytes: 0, bytes: 0 };
    for (position, fragment) in fragments.into_iter().enumerate() {
        if position == 0 {
            all.start = fragment.start;
        }
        all.samples.extend(fragment.samples);
        all.data.extend(fragment.data);
    }
    all
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn unreadable(folder: &str, error: &io::Error) -> Failure {
    Failure::new(FailureCode::EncodeFailed, "the encoder's output cannot be read")
        .with("track", folder)
        .with("error", error)
}
