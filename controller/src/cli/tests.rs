use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

/// The commands in a document, as a person would type them; the placeholders between `<` and `>` stay.
fn commands(text: &str) -> Vec<Vec<String>> {
    let joined = text.replace("\\\n", " ");
    let lines =
        joined.lines().filter_map(|line| line.trim_start_matches("$ ").strip_prefix("transcode-controller "));
    let words = |line: &str| {
        let typed = line.split(" | ").next().unwrap_or_default().replace("49426f3df8a6…", &"0".repeat(32));
        // What stands in double quotes is one word, and may be empty.
        let quoted = typed.split('"').enumerate();
        let parts = quoted.flat_map(|(index, part)| match index % 2 {
            1 => vec![part.to_owned()],
            _ => part.split_whitespace().map(str::to_owned).collect(),
        });
        parts.collect()
    };
    lines.map(words).collect()
}

#[test]
fn every_command_in_the_documents_can_be_typed_as_it_stands() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let documents = std::fs::read_dir(format!("{root}/docs")).unwrap().map(|entry| entry.unwrap().path());
    let documents = documents.chain([format!("{root}/README.md").into()]);
    let documents = documents.filter(|path: &PathBuf| path.extension().is_some_and(|kind| kind == "md"));
    let mut found = 0;
    for path in documents {
        for words in commands(&std::fs::read_to_string(&path).unwrap()) {
            found += 1;
            let all = std::iter::once("transcode-controller").chain(words.iter().map(String::as_str));
            let parsed = Cli::try_parse_from(all);
            assert!(parsed.is_ok(), "{}: {}: {}", path.display(), words.join(" "), parsed.unwrap_err());
        }
    }
    assert!(found > 8, "only {found} commands were found");
}

#[test]
fn a_job_is_named_in_one_way_of_three() {
    let job = "0".repeat(32);
    let parses = |args: &[&str]| {
        let all = ["transcode-controller", "get", "--config", "f"].iter().chain(args);
        Cli::try_parse_from(all).is_ok()
    };
    assert!(parses(&[&job, "-o", "json"]) && parses(&["a", "--bucket", "b"]));
    assert!(parses(&["--job", &job, "--json"]) && parses(&["--key", &job, "--bucket", "b"]));
    assert!(!parses(&[]) && !parses(&[&job, "a"]) && !parses(&["--json", "-o", "yaml", "a"]));
    assert!(
        !parses(&["--job", "x"]) && !parses(&["--job", &job, "--key", "a"]) && !parses(&["a", "--key", "a"])
    );
}
