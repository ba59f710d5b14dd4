//! Replays the corpus of the fuzz targets: every file, prefixes of it, and every file with a byte changed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use transcode_config::contract::{Claim, Document, Heartbeat, JobSpec, StatusReport, Terminal, decode};
use transcode_parsers::PARSERS;

/// Most prefixes of a file that are tried: all of a smaller file, evenly spread ones of a larger.
const BEGINNINGS: usize = 256;

fn corpus(name: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_parser_survives_its_corpus_whole_cut_and_changed() {
    for (name, parser) in PARSERS {
        let files = corpus(name);
        assert!(!files.is_empty(), "fuzz/corpus/{name} is empty");
        for file in files {
            let bytes = std::fs::read(&file).unwrap();
            parser(&bytes);
            let step = (bytes.len() / BEGINNINGS).max(1);
            for at in (0..bytes.len()).step_by(step) {
                parser(&bytes[..at]);
                let mut changed = bytes.clone();
                for value in [0, 0x7f, 0xff] {
                    changed[at] = value;
                    parser(&changed);
                }
            }
        }
    }
}

/// Inputs for each parser: what libFuzzer makes of the corpus, only fewer and the same every time.
const MIXTURES: u64 = 1500;

/// Numbers that look random (xorshift64*), below `most`.
fn number(state: &mut u64, most: usize) -> usize {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    let high = state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
    usize::try_from(high).unwrap() % most.max(1)
}

/// Two files cut and put together, then a few times: bytes changed, a part repeated, removed, or of extreme bytes.
fn mixture(files: &[Vec<u8>], state: &mut u64) -> Vec<u8> {
    const MOST: usize = 32 << 10;
    let (first, second) = (&files[number(state, files.len())], &files[number(state, files.len())]);
    let mut bytes = first[..number(state, first.len() + 1)].to_vec();
    bytes.extend(&second[number(state, second.len() + 1)..]);
    for _ in 0..number(state, 6) {
        let from = number(state, bytes.len() + 1);
        let to = (from + number(state, 64)).min(bytes.len());
        match number(state, 4) {
            0 => bytes[from..to].iter_mut().for_each(|byte| *byte ^= 1 << number(state, 8)),
            1 => {
                let part = bytes[from..to].repeat(1 + number(state, 8));
                bytes.splice(from..from, part);
            }
            2 => drop(bytes.drain(from..to)),
            _ => bytes[from..to].fill([0, 0x7f, 0x80, 0xff][number(state, 4)]),
        }
    }
    bytes.truncate(MOST);
    bytes
}

#[test]
fn every_parser_survives_mixtures_of_its_corpus() {
    for (name, parser) in PARSERS {
        let files: Vec<_> = corpus(name).iter().map(|file| std::fs::read(file).unwrap()).collect();
        let mut state = 0x9e37_79b9_7f4a_7c15;
        for _ in 0..MIXTURES {
            parser(&mixture(&files, &mut state));
        }
    }
}

/// A seed that is refused at its first field tests none of the fields after it.
#[test]
fn the_documents_of_the_corpus_are_ones() {
    fn read<D: Document>(names: &[&str]) {
        for name in names {
            let file =
                Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../fuzz/corpus/document/{name}.json"));
            if let Err(error) = decode::<D>(&std::fs::read(file).unwrap()) {
                panic!("{name}: {error}");
            }
        }
    }
    read::<JobSpec>(&["spec"]);
    read::<Claim>(&["claim"]);
    read::<Heartbeat>(&["heartbeat_working", "heartbeat_failed"]);
    read::<Terminal>(&["terminal_succeeded", "terminal_dead"]);
    read::<StatusReport>(&["status"]);
}

#[test]
fn every_target_is_of_a_parser_and_every_parser_has_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
    let mut targets: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    targets.sort();
    let mut names: Vec<_> = PARSERS.iter().map(|(name, _)| (*name).to_owned()).collect();
    names.sort();
    assert_eq!(targets, names);
}
