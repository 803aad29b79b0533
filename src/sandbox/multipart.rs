//! `multipart/form-data` (RFC 7578), just enough to read an upload, strict about what it sees.

use bytes::Bytes;

/// One part of a form.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) bytes: Bytes,
}

/// The parts of `body`, given the whole `Content-Type` header.
pub(super) fn parts(content_type: &str, body: &Bytes) -> Result<Vec<Part>, String> {
    let boundary = content_type
        .split(';')
        .skip(1)
        .filter_map(|it| it.trim().strip_prefix("boundary="))
        .map(|it| it.trim_matches('"'))
        .find(|it| (1..=70).contains(&it.len()))
        .ok_or("the multipart content type names no boundary")?;
    let open = format!("--{boundary}");
    let mut at = find(body, open.as_bytes(), 0)
        .filter(|it| *it == 0)
        .ok_or("the body does not begin with the boundary")?;
    let between = format!("\r\n--{boundary}");
    let mut found = Vec::new();
    at += open.len();
    loop {
        let rest = &body[at..];
        if rest.starts_with(b"--") {
            return Ok(found);
        }
        if !rest.starts_with(b"\r\n") {
            return Err("a boundary is not followed by a line end".to_owned());
        }
        at += 2;
        let head_end = find(body, b"\r\n\r\n", at).ok_or("a part has no end of its headers")?;
        let head = std::str::from_utf8(&body[at..head_end]).map_err(|_| "a part's headers are not text")?;
        let name = name_of(head).ok_or("a part has no name")?;
        let start = head_end + 4;
        let end = find(body, between.as_bytes(), start).ok_or("the last boundary is missing")?;
        if found.iter().any(|it: &Part| it.name == name) {
            return Err(format!("part `{name}` was sent twice"));
        }
        found.push(Part { name, bytes: body.slice(start..end) });
        at = end + between.len();
    }
}

fn name_of(head: &str) -> Option<String> {
    let line = head.lines().find(|it| it.to_ascii_lowercase().starts_with("content-disposition:"))?;
    let (_, value) = line.split_once(':')?;
    let mut params = value.split(';').map(str::trim);
    if params.next() != Some("form-data") {
        return None;
    }
    params.find_map(|it| it.strip_prefix("name=")).map(|it| it.trim_matches('"').to_owned())
}

fn find(body: &[u8], what: &[u8], from: usize) -> Option<usize> {
    let first = *what.first()?;
    let mut at = from;
    loop {
        at += body.get(at..)?.iter().position(|it| *it == first)?;
        if body[at..].starts_with(what) {
            return Some(at);
        }
        at += 1;
    }
}
