//! `post create --check` to five networks at once: one table that says of each what it would get, without
//! an account and without a daemon.

use std::fs;
use std::io::Cursor;

use crate::e2e::House;
use crate::film::{Shape, film};
use image::{DynamicImage, ImageFormat};

fn png(width: u32, height: u32) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    DynamicImage::new_rgb8(width, height).write_to(&mut out, ImageFormat::Png).unwrap();
    out.into_inner()
}

/// Whatever a poll, a card, pictures and a film are on LinkedIn lies deep in its request.
#[test]
fn all_that_linkedin_would_get_is_shown() {
    let house = House::new();
    fs::write(house.path("rye.png"), png(600, 600)).unwrap();
    fs::write(house.path("spelt.png"), png(600, 600)).unwrap();
    fs::write(house.path("loaf.mp4"), film(Shape::default())).unwrap();
    let check = |more: &[&str]| {
        let args = ["post", "create", "Bread.", "--check", "--to", "linkedin"];
        house.run(&[&args, more].concat()).out
    };
    insta::assert_snapshot!(
        [
            check(&[
                "--option",
                "linkedin.poll=Rye|Spelt",
                "--option",
                "linkedin.poll_question=Which bread?",
                "--option",
                "linkedin.poll_days=3",
            ]),
            check(&[
                "--media",
                "rye.png",
                "--option",
                "linkedin.link=https://example.org/bread",
                "--option",
                "linkedin.link_title=Our bread",
            ]),
            check(&["--media", "rye.png", "--media", "spelt.png", "--alt", "A dark loaf"]),
            check(&["--media", "rye.png", "--alt", "A dark loaf"]),
            check(&["--media", "loaf.mp4", "--option", "linkedin.title=The oven"]),
        ]
        .join("\n")
    );
}

#[test]
fn five_networks_stand_in_one_table() {
    let house = House::new();
    fs::write(house.path("oven.png"), png(2400, 1600)).unwrap();
    fs::write(house.path("wide.png"), png(1600, 200)).unwrap();
    fs::write(house.path("loaf.mp4"), film(Shape { width: 1080, height: 1920, ..Shape::default() })).unwrap();
    let text = format!("The oven is here: https://example.org {}", "and it is hot ".repeat(20));
    let five = ["facebook", "instagram", "x", "linkedin", "tiktok"];
    let check = |text: &str, media: &[&str], more: &[&str]| {
        let mut args = vec!["post", "create", text, "--check"];
        args.extend(five.iter().flat_map(|it| ["--to", it]));
        args.extend(media.iter().flat_map(|it| ["--media", it]));
        args.extend(more);
        house.run(&args)
    };
    // Up to the first line of what would be sent to each.
    let table = |text: &str, media: &[&str]| {
        let ran = check(text, media, &[]);
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        ran.out.split("\n\n").next().unwrap().to_owned()
    };
    let tables = [table(&text, &["oven.png", "wide.png"]), table(&text, &["loaf.mp4"]), table("Words.", &[])];
    let wide = tables.iter().flat_map(|it| it.lines()).find(|it| it.chars().count() > 80);
    assert_eq!(wide, None, "a terminal of 80 columns shows it as it stands");
    insta::assert_snapshot!(tables.join("\n\n"));
    // The same for scripts.
    let json = check(&text, &["oven.png", "wide.png"], &["--json"]).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let files = |n: usize| json["targets"][n]["files"].clone();
    assert_eq!(files(1)[1]["verdict"], "refused");
    assert_eq!(
        (&files(4)[0]["verdict"], &files(4)[0]["becomes"]),
        (&"converted".into(), &"JPEG, 1620×1080".into())
    );
    assert_eq!(files(3)[0]["verdict"], "as_it_is");
}
