//! Answers that networks were seen to give although the truth is another: faults that change what is
//! said, and not what is.

use serde_json::json;

use super::faults::Fault;
use super::wire::Answer;

/// The lie in place of a true answer; `None` where the fault has nothing to lie about.
pub(super) fn told(fault: &Fault, answer: &Answer) -> Option<Answer> {
    let mut said: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    let published = said["status_code"] == "PUBLISHED";
    match fault {
        Fault::SaysError if published => {
            said["status_code"] = json!("ERROR");
            said["status"] = json!("Error: Media upload has failed with error code 2207053");
        }
        Fault::SaysExpired if published => {
            said["status_code"] = json!("EXPIRED");
            said["status"] = json!("Expired: the container was not published in time");
        }
        Fault::SaysExpired if said["status"]["video_status"].is_string() => {
            said["status"]["video_status"] = json!("expired");
            for phase in ["processing_phase", "publishing_phase"] {
                said["status"][phase] = json!({ "status": "not_started" });
            }
        }
        Fault::ProcessingFailed if said["data"]["processing_info"].is_object() => {
            let error =
                json!({ "code": 1, "name": "InvalidMedia", "message": "file is currently unsupported" });
            said["data"]["processing_info"] =
                json!({ "state": "failed", "progress_percent": 100, "error": error });
        }
        Fault::Lags if said["data"].is_array() && said["meta"].is_object() => {
            said = json!({ "meta": { "result_count": 0 } });
        }
        Fault::Lags if said["data"].is_array() => said = json!({ "data": [] }),
        _ => return None,
    }
    Some(Answer::json(answer.status.as_u16(), &said))
}
