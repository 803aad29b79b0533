//! `doctor`.

use super::error::Outcome;
use super::render::{Paint, Ui, clean_line};
use crate::control::client::Client;
use crate::control::messages as m;
use crate::control::requests as r;

/// What was found, and beneath each finding what mends it; exit 1 when something is at fault.
pub(super) async fn examine(client: &Client, platform: Option<String>, ui: &mut Ui<'_, '_>) -> Outcome {
    let diagnosis = client.doctor(&r::Doctor { platform }).await?;
    let code = u8::from(!diagnosis.ok);
    if ui.json {
        ui.document(&diagnosis)?;
        return Ok(code);
    }
    let mut about = "";
    for it in &diagnosis.findings {
        if it.about != about {
            let gap = if about.is_empty() { "" } else { "\n" };
            ui.line(&format!("{gap}{}", clean_line(&it.about)))?;
            about = &it.about;
        }
        let (word, paint) = match it.result {
            m::FindingResult::Ok => ("ok", Paint::Green),
            m::FindingResult::Warning => ("warning", Paint::Yellow),
            m::FindingResult::Fault => ("fault", Paint::Red),
            m::FindingResult::Unknown => ("look", Paint::Dim),
        };
        let word = ui.paint(paint, &format!("{word:<8}"));
        ui.line(&format!("  {word} {}", clean_line(&it.message)))?;
        if let Some(hint) = &it.hint {
            ui.line(&format!("           hint: {}", clean_line(hint)))?;
        }
    }
    let count = |of: m::FindingResult| diagnosis.findings.iter().filter(|it| it.result == of).count();
    let (faults, warnings) = (count(m::FindingResult::Fault), count(m::FindingResult::Warning));
    let plural = |n: usize, word: &str| if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") };
    ui.line(&format!("\n{}, {}", plural(faults, "fault"), plural(warnings, "warning")))?;
    Ok(code)
}
