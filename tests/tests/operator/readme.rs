//! Documents show commands as they print: blocks behind a comment that names the command.

use transcode_tests::paths;

/// Compares the block of `name` in the README with what was printed, or writes it (`UPDATE_DOCS=1`).
pub(crate) fn shows(name: &str, command: &str, printed: &str) {
    block("README.md", name, &format!("$ transcode-controller {command}\n{}", printed.trim_end()));
}

/// The same of any text in any document.
pub(crate) fn block(document: &str, name: &str, text: &str) {
    let path = paths::checkout().join(document);
    let whole = std::fs::read_to_string(&path).unwrap();
    let begin = format!("<!-- printed by tests/tests/operator: {name} -->\n");
    let (before, rest) = whole.split_once(&begin).unwrap();
    let end = rest.find("```\n").unwrap() + 4;
    let expected = format!("{before}{begin}```console\n{}\n```\n{}", text.trim_end(), &rest[end..]);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, expected).unwrap();
        return;
    }
    assert_eq!(
        whole, expected,
        "{document}: to renew it: UPDATE_DOCS=1 cargo test -p transcode-tests --test e2e operator"
    );
}
