//! What X shows: a thread with a picture and a film, and a poll.

use super::{CliError, Client, Stage, create, film, loaf, picture, r, upload};

pub(super) async fn posts(stage: &Stage, client: &Client) -> Result<Vec<String>, CliError> {
    let first = upload(client, "crumb.png", picture(loaf([150, 98, 58]))?, Some("A loaf, cut open")).await?;
    let second = upload(client, "crust.mp4", film::film(4), None).await?;
    let thread = r::CreatePost {
        parts: vec!["What is inside.".into(), "And how the crust comes.".into()],
        to: vec!["x:acme".into()],
        media: vec![first, r::MediaRef { part: Some(2), ..second }],
        when: Some(r::When::Now),
        ..r::CreatePost::default()
    };
    let chosen = [("poll", "Rye|Spelt|Both"), ("poll_minutes", "60")];
    let poll = r::CreatePost {
        parts: vec!["Which one tomorrow?".into()],
        to: vec!["x:acme".into()],
        when: Some(r::When::Now),
        options: [("x".to_owned(), chosen.map(|(key, value)| (key.to_owned(), value.to_owned())).into())]
            .into(),
        ..r::CreatePost::default()
    };
    Ok(vec![create(stage, client, thread).await?, create(stage, client, poll).await?])
}
