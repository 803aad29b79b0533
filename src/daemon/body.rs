//! Puts a request's body together: text from the connector, links made here, bytes of files read
//! while they leave.

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use url::form_urlencoded;

use super::progress::Watch;
use crate::http::Payload;
use crate::media::Ready;
use crate::platforms::{Body, Field};

/// A file or an address that a request needs, in the order of [`Body::files`].
#[derive(Debug, Clone)]
pub(super) enum Part {
    File(Ready),
    Link(String),
}

/// A piece of a body.
#[derive(Debug, Clone)]
enum Piece {
    Text(Bytes),
    File(Ready, u64, u64),
}

/// A body, and the media type it has.
#[derive(Debug, Clone)]
pub(super) struct Built {
    pieces: Vec<Piece>,
    pub(super) content_type: Option<String>,
}

impl Built {
    fn text(bytes: impl Into<Bytes>, content_type: &str) -> Self {
        Self { pieces: vec![Piece::Text(bytes.into())], content_type: Some(content_type.to_owned()) }
    }

    pub(super) fn length(&self) -> u64 {
        let length = |piece: &Piece| match piece {
            Piece::Text(bytes) => bytes.len() as u64,
            Piece::File(_, _, length) => *length,
        };
        self.pieces.iter().map(length).sum()
    }

    /// How much of the file lies before what this body brings, and how much there is in all: of a film
    /// that goes up in pieces the film counts, not the piece.
    pub(super) fn standing(&self) -> (u64, u64) {
        let piece = self.pieces.iter().find_map(|piece| match piece {
            Piece::File(ready, start, _) => Some((*start, ready.bytes)),
            Piece::Text(_) => None,
        });
        piece.unwrap_or((0, self.length()))
    }

    /// The whole body, if it holds no file.
    pub(super) fn small(&self) -> Option<Bytes> {
        match self.pieces.as_slice() {
            [] => Some(Bytes::new()),
            [Piece::Text(bytes)] => Some(bytes.clone()),
            _ => None,
        }
    }

    /// The body as it leaves; `watch` sees every byte go.
    pub(super) fn payload(&self, watch: Option<Watch>) -> Payload {
        let pieces = self.pieces.clone();
        let chunks = stream::iter(pieces)
            .flat_map(|piece| match piece {
                Piece::Text(bytes) => stream::once(async { Ok(bytes) }).boxed(),
                Piece::File(ready, start, length) => ready.stream(start, length),
            })
            .inspect(move |chunk| {
                if let (Some(watch), Ok(chunk)) = (&watch, chunk) {
                    watch.add(chunk.len() as u64);
                }
            })
            .boxed();
        Payload { length: self.length(), chunks }
    }
}

/// The body of a request. `boundary`: fresh randomness that no file can hold.
pub(super) fn build(body: &Body, parts: &[Part], boundary: &str) -> Result<Built, String> {
    let mut parts = parts.iter();
    Ok(match body {
        Body::None => Built { pieces: Vec::new(), content_type: None },
        Body::Json(bytes) => Built::text(bytes.clone(), "application/json"),
        Body::JsonWithLinks { json, links } => {
            let mut json = json.clone();
            for (pointer, _) in links {
                let place = json.pointer_mut(pointer).ok_or("a link has no place in the request")?;
                *place = link(parts.next())?.into();
            }
            Built::text(json.to_string(), "application/json")
        }
        Body::Form(fields) => {
            let mut form = form_urlencoded::Serializer::new(String::new());
            for (name, field) in fields {
                match field {
                    Field::Text(text) => form.append_pair(name, text),
                    Field::Link(_) => form.append_pair(name, link(parts.next())?),
                    Field::File { .. } => return Err("a file has no place in a form".into()),
                };
            }
            Built::text(form.finish(), "application/x-www-form-urlencoded")
        }
        Body::Multipart(fields) => {
            let mut pieces = Vec::new();
            for (name, field) in fields {
                let head = |more: &str| {
                    let name = quoted(name);
                    format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n")
                };
                match field {
                    Field::Text(text) => pieces.push(Piece::Text(format!("{}{text}\r\n", head("")).into())),
                    Field::Link(_) => {
                        pieces.push(Piece::Text(format!("{}{}\r\n", head(""), link(parts.next())?).into()));
                    }
                    Field::File { part, name } => {
                        let about =
                            format!("; filename=\"{}\"\r\nContent-Type: {}", quoted(name), part.kind.mime());
                        pieces.push(Piece::Text(head(&about).into()));
                        pieces.push(file(parts.next(), part.range)?);
                        pieces.push(Piece::Text("\r\n".into()));
                    }
                }
            }
            pieces.push(Piece::Text(format!("--{boundary}--\r\n").into()));
            // Runs of text are one piece, so that a form without a file is small.
            let content_type = Some(format!("multipart/form-data; boundary={boundary}"));
            Built { pieces: joined(pieces), content_type }
        }
        Body::File { part, .. } => {
            let content_type = Some(part.kind.mime().to_owned());
            Built { pieces: vec![file(parts.next(), part.range)?], content_type }
        }
    })
}

fn link(part: Option<&Part>) -> Result<&str, String> {
    match part {
        Some(Part::Link(url)) => Ok(url),
        _ => Err("a link is missing".into()),
    }
}

fn file(part: Option<&Part>, range: Option<(u64, u64)>) -> Result<Piece, String> {
    let Some(Part::File(ready)) = part else { return Err("a file is missing".into()) };
    let (start, length) = range.unwrap_or((0, ready.bytes));
    if start.checked_add(length).is_none_or(|end| end > ready.bytes) {
        return Err(format!(
            "the media file has {} bytes, bytes {start} to {} were asked for",
            ready.bytes,
            start.saturating_add(length)
        ));
    }
    Ok(Piece::File(ready.clone(), start, length))
}

/// As browsers write names in forms (WHATWG HTML, "multipart/form-data").
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::new();
    for piece in pieces {
        match (out.last_mut(), piece) {
            (Some(Piece::Text(before)), Piece::Text(more)) => {
                *before = [&before[..], &more[..]].concat().into();
            }
            (_, piece) => out.push(piece),
        }
    }
    out
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
