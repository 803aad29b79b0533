//! The upload host: pieces in order, each at its size, to an address that lives an hour
//! (developers.tiktok.com/doc/content-posting-api-media-transfer-guide).

use jiff::SignedDuration;

use super::TikTok;
use super::tasks::{Source, task_number};
use crate::sandbox::wire::{Answer, Call};

const LIFE: SignedDuration = SignedDuration::from_hours(1);
/// What is kept of a film, to be shown.
const KEPT: usize = 16 * 1024 * 1024;
const KINDS: &[&str] = &["video/mp4", "video/quicktime", "video/webm"];

/// `bytes {first}-{last}/{total}`
fn range(call: &Call) -> Option<(u64, u64, u64)> {
    let (range, total) = call.header("content-range")?.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, total) = (first.parse().ok()?, last.parse().ok()?, total.parse().ok()?);
    (first <= last && last < total).then_some((first, last, total))
}

/// Whether it brings the end of the file.
pub(super) fn is_last(call: &Call) -> bool {
    range(call).is_some_and(|(_, last, total)| last + 1 == total)
}

fn plain(status: u16) -> Answer {
    Answer::new(status, "text/plain; charset=utf-8", "")
}

/// The upload host has no words for its errors; of a wrong range it tells what it has: here all that came
/// before this piece.
pub(in crate::sandbox) fn turned_away(status: u16, call: &Call) -> Answer {
    let answer = plain(status);
    match range(call).filter(|_| status == 416) {
        Some((0, _, total)) => answer.with("content-range", &format!("bytes */{total}")),
        Some((first, _, total)) => answer.with("content-range", &format!("bytes 0-{}/{total}", first - 1)),
        None => answer,
    }
}

impl TikTok {
    pub(super) fn upload(&mut self, call: &Call) -> Answer {
        let Some(token) = call.param("upload_token") else {
            return plain(404).because("an address without its token");
        };
        let task = self.tasks.entries().find(|(_, it)| it.upload_token() == Some(token));
        // The address is used whole, as it was given.
        let whole = |id: &str| {
            let n = call.param("upload_id").and_then(|it| it.parse::<u64>().ok());
            call.query.len() == 2 && n.is_some_and(|n| id.ends_with(&format!(".{}", task_number(n))))
        };
        let task = task.filter(|(id, _)| whole(id));
        let Some(id) = task.map(|(id, _)| id.clone()) else { return plain(404).because("no such upload") };
        let Some(task) = self.tasks.get_mut(&id) else { return plain(404) };
        if call.now.duration_since(task.made) >= LIFE {
            return plain(403).because("the address has expired");
        }
        if call.header("authorization").is_some() {
            return plain(400).because("a token has no business at the upload host");
        }
        if !KINDS.contains(&call.content_type().as_str()) {
            return plain(400).because("the content type is that of no film");
        }
        let length = call.body.len() as u64;
        if call.header("content-length") != Some(&length.to_string()) {
            return plain(400).because("no content length");
        }
        let Some((first, last, total)) = range(call) else {
            return plain(400).because("the content range cannot be read");
        };
        let Source::Film { size, chunk, count, got, bytes, .. } = &mut task.source else { return plain(404) };
        if total != *size || last - first + 1 != length {
            return plain(400).because("the content range does not fit the film or the body");
        }
        let stored = |got: u64| match got.checked_sub(1) {
            Some(end) => format!("bytes 0-{end}/{total}"),
            None => format!("bytes */{total}"),
        };
        if first != *got {
            // A piece that is there already is an ordinary turn: its answer was lost.
            let answer = plain(416).with("content-range", &stored(*got));
            let repeat = last < *got;
            return if repeat { answer } else { answer.because("a piece out of order") };
        }
        let ends = (*count - 1) * *chunk == first;
        if length != if ends { *size - first } else { *chunk } {
            return plain(400).because("a piece of another size than was announced");
        }
        *got += length;
        if *size <= KEPT as u64 {
            bytes.extend_from_slice(&call.body);
        } else if bytes.is_empty() {
            bytes.extend_from_slice(&call.body[..call.body.len().min(64)]);
        }
        let answer = plain(if ends { 201 } else { 206 }).with("content-range", &stored(*got));
        if ends {
            let post = self.next_post();
            if let Some(task) = self.tasks.get_mut(&id) {
                task.complete(call.now, post);
            }
        }
        answer
    }
}
