//! What TikTok takes: a film for the creator's inbox, and photos that it fetches from here, published with
//! every choice made.

use super::{CliError, Client, Stage, create, film, gradient, loaf, picture, r, upload};

pub(super) async fn posts(stage: &Stage, client: &Client) -> Result<Vec<String>, CliError> {
    let film = vec![upload(client, "crust.mp4", film::film(4), None).await?];
    let photos = vec![
        upload(client, "rye.png", picture(loaf([112, 70, 40]))?, None).await?,
        upload(client, "oven.png", picture(gradient([60, 40, 90]))?, None).await?,
    ];
    let direct = [("privacy", "PUBLIC_TO_EVERYONE"), ("consent", "music"), ("title", "Fresh")];
    let mut posts = Vec::new();
    for (text, media, chosen) in
        [("", film, &[("mode", "inbox")][..]), ("A loaf, and where it comes from.", photos, &direct[..])]
    {
        let chosen = chosen.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let ask = r::CreatePost {
            parts: vec![text.into()],
            to: vec!["tiktok:acme".into()],
            media,
            when: Some(r::When::Now),
            options: [("tiktok".to_owned(), chosen)].into(),
            ..r::CreatePost::default()
        };
        posts.push(create(stage, client, ask).await?);
    }
    Ok(posts)
}
