//! What LinkedIn shows: a text with signs that would cut it off, two pictures in one post, a film, and a
//! document; all of them made here.

use std::fmt::Write as _;

use super::{CliError, Client, Stage, film, loaf, picture, post, r, upload};

/// Seconds of the film.
const FILM_S: u32 = 8;

/// As a member; a page needs no more than another answer at the sign-in.
pub(super) async fn posts(stage: &Stage, client: &Client) -> Result<Vec<String>, CliError> {
    let to = ["linkedin:acme"];
    let mut posts = Vec::new();
    let text = "Open again (daily, from nine) [rye & spelt] #bread";
    posts.push(post(stage, client, &[text], &to, r::When::Now, Vec::new()).await?);
    let mut loaves = Vec::new();
    for (name, shade, alt) in
        [("dark.png", [96, 58, 34], "A dark loaf"), ("bright.png", [220, 164, 92], "A bright loaf")]
    {
        loaves.push(upload(client, name, picture(loaf(shade))?, Some(alt)).await?);
    }
    posts.push(post(stage, client, &["Two loaves for work."], &to, r::When::Now, loaves).await?);
    // LinkedIn takes films from 75 kB on.
    let film = vec![upload(client, "oven-door.mp4", film::film(FILM_S), None).await?];
    posts.push(post(stage, client, &["The door opens at nine."], &to, r::When::Now, film).await?);
    let deck = vec![upload(client, "opening-hours.pdf", deck(), None).await?];
    posts.push(post(stage, client, &["Our hours, to turn over."], &to, r::When::Now, deck).await?);
    Ok(posts)
}

/// A PDF of two pages with a line of text each (ISO 32000-1, the least that viewers open).
fn deck() -> Vec<u8> {
    let pages = ["Monday to Friday, from nine", "Saturday, until noon"];
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [4 0 R 6 0 R] /Count 2 >>".to_owned(),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold >>".to_owned(),
    ];
    for (n, text) in pages.iter().enumerate() {
        let content = 5 + 2 * n;
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 480 270] /Contents {content} 0 R \
             /Resources << /Font << /F1 3 0 R >> >> >>"
        ));
        let drawn = format!("0.94 0.32 0.16 rg 0 0 480 270 re f BT 1 g /F1 28 Tf 40 125 Td ({text}) Tj ET");
        objects.push(format!("<< /Length {} >>\nstream\n{drawn}\nendstream", drawn.len()));
    }
    let mut out = "%PDF-1.4\n".to_owned();
    let mut places = Vec::new();
    for (n, object) in objects.iter().enumerate() {
        places.push(out.len());
        let _ = write!(out, "{} 0 obj\n{object}\nendobj\n", n + 1);
    }
    let table = out.len();
    let size = objects.len() + 1;
    let _ = write!(out, "xref\n0 {size}\n0000000000 65535 f \n");
    for place in places {
        let _ = writeln!(out, "{place:010} 00000 n ");
    }
    let _ = write!(out, "trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n");
    out.into_bytes()
}
