//! How a program is linked: one that is linked statically needs no code but its own, and gets none. And how many parts of
//! a library are code.

use std::{fs::File, io::Read, path::Path};

use serde::Serialize;

/// How a program gets its libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Linked {
    /// They are part of it.
    Statically,
    /// A loader maps them after the exec. Also what is not known for sure.
    Dynamically,
}

/// Bytes of the beginning that are read. Linkers put the program headers right behind the file's header.
const HEAD: usize = 4096;
/// A program header of what is mapped (`PT_LOAD`).
const LOAD: u32 = 1;
/// A program header that names a loader (`PT_INTERP`).
const LOADER: u32 = 3;
/// The flag of what is mapped for code (`PF_X`).
const EXECUTABLE: u32 = 1;

impl Linked {
    /// Reads a program's ELF header. A program without a loader is linked statically.
    pub fn of(program: &Path) -> Self {
        match headers(program) {
            Some(headers) if !headers.is_empty() && headers.iter().all(|(kind, _)| *kind != LOADER) => {
                Self::Statically
            }
            _ => Self::Dynamically,
        }
    }
}

/// How often a loader maps a library for code: once for each such part.
pub(super) fn parts_of_code(library: &Path) -> usize {
    let headers = headers(library).unwrap_or_default();
    headers.iter().filter(|(kind, flags)| *kind == LOAD && flags & EXECUTABLE != 0).count()
}

fn headers(file: &Path) -> Option<Vec<(u32, u32)>> {
    let mut head = Vec::with_capacity(HEAD);
    File::open(file).and_then(|file| file.take(HEAD as u64).read_to_end(&mut head)).ok()?;
    kinds(&head)
}

/// Kind and flags of all program headers of an ELF file of 64 bits, little-endian.
fn kinds(head: &[u8]) -> Option<Vec<(u32, u32)>> {
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let short = |at: usize| Some(usize::from(u16::from_le_bytes(head.get(at..at + 2)?.try_into().ok()?)));
    let begin = usize::try_from(u64::from_le_bytes(head.get(32..40)?.try_into().ok()?)).ok()?;
    let (size, number) = (short(54)?, short(56)?);
    let word = |at: usize| Some(u32::from_le_bytes(head.get(at..at.checked_add(4)?)?.try_into().ok()?));
    let header = |index: usize| {
        let at = begin.checked_add(index.checked_mul(size)?)?;
        Some((word(at)?, word(at.checked_add(4)?)?))
    };
    (0..number).map(header).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(bytes: &[u8]) -> Linked {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        Linked::of(file.path())
    }

    #[test]
    fn a_program_is_linked_statically_only_if_its_header_says_so_for_sure() {
        // This test's own program has a loader, unless it is built for musl.
        let own = std::fs::read("/proc/self/exe").unwrap();
        if !cfg!(target_env = "musl") {
            assert_eq!(written(&own), Linked::Dynamically);
        }
        let alone = super::super::stub::program().unwrap();
        assert_eq!(written(&alone), Linked::Statically);
        for (what, cut) in [("headers that are cut", 66), ("nothing", 0)] {
            assert_eq!(written(&alone[..cut]), Linked::Dynamically, "{what}");
        }
        let mut none = alone.clone();
        none[56] = 0;
        let mut far = alone;
        far[32..40].fill(0xff);
        for (what, bytes) in [("no headers", &none), ("headers at the end of the world", &far)] {
            assert_eq!(written(bytes), Linked::Dynamically, "{what}");
        }
        assert_eq!(written(b"#!/bin/sh\n"), Linked::Dynamically, "a script");
        assert_eq!(parts_of_code(Path::new("/proc/self/exe")), 1);
        assert_eq!(parts_of_code(Path::new("/proc/self/maps")), 0, "no library");
        assert_eq!(Linked::of(Path::new("/nowhere")), Linked::Dynamically);
    }
}
