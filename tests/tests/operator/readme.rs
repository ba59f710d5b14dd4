//! The README shows commands as they print: blocks behind a comment that names the command.

use transcode_tests::paths;

/// Compares the block of `name` with what was printed, or writes it (`UPDATE_DOCS=1`). What moves from run to run has a
/// fixed value there.
pub(crate) fn shows(name: &str, command: &str, printed: &str) {
    let path = paths::checkout().join("README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let begin = format!("<!-- printed by tests/tests/operator: {name} -->\n");
    let fixed = printed.replace("<n>", "4").replace("<------ time ------>", "2026-11-30T09:12:00Z");
    let block = format!("{begin}```console\n$ transcode-controller {command}\n{}\n```\n", fixed.trim_end());
    let (before, rest) = text.split_once(&begin).unwrap();
    let end = rest.find("```\n").unwrap() + 4;
    let expected = format!("{before}{block}{}", &rest[end..]);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, expected).unwrap();
        return;
    }
    assert_eq!(
        text, expected,
        "README.md: to renew it: UPDATE_DOCS=1 cargo test -p transcode-tests --test operator"
    );
}
