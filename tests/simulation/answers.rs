//! What the answers of the network itself have to do with waits and doubts.

use jiff::SignedDuration;
use sendoff::domain::ids::{DeliveryId, PlatformName};
use sendoff::engine::{Purpose, Reply};
use sendoff::platforms::Answer;

use super::{BREATH, Fate, QUARTER, Whom, ladder};
use crate::world::World;

impl World {
    /// Whoever asks how much of a film has arrived takes its upload for broken off. From the second time on it
    /// pauses before it goes on: 20 seconds, doubled each time.
    pub(crate) fn reckon_break(&mut self, id: DeliveryId, label: &str, wait: SignedDuration) {
        if label != "facebook.video.received" {
            return;
        }
        let now = self.now;
        let it = &mut self.watch.reckon;
        let asked = it.asked_how_far.entry(id).or_default();
        *asked += 1;
        if let Some(before) = asked.checked_sub(2) {
            it.during(
                Whom::One(id),
                now,
                wait + ladder(20, before, QUARTER) + BREATH,
                "its upload broke off",
            );
        }
    }

    /// The network itself answered a publishing call in full.
    pub(crate) fn reckon_answer(&mut self, origin: Option<(DeliveryId, u16)>, reply: &Reply) {
        let (Some((id, step)), Reply::Answer(answer)) = (origin, reply) else { return };
        if answer.status < 400 {
            return;
        }
        // Bytes for an address that has run out are refused, which proves nothing.
        let ran_out = self.network.platform == PlatformName::TikTok
            && answer.status == 403
            && answer.json()["error"].is_null();
        let it = &mut self.watch.reckon;
        it.fates.insert(id, if ran_out { Fate::Unclear } else { Fate::Refused });
        let said = String::from_utf8_lossy(&answer.body).to_lowercase();
        if said.contains("duplicate") || said.contains("already_published") || said.contains("invalidswap") {
            it.repeats.insert((id, step));
        }
    }

    /// A container that came to nothing is made anew: after 20 seconds, doubled each time. After the sixth it
    /// is given up.
    fn reckon_container(&mut self, (id, step): (DeliveryId, u16), answer: &Answer) {
        let json = answer.json();
        let ended = matches!(json["status_code"].as_str(), Some("ERROR" | "EXPIRED"));
        if !ended && json["error"]["code"] != 9007 {
            return;
        }
        let it = &mut self.watch.reckon;
        let n = it.fruitless.entry(id).or_default();
        *n += 1;
        let (n, pause) = (*n, ladder(20, *n - 1, QUARTER));
        it.during(Whom::One(id), self.now, pause + BREATH, "its container came to nothing");
        if n >= 6 {
            it.refused.insert((id, step));
        }
    }

    /// The network itself answered a call that publishes nothing.
    pub(crate) fn reckon_read(
        &mut self,
        purpose: Option<Purpose>,
        (id, step): (DeliveryId, u16),
        answer: &Answer,
    ) {
        match purpose {
            Some(Purpose::Look) => {
                self.watch.looked(id, self.now);
                // A look that only shows that the account cannot sign in shows nothing.
                if self.network.blames_the_account(answer) {
                    self.watch.reckon.looks.insert(id, false);
                }
            }
            Some(Purpose::Prepare) => self.reckon_container((id, step), answer),
            _ => {}
        }
    }
}
