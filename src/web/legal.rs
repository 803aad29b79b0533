//! The pages that networks want an app to have: privacy, terms, how to have data deleted.
//!
//! They say what this program does, in plain words, and who runs it, in the operator's. Without a name
//! and a way to write to them there are no pages: a policy of nobody is none.

/// Who runs this installation, in their own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Name of the person or company; not empty.
    pub name: String,
    /// Where to write to; not empty.
    pub contact: String,
    /// How long they keep things, beside what is said here; may be empty.
    pub retention: String,
}

/// A page of the three.
pub(super) struct Page {
    pub(super) title: &'static str,
    /// Heading and paragraphs. Plain text.
    pub(super) sections: Vec<(&'static str, Vec<String>)>,
}

/// The page at an address.
pub(super) fn page(path: &str, by: &Operator) -> Option<Page> {
    match path {
        "/privacy" => Some(privacy(by)),
        "/terms" => Some(terms(by)),
        "/data-deletion" => Some(data_deletion(by)),
        _ => None,
    }
}

/// Whether an address is one of the three.
pub(super) fn is_one(path: &str) -> bool {
    matches!(path, "/privacy" | "/terms" | "/data-deletion")
}

fn who(by: &Operator) -> (&'static str, Vec<String>) {
    let text = format!(
        "This installation of Sendoff, a program that publishes posts on social networks, is run by {}. Write \
         to: {}.",
        by.name, by.contact
    );
    ("Who runs this", vec![text])
}

fn privacy(by: &Operator) -> Page {
    let mut retention = vec![
        "Tokens, and all that is stored of an account, are kept until the account is disconnected or its owner \
         removes the app at the network. They are then deleted at once, and the key that could open copies of \
         the tokens is destroyed."
            .to_owned(),
        "Pictures and films are deleted when they have been published, at the latest a day after publishing \
         them has failed for good."
            .to_owned(),
        "Of a request for deletion a record stays that names nobody: a keyed hash, a code, times, and what it \
         came to."
            .to_owned(),
    ];
    if !by.retention.is_empty() {
        retention.push(by.retention.clone());
    }
    Page {
        title: "Privacy",
        sections: vec![
            who(by),
            (
                "What is stored",
                vec![
                    "Of each account that somebody connects: its id and names at the network, the address of \
                     its picture, the permissions that were granted, and the network's tokens, encrypted. No \
                     password is ever seen."
                        .into(),
                    "The posts that are written here with their pictures and films, when they are to be \
                     published, and what the network answered."
                        .into(),
                ],
            ),
            (
                "What for",
                vec![
                    "To publish these posts on these accounts at the time that was set, and for nothing else. \
                     Nothing is sold, shared, or used for advertising, and nothing is sent to the makers of \
                     the program."
                        .into(),
                ],
            ),
            (
                "Who receives it",
                vec![
                    "The networks on which accounts are connected receive the posts that are meant for them. \
                     They fetch pictures and films by addresses that cannot be guessed and that end with the \
                     publication."
                        .into(),
                ],
            ),
            ("How long", retention),
            (
                "Your rights",
                vec![format!(
                    "You may ask what is stored of you, have it corrected or deleted, and object. Write to: {}. \
                     How to have everything deleted stands on the page `/data-deletion`.",
                    by.contact
                )],
            ),
        ],
    }
}

fn terms(by: &Operator) -> Page {
    Page {
        title: "Terms of use",
        sections: vec![
            who(by),
            (
                "Use",
                vec![
                    "It is there for those whom the operator lets use it, for accounts that they may publish \
                     on. What is published follows the rules of the network that it is published on; whoever \
                     writes a post answers for it."
                        .into(),
                    "By connecting an account you allow this installation to publish on it what is written \
                     here. You can take that back at any time, here or at the network."
                        .into(),
                ],
            ),
            (
                "What is not promised",
                vec![
                    "Networks may refuse, delay or remove posts and may change what they allow. The program \
                     tells of it where it learns of it; it cannot make them publish."
                        .into(),
                ],
            ),
        ],
    }
}

fn data_deletion(by: &Operator) -> Page {
    Page {
        title: "How to have your data deleted",
        sections: vec![
            (
                "By yourself, at the network",
                vec![
                    "Open the settings of your account at the network, look under apps and websites, and remove \
                     this app. Facebook, Instagram and Threads tell this installation, and it deletes your \
                     access, your account and their keys within a minute. If you also choose to have your data \
                     deleted, you get a code and an address where you can see how far that is."
                        .into(),
                ],
            ),
            (
                "By writing to the operator",
                vec![format!(
                    "Write to {}: {}. Say which network it is about and the name of your account there.",
                    by.name, by.contact
                )],
            ),
            (
                "What stays",
                vec![
                    "What was published stays on the network until it is deleted there. Here, a record stays \
                     that a request was carried out; it names nobody."
                        .into(),
                ],
            ),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_says_whom_to_write_to_and_the_operators_own_words_are_added() {
        let by =
            Operator { name: "Acme".into(), contact: "privacy@acme".into(), retention: "Ten days.".into() };
        for path in ["/privacy", "/terms", "/data-deletion"] {
            assert!(is_one(path));
            let page = page(path, &by).unwrap();
            let text = page.sections.iter().flat_map(|it| &it.1).cloned().collect::<Vec<_>>().join(" ");
            assert!(text.contains("Acme") && text.contains("privacy@acme"), "{path}: {text}");
            assert_eq!(text.contains("Ten days."), path == "/privacy");
        }
        assert!(!is_one("/privacy/") && page("/imprint", &by).is_none());
    }
}
