//! `CODECS` strings (RFC 6381), made from the sample entries of the encoded tracks.

use std::fmt::Write;

use mp4_atom::{Av1c, Codec, Colr, Hvcc, Mp4a};

/// The string for a sample entry, or none for one that we do not make.
pub fn codec_string(codec: &Codec) -> Option<String> {
    match codec {
        Codec::Avc1(avc) => Some(format!(
            "avc1.{:02x}{:02x}{:02x}",
            avc.avcc.avc_profile_indication, avc.avcc.profile_compatibility, avc.avcc.avc_level_indication
        )),
        Codec::Hvc1(hevc) => Some(hevc_string(&hevc.hvcc)),
        Codec::Av01(av1) => Some(av1_string(&av1.av1c)),
        Codec::Mp4a(aac) => aac_string(aac),
        _ => None,
    }
}

/// Channels of an audio sample entry by its decoder configuration; the entry's own field is always 2.
pub fn channels(codec: &Codec) -> Option<u32> {
    let Codec::Mp4a(aac) = codec else { return None };
    // ISO/IEC 14496-3, 1.6.3.5: the numbers up to 6 are counts of channels.
    let configuration = aac.esds.es_desc.dec_config.dec_specific.as_ref()?.chan_conf;
    matches!(configuration, 1..=6).then(|| u32::from(configuration))
}

/// Primaries, transfer function and matrix of a video sample entry (ISO/IEC 23091-2); none if it has no colour box.
pub fn colour(codec: &Codec) -> Option<(u16, u16, u16)> {
    let colour = match codec {
        Codec::Avc1(avc) => &avc.colr,
        Codec::Hvc1(hevc) => &hevc.colr,
        Codec::Av01(av1) => &av1.colr,
        _ => return None,
    };
    match colour.as_ref()? {
        Colr::Nclx { colour_primaries, transfer_characteristics, matrix_coefficients, .. } => {
            Some((*colour_primaries, *transfer_characteristics, *matrix_coefficients))
        }
        _ => None,
    }
}

/// Bits per luma sample of an HEVC entry.
pub fn hevc_bits(codec: &Codec) -> Option<u8> {
    match codec {
        Codec::Hvc1(hevc) => Some(hevc.hvcc.bit_depth_luma_minus8 + 8),
        _ => None,
    }
}

/// Width and height of a video sample entry.
pub fn frame_size(codec: &Codec) -> Option<(u16, u16)> {
    let visual = match codec {
        Codec::Avc1(avc) => &avc.visual,
        Codec::Hvc1(hevc) => &hevc.visual,
        Codec::Av01(av1) => &av1.visual,
        _ => return None,
    };
    Some((visual.width, visual.height))
}

/// ISO/IEC 14496-15, E.3: compatibility flags in reverse bit order, trailing zero bytes of the constraints left out.
fn hevc_string(config: &Hvcc) -> String {
    let space = match config.general_profile_space {
        1 => "A",
        2 => "B",
        3 => "C",
        _ => "",
    };
    let compatibility = u32::from_be_bytes(config.general_profile_compatibility_flags).reverse_bits();
    let tier = if config.general_tier_flag { 'H' } else { 'L' };
    let constraints = config.general_constraint_indicator_flags;
    let used = constraints.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let mut text = format!(
        "hvc1.{space}{}.{compatibility:x}.{tier}{}",
        config.general_profile_idc, config.general_level_idc
    );
    for byte in constraints.iter().take(used) {
        let _ = write!(text, ".{byte:x}");
    }
    text
}

fn av1_string(config: &Av1c) -> String {
    let tier = if config.seq_tier_0 { 'H' } else { 'M' };
    let depth = match (config.high_bitdepth, config.twelve_bit) {
        (true, true) => 12,
        (true, false) => 10,
        _ => 8,
    };
    format!("av01.{}.{:02}{tier}.{depth:02}", config.seq_profile, config.seq_level_idx_0)
}

fn aac_string(aac: &Mp4a) -> Option<String> {
    let config = &aac.esds.es_desc.dec_config;
    let specific = config.dec_specific.as_ref()?;
    Some(format!("mp4a.{:02x}.{}", config.object_type_indication, specific.profile))
}
