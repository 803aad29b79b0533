//! The command that makes a film fit, for those who have `ffmpeg`.

use super::VideoNeeds;
use crate::domain::media::{MediaItem, decimal};

/// One command that removes everything that can be removed without a decision about the content.
/// Cutting the end off is shown only where length is the trouble, and is the user's to take or leave.
pub(super) fn command(
    item: &MediaItem,
    needs: &VideoNeeds,
    again: bool,
    cut: bool,
    remux: bool,
) -> Option<String> {
    if !(again || cut || remux) {
        return None;
    }
    let mut words = vec![format!("ffmpeg -i {}", quoted(&item.name))];
    if cut {
        words.push(format!("-t {}", decimal(needs.duration_max_ms)));
    }
    if again {
        let film = item.detail.video.as_ref()?;
        words.push("-c:v libx264 -profile:v high -pix_fmt yuv420p".to_owned());
        let fields = film.interlaced && !needs.interlaced;
        let mut filters: Vec<String> = fields.then(|| "yadif".to_owned()).into_iter().collect();
        if item.width > needs.width.1 || item.height > needs.height.1 {
            // -2: whatever keeps the shape, and is even.
            filters.push(match (needs.width.1, needs.height.1) {
                (width, u32::MAX) => format!("scale=w={width}:h=-2"),
                (u32::MAX, height) => format!("scale=w=-2:h={height}"),
                (width, height) => format!(
                    "scale=w={width}:h={height}:force_original_aspect_ratio=decrease:force_divisible_by=2"
                ),
            });
        }
        if !filters.is_empty() {
            words.push(format!("-vf {}", filters.join(",")));
        }
        if film.edits.is_some_and(|it| it.is_cut()) && !needs.edit_lists {
            words.push("-use_editlist 0".to_owned());
        }
        let (slow, fast) = needs.frame_rate;
        if film.frame_rate_milli > fast * 1000 + 500 || film.frame_rate_milli + 500 < slow * 1000 {
            words.push(format!("-r {}", 30.clamp(slow, fast)));
        }
        let seconds = film.duration_ms.min(needs.duration_max_ms).div_ceil(1000).max(1);
        if item.bytes > needs.bytes_max {
            // A tenth for sound, container and the encoder's mood.
            let kbit = (needs.bytes_max * 8 / 1000 / seconds * 9 / 10).saturating_sub(128).clamp(100, 25_000);
            words.push(format!("-b:v {kbit}k -maxrate {kbit}k -bufsize {}k", kbit * 2));
        }
        words.push("-c:a aac -b:a 128k -ar 48000 -ac 2".to_owned());
    } else {
        words.push("-c copy".to_owned());
    }
    let stem = item.name.rsplit_once('.').map_or(item.name.as_str(), |(stem, _)| stem);
    words.push(format!("-movflags +faststart {}", quoted(&format!("{stem}-ready.mp4"))));
    Some(words.join(" "))
}

/// A file name as a shell takes it: never an option, never more than one word.
fn quoted(name: &str) -> String {
    let name = if name.starts_with('-') { format!("./{name}") } else { name.to_owned() };
    let is_plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '-' | '/');
    if name.chars().all(is_plain) { name } else { format!("'{}'", name.replace('\'', "'\\''")) }
}
