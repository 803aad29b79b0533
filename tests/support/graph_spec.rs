//! Meta's parameter lists, generated from their own specifications (`meta-graph-spec.json`), as a
//! judge of requests.

use sendoff::platforms::{Body, Endpoint, Request};
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
    pub(crate) fn check_in(&self, product: &str, request: &Request) -> Result<String, String> {
        let path = match request.endpoint {
            Endpoint::Given(_) => url::Url::parse(&request.path).unwrap().path().to_owned(),
            _ => format!("/v26.0{}", request.path),
        };
        let names = names(request);
        let rows = self.0["endpoints"].as_array().unwrap();
        let fits = |row: &&Value| {
            row["product"] == product
                && row["method"] == request.method.as_str()
                && same_path(row["path"].as_str().unwrap(), &path)
        };
        let mut why = format!("no endpoint is {} {path}", request.method);
        // One path may be several endpoints' (every single object); any of them will do.
        for row in rows.iter().filter(fits) {
            match self.fits(row, request, &names) {
                Ok(()) => return Ok(row["id"].as_str().unwrap().to_owned()),
                Err(reason) => why = reason,
            }
        }
        Err(why)
    }

    fn fits(&self, row: &Value, request: &Request, names: &[String]) -> Result<(), String> {
        let list = |name: &str| row[name].as_array().cloned().unwrap_or_default();
        let own: Vec<Value> = list("params").into_iter().chain(list("supplement_params")).collect();
        let global = self.0["global_params"].as_array().unwrap();
        let known = |name: &str| own.iter().chain(global).any(|it| it["name"] == name);
        if let Some(odd) = names.iter().find(|it| !known(it)) {
            return Err(format!("`{odd}` is no parameter of {}", row["id"]));
        }
        let needed = own.iter().filter(|it| it["required"] == true).map(|it| it["name"].as_str().unwrap());
        if let Some(lacking) = needed.into_iter().find(|it| !names.iter().any(|name| name == it)) {
            return Err(format!("`{lacking}` is missing for {}", row["id"]));
        }
        let fields = request.query.iter().find(|it| it.0 == "fields").map_or("", |it| it.1.as_str());
        let node = row["returns"].as_str().unwrap_or_default();
        // The specification has the Page return itself from a post; what comes back is the post.
        let node = if row["id"] == "page.feed.create" { "PagePost" } else { node };
        // Instagram's own door returns the same objects under names of its own, some of them another
        // network's; a container's fields stand in the row itself.
        let node = match (row["product"].as_str().unwrap_or_default().starts_with("instagram"), node) {
            (true, "Media") => "IGMedia",
            (true, "Comment") => "IGComment",
            (true, it) if it.starts_with('{') => "IGContainer",
            (_, it) => it,
        };
        let node = &self.0["node_fields"][node];
        for field in fields.split(',').filter(|it| !it.is_empty()) {
            let has = |name: &str| {
                let all = node[name].as_array().map(Vec::as_slice).unwrap_or_default();
                all.iter().any(|it| it.as_str().is_some_and(|it| it.split(':').next() == Some(field)))
            };
            if !has("fields") && !has("edges") {
                return Err(format!("`{field}` is no field that {} returns", row["id"]));
            }
        }
        Ok(())
    }
}

/// Every parameter of a request, whichever way it travels.
fn names(request: &Request) -> Vec<String> {
    let mut names: Vec<String> = request.query.iter().map(|it| it.0.clone()).collect();
    match &request.body {
        Body::None | Body::File { .. } => {}
        Body::Json(bytes) => {
            let body: Value = serde_json::from_slice(bytes).unwrap();
            names.extend(body.as_object().unwrap().keys().cloned());
        }
        Body::Form(fields) | Body::Multipart(fields) => names.extend(fields.iter().map(|it| it.0.clone())),
        Body::JsonWithLinks { json, .. } => names.extend(json.as_object().unwrap().keys().cloned()),
    }
    names
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
