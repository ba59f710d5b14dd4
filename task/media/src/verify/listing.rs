//! Reads `manifest.json` again: each address in it leads to a file of the package.

use std::{io, path::Path};

use serde_json::Value;

use super::{report::Verification, track::bad};

/// Path in the package.
const LISTING: &str = "entry/manifest.json";

/// Names of the values that are addresses, or lists of them.
const ADDRESSES: [&str; 11] = [
    "hls",
    "dash",
    "metadata",
    "poster",
    "progressive",
    "early",
    "index",
    "sheet",
    "images",
    "playlist",
    "whole",
];

pub(super) fn check(root: &Path, folder: &str, report: &mut Verification) -> io::Result<()> {
    let bytes = std::fs::read(root.join(LISTING))?;
    let listing: Value = serde_json::from_slice(&bytes).map_err(|_| bad("manifest.json is no JSON"))?;
    let mut addresses = Vec::new();
    collect(&listing, false, &mut addresses);
    let is_there = |address: &&&str| {
        let path = address.strip_prefix(folder).map_or_else(|| format!("entry/{address}"), str::to_owned);
        let plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        plain && root.join(path).is_file()
    };
    let lost: Vec<_> = addresses.iter().filter(|address| !is_there(address)).collect();
    let first = lost.first().map(|address| format!(": {address}")).unwrap_or_default();
    report.check("listing.addresses", LISTING, lost.is_empty(), format!("{} lost{first}", lost.len()), 0);
    let wanted = ["hls", "dash", "metadata"].iter().filter(|name| listing[**name].is_string()).count();
    report.check("listing.complete", LISTING, wanted == 3, wanted, 3);
    Ok(())
}

/// The texts behind the names of addresses.
fn collect<'a>(value: &'a Value, is_address: bool, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) if is_address => found.push(text),
        Value::Array(all) => all.iter().for_each(|one| collect(one, is_address, found)),
        Value::Object(fields) => {
            // The caller's own words have names of their own.
            for (name, value) in fields.iter().filter(|(name, _)| *name != "user_metadata") {
                collect(value, ADDRESSES.contains(&name.as_str()), found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_are_found_at_any_depth_and_words_of_the_caller_are_none() {
        let listing = json!({"hls": "master.m3u8", "seconds": 4, "warnings": ["damaged: 1"],
            "thumbnails": {"index": "v-1/i.vtt", "images": ["v-1/a.jpg", "v-1/b.jpg"]},
            "text": [{"name": "en", "label": "English", "whole": "v-1/text/en/whole.vtt"}],
            "user_metadata": {"poster": "of the shop", "index": "7"}});
        let mut found = Vec::new();
        collect(&listing, false, &mut found);
        found.sort_unstable();
        assert_eq!(found, ["master.m3u8", "v-1/a.jpg", "v-1/b.jpg", "v-1/i.vtt", "v-1/text/en/whole.vtt"]);
    }
}
