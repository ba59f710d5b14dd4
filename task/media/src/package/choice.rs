//! Chooses the frame that becomes the poster. Pure.
//!
//! It compares small grey frames: not black, not white, not flat, not blurred, and rather from the body of the video
//! than from its titles or credits.

/// Width of the small grey images, in pixels.
pub const WIDTH: usize = 160;
/// Height of the small grey images, in pixels.
pub const HEIGHT: usize = 90;

/// How well an image stands for a video; more is better. `at` is its position in the video, 0 to 1.
///
/// `grey` holds [`WIDTH`] × [`HEIGHT`] bytes, 0 black to 255 white.
pub fn score(grey: &[u8], at: f64) -> f64 {
    let (mean, deviation) = spread(grey);
    let detail = sharpness(grey);
    // Fades and single-coloured images lose to anything else, but are ranked among each other.
    let usable = if (24.0..=235.0).contains(&mean) && deviation >= 10.0 { 1.0 } else { 0.01 };
    let place = if (0.04..=0.9).contains(&at) { 1.0 } else { 0.8 };
    usable * place * (1.0 + detail).ln() * deviation.min(64.0)
}

/// Index of the best of `images`, which lie one after the other. None if there is not one whole image.
pub fn best(images: &[u8]) -> Option<usize> {
    let all: Vec<_> = images.chunks_exact(WIDTH * HEIGHT).collect();
    let place = |index: usize| float(index) / float(all.len().saturating_sub(1).max(1));
    let scored = all.iter().enumerate().map(|(index, grey)| (index, score(grey, place(index))));
    // The earliest among equals.
    scored.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(index, _)| index)
}

fn spread(grey: &[u8]) -> (f64, f64) {
    let count = float(grey.len().max(1));
    let mean = grey.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let variance = grey.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

/// Variance of the Laplacian: high where edges are crisp.
fn sharpness(grey: &[u8]) -> f64 {
    let at = |x: usize, y: usize| grey.get(y * WIDTH + x).copied().map_or(0.0, f64::from);
    let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
    for y in 1..HEIGHT - 1 {
        for x in 1..WIDTH - 1 {
            let edge = at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1) - 4.0 * at(x, y);
            sum += edge;
            squares += edge * edge;
            count += 1.0;
        }
    }
    let mean: f64 = sum / count;
    squares / count - mean * mean
}

#[allow(clippy::cast_precision_loss, reason = "sizes of images and counts of them")]
fn float(value: usize) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(value: impl Fn(usize, usize) -> u8) -> Vec<u8> {
        (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (x, y))).map(|(x, y)| value(x, y)).collect()
    }

    #[test]
    fn a_crisp_image_beats_black_white_flat_and_blurred_ones() {
        let black = image(|_, _| 16);
        let white = image(|_, _| 250);
        let flat = image(|x, _| 100 + u8::from(x % 2 == 0));
        let blurred = image(|x, _| u8::try_from(60 + x / 2).unwrap());
        let crisp = image(|x, y| if (x / 12 + y / 9) % 2 == 0 { 60 } else { 190 });
        let dark_noise = image(|x, y| u8::try_from((x * 7 + y * 13) % 9).unwrap());
        let images = [black, white, flat, blurred, crisp, dark_noise].concat();
        assert_eq!(best(&images), Some(4));
    }

    #[test]
    fn nothing_is_chosen_from_nothing_and_black_from_only_black() {
        assert_eq!(best(&[0; 10]), None);
        assert_eq!(best(&[vec![16; WIDTH * HEIGHT], vec![16; WIDTH * HEIGHT]].concat()), Some(0));
    }
}
