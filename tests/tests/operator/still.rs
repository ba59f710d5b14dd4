//! What commands print, with what moves from run to run made still: one normaliser for snapshots, README and transcript.
//!
//! | moves | stands there |
//! |---|---|
//! | a time, milliseconds since 1970 | 2026-11-30T09:12:00Z |
//! | a duration in seconds | 4 s |
//! | an id of a message or an instance | one that is always the same |
//!
//! Of a run with real jobs ([`Still::of_a_run`]) also keys of jobs and tasks, the role's suffix, percentages, speeds and
//! durations. Tables
//! are laid out again, because their columns are as wide as what stood there.

use std::collections::BTreeMap;

use transcode_config::contract::JobKey;

const TIME: &str = "2026-11-30T09:12:00Z";
const MS: &str = "1796029920000";
const UUID: &str = "5b0c7a1e-2f6d-4c39-9d7e-0a4b8c6f1d23";
const SECONDS: &str = "4 s";

/// The normaliser. It remembers the keys that it has replaced.
#[derive(Debug, Default)]
pub(crate) struct Still {
    run: bool,
    keys: BTreeMap<String, String>,
}

impl Still {
    /// For a run with real jobs.
    pub(crate) fn of_a_run() -> Self {
        Self { run: true, keys: BTreeMap::new() }
    }

    /// The text as it is in each run.
    pub(crate) fn text(&mut self, text: &str) -> String {
        let (mut out, mut rest, mut before) = (String::new(), text, ' ');
        while let Some(c) = rest.chars().next() {
            let word = !before.is_ascii_alphanumeric();
            let (still, taken) = match word.then(|| self.word(rest)).flatten() {
                Some((still, taken)) => (still, taken),
                None => (c.to_string(), c.len_utf8()),
            };
            out += &still;
            before = rest.get(..taken).and_then(|taken| taken.chars().last()).unwrap_or(c);
            rest = rest.get(taken..).unwrap_or_default();
        }
        laid_out(&out)
    }

    /// What stands in place of the word at the beginning, and the length of that word.
    fn word(&mut self, rest: &str) -> Option<(String, usize)> {
        let length = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'-').count();
        let word = rest.get(..length)?;
        if let Some(time) = rest.get(..TIME.len()).filter(|time| same_shape(time, TIME)) {
            return Some((TIME.to_owned(), time.len()));
        }
        if same_shape(word, UUID) {
            return Some((UUID.to_owned(), length));
        }
        if let Some((stack, _)) = word.split_once("-OperatorRole-").filter(|_| self.run) {
            return Some((format!("{stack}-OperatorRole-1A2B3C4D5E6F7"), length));
        }
        if self.run && length == 32 && word.parse::<JobKey>().is_ok() {
            let next = JobKey::of(&["still", &self.keys.len().to_string()]).to_string();
            return Some((self.keys.entry(word.to_owned()).or_insert(next).clone(), length));
        }
        if self.run && length == 12 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let whole = self.keys.iter().find(|(key, _)| key.starts_with(word))?;
            return Some((whole.1.get(..length)?.to_owned(), length));
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let after = rest.get(digits..)?;
        let unit = |unit: &str| {
            let follows = after.strip_prefix(unit)?;
            (digits > 0 && !follows.starts_with(|c: char| c.is_alphanumeric())).then_some(digits + unit.len())
        };
        if digits == 13 && length == 13 {
            return Some((MS.to_owned(), digits));
        }
        if let Some(taken) = unit(" s").or_else(|| unit(" min").filter(|_| self.run)) {
            return Some((SECONDS.to_owned(), taken));
        }
        if let Some(taken) = unit(" %").filter(|_| self.run) {
            return Some(("42 %".to_owned(), taken));
        }
        let speed = rest.get(digits..digits + 4).filter(|rest| same_shape(rest, ".50x") && self.run);
        speed.filter(|_| digits > 0).map(|speed| ("1.50x".to_owned(), digits + speed.len()))
    }
}

/// Whether a text has the shape of another: digits (of an id: hexadecimal ones) where that has them.
fn same_shape(text: &str, model: &str) -> bool {
    let hexadecimal = model == UUID;
    text.len() == model.len()
        && text.bytes().zip(model.bytes()).all(|(byte, model)| match model {
            b'0'..=b'9' | b'a'..=b'f' if hexadecimal => byte.is_ascii_hexdigit(),
            b'0'..=b'9' => byte.is_ascii_digit(),
            other => byte == other,
        })
}

/// The text with each table's columns as wide as what stands in them now.
fn laid_out(text: &str) -> String {
    let lines: Vec<&str> = text.split('\n').collect();
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(line) = lines.get(at) {
        let titles = cells(line);
        let end = if is_head(&titles) {
            lines.iter().skip(at + 1).take_while(|line| cells(line).len() == titles.len()).count() + 1
        } else {
            1
        };
        let rows: Vec<Vec<&str>> = lines.iter().skip(at).take(end).map(|line| cells(line)).collect();
        if end > 1 {
            out.extend(table(&rows));
        } else {
            out.push((*line).to_owned());
        }
        at += end;
    }
    out.join("\n")
}

fn is_head(titles: &[&str]) -> bool {
    let capital = |title: &&str| title.chars().all(|c| c.is_ascii_uppercase() || " /".contains(c));
    titles.len() > 2 && titles.iter().all(capital)
}

fn cells(line: &str) -> Vec<&str> {
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

fn table(rows: &[Vec<&str>]) -> Vec<String> {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<&str>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[test]
fn what_moves_stands_still_and_the_rest_stays_as_it_is() {
    let job = JobKey::of(&["a"]);
    let text = format!(
        "JOB  AGE  WHY\n{job}  119 s  12.25x at 2026-01-01T00:00:59Z\n{job}  2 min  7 %\n\nm-1 took 5 s; 3 steps, 10 sheep"
    );
    let other = text
        .replace("119 s", "3 s")
        .replace("12.25", "3.11")
        .replace(job.as_str(), JobKey::of(&["b"]).as_str());
    assert_eq!(Still::of_a_run().text(&text), Still::of_a_run().text(&other));
    let plain = Still::default().text(&text);
    assert!(plain.contains(job.as_str()) && plain.contains("2 min") && plain.contains(TIME), "{plain}");
    assert!(plain.ends_with("m-1 took 4 s; 3 steps, 10 sheep"), "{plain}");
}
