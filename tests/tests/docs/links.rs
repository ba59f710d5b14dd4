//! Links and anchors in documents, and the runbook's sections.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use transcode_config::metrics::ALARMS;
use transcode_tests::paths;

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The documents that people read.
fn documents() -> Vec<PathBuf> {
    let checkout = paths::checkout();
    let mut found =
        vec![checkout.join("README.md"), checkout.join("SECURITY.md"), checkout.join("tests/README.md")];
    let docs = std::fs::read_dir(checkout.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    found.extend(docs.filter(|path| path.extension().is_some_and(|end| end == "md")));
    found
}

/// The text outside fenced blocks.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// Headings as GitHub makes anchors of them: lower case, without punctuation, spaces as hyphens.
fn anchors(text: &str) -> BTreeSet<String> {
    let text = prose(text);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// The targets of `[…](…)`.
fn links(text: &str) -> Vec<String> {
    let text = prose(text);
    let targets = text.split("](").skip(1);
    targets.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut count = 0;
    for document in documents() {
        let text = read(&document);
        for link in links(&text) {
            if link.contains("://") {
                continue;
            }
            count += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target =
                if file.is_empty() { document.clone() } else { document.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: ({link}) leads nowhere", document.display());
            if !anchor.is_empty() {
                let known = anchors(&read(&target));
                assert!(known.contains(anchor), "{}: no heading for ({link})", document.display());
            }
        }
    }
    assert!(count > 20, "only {count} links were found");
}

/// The headings of the runbook's sections.
fn sections() -> Vec<String> {
    let text = read(&paths::checkout().join("docs/runbook.md"));
    text.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned).collect()
}

#[test]
fn each_alarm_has_its_section_in_the_runbook_and_each_section_its_alarm() {
    let alarms: Vec<&str> = ALARMS.iter().map(|alarm| alarm.name).collect();
    assert_eq!(sections(), alarms, "docs/runbook.md has one section for each alarm, in the table's order");
    let text = read(&paths::checkout().join("docs/runbook.md"));
    for section in text.split("\n## ").skip(1) {
        let name = section.lines().next().unwrap_or_default();
        for part in ["**Why.**", "**Look.**", "**Do.**"] {
            assert!(section.contains(part), "{name} has no {part}");
        }
    }
    let known = anchors(&text);
    for alarm in ALARMS {
        assert!(known.contains(&alarm.anchor()), "{}", alarm.name);
    }
}

#[test]
fn every_document_is_linked_to_from_the_readme() {
    let readme = read(&paths::checkout().join("README.md"));
    for document in
        documents().iter().filter(|path| path.parent().is_some_and(|folder| folder.ends_with("docs")))
    {
        let name = document.file_name().unwrap().to_string_lossy();
        assert!(readme.contains(&format!("(docs/{name})")), "README.md has no link to docs/{name}");
    }
}
