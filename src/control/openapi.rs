//! The description of the protocol, made from the route table.

use serde_json::{Map, Value, json};

use super::messages::ErrorAnswer;
use super::routes::{Input, Output, Route, table};
use super::shape::Shape as _;

/// The OpenAPI 3.1 document of everything under `/v1`.
pub fn document() -> Value {
    let mut defs = Map::new();
    let mut paths = Map::new();
    for route in table() {
        let operation = operation(&route, &mut defs);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Sendoff control socket",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "HTTP/1.1 and JSON over a Unix socket; the caller is known by its peer credentials. \
                Fields may be added, never renamed. What cannot be undone takes `confirm: true`.",
        },
        "paths": paths,
        "components": {"schemas": defs},
    })
}

fn operation(route: &Route, defs: &mut Map<String, Value>) -> Value {
    let mut parameters: Vec<Value> = route
        .path
        .split('/')
        .filter_map(|it| it.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    let mut request = None;
    match route.input {
        Input::Nothing => {}
        Input::Query(schema) => parameters.extend(query(&schema(defs), defs)),
        Input::Json(schema) => {
            let schema = schema(defs);
            request = Some(json!({"content": {"application/json": {"schema": schema}}}));
        }
        Input::File(schema) => {
            parameters.extend(query(&schema(defs), defs));
            request = Some(json!({"required": true, "content": {"application/octet-stream": {}}}));
        }
    }
    let answer = match route.output {
        Output::Json(schema) => json!({"application/json": {"schema": schema(defs)}}),
        Output::Lines(schema) => json!({"application/x-ndjson": {"schema": schema(defs)}}),
        Output::Document => json!({"application/json": {"schema": {"type": "object"}}}),
    };
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.summary,
        "responses": {
            "200": {"description": route.summary, "content": answer},
            "default": {
                "description": "Refused or failed; nothing half done is left behind",
                "content": {"application/json": {"schema": ErrorAnswer::schema(defs)}},
            },
        },
    });
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    if let Some(request) = request {
        operation["requestBody"] = request;
    }
    operation
}

/// The fields of a request message as parameters. It leaves the schemas: nothing refers to it any more.
fn query(reference: &Value, defs: &mut Map<String, Value>) -> Vec<Value> {
    let name = reference["$ref"].as_str().and_then(|it| it.rsplit('/').next()).unwrap_or_default();
    let Some(Value::Object(properties)) = defs.remove(name).map(|mut it| it["properties"].take()) else {
        return Vec::new();
    };
    let parameter = |(name, schema): (String, Value)| json!({"name": name, "in": "query", "schema": schema});
    properties.into_iter().map(parameter).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                for (key, inner) in map {
                    if let (true, Some(name)) = (key == "$ref", inner.as_str()) {
                        found.insert(name.rsplit('/').next().unwrap().to_owned());
                    }
                    references(inner, found);
                }
            }
            Value::Array(list) => list.iter().for_each(|it| references(it, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_schema_is_used() {
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        let defined: BTreeSet<String> =
            document["components"]["schemas"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(found, defined);
    }

    #[test]
    fn operations_have_names_of_their_own() {
        let names: Vec<_> = table().iter().map(|it| it.name).collect();
        let different: BTreeSet<_> = names.iter().collect();
        assert_eq!(names.len(), different.len());
    }

    #[test]
    fn a_message_is_described_as_it_is_written() {
        let document = document();
        let account = &document["components"]["schemas"]["Account"];
        assert_eq!(account["properties"]["expires_at"]["type"], json!(["string", "null"]));
        assert_eq!(account["properties"]["scopes"]["items"]["type"], "string");
        assert!(account["required"].as_array().unwrap().contains(&json!("avatar_url")));
        let item = &document["components"]["schemas"]["ReceiptItem"]["properties"];
        assert!(item.get("where").is_some(), "{item}");
        assert_eq!(document["components"]["schemas"]["CreatePost"]["additionalProperties"], json!(false));
    }
}
