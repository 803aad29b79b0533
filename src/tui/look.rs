//! Colours and signs: what a tone looks like on this terminal.
//!
//! Meaning is never in a colour alone, so that nothing is lost under `NO_COLOR`. With sixteen colours the
//! terminal's own palette decides; with more, tones are taken that read on light and on dark.

use ratatui::style::{Color, Modifier, Style};

/// How many colours there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    None,
    Sixteen,
    Many,
    True,
}

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Strong,
    Dim,
    Good,
    Warn,
    Bad,
    /// Titles, keys, what can be acted on.
    Accent,
    /// The row under the cursor.
    Here,
    /// Dark on light, whatever the terminal's own colours: QR codes.
    Paper,
}

/// What this terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) depth: Depth,
    /// No signs outside of ASCII.
    pub(crate) ascii: bool,
}

impl Look {
    /// From the environment: `color` is what the command line and `NO_COLOR` allow.
    pub(crate) fn of(color: bool, env: &dyn Fn(&str) -> Option<String>) -> Self {
        let term = env("TERM").unwrap_or_default();
        let depth = match env("COLORTERM").unwrap_or_default().as_str() {
            _ if !color || term == "dumb" => Depth::None,
            "truecolor" | "24bit" => Depth::True,
            _ if term.contains("256") || term.contains("kitty") || term.contains("alacritty") => Depth::Many,
            _ => Depth::Sixteen,
        };
        // As the C library reads it: the first that is set decides.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(env).find(|it| !it.is_empty());
        let locale = locale.unwrap_or_default().to_lowercase().replace('-', "");
        Self { depth, ascii: !locale.contains("utf8") }
    }

    pub(crate) fn style(self, tone: Tone) -> Style {
        let plain = Style::new();
        let (good, warn, bad, accent) = match self.depth {
            Depth::None => {
                return match tone {
                    Tone::Plain | Tone::Good | Tone::Paper => plain,
                    Tone::Dim => plain.add_modifier(Modifier::DIM),
                    Tone::Strong | Tone::Warn | Tone::Bad | Tone::Accent => {
                        plain.add_modifier(Modifier::BOLD)
                    }
                    Tone::Here => plain.add_modifier(Modifier::REVERSED),
                };
            }
            Depth::Sixteen => (Color::Green, Color::Yellow, Color::Red, Color::Cyan),
            Depth::Many => (Color::Indexed(35), Color::Indexed(172), Color::Indexed(167), Color::Indexed(32)),
            Depth::True => (
                Color::Rgb(0x2a, 0x9d, 0x54),
                Color::Rgb(0xc9, 0x7a, 0x08),
                Color::Rgb(0xd9, 0x4a, 0x4a),
                Color::Rgb(0x2f, 0x86, 0xd6),
            ),
        };
        match tone {
            Tone::Plain => plain,
            Tone::Strong => plain.add_modifier(Modifier::BOLD),
            Tone::Dim => plain.add_modifier(Modifier::DIM),
            Tone::Good => plain.fg(good),
            Tone::Warn => plain.fg(warn),
            Tone::Bad => plain.fg(bad).add_modifier(Modifier::BOLD),
            Tone::Accent => plain.fg(accent).add_modifier(Modifier::BOLD),
            Tone::Here => plain.add_modifier(Modifier::REVERSED),
            Tone::Paper => plain.fg(Color::Black).bg(Color::White),
        }
    }

    /// A sign, or what stands for it in ASCII.
    pub(crate) fn sign(self, sign: &'static str, ascii: &'static str) -> &'static str {
        if self.ascii { ascii } else { sign }
    }
}

/// The tone of a state, a status or a result.
pub(crate) fn tone_of(word: &str) -> Tone {
    match word {
        "published" | "handed_over" | "ready" | "done" | "ok" => Tone::Good,
        "rejected" | "missed" | "failed" | "error" | "fault" => Tone::Bad,
        "attention" | "needs_reconnect" | "unknown" | "partial" | "paused" | "retry" | "not_possible"
        | "warn" | "warning" | "left" => Tone::Warn,
        "cancelled" | "draft" => Tone::Dim,
        _ => Tone::Plain,
    }
}

/// What stands for a sign on a terminal that knows ASCII alone, cell for cell.
pub(crate) fn plain_sign(sign: &str) -> &'static str {
    match sign {
        "─" | "━" | "–" | "—" => "-",
        "│" => "|",
        "┌" | "┐" | "└" | "┘" | "├" | "┤" | "╭" | "╮" | "╰" | "╯" => "+",
        "…" => "~",
        "“" | "”" => "\"",
        "’" | "‘" => "'",
        "·" | "•" | "●" => "*",
        "○" => "o",
        "×" | "✗" => "x",
        "▶" | "›" | "→" => ">",
        "◀" | "←" => "<",
        "▲" | "↑" => "^",
        "▼" | "↓" | "✓" => "v",
        "█" | "▓" => "#",
        "░" => ".",
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_decides_what_is_shown() {
        let look = |color: bool, set: &[(&str, &str)]| {
            let env = |name: &str| set.iter().find(|it| it.0 == name).map(|(_, value)| (*value).to_owned());
            Look::of(color, &env)
        };
        let utf8 = ("LANG", "de_DE.UTF-8");
        assert_eq!(look(true, &[("TERM", "xterm"), utf8]), Look { depth: Depth::Sixteen, ascii: false });
        assert_eq!(look(true, &[("TERM", "xterm-256color"), utf8]).depth, Depth::Many);
        assert_eq!(look(true, &[("TERM", "xterm"), ("COLORTERM", "truecolor")]).depth, Depth::True);
        assert_eq!(look(false, &[("COLORTERM", "truecolor")]).depth, Depth::None);
        assert!(look(true, &[("LC_ALL", "C"), utf8]).ascii);
        assert!(look(true, &[]).ascii);
        assert!(!look(true, &[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")]).ascii);
    }

    #[test]
    fn without_colour_no_tone_has_one() {
        let look = Look { depth: Depth::None, ascii: false };
        for tone in [Tone::Good, Tone::Warn, Tone::Bad, Tone::Accent, Tone::Here, Tone::Paper] {
            let style = look.style(tone);
            assert_eq!((style.fg, style.bg), (None, None), "{tone:?}");
        }
    }
}
