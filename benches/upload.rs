//! What a large film costs in memory, on its way in and on its way out.
//!
//! `cargo bench --bench upload` takes a film of 1 GiB into a library as the control socket does (typed,
//! cleaned, hashed, synced), then sends it to a sink on loopback as a connector's upload does: whole,
//! and in pieces of 8 MiB. Then the whole daemon does both with one of 900 MiB, as a reel for a stand-in
//! (`upload/whole.rs`). Printed is by how much the most memory ever resident (`VmHWM`) grew, and how
//! long it took. `-- MIB` uses a film of another size. Needs as much room in `TMPDIR`.
//!
//! Every stage runs in a process of its own, because a high-water mark never falls.

#![allow(clippy::print_stdout)] // a benchmark reports

#[path = "../tests/support/film.rs"]
mod film;
#[path = "upload/whole.rs"]
mod whole;

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use bytes::Bytes;
use film::Shape;
use futures_util::stream;
use sendoff::domain::ids::MediaId;
use sendoff::domain::media::MediaKind;
use sendoff::http::clients::{OneShot, tls};
use sendoff::http::{Payload, Uploads as _};
use sendoff::media::{Caps, Library};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const PIECE: u64 = 8 << 20;
/// The largest film that a Page's reel may be, in whole MiB of a hundred.
const REEL_MIB: u64 = 900;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with("--")).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    match words.as_slice() {
        ["stage", name, dir, mib] => {
            runtime.block_on(stage(name, Path::new(dir), mib.parse().expect("a size in MiB")));
        }
        ["daemon", dir, network] => runtime.block_on(whole::daemon(Path::new(dir), network)),
        rest => {
            let mib = rest.first().map_or("1024", |it| *it);
            let dir = tempfile::tempdir().expect("a temporary directory");
            let place = dir.path().display().to_string();
            for name in ["take", "whole", "pieces"] {
                let program = std::env::current_exe().expect("this program's path");
                let status = Command::new(program).args(["stage", name, &place, mib]).status();
                assert!(status.expect("the stage runs").success(), "{name} failed");
            }
            let mib = mib.parse::<u64>().expect("a size in MiB").min(REEL_MIB);
            let dir = tempfile::tempdir().expect("a temporary directory");
            runtime.block_on(whole::measure(dir.path(), mib));
        }
    }
}

fn id() -> MediaId {
    MediaId::from_u128(1)
}

/// Most memory ever resident, in KiB.
fn high_water() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find(|it| it.starts_with("VmHWM:")).expect("VmHWM");
    line.split_whitespace().nth(1).and_then(|it| it.parse().ok()).expect("a number")
}

async fn stage(name: &str, dir: &Path, mib: u64) {
    let library = Library::new(dir.to_owned());
    let once = OneShot::new(tls(None).expect("TLS")).expect("a client");
    // The smallest upload there is: what every process pays once is not the film's.
    send(&once, Payload { length: 1, chunks: Box::pin(stream::iter([Ok(Bytes::from_static(b"x"))])) }).await;
    let (before, began) = (high_water(), Instant::now());
    if name == "take" {
        let facts = library.take(id(), Caps::default(), film(mib, false)).await.expect("it is a film");
        std::fs::write(dir.join("digest"), facts.digest).expect("the digest is kept");
    } else {
        let digest = std::fs::read(dir.join("digest")).expect("it was taken in");
        let digest: [u8; 32] = digest.try_into().expect("32 bytes");
        let ready = library.open(id(), MediaKind::Mp4, digest, None).await.expect("it is there");
        let piece = if name == "whole" { ready.bytes } else { PIECE };
        let mut at = 0;
        while at < ready.bytes {
            let length = piece.min(ready.bytes - at);
            let sent = send(&once, Payload { length, chunks: ready.stream(at, length) }).await;
            assert_eq!(sent, length, "every byte arrives");
            at += length;
        }
    }
    let (seconds, grown) = (began.elapsed().as_secs_f64(), high_water() - before);
    #[allow(clippy::cast_precision_loss)] // a figure for people
    let (rate, grown) = (mib as f64 / seconds, grown as f64 / 1024.0);
    println!("{name:>6}  {mib} MiB  {seconds:6.1} s  {rate:6.0} MiB/s  memory grew by {grown:.1} MiB");
}

/// Sends a body to a sink that counts it. How many bytes came.
async fn send(once: &OneShot, payload: Payload) -> u64 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let length = payload.length;
    let sink = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let (mut buffer, mut head, mut body) = (vec![0; 64 << 10], Vec::new(), None);
        loop {
            let n = stream.read(&mut buffer).await.expect("bytes");
            assert!(n > 0, "the request ends early");
            if let Some(count) = &mut body {
                *count += n as u64;
            } else {
                head.extend_from_slice(&buffer[..n]);
                let end = head.windows(4).position(|it| it == b"\r\n\r\n");
                body = end.map(|end| (head.len() - end - 4) as u64);
            }
            if body == Some(length) {
                break;
            }
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("an answer");
        body.unwrap_or(0)
    });
    let head = http::Request::put(format!("http://{address}/")).body(()).expect("a request");
    assert_eq!(once.upload(head, payload).await.expect("an answer").status(), 200);
    sink.await.expect("the sink ends")
}

/// A film of zeros behind an index that is in order, upright or not.
fn film(
    mib: u64,
    turned: bool,
) -> impl futures_util::Stream<Item = io::Result<Bytes>> + Unpin + Send + 'static {
    let shape = Shape { samples: 1800, ms: 60_000, sound: None, turned, ..Shape::default() };
    // A box so long that its length stands behind its name.
    let data = [&1_u32.to_be_bytes()[..], b"mdat", &((mib << 20) + 16).to_be_bytes()].concat();
    let begin = [film::begin(shape), film::index(shape), data].concat();
    let zeros = Bytes::from(vec![0; 64 << 10]);
    stream::iter(std::iter::once(Bytes::from(begin)).chain((0..mib * 16).map(move |_| zeros.clone())).map(Ok))
}
