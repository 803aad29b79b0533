//! As little of X as the measured calls need, on loopback: it is not what is measured.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What arrived at the stand-in.
#[derive(Default)]
pub(crate) struct Arrivals {
    next: AtomicU64,
    pub(crate) texts: Mutex<HashMap<String, u32>>,
}

/// Answers on loopback until its runtime ends.
pub(crate) async fn stand_in(seen: Arc<Arrivals>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("connections come in");
            let seen = Arc::clone(&seen);
            // A connection that breaks is the client's matter.
            tokio::spawn(async move { drop(serve(stream, &seen).await) });
        }
    });
    address
}

/// One connection: requests one after the other, as HTTP/1.1 wants.
async fn serve(mut stream: TcpStream, seen: &Arrivals) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(2048);
    loop {
        let head = loop {
            if let Some(at) = buffer.windows(4).position(|it| it == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let text = String::from_utf8_lossy(&buffer[..head]).into_owned();
        let length = text
            .lines()
            .filter_map(|it| it.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, value)| value.trim().parse().expect("it is a number"));
        while buffer.len() < head + length {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        assert!(text.contains("uthorization: Bearer token-of-account-"), "every call carries a token");
        let answer = if text.starts_with("POST /2/tweets ") {
            let body: serde_json::Value =
                serde_json::from_slice(&buffer[head..head + length]).expect("it is JSON");
            let text = body["text"].as_str().expect("it has a text").to_owned();
            let id = 1_900_000_000_000_000_000 + seen.next.fetch_add(1, Ordering::Relaxed);
            *seen.texts.lock().expect("nobody panicked").entry(text.clone()).or_default() += 1;
            answer("201 Created", id, &text)
        } else if let Some(rest) = text.strip_prefix("GET /2/tweets/") {
            let digits = rest.split(|it: char| !it.is_ascii_digit()).next().expect("split has one");
            answer("200 OK", digits.parse().expect("it is an id"), "as it was")
        } else {
            panic!("nothing else is asked of X: {text}");
        };
        stream.write_all(answer.as_bytes()).await?;
        buffer.drain(..head + length);
    }
}

fn answer(status: &str, id: u64, text: &str) -> String {
    let body = serde_json::json!({ "data": { "id": id.to_string(), "text": text } }).to_string();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
