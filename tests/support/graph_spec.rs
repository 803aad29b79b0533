//! Meta's parameter lists, generated from their own specifications (`meta-graph-spec.json`), as a
//! judge of requests.

use sendoff::platforms::{Body, Endpoint, Field, Request};
use serde_json::Value;

pub(crate) struct Spec(Value);

impl Spec {
    /// None: the data is not here, which was said.
    pub(crate) fn load() -> Option<Self> {
        let path = crate::support::conformance("meta-graph-spec.json")?;
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Some(Self(serde_json::from_slice(&bytes).unwrap()))
    }

    /// The endpoint that a request is for, if every parameter, required one and field fits it.
    #[allow(dead_code)] // each test file asks for its own product
    pub(crate) fn check(&self, request: &Request) -> Result<String, String> {
        self.check_in("facebook", request)
    }

    /// As [`Self::check`], for one of the specification's products.
    #[allow(dead_code)]
    pub(crate) fn check_in(&self, product: &str, request: &Request) -> Result<String, String> {
        let path = match request.endpoint {
            Endpoint::Given(_) => url::Url::parse(&request.path).unwrap().path().to_owned(),
            _ => format!("/v26.0{}", request.path),
        };
        self.call(product, request.method.as_str(), &path, &values(request))
    }

    /// As [`Self::check_in`], for a call of any origin: its path with the version, and its parameters,
    /// whichever way they travel. A file, or an address that is made later, is `Null`.
    pub(crate) fn call(
        &self,
        product: &str,
        method: &str,
        path: &str,
        values: &[(String, Value)],
    ) -> Result<String, String> {
        let rows = self.0["endpoints"].as_array().unwrap();
        let fits = |row: &&Value| {
            row["product"] == product
                && row["method"] == method
                && same_path(row["path"].as_str().unwrap(), path)
        };
        let mut why = format!("no endpoint is {method} {path}");
        // One path may be several endpoints' (every single object); any of them will do.
        for row in rows.iter().filter(fits) {
            match self.fits(row, values) {
                Ok(()) => return Ok(row["id"].as_str().unwrap().to_owned()),
                Err(reason) => why = reason,
            }
        }
        Err(why)
    }

    /// Whether an object of the specification has a field.
    #[allow(dead_code)] // each test file asks for what it needs
    pub(crate) fn has_field(&self, node: &str, field: &str) -> bool {
        let all = self.0["node_fields"][node]["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().any(|it| it.as_str().is_some_and(|it| it.split(':').next() == Some(field)))
    }

    /// The host of an endpoint.
    #[allow(dead_code)] // each test file asks for what it needs
    pub(crate) fn host(&self, id: &str) -> String {
        let rows = self.0["endpoints"].as_array().unwrap();
        let row = rows.iter().find(|it| it["id"] == id).unwrap_or_else(|| panic!("no endpoint `{id}`"));
        row["host"].as_str().unwrap().to_owned()
    }

    fn fits(&self, row: &Value, values: &[(String, Value)]) -> Result<(), String> {
        let own = own(row);
        let global = self.0["global_params"].as_array().unwrap();
        for (name, value) in values {
            let Some(param) = own.iter().chain(global).find(|it| it["name"] == name.as_str()) else {
                return Err(format!("`{name}` is no parameter of {}", row["id"]));
            };
            if !self.suits(name, param["type"].as_str().unwrap_or_default(), value) {
                return Err(format!("`{name}` of {} is {}, and not {value}", row["id"], param["type"]));
            }
        }
        let needed = own.iter().filter(|it| it["required"] == true).map(|it| it["name"].as_str().unwrap());
        if let Some(lacking) = needed.into_iter().find(|it| !values.iter().any(|(name, _)| name == it)) {
            return Err(format!("`{lacking}` is missing for {}", row["id"]));
        }
        let fields = values.iter().find(|it| it.0 == "fields").and_then(|it| it.1.as_str());
        let node = row["returns"].as_str().unwrap_or_default();
        // The specification has the Page return itself from a post; what comes back is the post.
        let node = if row["id"] == "page.feed.create" { "PagePost" } else { node };
        // Instagram's own door returns the same objects under names of its own, some of them another
        // network's; a container's fields stand in the row itself.
        let node = match (row["product"].as_str().unwrap_or_default().starts_with("instagram"), node) {
            (true, "Media") => "IGMedia",
            (true, "Comment") => "IGComment",
            (true, "User") => "IGUserForIGOnlyAPI",
            (true, it) if it.starts_with('{') => "IGContainer",
            (_, it) => it,
        };
        // Of people it has no fields.
        let Some(node) = self.0["node_fields"].get(node) else { return Ok(()) };
        for field in top_level(fields.unwrap_or_default()) {
            let has = |name: &str| {
                let all = node[name].as_array().map(Vec::as_slice).unwrap_or_default();
                all.iter().any(|it| it.as_str().is_some_and(|it| it.split(':').next() == Some(&field)))
            };
            let documented = FIELDS.contains(&(row["id"].as_str().unwrap(), field.as_str()));
            if !documented && !has("fields") && !has("edges") {
                return Err(format!("`{field}` is no field that {} returns", row["id"]));
            }
        }
        Ok(())
    }

    /// Whether a value is of a type. Lists travel as JSON, as its text, or with commas between.
    fn suits(&self, name: &str, kind: &str, value: &Value) -> bool {
        if let Some((_, words)) = WORDS.iter().find(|it| it.0 == name)
            && !value.as_str().is_some_and(|it| words.contains(&it))
        {
            return false;
        }
        let text = value.as_str();
        let inner = || text.and_then(|it| serde_json::from_str::<Value>(it).ok());
        if let Some(of) = kind.strip_prefix("list<").and_then(|it| it.strip_suffix('>')) {
            let all = match (value.as_array(), inner()) {
                (Some(all), _) => all.clone(),
                (None, Some(Value::Array(all))) => all,
                _ => text.unwrap_or_default().split(',').map(Value::from).collect(),
            };
            return all.iter().all(|it| self.suits("", of, it));
        }
        if let Some(words) = self.0["enums"][kind].as_array() {
            return text
                .is_some_and(|it| words.iter().any(|word| word.as_str().unwrap().eq_ignore_ascii_case(it)));
        }
        match kind {
            "bool" => value.is_boolean() || matches!(text, Some("true" | "false")),
            "int" => value.is_i64() || text.is_some_and(|it| it.parse::<i64>().is_ok()),
            "unsigned int" => value.is_u64() || text.is_some_and(|it| it.parse::<u64>().is_ok()),
            "datetime" => value.is_u64() || text.is_some_and(|it| it.parse::<u64>().is_ok()),
            "map" => value.is_object() || inner().is_some_and(|it| it.is_object()),
            "string" => value.is_string() || value.is_null(),
            _ => true,
        }
    }
}

/// Words that the documents allow where the specification says `string` and no more.
const WORDS: &[(&str, &[&str])] = &[
    // instagram-platform/content-publishing
    ("media_type", &["REELS", "STORIES", "CAROUSEL", "VIDEO"]),
    ("upload_type", &["resumable"]),
    // facebook-login/guides/advanced/manual-flow, …/get-long-lived, instagram …/business-login
    ("grant_type", &["authorization_code", "fb_exchange_token", "ig_exchange_token", "ig_refresh_token"]),
    ("response_type", &["code"]),
];

/// Fields of an edge that the documents name and the specification of its objects does not.
const FIELDS: &[(&str, &str)] = &[
    // pages-api/getting-started
    ("user.accounts.list", "tasks"),
];

fn own(row: &Value) -> Vec<Value> {
    let list = |name: &str| row[name].as_array().cloned().unwrap_or_default();
    list("params").into_iter().chain(list("supplement_params")).collect()
}

/// The names of a list of fields, without what is asked for within them.
fn top_level(fields: &str) -> Vec<String> {
    let (mut depth, mut plain) = (0, String::new());
    for c in fields.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    plain.split(',').filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

/// Every parameter of a request, whichever way it travels.
fn values(request: &Request) -> Vec<(String, Value)> {
    let mut all: Vec<(String, Value)> =
        request.query.iter().map(|it| (it.0.clone(), it.1.as_str().into())).collect();
    let object = |json: &Value| json.as_object().unwrap().clone().into_iter().collect::<Vec<_>>();
    match &request.body {
        Body::None | Body::File { .. } => {}
        Body::Json(bytes) => all.extend(object(&serde_json::from_slice(bytes).unwrap())),
        Body::Form(fields) | Body::Multipart(fields) => {
            all.extend(fields.iter().map(|(name, field)| match field {
                Field::Text(text) => (name.clone(), text.as_str().into()),
                Field::Link(_) | Field::File { .. } => (name.clone(), Value::Null),
            }));
        }
        Body::JsonWithLinks { json, .. } => all.extend(object(json)),
    }
    all
}

fn same_path(template: &str, path: &str) -> bool {
    let (mut a, mut b) = (template.split('/'), path.split('/'));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(t), Some(p)) if t == p || (t.starts_with('{') && t.ends_with('}') && !p.is_empty()) => {}
            _ => return false,
        }
    }
}
