//! What a person sees of a connect that comes to nothing, in the browser and at the terminal.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use futures_util::StreamExt as _;
use jiff::SignedDuration;
use sendoff::control::{messages as m, requests as r};
use sendoff::http::clients::{reading_client, tls};
use serde_json::Value;

use crate::house::House;

async fn page(url: &str) -> (u16, String) {
    let http = reading_client(tls(None).unwrap()).unwrap();
    let answer = http.get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connect_that_cannot_begin_says_why_in_the_browser_too() {
    let house = House::new().await;
    // A port that nobody listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ask = r::Connect {
        platform: "bluesky".into(),
        instance: Some(format!("http://127.0.0.1:{port}")),
        yes: true,
        ..r::Connect::default()
    };
    let started = house.client.connect_start(&ask).await.unwrap();
    let mut events = house.client.connect_events(&started.id).await.unwrap();
    let Some(Ok(m::ConnectEvent::Link { url, .. })) = events.next().await else { panic!("no link") };
    let (status, text) = page(&url).await;
    let Some(Ok(m::ConnectEvent::Failed { error })) = events.next().await else { panic!("no end") };
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("That did not work"), "{text}");
    // Sentences begin with a capital, and marks are written as HTML wants them.
    let reason = error.message.split(['`', '\'', '"']).next().unwrap();
    assert!(reason.len() > 10 && text.contains(&reason[1..]), "{error:?}: {text}");
    assert!(!text.contains("no longer works"), "{text}");
    // The ticket is burnt all the same.
    assert_eq!(page(&url).await.0, 410);
    assert!(house.client.account_list().await.unwrap().accounts.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_that_nobody_used_in_ten_minutes_is_worth_nothing() {
    let house = House::new().await;
    let mut terminal = Command::new(env!("CARGO_BIN_EXE_sendoff"))
        .args(["account", "connect", "x", "--yes", "--json", "--config"])
        .arg(house.config_path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(terminal.stdout.take().unwrap());
    let reading = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        (line, out)
    });
    let (line, mut out) = reading.await.unwrap();
    let link: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(link["event"], "link");

    house.pass(SignedDuration::from_mins(10)).await;
    let (status, text) = page(link["url"].as_str().unwrap()).await;
    assert_eq!(status, 410, "{text}");
    let ended = tokio::task::spawn_blocking(move || {
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        (terminal.wait_with_output().unwrap(), rest)
    });
    let (ended, rest) = ended.await.unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let last: Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["error"]["code"]), (&"failed".into(), &"expired".into()), "{last}");
    let told: Value = serde_json::from_slice(&ended.stderr).unwrap();
    assert_eq!(told["error"]["code"], "expired");
    assert!(house.client.account_list().await.unwrap().accounts.is_empty());
    house.assert_no_refusals();
}
