//! Fetching what a client lends by link, as the networks' crawlers do: plain HTTP and loopback alone, so
//! that a stand-in never reaches out of the machine.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::{Host, Url};

/// Who Meta's crawler says it is (developers.facebook.com/documentation/video-api/guides/reels-publishing).
pub(super) const META: &str = "facebookexternalhit/1.1";
/// TikTok documents no name of what fetches photos; this one is nobody's.
pub(super) const TIKTOK: &str = "sendoff-sandbox-tiktok";
/// A fetch that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// The largest answer that is read: a film of 300 MB, which Instagram takes, with what stands before it.
const BYTES_MAX: u64 = 300_100_000;

/// A file as it came, or why none did.
pub(super) type Fetched = Result<Bytes, String>;

/// Files by their addresses, fetched under this name.
pub(super) async fn all(addresses: &[String], agent: &str) -> HashMap<String, Fetched> {
    let mut found = HashMap::new();
    for address in addresses {
        let fetched = tokio::time::timeout(PATIENCE, one(address, agent)).await;
        let fetched = fetched.unwrap_or_else(|_| Err("it took too long".to_owned()));
        found.insert(address.clone(), fetched);
    }
    found
}

async fn one(address: &str, agent: &str) -> Fetched {
    let url = Url::parse(address).map_err(|_| "it is not an address".to_owned())?;
    let here = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        _ => false,
    };
    if url.scheme() != "http" || !here {
        return Err("a stand-in fetches by plain HTTP from loopback alone".to_owned());
    }
    let place = url.socket_addrs(|| None).map_err(|error| error.to_string())?;
    let mut stream = TcpStream::connect(place.as_slice()).await.map_err(|error| error.to_string())?;
    let host = place.first().map(ToString::to_string).unwrap_or_default();
    let query = url.query().map(|it| format!("?{it}")).unwrap_or_default();
    let head = format!(
        "GET {}{query} HTTP/1.1\r\nhost: {host}\r\nuser-agent: {agent}\r\n\
         accept: */*\r\nconnection: close\r\n\r\n",
        url.path()
    );
    stream.write_all(head.as_bytes()).await.map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    stream.take(BYTES_MAX).read_to_end(&mut answer).await.map_err(|error| error.to_string())?;
    body(&answer.into())
}

/// The body of a whole answer: status 200, with its length announced.
fn body(answer: &Bytes) -> Fetched {
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").ok_or("it answered no HTTP")?;
    let head = std::str::from_utf8(&answer[..end]).map_err(|_| "its headers are not text")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|it| it.split(' ').nth(1)).unwrap_or_default();
    if status != "200" {
        return Err(format!("it answered {status}"));
    }
    let length = lines
        .filter_map(|it| it.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok());
    let body = answer.slice(end + 4..);
    match length {
        Some(length) if length == body.len() => Ok(body),
        Some(_) => Err("it broke off".to_owned()),
        None => Err("it names no length".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_only_whole_and_with_success() {
        let taken = |text: &str| body(&Bytes::from(text.to_owned()));
        assert_eq!(taken("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap(), "ok");
        for bad in [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
            "HTTP/1.1 200 OK\r\n\r\nok",
            "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nok",
            "ok",
        ] {
            assert!(taken(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn each_network_fetches_under_a_name_of_its_own() {
        let host = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = vec![format!("http://{}/a.jpg", host.local_addr().unwrap())];
        for agent in [META, TIKTOK] {
            let serve = async {
                let (mut stream, _) = host.accept().await.unwrap();
                let mut head = vec![0; 4096];
                let length = stream.read(&mut head).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
                String::from_utf8(head[..length].to_vec()).unwrap()
            };
            let (found, head) = tokio::join!(all(&address, agent), serve);
            assert_eq!(found[&address[0]].as_deref(), Ok(&b"ok"[..]));
            assert!(head.contains(&format!("user-agent: {agent}\r\n")), "{head}");
        }
    }

    #[tokio::test]
    async fn nothing_but_loopback_is_asked() {
        for address in ["https://127.0.0.1/a", "http://example.org/a", "file:///etc/passwd", "x"] {
            assert!(one(address, META).await.is_err(), "{address}");
        }
    }
}
