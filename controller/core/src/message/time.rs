//! Times in the format of S3's events: `2026-11-30T06:41:10.123Z`.

/// Returns milliseconds since 1970; `None` if `text` is not such a time between 1970 and 9999.
pub(super) fn parse(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time, ':')?;
    let valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !valid || !digits {
        return None;
    }
    let millis =
        fraction.bytes().chain(*b"000").take(3).fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    Some((((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000 + millis)
}

fn numbers(text: &str, by: char) -> Option<[u64; 3]> {
    let mut parts = text.split(by).map(|part| part.parse::<u64>().ok().filter(|_| part.len() <= 4));
    let found = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(found)
}

/// Returns days since 1970-01-01 in the Gregorian calendar. Years begin in March here, so that the leap day is the last
/// day of a year.
const fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn times_are_read_to_the_millisecond_and_nothing_else_is() {
        assert_eq!(parse("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse("2025-11-24T16:00:00.999Z"), Some(1_764_000_000_999));
        assert_eq!(parse("2024-02-29T23:59:59.5Z"), Some(1_709_251_199_500));
        for bad in [
            "",
            "2025-11-24",
            "2025-13-24T16:00:00Z",
            "1969-12-31T23:59:59Z",
            "2025-11-24T16:00:00.xZ",
            "-1-1-1TZ",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
