//! What is kept of a media file's inside, in the row of the file and in those of the posts with it.

use serde::{Deserialize, Serialize};

use crate::domain::media::{Colours, Detail, Edits, Sound, Video};

#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::store) struct DetailRow {
    #[serde(default)]
    pixel_bytes: u8,
    #[serde(default)]
    alpha: bool,
    #[serde(default)]
    animated: bool,
    /// 0 in rows of files that were taken in before it was counted.
    #[serde(default, skip_serializing_if = "is_zero")]
    frames: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    video: Option<VideoRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    colours: Option<ColoursRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pages: Option<u32>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the shape that serde asks for
fn is_zero(it: &u32) -> bool {
    *it == 0
}

#[derive(Debug, Serialize, Deserialize)]
struct ColoursRow {
    name: String,
    convertible: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct EditsRow {
    start_ms: u64,
    shown_ms: u64,
    recorded_ms: u64,
    pieces: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct VideoRow {
    duration_ms: u64,
    frame_rate_milli: u32,
    codec: String,
    audio: Option<String>,
    #[serde(default)]
    audio_hz: u32,
    #[serde(default)]
    audio_channels: u16,
    index_first: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    interlaced: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    edits: Option<EditsRow>,
}

impl From<&Detail> for DetailRow {
    fn from(it: &Detail) -> Self {
        let video = it.video.as_ref().map(|it| VideoRow {
            duration_ms: it.duration_ms,
            frame_rate_milli: it.frame_rate_milli,
            codec: it.codec.clone(),
            audio: it.audio.as_ref().map(|it| it.codec.clone()),
            audio_hz: it.audio.as_ref().map_or(0, |it| it.hz),
            audio_channels: it.audio.as_ref().map_or(0, |it| it.channels),
            index_first: it.index_first,
            interlaced: it.interlaced,
            edits: it.edits.map(|it| EditsRow {
                start_ms: it.start_ms,
                shown_ms: it.shown_ms,
                recorded_ms: it.recorded_ms,
                pieces: it.pieces,
            }),
        });
        let colours = it.colours.as_ref();
        let colours = colours.map(|it| ColoursRow { name: it.name.clone(), convertible: it.convertible });
        Self {
            pixel_bytes: it.pixel_bytes,
            alpha: it.alpha,
            animated: it.animated,
            frames: it.frames,
            video,
            colours,
            pages: it.pages,
        }
    }
}

impl From<DetailRow> for Detail {
    fn from(row: DetailRow) -> Self {
        let video = row.video.map(|it| Video {
            duration_ms: it.duration_ms,
            frame_rate_milli: it.frame_rate_milli,
            codec: it.codec,
            audio: it.audio.map(|codec| Sound { codec, hz: it.audio_hz, channels: it.audio_channels }),
            index_first: it.index_first,
            interlaced: it.interlaced,
            edits: it.edits.map(|it| Edits {
                start_ms: it.start_ms,
                shown_ms: it.shown_ms,
                recorded_ms: it.recorded_ms,
                pieces: it.pieces,
            }),
        });
        let colours = row.colours.map(|it| Colours { name: it.name, convertible: it.convertible });
        Self {
            pixel_bytes: row.pixel_bytes,
            alpha: row.alpha,
            animated: row.animated,
            frames: row.frames,
            video,
            colours,
            pages: row.pages,
            fit: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frames_of_a_gif_are_kept_and_a_row_without_them_is_read() {
        let old = r#"{"pixel_bytes":3,"alpha":false,"animated":true}"#;
        let row: DetailRow = serde_json::from_str(old).unwrap();
        assert_eq!(serde_json::to_string(&row).unwrap(), old);
        let detail = Detail::from(row);
        assert_eq!((detail.animated, detail.frames), (true, 0));
        let detail = Detail { frames: 351, ..detail };
        let kept = serde_json::to_string(&DetailRow::from(&detail)).unwrap();
        assert_eq!(Detail::from(serde_json::from_str::<DetailRow>(&kept).unwrap()), detail);
    }
}
