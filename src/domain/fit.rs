//! Whether a file fits a network as it is, after a conversion, or not at all. Pure.
//!
//! A picture may be shrunk and turned into a JPEG, which `--check` says in words; it is never
//! cropped, stretched or robbed of its movement. A film is never changed by us: what does not fit is
//! refused with the limit, what was found, and the command that would make it fit.

mod command;

use std::fmt;

use self::command::command;
use super::figures::sides;
pub use super::figures::size;
use super::media::{MediaItem, MediaKind, decimal};

/// The most memory that the decoded pixels of one picture may take while it is converted, in bytes.
pub const DECODED_MAX: u64 = 160 << 20;

/// What a network wants of a post's files. Data: the validator, the composer and the conversion read
/// it. The figures of each network, with their sources, are in `platforms::needs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaNeeds {
    pub image: ImageNeeds,
    /// Of animations, where they are another thing than pictures.
    pub animation: Option<ImageNeeds>,
    /// `None`: no films in this version.
    pub video: Option<VideoNeeds>,
    pub videos_max: usize,
    /// Pictures and films may stand together in one post.
    pub mixed: bool,
    /// Least number of files; a network or a kind of post that is nothing without one says 1.
    pub files_min: usize,
}

impl MediaNeeds {
    /// What is wanted of this very picture.
    pub fn of_image(&self, item: &MediaItem) -> &ImageNeeds {
        let animation = self.animation.as_ref().filter(|it| it.kinds.contains(&item.kind));
        animation.filter(|_| item.detail.animated).unwrap_or(&self.image)
    }
}

/// What a network wants of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageNeeds {
    pub kinds: &'static [MediaKind],
    pub bytes_max: u64,
    /// Longest side in pixels; `u32::MAX` when there is none.
    pub side_max: u32,
    /// Shortest side in pixels; 1 when there is none.
    pub side_min: u32,
    /// Most pixels of the shorter side, as `1080p` counts them; `u32::MAX` when there is no limit.
    pub short_side_max: u32,
    /// Width × height; `u64::MAX` when there is none.
    pub pixels_max: u64,
    /// Width to height: the narrowest and the widest shape, each as a fraction.
    pub aspect: Option<(Ratio, Ratio)>,
    /// Animations stay animations.
    pub animated: bool,
    /// Most pictures of an animated GIF; `u32::MAX` when there is no limit. Not held against a file whose
    /// pictures were not counted when it was taken in.
    pub frames_max: u32,
    /// Width × height × pictures of it; `u64::MAX` when there is no limit.
    pub frame_pixels_max: u64,
    /// Colours are those of sRGB; others are told in the check.
    pub srgb: bool,
    /// The width that a converted picture has at most: more would be thrown away by the network.
    pub width_useful: u32,
}

impl ImageNeeds {
    /// No limits but kinds and bytes.
    pub const fn of(kinds: &'static [MediaKind], bytes_max: u64) -> Self {
        Self {
            kinds,
            bytes_max,
            side_max: u32::MAX,
            side_min: 1,
            short_side_max: u32::MAX,
            pixels_max: u64::MAX,
            aspect: None,
            animated: true,
            frames_max: u32::MAX,
            frame_pixels_max: u64::MAX,
            srgb: false,
            width_useful: u32::MAX,
        }
    }
}

/// What a network wants of a film.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoNeeds {
    pub kinds: &'static [MediaKind],
    /// As in [`Video::codec`](super::media::Video::codec).
    pub codecs: &'static [&'static str],
    /// As in [`Sound::codec`](super::media::Sound::codec). A film without sound is always fine.
    pub audio: &'static [&'static str],
    pub sound: SoundNeeds,
    pub bytes_min: u64,
    pub bytes_max: u64,
    pub duration_min_ms: u64,
    pub duration_max_ms: u64,
    /// Least and most pictures a second.
    pub frame_rate: (u32, u32),
    /// Least and most pixels across, then down; 1 and `u32::MAX` where there is no limit.
    pub width: (u32, u32),
    pub height: (u32, u32),
    pub aspect: Option<(Ratio, Ratio)>,
    /// The index must lie before the pictures.
    pub index_first: bool,
    /// Pictures in fields, and what an edit list cuts away.
    pub interlaced: bool,
    pub edit_lists: bool,
}

/// What a network wants of a film's sound. What the container does not tell is not held against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoundNeeds {
    /// Most samples a second; `u32::MAX` when there is no limit.
    pub hz_max: u32,
    /// Most channels; `u16::MAX` when there is no limit.
    pub channels_max: u16,
    /// Samples a second and channels that the network asks for without refusing others. Other sound is told
    /// in the check.
    pub asked: Option<(u32, u16)>,
}

impl SoundNeeds {
    /// No limits.
    pub const ANY: Self = Self { hz_max: u32::MAX, channels_max: u16::MAX, asked: None };
}

/// What a network wants of a document, which nothing here converts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentNeeds {
    pub kinds: &'static [MediaKind],
    pub bytes_max: u64,
    /// Checked where the file tells how many it has.
    pub pages_max: u32,
}

/// Width to height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio(pub u32, pub u32);

impl Ratio {
    fn value(self) -> f64 {
        f64::from(self.0) / f64::from(self.1.max(1))
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.1.is_multiple_of(100) {
            return write!(f, "{}:1", decimal(u64::from(self.0) * 1000 / u64::from(self.1)));
        }
        write!(f, "{}:{}", self.0, self.1)
    }
}

/// How a picture is made ready: a JPEG of this size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fit {
    pub width: u32,
    pub height: u32,
    /// It is compressed until it has no more bytes than this.
    pub bytes_max: u64,
    /// See-through parts become white.
    pub flatten: bool,
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JPEG, {}×{}", self.width, self.height)?;
        if self.flatten { f.write_str(", see-through parts become white") } else { Ok(()) }
    }
}

/// One thing that keeps a file from a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// A stable word for scripts.
    pub code: &'static str,
    /// What was found, and the limit. Reads on after the file's name: `is 3000×500 pixels, …`.
    pub message: String,
    pub hint: &'static str,
    /// The command that makes it fit, for those who have `ffmpeg`, run where the file lies.
    pub command: Option<String>,
}

fn misfit(code: &'static str, message: String, hint: &'static str) -> Misfit {
    Misfit { code, message, hint, command: None }
}

/// What becomes of a picture: nothing, a conversion, or the reasons why it cannot be sent. `title` is
/// the network's name.
pub fn image(item: &MediaItem, needs: &ImageNeeds, title: &str) -> Result<Option<Fit>, Vec<Misfit>> {
    let mut found = Vec::new();
    let (width, height) = (item.width, item.height);
    if let Some((low, high)) = needs.aspect
        && width > 0
        && height > 0
        && !within(width, height, low, high)
    {
        found.push(misfit(
            "image_aspect",
            format!(
                "is {width}×{height} pixels ({}), {title} takes shapes from {low} to {high}",
                shape(width, height)
            ),
            "crop it yourself; nothing is cropped for you",
        ));
    }
    if width > 0 && width.min(height) < needs.side_min {
        found.push(misfit(
            "image_too_small",
            format!("is {width}×{height} pixels, {title} wants {} at least on each side", needs.side_min),
            "use a larger picture; nothing is enlarged for you",
        ));
    }
    if item.detail.animated && !needs.animated && needs.kinds.contains(&item.kind) {
        found.push(misfit(
            "image_animated",
            format!("is an animation, {title} takes still pictures"),
            "use a still picture or a video",
        ));
    }
    let pixels = u64::from(width) * u64::from(height);
    if item.detail.animated && needs.kinds.contains(&item.kind) {
        found.extend(moving(item.detail.frames, (width, height), needs, title));
    }
    let too_large = width.max(height) > needs.side_max
        || width.min(height) > needs.short_side_max
        || pixels > needs.pixels_max;
    let foreign = !needs.kinds.contains(&item.kind);
    let heavy = item.bytes > needs.bytes_max;
    if !(too_large || foreign || heavy) {
        return if found.is_empty() { Ok(None) } else { Err(found) };
    }
    let why = || {
        if needs.kinds.is_empty() {
            format!("is {}, {title} takes no pictures here, only a video", item.kind.title())
        } else if foreign {
            format!("is {}, {title} takes {}", item.kind.title(), kinds(needs.kinds))
        } else if heavy {
            format!("has {}, {title} takes {}", size(item.bytes), size(needs.bytes_max))
        } else {
            format!("is {width}×{height} pixels, {title} takes {}", largest(needs, width, height))
        }
    };
    if item.detail.animated {
        let code = if foreign { "image_type" } else { "image_too_big" };
        let message = format!("{}, and it is an animation, which a conversion would stop", why());
        found.push(misfit(code, message, "use a still picture, a smaller animation or a video"));
    } else if !needs.kinds.contains(&MediaKind::Jpeg) || width == 0 || height == 0 {
        let hint = if needs.kinds.is_empty() { "give a video" } else { "convert it yourself" };
        found.push(misfit("image_type", why(), hint));
    } else if pixels * u64::from(item.detail.pixel_bytes.max(3)) > DECODED_MAX {
        found.push(misfit(
            "image_too_large_to_convert",
            format!("{}; with {width}×{height} pixels it is too large to be converted here", why()),
            "save it smaller",
        ));
    }
    if !found.is_empty() {
        return Err(found);
    }
    let (width, height) = shrunk(width, height, needs);
    Ok(Some(Fit { width, height, bytes_max: needs.bytes_max, flatten: item.detail.alpha }))
}

/// The limit of a picture's size that this one is beyond.
fn largest(needs: &ImageNeeds, width: u32, height: u32) -> String {
    if width.max(height) > needs.side_max {
        format!("{} on the longer side", needs.side_max)
    } else if width.min(height) > needs.short_side_max {
        format!("{} on the shorter side", needs.short_side_max)
    } else {
        format!("{} million pixels in all", decimal(needs.pixels_max / 1000))
    }
}

/// What keeps an animation of so many pictures from a network: their number, and all their pixels.
fn moving(frames: u32, (width, height): (u32, u32), needs: &ImageNeeds, title: &str) -> Vec<Misfit> {
    let mut found = Vec::new();
    if frames > needs.frames_max {
        found.push(misfit(
            "animation_too_long",
            format!("has {frames} frames, {title} takes animations of {}", needs.frames_max),
            "leave frames out, or use a video",
        ));
    }
    let all = u64::from(width) * u64::from(height) * u64::from(frames);
    if all > needs.frame_pixels_max {
        found.push(misfit(
            "animation_too_large",
            format!(
                "has {frames} frames of {width}×{height} pixels, {} million in all, {title} takes {} million",
                all.div_ceil(1_000_000),
                needs.frame_pixels_max / 1_000_000
            ),
            "save it smaller, leave frames out, or use a video",
        ));
    }
    found
}

/// The item as the network gets it.
pub fn as_sent(item: &MediaItem, fit: Fit) -> MediaItem {
    let mut sent = item.clone();
    sent.kind = MediaKind::Jpeg;
    (sent.width, sent.height) = (fit.width, fit.height);
    sent.bytes = sent.bytes.min(fit.bytes_max);
    sent.detail.alpha = false;
    sent.detail.fit = Some(fit);
    sent
}

/// The largest size of the same shape that the network takes. Never larger than it is.
fn shrunk(width: u32, height: u32, needs: &ImageNeeds) -> (u32, u32) {
    let (w, h) = (f64::from(width), f64::from(height));
    let mut scale: f64 = 1.0;
    scale = scale.min(f64::from(needs.side_max) / w.max(h));
    scale = scale.min(f64::from(needs.short_side_max) / w.min(h));
    scale = scale.min(f64::from(needs.width_useful) / w);
    #[allow(clippy::cast_precision_loss)] // a limit, not an account
    let room = needs.pixels_max as f64;
    scale = scale.min((room / (w * h)).sqrt());
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 1 and the side it had
    let side = |it: f64| (it * scale).round().max(1.0) as u32;
    (side(w).min(width), side(h).min(height))
}

/// What keeps a film from a network; nothing if it fits.
pub fn video(item: &MediaItem, needs: &VideoNeeds, title: &str) -> Vec<Misfit> {
    let mut found = Vec::new();
    let Some(film) = &item.detail.video else {
        return vec![misfit("video_unknown", "was taken in without its details".into(), "upload it again")];
    };
    let (width, height) = (item.width, item.height);
    let mut again = false;
    let mut add = |code, message, hint| found.push(misfit(code, message, hint));
    if !needs.kinds.contains(&item.kind) {
        again = true;
        let message = format!("is {}, {title} takes {}", item.kind.title(), kinds(needs.kinds));
        add("video_type", message, "convert it");
    }
    if !needs.codecs.contains(&film.codec.as_str()) {
        again = true;
        let message = format!("has {} pictures, {title} takes {}", film.codec, needs.codecs.join(", "));
        add("video_codec", message, "convert it");
    }
    if let Some(audio) = &film.audio
        && !needs.audio.contains(&audio.codec.as_str())
    {
        again = true;
        let message = format!("has {} sound, {title} takes {}", audio.codec, needs.audio.join(", "));
        add("video_audio", message, "convert it");
    }
    if let Some(audio) = film.audio.as_ref().filter(|it| it.hz > needs.sound.hz_max) {
        again = true;
        let message =
            format!("has sound of {}, {title} takes {} at most", khz(audio.hz), khz(needs.sound.hz_max));
        add("video_audio_rate", message, "convert its sound");
    }
    if let Some(audio) = film.audio.as_ref().filter(|it| it.channels > needs.sound.channels_max) {
        again = true;
        let message = format!(
            "has sound of {} channels, {title} takes {} at most",
            audio.channels, needs.sound.channels_max
        );
        add("video_audio_channels", message, "mix its sound down");
    }
    if item.bytes > needs.bytes_max {
        again = true;
        let message = format!("has {}, {title} takes {}", size(item.bytes), size(needs.bytes_max));
        add("video_too_big", message, "compress it more, or shorten it");
    }
    if item.bytes < needs.bytes_min {
        let message = format!("has {}, {title} wants {} at least", size(item.bytes), size(needs.bytes_min));
        add("video_too_small", message, "use a film of better quality");
    }
    let too_long = film.duration_ms > needs.duration_max_ms;
    if too_long {
        let message =
            format!("lasts {} s, {title} takes {} s", film.seconds(), decimal(needs.duration_max_ms));
        add("video_too_long", message, "cut it");
    }
    if film.duration_ms < needs.duration_min_ms {
        let message = format!(
            "lasts {} s, {title} wants {} s at least",
            film.seconds(),
            decimal(needs.duration_min_ms)
        );
        add("video_too_short", message, "use a longer one");
    }
    let (slow, fast) = needs.frame_rate;
    // Half a picture of leeway: a rate worked out from durations is never exact.
    if film.frame_rate_milli > 0
        && (film.frame_rate_milli + 500 < slow * 1000 || film.frame_rate_milli > fast * 1000 + 500)
    {
        again = true;
        let message = format!("has {} pictures a second, {title} takes {slow} to {fast}", film.frame_rate());
        add("video_frame_rate", message, "convert it");
    }
    let (least_w, most_w) = needs.width;
    let (least_h, most_h) = needs.height;
    if width < least_w || height < least_h {
        let least = sides(least_w, least_h);
        let message = format!("is {width}×{height} pixels, {title} wants {least} at least");
        add("video_too_few_pixels", message, "use a larger one; enlarging adds nothing");
    }
    if width > most_w || height > most_h {
        again = true;
        let most = sides(most_w, most_h);
        let message = format!("is {width}×{height} pixels, {title} takes {most} at most");
        add("video_too_many_pixels", message, "scale it down");
    }
    if let Some((low, high)) = needs.aspect
        && !within(width, height, low, high)
    {
        let message = format!(
            "is {width}×{height} pixels ({}), {title} takes shapes from {low} to {high}",
            shape(width, height)
        );
        add("video_aspect", message, "crop it yourself; nothing is cropped for you");
    }
    if film.interlaced && !needs.interlaced {
        again = true;
        add("video_interlaced", format!("is interlaced, {title} takes progressive pictures"), "convert it");
    }
    let cut = film.edits.filter(|it| it.is_cut() && !needs.edit_lists);
    if let Some(it) = cut {
        again = true;
        let message = format!(
            "has an edit list, which {title} does not take: {} of its {} s are shown, from {} s on",
            decimal(it.shown_ms),
            decimal(it.recorded_ms),
            decimal(it.start_ms)
        );
        add("video_edit_list", message, "write what is shown into a film of its own");
    }
    let index_last = needs.index_first && !film.index_first;
    if index_last {
        let message = format!("has its index at the end, {title} wants it first");
        add("video_index", message, "write it anew with the index first");
    }
    let command = command(item, needs, again, too_long, index_last);
    for it in &mut found {
        if !matches!(it.code, "video_aspect" | "video_too_short" | "video_too_small" | "video_too_few_pixels")
        {
            it.command.clone_from(&command);
        }
    }
    found
}

/// What a network's documents say of a picture's colours, where they are not sRGB; and that a conversion
/// makes them so.
pub fn colour_notice(item: &MediaItem, needs: &ImageNeeds, title: &str, converted: bool) -> Option<String> {
    let colours = item.detail.colours.as_ref()?;
    let (name, own) = (&item.name, &colours.name);
    if converted && colours.convertible {
        return Some(format!("`{name}` has the colours of {own}, and those of sRGB when it is converted"));
    }
    needs.srgb.then(|| {
        format!("`{name}` has the colours of {own}; {title} asks for sRGB, and may show them otherwise")
    })
}

/// What a network's documents say of an edit list that only leaves out an encoder's delay.
pub fn edit_notice(item: &MediaItem, needs: &VideoNeeds, title: &str) -> Option<String> {
    let edits = item.detail.video.as_ref()?.edits.filter(|it| !needs.edit_lists && !it.is_cut())?;
    Some(format!(
        "`{}` has an edit list, as most encoders write one (it begins {} ms in); {title} asks for none",
        item.name, edits.start_ms
    ))
}

/// What a network asks of a film's sound without refusing others, where this is another.
pub fn sound_notice(item: &MediaItem, needs: &VideoNeeds, title: &str) -> Option<String> {
    let sound = item.detail.video.as_ref()?.audio.as_ref()?;
    let (hz, channels) = needs.sound.asked?;
    let other_rate = sound.hz > 0 && sound.hz != hz;
    let other_channels = sound.channels > 0 && sound.channels != channels;
    let (name, asked) = (&item.name, format!("{title} asks for {}, {}", khz(hz), heard(channels)));
    match (other_rate, other_channels) {
        (false, false) => None,
        (true, false) => Some(format!("`{name}` has sound of {}; {asked}", khz(sound.hz))),
        (false, true) => Some(format!("`{name}` has sound in {}; {asked}", heard(sound.channels))),
        (true, true) => {
            Some(format!("`{name}` has sound of {} in {}; {asked}", khz(sound.hz), heard(sound.channels)))
        }
    }
}

/// Samples a second for people: `44.1 kHz`.
fn khz(hz: u32) -> String {
    format!("{} kHz", decimal(u64::from(hz)))
}

fn heard(channels: u16) -> String {
    match channels {
        1 => "mono".to_owned(),
        2 => "stereo".to_owned(),
        n => format!("{n} channels"),
    }
}

/// What keeps a document from a network; nothing if it fits.
pub fn document(item: &MediaItem, needs: &DocumentNeeds, title: &str) -> Vec<Misfit> {
    let mut found = Vec::new();
    if !needs.kinds.contains(&item.kind) {
        let message = format!("is {}, {title} takes {}", item.kind.title(), kinds(needs.kinds));
        found.push(misfit("document_type", message, "convert it yourself"));
    }
    if item.bytes > needs.bytes_max {
        let message = format!("has {}, {title} takes {}", size(item.bytes), size(needs.bytes_max));
        found.push(misfit("document_too_big", message, "save it smaller"));
    }
    if let Some(pages) = item.detail.pages.filter(|it| *it > needs.pages_max) {
        let message = format!("has {pages} pages, {title} takes {}", needs.pages_max);
        found.push(misfit("document_too_long", message, "leave pages out, or split it"));
    }
    found
}

/// Whether the shape lies between the two. Sides are whole pixels, so one of them either way counts
/// as rounding: 1200×628 is what everybody calls 1.91:1.
fn within(width: u32, height: u32, low: Ratio, high: Ratio) -> bool {
    let value = |w: u32, h: u32| f64::from(w) / f64::from(h.max(1));
    let widest = value(width + 1, height.saturating_sub(1));
    let narrowest = value(width.saturating_sub(1), height + 1);
    widest >= low.value() && narrowest <= high.value()
}

fn shape(width: u32, height: u32) -> String {
    format!("{}:1", decimal((u64::from(width) * 1000 + u64::from(height) / 2) / u64::from(height.max(1))))
}

fn kinds(kinds: &[MediaKind]) -> String {
    let titles: Vec<_> = kinds.iter().map(|it| it.title()).collect();
    titles.join(", ")
}

#[cfg(test)]
#[path = "fit_tests.rs"]
mod tests;
