//! The pairs of vCPU and memory that Fargate offers, and their spellings.

/// CPU units (1024 a vCPU) of `"256"`, `".25 vCPU"`, `"1 vcpu"`.
pub(crate) fn parse_cpu(text: &str) -> Option<u32> {
    let text = text.trim().to_ascii_lowercase();
    match text.strip_suffix("vcpu") {
        None => text.parse().ok(),
        Some(vcpu) => scaled(vcpu),
    }
}

/// MiB of `"512"`, `"1GB"`, `"0.5 GB"`.
pub(crate) fn parse_memory(text: &str) -> Option<u32> {
    let text = text.trim().to_ascii_lowercase();
    match text.strip_suffix("gb") {
        None => text.strip_suffix("mb").unwrap_or(&text).trim().parse().ok(),
        Some(gib) => scaled(gib),
    }
}

/// 1024 times a decimal number of at most three digits before the point, without going through floats.
fn scaled(text: &str) -> Option<u32> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let whole: u32 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let thousandths: u32 = match fraction {
        "" => 0,
        digits if digits.len() <= 3 => format!("{digits:0<3}").parse().ok()?,
        _ => return None,
    };
    (whole <= 999).then(|| whole * 1024 + thousandths * 1024 / 1000)
}

/// Whether Fargate offers `memory` MiB with `cpu` units.
pub(crate) fn is_offered(cpu: u32, memory: u32) -> bool {
    const GIB: u32 = 1024;
    let steps = |low: u32, high: u32, step: u32| {
        memory.is_multiple_of(step * GIB) && (low * GIB..=high * GIB).contains(&memory)
    };
    match cpu {
        256 => matches!(memory, 512 | 1024 | 2048),
        512 => steps(1, 4, 1),
        1024 => steps(2, 8, 1),
        2048 => steps(4, 16, 1),
        4096 => steps(8, 30, 1),
        8192 => steps(16, 60, 4),
        16384 => steps(32, 120, 8),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_every_form() {
        assert_eq!(parse_cpu("256"), Some(256));
        assert_eq!(parse_cpu(".25 vCPU"), Some(256));
        assert_eq!(parse_cpu("2 vCPU"), Some(2048));
        assert_eq!(parse_memory("0.5 GB"), Some(512));
        assert_eq!(parse_memory("8GB"), Some(8192));
        assert_eq!(parse_memory("many"), None);
        assert_eq!(parse_cpu("99999999999 vCPU"), None);
    }

    #[test]
    fn only_the_sold_pairs_are_offered() {
        assert!(is_offered(256, 2048) && is_offered(4096, 30 * 1024) && is_offered(16384, 120 * 1024));
        assert!(!is_offered(256, 4096) && !is_offered(512, 1536) && !is_offered(8192, 17 * 1024));
        assert!(!is_offered(300, 1024) && !is_offered(16384, 36 * 1024));
    }
}
