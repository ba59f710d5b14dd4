//! The demo's closing text.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::Result;
use transcode_config::contract::{Succeeded, output_prefix};

use super::console::{say, size};
use crate::{Stack, paths::quoted};

/// Prints what was published, and where.
pub(super) async fn print(stack: &Stack, key: &str, succeeded: &Succeeded, took: Duration) -> Result<()> {
    let prefix = output_prefix(&stack.deployment.output_root, key);
    let objects = stack.published(&prefix).await?;
    let total: u64 = objects.values().sum();
    say(&format!(
        "Published {:.1} s of video {:.1} s after the upload: {} files, {}",
        Duration::from_millis(succeeded.duration_ms).as_secs_f32(),
        took.as_secs_f32(),
        objects.len(),
        size(total),
    ))?;
    say(&format!("  s3://{}/{prefix}", succeeded.bucket))?;
    for line in listing(&objects, &prefix) {
        say(&line)?;
    }
    Ok(())
}

/// Prints how to play the copy.
pub(super) fn how_to_play(out: &Path) -> Result<()> {
    let folder = quoted(out);
    say(&format!("A copy is in {folder}. To play it:"))?;
    say(&format!("  ffplay {folder}/master.m3u8"))?;
    say(&format!("  python3 -m http.server --bind 127.0.0.1 --directory {folder} 8000"))?;
    say("    and open http://127.0.0.1:8000/master.m3u8 in Safari, VLC or any HLS player")
}

/// One line for each file under a stable name, one for each folder of segments.
fn listing(objects: &BTreeMap<String, u64>, prefix: &str) -> Vec<String> {
    let mut rows: BTreeMap<(bool, &str), (usize, u64)> = BTreeMap::new();
    for (key, bytes) in objects {
        let name = key.strip_prefix(prefix).unwrap_or(key);
        let row = match name.rsplit_once('/') {
            Some((folder, _)) => (true, folder),
            None => (false, name),
        };
        let (files, sum) = rows.entry(row).or_default();
        *files += 1;
        *sum += bytes;
    }
    let line = |((folder, name), (files, bytes)): ((bool, &str), (usize, u64))| {
        let (slash, count) = if folder { ("/", format!("{files} files")) } else { ("", String::new()) };
        format!("    {:<44} {count:>10} {:>12}", format!("{name}{slash}"), size(bytes))
    };
    rows.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_added_up_and_stable_names_come_first() {
        let objects = [("p/v-1/a/1.m4s", 10), ("p/v-1/a/2.m4s", 20), ("p/master.m3u8", 3)];
        let objects = objects.map(|(key, size)| (key.to_owned(), size)).into();
        let lines = listing(&objects, "p/");
        assert_eq!(lines.len(), 2);
        assert!(lines[0].contains("master.m3u8") && lines[0].ends_with("3 B"), "{lines:?}");
        assert!(lines[1].contains("v-1/a/") && lines[1].contains("2 files"), "{lines:?}");
    }
}
