//! The place of the overlay on each rung. Pure.

use transcode_config::contract::Position;

use crate::{
    examine::overlay::Overlay,
    rational::{float, round_to_u64},
};

/// Size and place of an overlay on one rung, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Spot {
    pub width: u64,
    pub height: u64,
    /// Distance from the left edge.
    pub x: u64,
    /// Distance from the upper edge.
    pub y: u64,
}

impl Overlay {
    /// The place on a rung of this size. All numbers are even: colour has half the resolution.
    pub fn spot(&self, width: u32, height: u32) -> Spot {
        let place = self.place;
        let percent = |percent: u32| f64::from(width) * f64::from(percent) / 100.0;
        let margin = percent(place.margin_percent).min(f64::from(height) * 0.4);
        let most = (percent(place.width_percent), f64::from(height) - 2.0 * margin);
        let scale = (most.0 / f64::from(self.width)).min(most.1 / f64::from(self.height));
        let even = |value: f64| round_to_u64(value / 2.0) * 2;
        let (own_width, own_height) =
            (even(f64::from(self.width) * scale).max(2), even(f64::from(self.height) * scale).max(2));
        let free = |all: u32, own: u64| (f64::from(all) - float(own)).max(0.0);
        let (far_x, far_y) = (free(width, own_width), free(height, own_height));
        let (near_x, near_y) = (margin.min(far_x), margin.min(far_y));
        let (x, y) = match place.position {
            Position::TopLeft => (near_x, near_y),
            Position::TopRight => (far_x - near_x, near_y),
            Position::BottomLeft => (near_x, far_y - near_y),
            Position::BottomRight => (far_x - near_x, far_y - near_y),
            Position::Center => (far_x / 2.0, far_y / 2.0),
        };
        Spot { width: own_width, height: own_height, x: even(x), y: even(y) }
    }
}

#[cfg(test)]
mod tests {
    use transcode_config::contract::Placement;

    use super::*;

    #[test]
    fn it_lies_inside_its_margins_whatever_the_shapes() {
        for position in [
            Position::TopLeft,
            Position::TopRight,
            Position::BottomLeft,
            Position::BottomRight,
            Position::Center,
        ] {
            for (width, height) in [(400, 100), (100, 400), (1, 4000), (4000, 1), (64, 64)] {
                for (rung_width, rung_height) in [(320, 180), (180, 320), (64, 36), (3840, 2160)] {
                    let place = Placement { position, ..Placement::default() };
                    let spot =
                        Overlay { file: "x".into(), width, height, place }.spot(rung_width, rung_height);
                    let inside = spot.x + spot.width <= u64::from(rung_width)
                        && spot.y + spot.height <= u64::from(rung_height);
                    assert!(inside && spot.width >= 2 && spot.height >= 2, "{spot:?}");
                }
            }
        }
        let place = Placement {
            position: Position::TopRight,
            width_percent: 25,
            margin_percent: 5,
            ..Placement::default()
        };
        let spot = Overlay { file: "x".into(), width: 200, height: 100, place }.spot(320, 180);
        assert_eq!(spot, Spot { width: 80, height: 40, x: 224, y: 16 });
    }
}
