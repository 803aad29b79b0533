//! TikTok: what the account may do is asked again where an upload took long.

use crate::jobs::{fresh, now};
use crate::tiktok::{creator, film, obliging, ok, owned};
use jiff::SignedDuration;
use sendoff::domain::delivery::Handles;
use sendoff::platforms::tiktok::TikTok;
use sendoff::platforms::{Body, FailureClass, Fresh, Next, Platform};
use serde_json::json;

#[test]
fn before_the_last_piece_of_a_long_upload_the_account_is_asked_again() {
    let chosen = [("privacy", "SELF_ONLY"), ("consent", "music")];
    for (mode, minutes, asked) in [("direct", 5, false), ("direct", 6, true), ("inbox", 50, false)] {
        let post = owned(mode, "", vec![film(900)], &chosen);
        let (job, mut handles) = (post.job(), Handles::new());
        while let Ok(Next::Call(call)) = TikTok.next(&job, &handles, fresh()) {
            handles.extend(TikTok.answered(&job, &handles, &call, &obliging(&call), now()).unwrap());
        }
        let later = Fresh { now: now() + SignedDuration::from_mins(minutes), ..fresh() };
        match TikTok.next(&job, &handles, later).unwrap() {
            Next::Call(call) => {
                assert_eq!((call.label, asked), ("tiktok.creator", true), "{mode} {minutes}");
                // The same as before: it goes out. Another audience: it does not, and nothing was published.
                let mut other = creator();
                other["privacy_level_options"] = json!(["PUBLIC_TO_EVERYONE"]);
                let refused = TikTok.answered(&job, &handles, &call, &ok(&other), later.now).unwrap_err();
                assert_eq!(refused.class, FailureClass::InvalidContent);
                handles.extend(TikTok.answered(&job, &handles, &call, &obliging(&call), later.now).unwrap());
                assert!(matches!(TikTok.next(&job, &handles, later), Ok(Next::Publish(_))));
            }
            Next::Publish(_) => assert!(!asked, "{mode} {minutes}"),
        }
    }
}

#[test]
fn what_the_account_switched_off_during_a_long_upload_is_switched_off_in_its_task_too() {
    let chosen =
        [("privacy", "SELF_ONLY"), ("consent", "music"), ("allow_comment", "true"), ("allow_duet", "true")];
    let post = owned("direct", "", vec![film(900)], &chosen);
    let (job, mut handles) = (post.job(), Handles::new());
    // What creator_info says: comments are on, and then off.
    let (mut asked, mut tasks, mut at) = (0, Vec::new(), fresh());
    let said = |comment: bool| {
        let mut it = creator();
        it["comment_disabled"] = json!(comment);
        it
    };
    let frozen = loop {
        match TikTok.next(&job, &handles, at).unwrap() {
            Next::Call(call) => {
                let answer = match call.label {
                    "tiktok.creator" => {
                        asked += 1;
                        ok(&said(asked > 1))
                    }
                    label => {
                        if label == "tiktok.init" {
                            let Body::Json(body) = &call.body else { panic!("JSON") };
                            let body: serde_json::Value = serde_json::from_slice(body).unwrap();
                            let info = &body["post_info"];
                            tasks.push((info["disable_comment"].clone(), info["disable_duet"].clone()));
                        }
                        obliging(&call)
                    }
                };
                handles.extend(TikTok.answered(&job, &handles, &call, &answer, at.now).unwrap());
                if call.label == "tiktok.creator" && asked == 2 {
                    // Its turn comes later.
                    at.now += SignedDuration::from_mins(2);
                }
            }
            Next::Publish(_) if asked == 1 => at.now += SignedDuration::from_mins(6),
            Next::Publish(frozen) => break frozen,
        }
    };
    assert_eq!(
        tasks,
        [(json!(false), json!(false)), (json!(true), json!(false))],
        "a task of its own for each"
    );
    assert_eq!((asked, frozen.marker.is_empty()), (2, false));
}
