//! A server for tests that misbehaves on purpose, below the level of any HTTP library.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with a request once it has read it.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// Closes the connection without a word.
    Close,
    /// Writes these bytes, then closes.
    Bytes(String),
    /// Writes these bytes and waits for the next request.
    KeepOpen(String),
    /// Writes the first, then the second over and over until nobody reads.
    Endless(String, String),
}

pub(super) struct RawServer {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RawServer {
    pub(super) async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn({
            let (seen, connections) = (Arc::clone(&seen), Arc::clone(&connections));
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    connections.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(serve(stream, answer.clone(), Arc::clone(&seen)));
                }
            }
        });
        Self { address, seen, connections, task }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Everything read so far, one string per request.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, answer: Answer, seen: Arc<Mutex<Vec<String>>>) {
    while let Some(request) = read_request(&mut stream).await {
        seen.lock().unwrap().push(request);
        match &answer {
            Answer::Close => return,
            Answer::Bytes(bytes) => {
                stream.write_all(bytes.as_bytes()).await.ok();
                return;
            }
            Answer::KeepOpen(bytes) => stream.write_all(bytes.as_bytes()).await.unwrap(),
            Answer::Endless(head, more) => {
                stream.write_all(head.as_bytes()).await.ok();
                while stream.write_all(more.as_bytes()).await.is_ok() {}
                return;
            }
        }
    }
}

/// Reads to the end of the head and of the body that `content-length` announces. What is no HTTP
/// (a TLS greeting) counts as one request after the first read.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let length = stream.read(&mut buffer).await.ok().filter(|&it| it > 0)?;
        bytes.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if !bytes[0].is_ascii_uppercase() {
            return Some(text);
        }
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let announced = head
            .lines()
            .find_map(|it| it.strip_prefix("content-length: "))
            .map_or(0, |it| it.parse::<usize>().unwrap());
        if body.len() >= announced {
            return Some(text);
        }
    }
}

/// A POST with a small JSON body.
pub(super) fn post(url: &str, body: &str) -> http::Request<Bytes> {
    http::Request::post(url)
        .header("content-type", "application/json")
        .body(Bytes::copy_from_slice(body.as_bytes()))
        .unwrap()
}
