//! The layout of the code: no import loops between files, arrows of core and media only downwards, few entries at each
//! root, files of readable length.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod imports;

use std::{
    fs,
    path::{Path, PathBuf},
};

use transcode_tests::paths::checkout;

use self::imports::Imports;

/// Folders of sources that stand on their own: each is a crate.
const CRATES: [&str; 10] = [
    "config/src",
    "controller/core/src",
    "controller/src",
    "examples/upload-service/src",
    "local/src",
    "task/media/src",
    "task/src",
    "tests/sim/src",
    "tests/src",
    "web/src",
];

/// The one loop that may be: what drives the processes of the local Fargate is one thing in several files.
const ONE_DRIVER: (&str, &str) = ("local/src", "host::");

/// Most entries at a root.
const FEW: usize = 12;

/// Most lines of a file, in programs and in tests.
const LONG: usize = 450;
const LONG_TEST: usize = 500;

/// The table of failure codes, which has three lines for each code, may be longer.
const TABLE: &str = "config/src/contract/failure.rs";

/// What each entry of the core may use beside itself. `weakness` is everybody's.
const CORE: [(&str, &[&str]); 11] = [
    ("weakness", &[]),
    ("protocol", &[]),
    ("message", &["protocol"]),
    ("policy", &["protocol"]),
    ("effects", &["protocol"]),
    ("state", &["message", "policy", "protocol"]),
    ("judge", &["state", "message", "policy", "protocol"]),
    ("absorb", &["judge", "state", "message", "policy", "protocol", "invariant"]),
    ("plan", &["judge", "state", "message", "policy", "protocol"]),
    ("invariant", &["state", "message", "policy", "protocol"]),
    ("reconciler", &["absorb", "plan", "judge", "state", "message", "policy", "protocol", "invariant"]),
];

/// The same for the media crate, as its documentation has it. `rational` is everybody's.
const MEDIA: [(&str, &[&str]); 12] = [
    ("rational", &[]),
    ("sandbox", &[]),
    ("process", &["sandbox"]),
    ("job", &["process"]),
    ("examine", &["job", "process"]),
    ("plan", &["examine", "job", "process"]),
    ("package", &["plan", "examine", "job", "process"]),
    ("verify", &["package", "plan", "examine", "job", "process"]),
    ("encode", &["package", "plan", "examine", "job", "process"]),
    ("captions", &["encode", "package", "plan", "examine", "job", "process"]),
    ("measure", &["encode", "verify", "package", "plan", "examine", "job", "process"]),
    (
        "pipeline",
        &["captions", "measure", "encode", "verify", "package", "plan", "examine", "job", "process"],
    ),
];

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
        } else if path.extension().is_some_and(|kind| kind == "rs") {
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

/// Imports from an entry of `folder` to one that the table does not allow it. Names in `free` are everybody's.
fn upwards(folder: &str, table: &[(&str, &[&str])], free: &str) -> Vec<String> {
    let imports = imports(folder);
    let mut upwards = Vec::new();
    for (from, targets) in imports.arrows() {
        let Some(entry) = from.first() else { continue };
        let (_, may) = table
            .iter()
            .find(|(name, _)| name == entry)
            .unwrap_or_else(|| panic!("{folder}/{entry}: say in the table what it may use"));
        for target in targets {
            let other = target.first().map_or("lib", String::as_str);
            if other != entry && other != free && !may.contains(&other) {
                upwards.push(format!("{} → {}", imports::name(from), imports::name(target)));
            }
        }
    }
    upwards
}

#[test]
fn in_the_core_arrows_go_only_downwards() {
    let upwards = upwards("controller/core/src", &CORE, "weakness");
    assert!(upwards.is_empty(), "against the table of the core:\n{}", upwards.join("\n"));
}

#[test]
fn in_the_media_crate_arrows_go_only_downwards() {
    let upwards = upwards("task/media/src", &MEDIA, "rational");
    assert!(upwards.is_empty(), "against the table of the media crate:\n{}", upwards.join("\n"));
}

#[test]
fn each_root_of_the_controller_can_be_taken_in_at_a_glance() {
    for folder in ["controller/src", "controller/core/src"] {
        let entries = fs::read_dir(checkout().join(folder)).unwrap().count();
        assert!(entries <= FEW, "{folder} has {entries} entries, more than {FEW}");
    }
}

#[test]
fn unit_tests_stand_beside_what_they_test() {
    let strays: Vec<_> = sources(&checkout())
        .iter()
        .map(|path| relative(path))
        .filter(|path| path.ends_with("_tests.rs"))
        .collect();
    assert!(strays.is_empty(), "unit tests of x.rs are x/tests.rs or inline: {strays:?}");
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
