//! Static metadata of high dynamic range.

use serde::Serialize;

/// Static metadata of HDR10 (SMPTE ST 2086, CTA-861.3), in the units of the SEI messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Hdr10 {
    /// Chromaticities of green, blue, red and white in 0.00002, then the highest and the lowest luminance in
    /// 0.0001 cd/m².
    pub display: Option<[u64; 10]>,
    /// Largest light level of a pixel and largest average of a frame, in cd/m².
    pub light: Option<[u64; 2]>,
}

impl Hdr10 {
    /// The parameters of x265, with a colon in front.
    pub fn x265(&self) -> String {
        let display = self.display.map(|[gx, gy, bx, by, rx, ry, wx, wy, most, least]| {
            format!(":master-display=G({gx},{gy})B({bx},{by})R({rx},{ry})WP({wx},{wy})L({most},{least})")
        });
        let light = self.light.map(|[most, average]| format!(":max-cll={most},{average}"));
        display.into_iter().chain(light).collect()
    }
}
