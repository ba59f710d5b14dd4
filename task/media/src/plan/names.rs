//! Unique names of renditions.

/// `wanted`, or `otherwise`, with a number behind it if that is taken.
pub fn unique(wanted: Option<String>, otherwise: &str, taken: impl Fn(&str) -> bool) -> String {
    let wanted = wanted.unwrap_or_else(|| otherwise.to_owned());
    if !taken(&wanted) {
        return wanted;
    }
    (2..10_000).map(|number| format!("{wanted}-{number}")).find(|name| !taken(name)).unwrap_or(wanted)
}
