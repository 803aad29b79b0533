//! A small picture of a media file, for the console: the socket gives no file back in full.
//!
//! It is made as a picture is made for a network, by the same code under the same limit of memory and one
//! at a time; it lies beside the original and goes with it.

use std::sync::Arc;

use base64::Engine as _;
use futures_util::TryStreamExt as _;

use super::errors;
use super::shared::Shared;
use crate::control::api::{ApiError, ApiResult, ErrorKind};
use crate::control::messages as m;
use crate::domain::fit::Fit;
use crate::domain::ids::MediaId;
use crate::domain::media::MediaItem;
use crate::media::MediaError;
use crate::store::media;

/// Longest side, in pixels: more than a terminal of 200 columns shows.
const SIDE_MAX: u32 = 1_024;
/// Most bytes of a small picture.
const BYTES_MAX: u64 = 256 << 10;

pub(super) async fn of(shared: &Arc<Shared>, id: &str) -> ApiResult<m::Thumbnail> {
    let id: MediaId = id.parse().map_err(errors::bad_name)?;
    let stored = shared.store.read(|rx| media::get(rx, id)).map_err(errors::store)?;
    let stored = stored.ok_or_else(|| {
        ApiError::not_found("unknown_media", format!("there is no media file `{id}`"))
            .hint("a file goes when its last delivery is over")
    })?;
    let item = stored.item;
    if !item.kind.is_image() {
        let message = format!(
            "`{}` is no picture ({}), and nothing else is looked at here",
            item.name,
            item.kind.title()
        );
        return Err(ApiError::new(ErrorKind::Refused, "no_picture", message));
    }
    shared.disk.admit()?;
    let fit = small(&item);
    let ready = shared.library.open(id, item.kind, stored.digest, Some(fit)).await;
    let ready = ready.map_err(|error| errors::media(&error))?;
    let chunks: Vec<_> = ready
        .stream(0, ready.bytes)
        .try_collect()
        .await
        .map_err(|error| errors::media(&MediaError::Disk(error)))?;
    Ok(m::Thumbnail {
        id: id.to_string(),
        name: item.name,
        width: item.width,
        height: item.height,
        mime: "image/jpeg".to_owned(),
        data: base64::engine::general_purpose::STANDARD.encode(chunks.concat()),
    })
}

/// The picture's own shape, within the bounds.
fn small(item: &MediaItem) -> Fit {
    let longest = item.width.max(item.height).max(1);
    let side = |it: u32| {
        let scaled = u64::from(it) * u64::from(SIDE_MAX.min(longest)) / u64::from(longest);
        u32::try_from(scaled).unwrap_or(SIDE_MAX).max(1)
    };
    Fit { width: side(item.width), height: side(item.height), bytes_max: BYTES_MAX, flatten: true }
}
