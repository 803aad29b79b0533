//! How many pages a PDF has, as far as its bytes tell without being unpacked.
//!
//! The root of the page tree names the number of its leaves (ISO 32000-1, 7.7.3.2). Where it lies in a
//! compressed object stream nobody can say without unpacking, and then nothing is said: the network
//! counts for itself.

use std::io::{self, Read, Seek, SeekFrom};

/// What is looked at together. The keys of a page tree's root lie this close to each other even in a
/// document of thousands of pages.
const WINDOW: usize = 1 << 20;
const OVERLAP: usize = 128 << 10;

/// How far before its last byte a document must say that it ends. Some programs leave blanks behind.
const TAIL: u64 = 2048;

/// Whether the mark of the end (ISO 32000-1, 7.5.5) is where it belongs.
pub(super) fn is_whole(mut file: impl Read + Seek, bytes: u64) -> io::Result<bool> {
    file.seek(SeekFrom::Start(bytes.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail)?;
    Ok(last(&tail, b"%%EOF").is_some())
}

/// The number of pages. `None`: the bytes do not tell.
pub(super) fn pages(mut file: impl Read) -> io::Result<Option<u32>> {
    let mut window = Vec::with_capacity(WINDOW + OVERLAP);
    let mut most = None;
    loop {
        let read = (&mut file).take(WINDOW as u64).read_to_end(&mut window)?;
        most = most.max(in_window(&window));
        if read < WINDOW {
            return Ok(most);
        }
        window.drain(..window.len() - OVERLAP);
    }
}

/// The largest count of the page tree's nodes: that of the root, which counts all leaves.
fn in_window(bytes: &[u8]) -> Option<u32> {
    places(bytes, b"/Type")
        .filter(|at| is_pages(&bytes[at + 5..]))
        .filter_map(|at| {
            // The object around it, so that the count of another one (an outline has one) is not taken.
            let start = last(&bytes[..at], b" obj").unwrap_or(0);
            let end = at + places(&bytes[at..], b"endobj").next()?;
            let object = &bytes[start..end];
            let count = places(object, b"/Count").next()?;
            number(&object[count + 6..])
        })
        .max()
}

/// The value of `/Type` is the name `/Pages`.
fn is_pages(after: &[u8]) -> bool {
    let rest = after.trim_ascii_start();
    rest.strip_prefix(b"/Pages").is_some_and(|it| it.first().is_none_or(|b| !b.is_ascii_alphanumeric()))
}

fn number(text: &[u8]) -> Option<u32> {
    let digits: Vec<u8> = text.trim_ascii_start().iter().copied().take_while(u8::is_ascii_digit).collect();
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

fn places<'a>(bytes: &'a [u8], what: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    bytes.windows(what.len()).enumerate().filter(move |(_, it)| *it == what).map(|(at, _)| at)
}

fn last(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).rposition(|it| it == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<u32> {
        pages(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_root_of_the_page_tree_tells_and_nothing_else_does() {
        let tree = "%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n\
                    9 0 obj\n<< /Type /Outlines /Count 900 >>\nendobj\n\
                    2 0 obj\n<< /Type /Pages /Kids [3 0 R 4 0 R] /Count 12 >>\nendobj\n\
                    3 0 obj\n<</Count 7/Type/Pages/Parent 2 0 R>>\nendobj\n\
                    5 0 obj\n<< /Type /Page /Parent 3 0 R >>\nendobj\n";
        assert_eq!(of(tree), Some(12));
        assert_eq!(of("%PDF-1.5\n1 0 obj << /Type /ObjStm /N 40 >> stream ... endstream endobj"), None);
        assert_eq!(of("%PDF-1.4\n1 0 obj << /Type /PagesOfMine /Count 5 >> endobj"), None);
        assert_eq!(of("%PDF-1.4\n1 0 obj << /Type /Pages /Count"), None);
    }

    #[test]
    fn a_document_that_breaks_off_is_none() {
        let whole = |text: &str| is_whole(io::Cursor::new(text), text.len() as u64).unwrap();
        assert!(whole("%PDF-1.4 startxref 0 %%EOF\r\n"));
        assert!(!whole("%PDF-1.4 startxref 0"));
        assert!(!whole(&format!("%PDF-1.4 %%EOF{}", " ".repeat(3_000))));
    }

    #[test]
    fn a_tree_that_lies_across_two_windows_is_found() {
        let node = "2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 33 >>\nendobj\n";
        for at in [WINDOW - 3, WINDOW - 30, WINDOW + 5, 2 * WINDOW - 20] {
            let text = format!("%PDF-1.4{}{node}{}", " ".repeat(at - 8), " ".repeat(WINDOW / 2));
            assert_eq!(of(&text), Some(33), "{at}");
        }
    }
}
