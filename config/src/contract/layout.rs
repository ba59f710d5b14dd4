//! Keys in the buckets.

use std::borrow::Cow;

use super::{
    edit::Edit,
    job::{Attempt, JobKey, OutputTarget},
};

/// Longest stable prefix, in bytes: S3 allows 1024 for a key, and the longest name below the prefix takes under 200.
const MAX_PREFIX_BYTES: usize = 800;

/// Keys of one job in the state bucket, and of its attempts' folders in the output bucket.
#[derive(Debug, Clone, Copy)]
pub struct Layout<'a> {
    job: &'a JobKey,
}

impl<'a> Layout<'a> {
    /// The keys of `job`.
    pub fn of(job: &'a JobKey) -> Self {
        Self { job }
    }

    /// `jobs/<j>/`
    pub fn prefix(self) -> String {
        format!("jobs/{}/", self.job)
    }

    /// `jobs/<j>/spec.json`
    pub fn spec(self) -> String {
        format!("jobs/{}/spec.json", self.job)
    }

    /// `jobs/<j>/terminal.json`
    pub fn terminal(self) -> String {
        format!("jobs/{}/terminal.json", self.job)
    }

    /// `jobs/<j>/attempts/`
    pub fn attempts(self) -> String {
        format!("jobs/{}/attempts/", self.job)
    }

    /// `jobs/<j>/attempts/<n>.json`. Zero-padded, so that a listing is in order.
    pub fn claim(self, attempt: Attempt) -> String {
        format!("jobs/{}/attempts/{:06}.json", self.job, attempt.number())
    }

    /// `jobs/<j>/attempts/<n>.heartbeat.json`
    pub fn heartbeat(self, attempt: Attempt) -> String {
        format!("jobs/{}/attempts/{:06}.heartbeat.json", self.job, attempt.number())
    }

    /// The attempt whose claim lies at `key`; none for any other key.
    pub fn attempt_of_claim(self, key: &str) -> Option<Attempt> {
        let number = key.strip_prefix(self.attempts().as_str())?.strip_suffix(".json")?;
        Attempt::new(number.parse().ok()?)
    }

    /// The attempt whose heartbeat lies at `key`; none for any other key.
    pub fn attempt_of_heartbeat(self, key: &str) -> Option<Attempt> {
        let number = key.strip_prefix(self.attempts().as_str())?.strip_suffix(".heartbeat.json")?;
        Attempt::new(number.parse().ok()?)
    }

    /// The folder of attempt n, relative to the stable prefix, with a trailing slash: `v-<12 of j>-<n>/`.
    /// Playlists at the stable prefix refer to it, so it holds only characters that need no escaping.
    pub fn folder(self, attempt: Attempt) -> String {
        format!("v-{}-{}/", self.job.as_str().get(..12).unwrap_or_default(), attempt.number())
    }

    /// The job whose terminal record lies at `key`; none for any other key.
    pub fn job_of_terminal(key: &str) -> Option<JobKey> {
        key.strip_prefix("jobs/")?.strip_suffix("/terminal.json")?.parse().ok()
    }
}

/// `published/<hash of bucket and prefix>.json`: the pointer of an output prefix.
pub fn pointer_key(output: &OutputTarget) -> String {
    format!("published/{}.json", JobKey::of(&[&output.bucket, &output.prefix]))
}

/// `control/<environment>/control.json`: the control document of an environment.
pub fn control_key(environment: &str) -> String {
    format!("control/{environment}/control.json")
}

/// The stable prefix for a source key: `<root><key>/`, with dot segments and empty segments made harmless.
///
/// Browsers and proxies normalise `.`, `..` and `//` away, and a segment that looks like an attempt's folder would lead
/// into the folder of another job's attempt. So a segment that is one of them, or begins with `~`, gets a `~` in front:
/// different keys stay different. A key too long to have files below it gives `<root>~long/<hash>/`.
pub fn output_prefix(root: &str, source_key: &str) -> String {
    let path = source_key.split('/').map(escaped).collect::<Vec<_>>().join("/");
    if root.len() + path.len() > MAX_PREFIX_BYTES {
        return format!("{root}~long/{}/", JobKey::of(&[source_key]));
    }
    format!("{root}{path}/")
}

/// A segment of a source key as it is in the stable prefix.
pub(crate) fn escaped(segment: &str) -> Cow<'_, str> {
    if matches!(segment, "" | "." | "..") || segment.starts_with('~') || is_folder(segment) {
        Cow::Owned(format!("~{segment}"))
    } else {
        Cow::Borrowed(segment)
    }
}

/// Whether a segment is one that [`Layout::folder`] gives: `v-<12 hexadecimal digits>-<n>`.
fn is_folder(segment: &str) -> bool {
    let parts = segment.strip_prefix("v-").and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(job, attempt)| {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        job.len() == 12 && job.bytes().all(hex) && attempt.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// The stable prefix of an edited version of the video at `prefix`: below it, in a folder named by the edit. No
/// source key leads there, because [`output_prefix`] puts a second `~` before a segment that begins with one.
pub fn edited_prefix(prefix: &str, edit: &Edit) -> String {
    if edit.is_none() {
        return prefix.to_owned();
    }
    // A plain structure: serialising it cannot fail, and gives the same text each time.
    let name = JobKey::of(&[&serde_json::to_string(edit).unwrap_or_default()]);
    format!("{prefix}~edit-{}/", name.as_str().get(..12).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_keys_give_distinct_prefixes_without_dot_segments() {
        let keys = ["a/../b", "a/b", "a//b", "/a", "a/", "..", "~..", "~", "", ".", "a/./b", "a/~./b"];
        let mut prefixes: Vec<_> = keys.iter().map(|key| output_prefix("videos/", key)).collect();
        for prefix in &prefixes {
            let path = prefix.trim_end_matches('/');
            assert!(path.split('/').all(|segment| !matches!(segment, "" | "." | "..")), "{prefix}");
        }
        prefixes.sort();
        prefixes.dedup();
        assert_eq!(prefixes.len(), keys.len(), "two keys share a prefix");
    }

    #[test]
    fn a_key_never_leads_into_the_folder_of_an_attempt_and_ordinary_keys_keep_their_addresses() {
        let job = JobKey::of(&["x"]);
        let folder = Layout::of(&job).folder(Attempt::FIRST);
        let victim = output_prefix("videos/", "a.mp4") + &folder;
        for inside in
            [folder.clone(), format!("{folder}entry"), format!("{folder}../x"), folder.replace('/', "")]
        {
            let prefix = output_prefix("videos/", &format!("a.mp4/{inside}"));
            assert!(!prefix.starts_with(&victim), "{prefix}");
        }
        let escaped = folder.trim_end_matches('/');
        assert_ne!(
            output_prefix("", &format!("a/{escaped}")),
            output_prefix("", &format!("a/~{escaped}")),
            "and what is escaped already is another key"
        );
        for key in [
            "films/cat.mp4",
            "v-2/a.mp4",
            "v-0123456789ab/a",
            "v-0123456789AB-1/a",
            "v-1-2",
            "a v-0123456789ab-1",
        ] {
            assert_eq!(output_prefix("videos/", key), format!("videos/{key}/"));
        }
    }

    #[test]
    fn an_edit_has_a_prefix_of_its_own_that_no_key_leads_to() {
        let edit = |text| serde_json::from_str::<Edit>(text).unwrap();
        let full = output_prefix("videos/", "a.mp4");
        let first = edited_prefix(&full, &edit(r#"{"clip":{"start_ms":5}}"#));
        assert_eq!(edited_prefix(&full, &Edit::default()), full);
        assert!(first.starts_with("videos/a.mp4/~edit-") && first.ends_with('/'), "{first}");
        assert_ne!(first, edited_prefix(&full, &edit(r#"{"clip":{"start_ms":6}}"#)));
        let forged = first.trim_start_matches("videos/").trim_end_matches('/');
        assert_ne!(output_prefix("videos/", forged), first);
    }

    #[test]
    fn a_key_of_1024_bytes_leaves_room_for_names_below_it() {
        assert!(output_prefix("videos/", &"k".repeat(1024)).len() < 100);
    }

    #[test]
    fn the_attempt_is_read_back_from_the_key_of_a_claim_only() {
        let job = JobKey::of(&["x"]);
        let layout = Layout::of(&job);
        let third = Attempt::new(3).unwrap();
        assert_eq!(layout.attempt_of_claim(&layout.claim(third)), Some(third));
        assert_eq!(layout.attempt_of_claim(&layout.heartbeat(third)), None);
        assert_eq!(layout.attempt_of_heartbeat(&layout.heartbeat(third)), Some(third));
        assert_eq!(layout.attempt_of_heartbeat(&layout.claim(third)), None);
        assert_eq!(Layout::job_of_terminal(&layout.terminal()), Some(job));
    }
}
