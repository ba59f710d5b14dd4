//! Replays the corpus of the fuzz targets: every file, prefixes of it, and every file with a byte changed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use transcode_config::contract::{Claim, Document, Heartbeat, JobSpec, Terminal, decode};
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
