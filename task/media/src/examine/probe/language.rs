//! Language tags: what containers write, as BCP 47.

#[rustfmt::skip]
/// Three-letter codes (ISO 639-2, both forms) with their two-letter names, for the languages that have one and are
/// met in practice. Others keep three letters, which BCP 47 allows where no shorter name exists.
const SHORT: &[(&str, &str)] = &[
    ("ara", "ar"), ("bul", "bg"), ("cat", "ca"), ("ces", "cs"), ("cze", "cs"), ("chi", "zh"), ("zho", "zh"),
    ("dan", "da"), ("deu", "de"), ("ger", "de"), ("ell", "el"), ("gre", "el"), ("eng", "en"), ("est", "et"),
    ("eus", "eu"), ("baq", "eu"), ("fas", "fa"), ("per", "fa"), ("fin", "fi"), ("fra", "fr"), ("fre", "fr"),
    ("gle", "ga"), ("glg", "gl"), ("heb", "he"), ("hin", "hi"), ("hrv", "hr"), ("hun", "hu"), ("ind", "id"),
    ("isl", "is"), ("ice", "is"), ("ita", "it"), ("jpn", "ja"), ("kat", "ka"), ("geo", "ka"), ("kor", "ko"),
    ("lav", "lv"), ("lit", "lt"), ("mkd", "mk"), ("mac", "mk"), ("msa", "ms"), ("may", "ms"), ("nld", "nl"),
    ("dut", "nl"), ("nno", "nn"), ("nob", "nb"), ("nor", "no"), ("pol", "pl"), ("por", "pt"), ("ron", "ro"),
    ("rum", "ro"), ("rus", "ru"), ("slk", "sk"), ("slo", "sk"), ("slv", "sl"), ("spa", "es"), ("sqi", "sq"),
    ("alb", "sq"), ("srp", "sr"), ("swa", "sw"), ("swe", "sv"), ("tam", "ta"), ("tel", "te"), ("tha", "th"),
    ("tur", "tr"), ("ukr", "uk"), ("urd", "ur"), ("vie", "vi"), ("cym", "cy"), ("wel", "cy"), ("zul", "zu"),
];

/// A container's language tag as BCP 47, or none if it is unknown or not a language tag.
pub(super) fn bcp47(tag: &str) -> Option<String> {
    let tag = tag.trim().to_ascii_lowercase().replace('_', "-");
    let (primary, rest) =
        tag.split_once('-').map_or((tag.as_str(), None), |(primary, rest)| (primary, Some(rest)));
    let letters = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !matches!(primary.len(), 2 | 3) || !primary.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return None;
    }
    if matches!(primary, "und" | "mis" | "mul" | "zxx") {
        return None;
    }
    let primary = SHORT.iter().find(|(long, _)| *long == primary).map_or(primary, |(_, short)| short);
    match rest {
        Some(rest) if rest.len() <= 20 && rest.split('-').all(|part| !part.is_empty() && letters(part)) => {
            Some(format!("{primary}-{}", region_case(rest)))
        }
        _ => Some(primary.to_owned()),
    }
}

/// `BR` in capitals, `Hant` with one, as the registry writes them.
fn region_case(rest: &str) -> String {
    let parts = rest.split('-').map(|part| match part.len() {
        2 => part.to_ascii_uppercase(),
        4 => part.get(..1).unwrap_or_default().to_ascii_uppercase() + part.get(1..).unwrap_or_default(),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::bcp47;

    #[test]
    fn tags_of_containers_become_bcp47() {
        for (tag, expected) in [
            ("eng", Some("en")),
            ("GER", Some("de")),
            ("pt_br", Some("pt-BR")),
            ("zh-hant-tw", Some("zh-Hant-TW")),
            ("gsw", Some("gsw")),
            ("und", None),
            ("", None),
            ("../x", None),
            ("en\"x", None),
        ] {
            assert_eq!(bcp47(tag).as_deref(), expected, "{tag}");
        }
        assert_eq!(bcp47("en-\"").as_deref(), Some("en"), "what is not a tag is dropped");
    }
}
