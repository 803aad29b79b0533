//! The composed document of LinkedIn's API (`data/linkedin-openapi.composed.json`), as a judge of requests:
//! path, query, headers and body.

use std::collections::BTreeMap;

use sendoff::platforms::{Body, Endpoint, Platform as _, Request, linkedin::LinkedIn};
use serde_json::{Value, json};

pub(crate) struct Spec(Value);

impl Spec {
    /// None: the data is not here, which was said.
    pub(crate) fn load() -> Option<Self> {
        let path = crate::support::conformance("data/linkedin-openapi.composed.json")?;
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Some(Self(serde_json::from_slice(&bytes).unwrap()))
    }

    /// The operation that a request is for, if everything about it fits. Uploads go to addresses that the
    /// document does not describe.
    pub(crate) fn check(&self, request: &Request) -> Result<String, String> {
        let headers: BTreeMap<_, _> = LinkedIn.headers(request, Some("202608")).into_iter().collect();
        if let Endpoint::Given(_) = request.endpoint {
            let bare = headers.is_empty() && request.method == http::Method::PUT;
            return if bare { Ok("upload".into()) } else { Err("an upload bears headers of the API".into()) };
        }
        let (template, row) = self.0["paths"]
            .as_object()
            .unwrap()
            .iter()
            .filter_map(|(path, row)| Some((same_path(path, &request.path)?, row)))
            .find(|(_, row)| row[request.method.as_str().to_lowercase()].is_object())
            .ok_or_else(|| format!("no operation is {} {}", request.method, request.path))?;
        let operation = &row[request.method.as_str().to_lowercase()];
        let mut left: BTreeMap<&str, &str> =
            request.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut bore = headers.clone();
        let params =
            operation["parameters"].as_array().into_iter().chain(row["parameters"].as_array()).flatten();
        for param in params {
            let param = match param["$ref"].as_str() {
                Some(link) => self.0.pointer(link.trim_start_matches('#')).unwrap(),
                None => param,
            };
            let name = param["name"].as_str().unwrap();
            let value = match param["in"].as_str().unwrap() {
                "header" => bore.remove(name.to_lowercase().as_str()),
                "path" => Some(template.clone()),
                _ => left.remove(name).map(str::to_owned),
            };
            match value {
                None if param["required"] == true => return Err(format!("`{name}` is missing")),
                None => {}
                Some(value) => {
                    let number =
                        (param["schema"]["type"] == "integer").then(|| value.parse::<i64>().ok()).flatten();
                    let value = number.map_or_else(|| json!(value), |it| json!(it));
                    self.fits(&param["schema"], &value).map_err(|why| format!("`{name}`: {why}"))?;
                }
            }
        }
        if let Some(odd) = left.keys().next().or_else(|| bore.keys().next()) {
            return Err(format!("`{odd}` is no parameter"));
        }
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        match &request.body {
            Body::Json(bytes) => self.fits(schema, &serde_json::from_slice(bytes).unwrap())?,
            Body::None if schema.is_null() => {}
            _ => return Err("the body is none that the operation takes".into()),
        }
        Ok(operation["operationId"].as_str().unwrap().to_owned())
    }

    fn fits(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let mut whole = schema.clone();
        whole["components"] = self.0["components"].clone();
        let validator = jsonschema::validator_for(&whole).unwrap();
        match validator.iter_errors(value).next() {
            None => Ok(()),
            Some(fault) => Err(format!("{fault} at {}", fault.instance_path())),
        }
    }
}

/// The part of a path that a template leaves open, decoded; empty if there is none.
fn same_path(template: &str, path: &str) -> Option<String> {
    let (mut a, mut b, mut open) = (template.split('/'), path.split('/'), String::new());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Some(open),
            (Some(t), Some(p)) if t == p => {}
            (Some(t), Some(p)) if t.starts_with('{') && !p.is_empty() && !p.contains(':') => {
                open = p.replace("%3A", ":");
            }
            _ => return None,
        }
    }
}
