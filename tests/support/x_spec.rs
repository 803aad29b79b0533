//! Requests to X against its OpenAPI document.

use sendoff::platforms::{Body, Field, Request};
use serde_json::{Value, json};

use super::jobs::shown;

/// The documents of two versions: the newer for bodies; names of parameters were changed between
/// them, and we write the older ones, which all prose still uses.
pub(crate) struct Spec {
    versions: Vec<Value>,
    create: jsonschema::Validator,
}

impl Spec {
    pub(crate) fn load() -> Option<Self> {
        let read = |name: &str| -> Option<Value> {
            let path = super::support::conformance(name)?;
            Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
        };
        let versions = vec![read("data/x-openapi.json")?, read("data/x-openapi-2.159.json")?];
        let create = schema(
            &versions[0],
            &versions[0]["paths"]["/2/tweets"]["post"]["requestBody"]["content"]["application/json"]["schema"],
        );
        Some(Self { versions, create })
    }

    /// Panics unless the document knows the method, the path, each parameter and its value, and
    /// takes the body.
    pub(crate) fn check(&self, request: &Request) {
        let what = shown(request);
        let method = request.method.as_str().to_lowercase();
        let fits = |template: &str| {
            let (wanted, given) = (template.split('/'), request.path.split('/'));
            template.split('/').count() == request.path.split('/').count()
                && wanted.zip(given).all(|(wanted, given)| wanted == given || wanted.starts_with('{'))
        };
        let paths = self.versions[0]["paths"].as_object().unwrap();
        let exact = paths.keys().find(|it| **it == request.path);
        let template = exact
            .or_else(|| paths.keys().find(|it| fits(it)))
            .unwrap_or_else(|| panic!("no such path: {what}"));
        assert!(self.versions[0]["paths"][template][&method].is_object(), "no such method: {what}");
        for (wanted, given) in template.split('/').zip(request.path.split('/')) {
            if wanted.starts_with('{') {
                assert!(
                    (1..=19).contains(&given.len()) && given.bytes().all(|b| b.is_ascii_digit()),
                    "{what}"
                );
            }
        }
        for (key, value) in &request.query {
            let (spec, parameter) = self
                .parameter(template, &method, key)
                .unwrap_or_else(|| panic!("no parameter `{key}`: {what}"));
            let kind = parameter["schema"]["type"].as_str().unwrap_or_default();
            let value = match kind {
                "integer" => json!(value.parse::<i64>().unwrap()),
                "array" => json!(value.split(',').collect::<Vec<_>>()),
                _ => json!(value),
            };
            let validator = schema(spec, &parameter["schema"]);
            let errors: Vec<_> = validator.iter_errors(&value).map(|it| it.to_string()).collect();
            assert!(errors.is_empty(), "{key}={value}: {errors:?}");
        }
        let keys: std::collections::BTreeSet<_> = request.query.iter().map(|(key, _)| key).collect();
        assert_eq!(keys.len(), request.query.len(), "a parameter twice: {what}");
        match &request.body {
            Body::None => {
                assert!(self.versions[0]["paths"][template][&method].get("requestBody").is_none(), "{what}");
            }
            Body::Json(bytes) if template == "/2/tweets" => {
                let body: Value = serde_json::from_slice(bytes).unwrap();
                let errors: Vec<_> = self.create.iter_errors(&body).map(|it| it.to_string()).collect();
                assert!(errors.is_empty(), "{what}: {errors:?}");
            }
            Body::Json(bytes) => {
                let body = serde_json::from_slice(bytes).unwrap();
                self.takes(template, &method, "application/json", &body, &what);
            }
            Body::Multipart(fields) => {
                // As a form carries it: numbers are digits, and a file is what stands in its place.
                let mut body = serde_json::Map::new();
                for (name, field) in fields {
                    let value = match field {
                        Field::Text(text) => {
                            text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number))
                        }
                        Field::File { part, .. } => {
                            let bytes = part.range.map_or(0, |it| it.1);
                            assert!(bytes <= 1 << 20, "a piece over 1 MiB: {what}");
                            json!("bytes")
                        }
                        Field::Link(_) => panic!("X fetches nothing: {what}"),
                    };
                    assert!(body.insert(name.clone(), value).is_none(), "a field twice: {what}");
                }
                self.takes(template, &method, "multipart/form-data", &Value::Object(body), &what);
            }
            _ => panic!("X takes no such body: {what}"),
        }
    }

    /// Panics unless the operation takes this body under this media type.
    fn takes(&self, template: &str, method: &str, kind: &str, body: &Value, what: &str) {
        let of = &self.versions[0]["paths"][template][method]["requestBody"]["content"][kind]["schema"];
        assert!(of.is_object(), "no such body: {what}");
        let errors: Vec<_> =
            schema(&self.versions[0], of).iter_errors(body).map(|it| it.to_string()).collect();
        assert!(errors.is_empty(), "{what}: {errors:?}");
    }

    /// A query parameter by its name, in the newest version that has it.
    fn parameter(&self, template: &str, method: &str, name: &str) -> Option<(&Value, &Value)> {
        self.versions.iter().find_map(|spec| {
            let list = spec["paths"][template][method]["parameters"].as_array()?;
            let found = list
                .iter()
                .map(|it| match it["$ref"].as_str() {
                    Some(reference) => spec.pointer(reference.trim_start_matches('#')).unwrap(),
                    None => it,
                })
                .find(|it| it["name"] == name && it["in"] == "query")?;
            Some((spec, found))
        })
    }
}

/// A schema of the document that still finds the components it refers to.
fn schema(spec: &Value, of: &Value) -> jsonschema::Validator {
    let mut root = of.clone();
    // A `$ref` beside other keywords is ignored by old drafts, so it stands in an `allOf`.
    root = json!({ "allOf": [root], "components": spec["components"] });
    jsonschema::draft4::options().should_validate_formats(true).build(&root).unwrap()
}
