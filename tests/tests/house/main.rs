//! How the code is laid out: no files that import each other in a loop, files that can be read at one sitting.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod imports;

use std::{
    fs,
    path::{Path, PathBuf},
};

use transcode_tests::paths::checkout;

use self::imports::Imports;

/// Folders of sources that stand on their own: each is a crate.
const CRATES: [&str; 4] = ["config/src", "local/src", "tests/sim/src", "tests/src"];

/// The one loop that may be: what drives the processes of the local Fargate is one thing in several files.
const ONE_DRIVER: (&str, &str) = ("local/src", "host::");

/// Lines of a file, in programs and in tests.
const LONG: usize = 400;
const LONG_TEST: usize = 500;

/// A table with one row for each code is longer.
const TABLE: &str = "config/src/contract/failure.rs";

/// Every Rust file below a folder of the checkout, tools and builds left out.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" {
                found.extend(sources(&path));
            }
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A path as it is written in the checkout.
fn relative(path: &Path) -> String {
    path.strip_prefix(checkout()).unwrap().to_string_lossy().into_owned()
}

fn imports(folder: &str) -> Imports {
    let root = checkout().join(folder);
    let mut imports = Imports::default();
    for file in sources(&root) {
        let text = fs::read_to_string(&file).unwrap();
        let below = file.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        imports.add(&below, &text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
    imports
}

#[test]
fn no_files_import_each_other_in_a_loop() {
    let mut found = Vec::new();
    for folder in CRATES {
        for files in imports(folder).loops() {
            let driver = folder == ONE_DRIVER.0 && files.iter().all(|file| file.starts_with(ONE_DRIVER.1));
            if !driver {
                found.push(format!("{folder}: {} → {}", files.join(" → "), files[0]));
            }
        }
    }
    assert!(found.is_empty(), "files import each other:\n{}", found.join("\n"));
}

#[test]
fn no_file_is_longer_than_can_be_read_at_one_sitting() {
    let mut long = Vec::new();
    for file in sources(&checkout()) {
        let path = relative(&file);
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        let test = path.contains("tests/") || path.ends_with("tests.rs");
        let most = if test && !path.starts_with("tests/sim/src") { LONG_TEST } else { LONG };
        if lines > most && path != TABLE {
            long.push(format!("{path}: {lines} lines, more than {most}"));
        }
    }
    assert!(long.is_empty(), "split by subject:\n{}", long.join("\n"));
}
