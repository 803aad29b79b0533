//! DAG-CBOR and content ids (atproto.com/specs/data-model): what makes the `cid` of a record depend
//! on every byte of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::Value;

use crate::sandbox::wire::sha256;

/// Base32 without padding, in lower case (RFC 4648).
pub(super) fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut out = String::new();
    let (mut held, mut bits) = (0_u32, 0_u32);
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(char::from(ALPHABET[(held >> bits) as usize & 31]));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        out.push(char::from(ALPHABET[(held << (5 - bits)) as usize & 31]));
    }
    out
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut held, mut bits) = (Vec::new(), 0_u32, 0_u32);
    for it in text.bytes() {
        let value = match it {
            b'a'..=b'z' => it - b'a',
            b'2'..=b'7' => it - b'2' + 26,
            _ => return None,
        };
        held = (held << 5) | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(held >> bits & 0xFF).ok()?);
            held &= (1 << bits) - 1;
        }
    }
    Some(out)
}

/// The bytes of a content id of version 1 over SHA-256, as both kinds here are.
pub(super) fn cid_bytes(cid: &str) -> Option<Vec<u8>> {
    let bytes = from_base32(cid.strip_prefix('b')?)?;
    let known =
        bytes.len() == 36 && bytes[0] == 1 && matches!(bytes[1], 0x71 | 0x55) && bytes[2..4] == [0x12, 0x20];
    known.then_some(bytes)
}

fn cid(codec: u8, bytes: &[u8]) -> String {
    let mut out = vec![1, codec, 0x12, 0x20];
    out.extend(sha256(bytes));
    format!("b{}", base32(&out))
}

/// The content id of a file: codec `raw`.
pub(super) fn blob_cid(bytes: &[u8]) -> String {
    cid(0x55, bytes)
}

/// The content id of a record: codec `dag-cbor`. `None` when the value has no such form: a number
/// with a fraction, or a link that is none.
pub(in crate::sandbox) fn record_cid(value: &Value) -> Option<String> {
    let mut out = Vec::new();
    encode(value, &mut out)?;
    Some(cid(0x71, &out))
}

fn head(major: u8, length: u64, out: &mut Vec<u8>) {
    let major = major << 5;
    let bytes = length.to_be_bytes();
    match length {
        0..=23 => out.push(major | bytes[7]),
        24..=0xFF => out.extend([major | 0x18, bytes[7]]),
        0x100..=0xFFFF => {
            out.push(major | 0x19);
            out.extend(&bytes[6..]);
        }
        0x1_0000..=0xFFFF_FFFF => {
            out.push(major | 0x1A);
            out.extend(&bytes[4..]);
        }
        _ => {
            out.push(major | 0x1B);
            out.extend(bytes);
        }
    }
}

fn encode(value: &Value, out: &mut Vec<u8>) -> Option<()> {
    match value {
        Value::Null => out.push(0xF6),
        Value::Bool(it) => out.push(if *it { 0xF5 } else { 0xF4 }),
        Value::Number(it) => match (it.as_u64(), it.as_i64()) {
            (Some(it), _) => head(0, it, out),
            (None, Some(it)) => head(1, u64::try_from(-1 - it).ok()?, out),
            _ => return None,
        },
        Value::String(it) => {
            head(3, it.len() as u64, out);
            out.extend(it.as_bytes());
        }
        Value::Array(all) => {
            head(4, all.len() as u64, out);
            for it in all {
                encode(it, out)?;
            }
        }
        Value::Object(map) => {
            if map.len() == 1 {
                if let Some(link) = map.get("$link") {
                    let bytes = cid_bytes(link.as_str()?)?;
                    out.extend([0xD8, 42]);
                    head(2, bytes.len() as u64 + 1, out);
                    out.push(0);
                    out.extend(bytes);
                    return Some(());
                }
                if let Some(raw) = map.get("$bytes") {
                    let bytes = STANDARD_NO_PAD.decode(raw.as_str()?.trim_end_matches('=')).ok()?;
                    head(2, bytes.len() as u64, out);
                    out.extend(bytes);
                    return Some(());
                }
            }
            // Canonical order: shorter names first, then by bytes.
            let mut names: Vec<&String> = map.keys().collect();
            names.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
            head(5, names.len() as u64, out);
            for name in names {
                head(3, name.len() as u64, out);
                out.extend(name.as_bytes());
                encode(&map[name], out)?;
            }
        }
    }
    Some(())
}
