//! Landlock: which files the child may open.
//!
//! Readable: the system's libraries, a few files about the machine, the program, the inputs. Writable: the output
//! folder. Executable: the program and the dynamic loader. Landlock closes everything else, and TCP and signals to
//! processes outside.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};

/// The newest interface whose rights are requested; an older kernel grants those that it knows.
const ABI_WANTED: ABI = ABI::V6;

/// Where libraries are. A missing folder is left out.
const LIBRARIES: [&str; 8] = [
    "/lib",
    "/lib32",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
];
/// Files about the machine that encoders read, and the source of randomness of older versions of ffmpeg.
const MACHINE: [&str; 6] = [
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/dev/urandom",
    "/dev/zero",
];

/// Opens a ruleset for one start. The child then only applies it to itself.
pub(super) fn ruleset(
    program: &Path,
    reads: &[PathBuf],
    writes: Option<&Path>,
) -> Result<Option<OwnedFd>, RulesetError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI_WANTED))?
        .handle_access(AccessNet::from_all(ABI_WANTED))?
        .scope(Scope::from_all(ABI_WANTED))?
        .create()?;

    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    for path in MACHINE {
        ruleset = allow(ruleset, Path::new(path), read)?;
    }
    for path in libraries(program).iter().chain(reads) {
        ruleset = allow(ruleset, path, read)?;
    }
    for path in loaders().iter().map(PathBuf::as_path).chain([program]) {
        ruleset = allow(ruleset, path, read | AccessFs::Execute)?;
    }
    ruleset = allow(ruleset, Path::new("/dev/null"), AccessFs::ReadFile | AccessFs::WriteFile)?;
    if let Some(folder) = writes {
        ruleset = allow(ruleset, folder, write())?;
    }
    Ok(ruleset.into())
}

/// Rights to write ordinary files and folders, but not links (the upload might follow one), devices, pipes, sockets
/// or programs.
fn write() -> BitFlags<AccessFs> {
    AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer
}

/// Adds a rule for a path, if it exists.
fn allow(
    ruleset: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let Ok(file) = PathFd::new(path) else { return Ok(ruleset) };
    // Rights that only folders have are an error on a file.
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(ABI_WANTED) };
    ruleset.add_rule(PathBeneath::new(file, access))
}

/// Where a program's libraries are: the system's, and those of one that was unpacked somewhere as `bin/ffmpeg` and `lib/`.
pub(super) fn libraries(program: &Path) -> Vec<PathBuf> {
    let private = program.parent().and_then(Path::parent).map(|unpacked| unpacked.join("lib"));
    LIBRARIES.iter().map(PathBuf::from).chain(private.filter(|folder| folder.is_dir())).collect()
}

/// The dynamic loaders (`ld-linux-*.so.*`, `ld-musl-*.so.*`): executing a program executes its loader.
fn loaders() -> Vec<PathBuf> {
    let folders = ["/lib", "/lib64"].into_iter().filter_map(|folder| std::fs::read_dir(folder).ok());
    let entries = folders.flatten().flatten().map(|entry| entry.path());
    let loader =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"ld-"));
    entries.filter(loader).collect()
}
