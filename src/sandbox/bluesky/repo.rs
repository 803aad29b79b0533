//! Records and files of an account, with the reference server's behaviour when the same key is
//! written twice: `createRecord` fails with a 500, `putRecord` of the same record does nothing,
//! `putRecord` of another one is refused under `swapRecord: null`.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::oauth::Caller;
use super::{BLOB_MAX, Bluesky, POINTS, cbor, fault, invalid, limited, ordinary, record, scope};
use crate::sandbox::wire::{Answer, Call, Window};

/// The largest JSON body.
const JSON_MAX: usize = 150 * 1024;
/// How long a file that no record names is kept.
const BLOB_LIFE: SignedDuration = SignedDuration::from_hours(6);
/// Bytes of files kept for the pages.
const KEPT_MAX: usize = 64 * 1024 * 1024;

/// Where a record lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) account: usize,
    pub(super) collection: String,
    pub(super) rkey: String,
}

/// A record, or what is left of a deleted one for the pages.
pub(super) struct Record {
    pub(super) key: Key,
    pub(super) cid: String,
    pub(super) value: Value,
    pub(super) at: Timestamp,
    pub(super) deleted: Option<Timestamp>,
}

/// An uploaded file.
pub(super) struct Blob {
    mime: String,
    size: usize,
    at: Timestamp,
    named: bool,
    pub(super) bytes: Option<Bytes>,
}

type Refused = Box<Answer>;

/// The request's JSON, with no property but the known ones.
fn input(call: &Call, known: &[&str]) -> Result<Value, Refused> {
    let kind = call.content_type();
    if kind != "application/json" {
        let why = format!("Wrong request encoding (Content-Type): {kind}");
        return Err(Box::new(invalid(why)));
    }
    if call.body.len() > JSON_MAX {
        return Err(Box::new(fault(413, "PayloadTooLarge", "request entity too large")));
    }
    let value: Value = serde_json::from_slice(&call.body)
        .map_err(|why| Box::new(fault(400, "SyntaxError", why.to_string())))?;
    let Some(map) = value.as_object() else {
        return Err(Box::new(invalid("Input must be an object")));
    };
    match map.keys().find(|it| !known.contains(&it.as_str())) {
        Some(extra) => Err(Box::new(invalid(format!("Input has an unknown property \"{extra}\"")))),
        None => Ok(value),
    }
}

fn word<'v>(value: &'v Value, name: &str) -> Result<&'v str, Refused> {
    value[name]
        .as_str()
        .ok_or_else(|| Box::new(invalid(format!("Input must have the property \"{name}\", a string"))))
}

fn is_nsid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let fine = |it: &&str| {
        (1..=63).contains(&it.len()) && it.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
    };
    parts.len() >= 3 && text.len() <= 317 && parts.iter().all(fine)
}

/// Record keys in general (atproto.com/specs/record-key), and TIDs for posts.
fn check_rkey(collection: &str, rkey: &str) -> Result<(), Refused> {
    if collection == record::POST && !record::is_tid(rkey) {
        return Err(Box::new(invalid(format!("Invalid TID string (got \"{rkey}\")"))));
    }
    let legal = |it: u8| it.is_ascii_alphanumeric() || b".-_:~".contains(&it);
    if rkey.is_empty() || rkey.len() > 512 || rkey == "." || rkey == ".." || !rkey.bytes().all(legal) {
        return Err(Box::new(invalid("record key does not match the syntax")));
    }
    Ok(())
}

/// Whether a swap condition holds: absent always does, `null` wants nothing there, a cid that one.
fn check_swap(condition: Option<&Value>, there: Option<&str>) -> Result<(), Refused> {
    let holds = match condition {
        None => true,
        Some(Value::Null) => there.is_none(),
        Some(Value::String(cid)) => there == Some(cid.as_str()),
        Some(_) => return Err(Box::new(invalid("Input/swapRecord must be a string or null"))),
    };
    if holds {
        return Ok(());
    }
    Err(Box::new(fault(400, "InvalidSwap", format!("Record was at {}", there.unwrap_or("null")))))
}

/// Whether the grant covers the action.
fn require(caller: &Caller, collection: &str, action: &str) -> Result<(), Refused> {
    if scope::allows_repo(&caller.scopes, collection, action) {
        return Ok(());
    }
    let why = format!("Missing required scope \"repo:{collection}?action={action}\"");
    Err(Box::new(fault(403, "ScopeMissingError", why)))
}

impl Bluesky {
    /// The collection and that the repo is the caller's own.
    fn own_collection<'v>(&self, input: &'v Value, caller: &Caller) -> Result<&'v str, Refused> {
        let repo = word(input, "repo")?;
        let collection = word(input, "collection")?;
        if !is_nsid(collection) {
            return Err(Box::new(invalid("Input/collection must be a valid nsid")));
        }
        match self.account(repo) {
            None => Err(Box::new(invalid(format!("Could not find repo: {repo}")))),
            Some(account) if account != caller.account => {
                Err(Box::new(fault(401, "AuthenticationRequired", "Authentication Required")))
            }
            Some(_) => Ok(collection),
        }
    }

    fn spend(&mut self, account: usize, points: u32, now: Timestamp) -> Result<(), Refused> {
        let (limit, seconds) = POINTS;
        let window = self.points.entry(account).or_insert_with(|| Window::starting(now, seconds));
        let budget = window.spend(points, limit, seconds, now);
        if budget.exceeded {
            return Err(Box::new(
                limited(budget, seconds, now).because("too many points written in one hour"),
            ));
        }
        Ok(())
    }

    /// The record with its type filled in, its cid, and what the lexicon says of it.
    fn prepare(
        &self,
        input: &Value,
        caller: &Caller,
        collection: &str,
        now: Timestamp,
    ) -> Result<(Value, String, &'static str), Refused> {
        let mut value = input["record"].clone();
        let Some(map) = value.as_object_mut() else {
            return Err(Box::new(invalid("Input must have the property \"record\", an object")));
        };
        match map.get("$type") {
            None => {
                map.insert("$type".to_owned(), collection.into());
            }
            Some(kind) if kind == collection => {}
            Some(kind) => {
                return Err(Box::new(invalid(format!("Invalid $type: expected {collection}, got {kind}"))));
            }
        }
        let skip = match input.get("validate") {
            None | Some(Value::Bool(true)) => false,
            Some(Value::Bool(false)) => true,
            Some(_) => return Err(Box::new(invalid("Input/validate must be a boolean"))),
        };
        let known = collection == record::POST && !skip;
        if known {
            record::check_post(&value)
                .map_err(|why| Box::new(invalid(format!("Invalid {collection} record: {why}"))))?;
        }
        let cid = cbor::record_cid(&value)
            .ok_or_else(|| Box::new(invalid("Bad record: a number with a fraction, or a broken link")))?;
        for named in record::blobs(&value).map_err(|why| Box::new(invalid(why)))? {
            let missing =
                || Box::new(fault(400, "BlobNotFound", format!("Could not find blob: {}", named.cid)));
            let blob = self.blobs.get(&(caller.account, named.cid.clone())).ok_or_else(missing)?;
            if !blob.named && now >= blob.at + BLOB_LIFE {
                return Err(missing());
            }
            if blob.mime != named.mime {
                let why = format!(
                    "Referenced MimeType does not match stored blob. Expected: {}, Got: {}",
                    blob.mime, named.mime
                );
                return Err(Box::new(fault(400, "InvalidMimeType", why)));
            }
            if blob.size as u64 != named.size {
                let why = format!(
                    "Referenced size does not match stored blob. Expected: {}, Got: {}",
                    blob.size, named.size
                );
                return Err(Box::new(fault(400, "InvalidSize", why)));
            }
        }
        Ok((value, cid, if known { "valid" } else { "unknown" }))
    }

    fn write(&mut self, key: Key, value: Value, cid: &str, status: &str, now: Timestamp) -> Answer {
        for named in record::blobs(&value).unwrap_or_default() {
            if let Some(blob) = self.blobs.get_mut(&(key.account, named.cid)) {
                blob.named = true;
            }
        }
        let body = json!({
            "uri": self.address(&key),
            "cid": cid,
            "commit": self.commit(now),
            "validationStatus": status,
        });
        self.records.insert(key.clone(), Record { key, cid: cid.to_owned(), value, at: now, deleted: None });
        Answer::json(200, &body)
    }

    fn commit(&mut self, now: Timestamp) -> Value {
        let rev = self.next_tid(now);
        json!({ "cid": cbor::record_cid(&json!({ "rev": rev })), "rev": rev })
    }

    fn next_tid(&mut self, now: Timestamp) -> String {
        self.last_rev = (now.as_microsecond() << 10).max(self.last_rev + 1);
        record::tid(self.last_rev)
    }

    fn there(&self, key: &Key) -> Option<String> {
        self.records.get(key).filter(|it| it.deleted.is_none()).map(|it| it.cid.clone())
    }

    /// `com.atproto.repo.putRecord`.
    pub(super) fn put_record(&mut self, call: &Call, caller: &Caller) -> Answer {
        self.put(call, caller).unwrap_or_else(|it| *it)
    }

    fn put(&mut self, call: &Call, caller: &Caller) -> Result<Answer, Refused> {
        let known = ["repo", "collection", "rkey", "validate", "record", "swapRecord", "swapCommit"];
        let input = input(call, &known)?;
        let collection = self.own_collection(&input, caller)?;
        // An upsert needs both, whichever of the two it turns out to be.
        require(caller, collection, "create")?;
        require(caller, collection, "update")?;
        let rkey = word(&input, "rkey")?;
        check_rkey(collection, rkey)?;
        let (value, cid, status) = self.prepare(&input, caller, collection, call.now)?;
        let key = Key { account: caller.account, collection: collection.to_owned(), rkey: rkey.to_owned() };
        let there = self.there(&key);
        if there.as_ref() == Some(&cid) {
            let body = json!({ "uri": self.address(&key), "cid": cid, "validationStatus": status });
            return Ok(Answer::json(200, &body));
        }
        check_swap(input.get("swapRecord"), there.as_deref())?;
        self.spend(caller.account, if there.is_some() { 2 } else { 3 }, call.now)?;
        Ok(self.write(key, value, &cid, status, call.now))
    }

    /// `com.atproto.repo.createRecord`.
    pub(super) fn create_record(&mut self, call: &Call, caller: &Caller) -> Answer {
        self.create(call, caller).unwrap_or_else(|it| *it)
    }

    fn create(&mut self, call: &Call, caller: &Caller) -> Result<Answer, Refused> {
        let known = ["repo", "collection", "rkey", "validate", "record", "swapCommit"];
        let input = input(call, &known)?;
        let collection = self.own_collection(&input, caller)?;
        require(caller, collection, "create")?;
        let rkey = match input.get("rkey") {
            None => self.next_tid(call.now),
            Some(_) => word(&input, "rkey")?.to_owned(),
        };
        check_rkey(collection, &rkey)?;
        let (value, cid, status) = self.prepare(&input, caller, collection, call.now)?;
        let key = Key { account: caller.account, collection: collection.to_owned(), rkey };
        if self.there(&key).is_some() {
            return Ok(ordinary(500, "InternalServerError", "Internal Server Error"));
        }
        self.spend(caller.account, 3, call.now)?;
        Ok(self.write(key, value, &cid, status, call.now))
    }

    /// `com.atproto.repo.deleteRecord`: deleting what is not there is fine, and says `{}`.
    pub(super) fn delete_record(&mut self, call: &Call, caller: &Caller) -> Answer {
        self.delete(call, caller).unwrap_or_else(|it| *it)
    }

    fn delete(&mut self, call: &Call, caller: &Caller) -> Result<Answer, Refused> {
        let input = input(call, &["repo", "collection", "rkey", "swapRecord", "swapCommit"])?;
        let collection = self.own_collection(&input, caller)?;
        require(caller, collection, "delete")?;
        let rkey = word(&input, "rkey")?.to_owned();
        let key = Key { account: caller.account, collection: collection.to_owned(), rkey };
        let there = self.there(&key);
        if there.is_none() {
            return Ok(Answer::json(200, &json!({})));
        }
        check_swap(input.get("swapRecord"), there.as_deref())?;
        self.spend(caller.account, 1, call.now)?;
        if let Some(record) = self.records.get_mut(&key) {
            record.deleted = Some(call.now);
        }
        Ok(Answer::json(200, &json!({ "commit": self.commit(call.now) })))
    }

    /// `com.atproto.repo.getRecord`, which needs nobody's leave.
    pub(super) fn get_record(&self, call: &Call) -> Answer {
        let [repo, collection, rkey] =
            ["repo", "collection", "rkey"].map(|it| call.param(it).unwrap_or_default());
        if [repo, collection, rkey].contains(&"") {
            return invalid("Error: Params must have the properties \"repo\", \"collection\" and \"rkey\"");
        }
        let Some(account) = self.account(repo) else {
            return invalid(format!("Could not find repo: {repo}"));
        };
        let key = Key { account, collection: collection.to_owned(), rkey: rkey.to_owned() };
        let found = self.records.get(&key).filter(|it| it.deleted.is_none());
        match found.filter(|it| call.param("cid").is_none_or(|cid| cid == it.cid)) {
            Some(it) => {
                Answer::json(200, &json!({ "uri": self.address(&key), "cid": it.cid, "value": it.value }))
            }
            None => {
                ordinary(400, "RecordNotFound", &format!("Could not locate record: {}", self.address(&key)))
            }
        }
    }

    /// `com.atproto.repo.listRecords`, newest key first.
    pub(super) fn list_records(&self, call: &Call) -> Answer {
        let [repo, collection] = ["repo", "collection"].map(|it| call.param(it).unwrap_or_default());
        let Some(account) = self.account(repo) else {
            return invalid(format!("Could not find repo: {repo}"));
        };
        let limit = match call.param("limit").map(str::parse::<usize>) {
            None => 50,
            Some(Ok(limit)) if (1..=100).contains(&limit) => limit,
            Some(_) => return invalid("Error: limit must be 1 to 100"),
        };
        let cursor = call.param("cursor");
        let mut all: Vec<&Record> = self
            .records
            .values()
            .filter(|it| it.deleted.is_none() && it.key.account == account && it.key.collection == collection)
            .filter(|it| cursor.is_none_or(|cursor| it.key.rkey.as_str() < cursor))
            .collect();
        all.sort_by(|a, b| b.key.rkey.cmp(&a.key.rkey));
        all.truncate(limit);
        let records: Vec<Value> = all
            .iter()
            .map(|it| json!({ "uri": self.address(&it.key), "cid": it.cid, "value": it.value }))
            .collect();
        let mut body = json!({ "records": records });
        if let Some(last) = all.last() {
            body["cursor"] = last.key.rkey.clone().into();
        }
        Answer::json(200, &body)
    }

    /// `com.atproto.repo.uploadBlob`: the bytes decide the type, where they give one away.
    pub(super) fn upload_blob(&mut self, call: &Call, caller: &Caller) -> Answer {
        let claimed = call.content_type();
        if claimed.is_empty() {
            return invalid("Request encoding (Content-Type) required but not provided");
        }
        if !scope::allows_blob(&caller.scopes, &claimed) {
            return fault(403, "ScopeMissingError", format!("Missing required scope \"blob:{claimed}\""));
        }
        if call.body.len() > BLOB_MAX {
            return fault(413, "PayloadTooLarge", "request entity too large");
        }
        let mime = infer::get(&call.body).map_or(claimed, |it| it.mime_type().to_owned());
        let cid = cbor::blob_cid(&call.body);
        let body = json!({ "blob": {
            "$type": "blob", "ref": { "$link": cid }, "mimeType": mime, "size": call.body.len(),
        }});
        let key = (caller.account, cid);
        let named = self.blobs.get(&key).is_some_and(|it| it.named);
        let blob = Blob { mime, size: call.body.len(), at: call.now, named, bytes: Some(call.body.clone()) };
        self.blobs.insert(key, blob);
        self.trim_blobs();
        Answer::json(200, &body)
    }

    /// Forgets the bytes of the oldest files beyond [`KEPT_MAX`]; what they were stays known.
    fn trim_blobs(&mut self) {
        let mut kept = 0;
        let mut free = Vec::new();
        for (key, blob) in self.blobs.entries().rev() {
            kept += blob.bytes.as_ref().map_or(0, Bytes::len);
            if kept > KEPT_MAX && blob.bytes.is_some() {
                free.push(key.clone());
            }
        }
        for key in free {
            if let Some(blob) = self.blobs.get_mut(&key) {
                blob.bytes = None;
            }
        }
    }
}
