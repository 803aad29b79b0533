//! The pages a browser shows at the end of a trip: small, readable, without anything from elsewhere.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::Landing;
use super::legal::Page;
use super::meta::{Deletion, Standing};

/// The whole style. The content security policy names it by its hash, so no other can be slipped in.
const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1d22;--soft:#5c6270;--paper:#f6f5f2;--card:#fff;--line:#e4e2dc;\
--good:#1f7a4d;--bad:#b3372f}\
@media(prefers-color-scheme:dark){:root{--ink:#eceae5;--soft:#a2a6b0;--paper:#15171b;--card:#1e2126;\
--line:#30343c;--good:#5fc492;--bad:#f08a80}}\
*{box-sizing:border-box}\
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--paper);\
color:var(--ink);font:1.0625rem/1.6 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}\
main{width:100%;max-width:30rem;padding:2.25rem 2.25rem 1.75rem;background:var(--card);\
border:1px solid var(--line);border-radius:.875rem}\
.mark{display:grid;place-items:center;width:2.5rem;height:2.5rem;margin:0 0 1.25rem;border-radius:50%;\
border:2px solid currentColor;font-size:1.25rem;font-weight:600;line-height:1}\
.good{color:var(--good)}.bad{color:var(--bad)}\
h1{margin:0 0 .5rem;font-size:1.5rem;line-height:1.25;font-weight:650;letter-spacing:-.01em;text-wrap:balance}\
h2{margin:1.5rem 0 .375rem;font-size:1.0625rem;font-weight:650}\
p{margin:0 0 1rem;overflow-wrap:anywhere}\
.detail{color:var(--soft);font:.875rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}\
code{font:.9em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}\
footer{margin-top:1.5rem;padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);font-size:.9375rem}";

/// The policy for every answer: nothing is loaded, framed or sent, and one style is applied.
pub(super) static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        STANDARD.encode(Sha256::digest(STYLE))
    )
});

/// What all pages have in common. Of these, `class`, `mark`, `word` and `footer` are ours.
struct Sheet<'a> {
    class: &'static str,
    mark: &'static str,
    /// What the mark means, for those who do not see it.
    word: &'static str,
    title: &'a str,
    /// HTML.
    body: String,
    detail: Option<&'a str>,
    footer: &'static str,
}

impl Sheet<'_> {
    fn html(&self) -> String {
        let Self { class, mark, word, body, footer, .. } = self;
        let title = escape(self.title);
        let detail = self
            .detail
            .map_or_else(String::new, |detail| format!("\n<p class=\"detail\">{}</p>", prose(detail)));
        format!(
            "<!doctype html>\n\
             <html lang=\"en\">\n\
             <head>\n\
             <meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"robots\" content=\"noindex\">\n\
             <title>{title} · Sendoff</title>\n\
             <style>{STYLE}</style>\n\
             </head>\n\
             <body>\n\
             <main>\n\
             <div class=\"mark {class}\" role=\"img\" aria-label=\"{word}\">{mark}</div>\n\
             <h1>{title}</h1>\n\
             {body}{detail}\n\
             <footer>{footer}</footer>\n\
             </main>\n\
             </body>\n\
             </html>\n"
        )
    }
}

/// A landing as a page of HTML.
pub(super) fn landing(it: &Landing) -> String {
    let (class, mark, word) = if it.ok { ("good", "✓", "Done") } else { ("bad", "!", "Problem") };
    Sheet {
        class,
        mark,
        word,
        title: &it.title,
        body: paragraphs(std::slice::from_ref(&it.message)),
        detail: it.detail.as_deref(),
        footer: "You can close this window and go back to the terminal.",
    }
    .html()
}

/// How far a request for deletion is, for the person who made it.
pub(super) fn deletion(it: &Deletion) -> String {
    let (class, mark, word) = match it.standing {
        Standing::Pending => ("", "…", "Under way"),
        Standing::Done => ("good", "✓", "Done"),
        Standing::Partly => ("bad", "!", "Something is left to do"),
    };
    Sheet {
        class,
        mark,
        word,
        title: &it.title,
        body: paragraphs(&it.paragraphs),
        detail: Some(&it.detail),
        footer: "Keep the address of this page: it is how your request can be looked up.",
    }
    .html()
}

/// One of the legal pages.
pub(super) fn legal(it: &Page) -> String {
    let section = |(heading, all): &(&str, Vec<String>)| format!("<h2>{heading}</h2>\n{}", paragraphs(all));
    Sheet {
        class: "",
        mark: "§",
        word: "Legal",
        title: it.title,
        body: it.sections.iter().map(section).collect::<Vec<_>>().join("\n"),
        detail: None,
        footer: "This page loads nothing from elsewhere and sets no cookie.",
    }
    .html()
}

fn paragraphs(all: &[String]) -> String {
    all.iter().map(|it| format!("<p>{}</p>", prose(it))).collect::<Vec<_>>().join("\n")
}

/// What a start link shows that leads nowhere any more.
pub(super) fn gone() -> String {
    landing(&Landing {
        ok: false,
        title: "This link no longer works".into(),
        message: "A link to connect an account works once, and only for a short time. \
                  Run `sendoff account connect` again for a fresh one."
            .into(),
        detail: None,
    })
}

/// A sentence as HTML, what stands between two backticks as code.
fn prose(text: &str) -> String {
    let text = escape(text);
    let mut pieces = text.split('`');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    while let Some(code) = pieces.next() {
        match pieces.next() {
            Some(after) => out.extend(["<code>", code, "</code>", after]),
            // A lone backtick is a backtick.
            None => out.extend(["`", code]),
        }
    }
    out
}

/// Text as HTML shows it. Control characters and direction marks are left out: names come from
/// strangers.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(' '),
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_comes_from_a_stranger_is_markup() {
        let evil = "</p><script>alert(1)</script>\" onload='x' &amp; \u{202e}\u{1b}[31m\0";
        let page = landing(&Landing {
            ok: false,
            title: evil.into(),
            message: evil.into(),
            detail: Some(evil.into()),
        });
        assert!(
            !page.contains("<script") && !page.contains("onload='") && !page.contains("\" onload"),
            "{page}"
        );
        assert_eq!(page.matches("&lt;script&gt;alert(1)&lt;/script&gt;").count(), 4);
        assert!(!page.contains(['\u{202e}', '\u{1b}', '\0']));
    }

    #[test]
    fn commands_stand_out_and_a_lone_backtick_stays() {
        assert_eq!(prose("run `a <b>` or `c`."), "run <code>a &lt;b&gt;</code> or <code>c</code>.");
        assert_eq!(prose("it`s"), "it`s");
    }

    #[test]
    fn a_page_loads_nothing_and_says_where_to_go() {
        let landing_ok = Landing { ok: true, title: "Connected".into(), message: "m".into(), detail: None };
        for page in [landing(&landing_ok), gone()] {
            assert!(page.contains("You can close this window and go back to the terminal."));
            for loader in ["http:", "https:", "//", "src=", "href=", "url(", "@import", "<form", "<script"] {
                assert!(!page.contains(loader), "{loader}");
            }
        }
        assert!(POLICY.starts_with("default-src 'none'; style-src 'sha256-"));
    }
}
