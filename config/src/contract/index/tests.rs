use super::*;

/// Object keys as strangers choose them.
fn hostile() -> Vec<String> {
    let mut keys: Vec<String> = [
        "",
        ".",
        "..",
        "a/../b",
        "//",
        "/",
        "~",
        "a~",
        "%",
        "%2",
        "%41",
        "a%00b",
        "+",
        "a b",
        "-",
        "%ff",
        "a.",
        ".a",
        "accepted",
        "ended/dead/-/1",
        "\u{0}\u{1b}[2J\n\r\t",
        "\u{202e}gpj",
        "ü/日本語/🎬.mp4",
        "\u{ffff}",
        "\u{feff}",
        "<&>\"'",
        "a?b#c",
        "\\",
    ]
    .map(str::to_owned)
    .into();
    // Every length around the bounds, of one, two, three and four bytes for each character.
    for c in ['a', '/', 'ü', '日', '🎬'] {
        keys.extend((0..=1024 / c.len_utf8()).map(|n| c.to_string().repeat(n)));
    }
    keys
}

fn accepted(at: u64, key: &str) -> IndexKey {
    let entry =
        IndexEntry::Accepted { profile: "standard".into(), bucket: "in".into(), key: key.into(), cut: false };
    IndexKey { job: JobKey::of(&[key]), accepted_at_ms: at, entry }
}

#[test]
fn whatever_strangers_name_their_objects_a_key_is_read_back() {
    for key in hostile() {
        let entry = accepted(1_700_000_000_000, &key);
        let text = entry.to_key();
        assert!(text.len() <= 1024, "{} bytes for {key:?}", text.len());
        assert!(
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.%~/".contains(&byte)),
            "{text:?}"
        );
        assert!(text.split('/').all(|part| part != "." && part != ".."), "{text:?}");
        let back = IndexKey::parse(&text).unwrap_or_else(|| panic!("{text:?}"));
        let IndexEntry::Accepted { key: read, cut, .. } = &back.entry else { panic!("{back:?}") };
        assert!(key.starts_with(read.as_str()), "{read:?} of {key:?}");
        assert_eq!(*cut, *read != key, "{key:?}");
        assert_eq!(back.to_key(), text, "reading and writing again changes nothing");
        if !cut {
            assert_eq!(back, entry);
        }
    }
}

#[test]
fn ends_are_read_back_and_lie_beside_their_acceptance() {
    for state in EndState::ALL {
        for code in [None, Some("NOT_MEDIA".to_owned()), Some("%/\u{0}".to_owned())] {
            let entry = IndexEntry::Ended { state, code, ended_at_ms: u64::MAX };
            let ended = IndexKey { entry, ..accepted(5, "x") };
            assert_eq!(IndexKey::parse(&ended.to_key()), Some(ended.clone()));
            let job = |key: &IndexKey| key.to_key().split('/').take(3).collect::<Vec<_>>().join("/");
            assert_eq!(job(&ended), job(&accepted(5, "x")));
        }
    }
}

#[test]
fn the_newest_is_listed_first_and_a_listing_begins_where_it_is_asked_to() {
    let times = [0, 1, 999, 1_700_000_000_000, 1_700_000_000_001, LAST_MS];
    let keys: Vec<String> = times.iter().map(|at| accepted(*at, "x").to_key()).collect();
    assert!(keys.iter().rev().is_sorted(), "{keys:?}");
    for (at, key) in times.iter().zip(&keys) {
        assert!(IndexKey::start_at(*at) < *key);
        assert!(*at == 0 || IndexKey::start_at(at - 1) > *key);
        let behind = IndexKey::start_behind(*at, &JobKey::of(&["x"]));
        assert!(behind > *key && keys.iter().filter(|other| **other > behind).all(|other| other > key));
    }
    assert_eq!(
        IndexKey::parse(&accepted(u64::MAX, "x").to_key()).map(|key| key.accepted_at_ms),
        Some(LAST_MS)
    );
}

#[test]
fn a_foreign_key_is_none_and_never_a_panic() {
    let good = accepted(5, "a/ü").to_key();
    // Every beginning, and every place with another character.
    for end in 0..good.len() {
        IndexKey::parse(&good[..end]);
        for c in ["", "/", "%", "~", "\u{0}", "ü", "9", "-"] {
            IndexKey::parse(&format!("{}{c}{}", &good[..end], &good[end + 1..]));
            IndexKey::parse_source(&format!("{SOURCE}{}{c}", &good[..end]));
        }
    }
    for foreign in [
        "",
        "index/recent/",
        "index/recent/x",
        "index/recent/1-2/accepted/a/b/c",
        "jobs/x/spec.json",
        &format!("{good}/more"),
        &good.replace("accepted", "begun"),
        &good.replace("%C3%BC", "%C3"),
        &good.replace("99999", "9x999"),
    ] {
        assert_eq!(IndexKey::parse(foreign), None, "{foreign:?}");
    }
}

#[test]
fn the_jobs_of_an_object_lie_in_a_folder_of_its_own() {
    let folder = source_folder("in", "a/b");
    assert_ne!(folder, source_folder("in/a", "b"));
    let job = JobKey::of(&["x"]);
    let key = format!("{folder}{}", place(7, &job));
    assert_eq!(IndexKey::parse_source(&key), Some((7, job)));
    assert_eq!(IndexKey::parse_source(&folder), None);
}
