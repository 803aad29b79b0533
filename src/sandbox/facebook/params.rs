//! Parameters of a call: of the query and of a body in any of the three dresses that the Graph API
//! takes (JSON, form, multipart). A name may stand once.

use bytes::Bytes;
use serde_json::Value;

use super::super::multipart;
use super::super::wire::Call;

pub(in crate::sandbox) struct Params(Vec<(String, Param)>);

enum Param {
    Json(Value),
    Bytes(Bytes),
}

impl Params {
    /// Of a call whose body is a file.
    pub(in crate::sandbox) fn none() -> Self {
        Self(Vec::new())
    }

    pub(in crate::sandbox) fn of(call: &Call) -> Result<Self, String> {
        let text = |(name, value): (String, String)| (name, Param::Json(Value::String(value)));
        let mut all: Vec<(String, Param)> = call.query.clone().into_iter().map(text).collect();
        match call.content_type().as_str() {
            "" if call.body.is_empty() => {}
            "application/json" => match serde_json::from_slice::<Value>(&call.body) {
                Ok(Value::Object(object)) => {
                    all.extend(object.into_iter().map(|(name, value)| (name, Param::Json(value))));
                }
                _ => return Err("the body is not a JSON object".to_owned()),
            },
            "application/x-www-form-urlencoded" => {
                all.extend(url::form_urlencoded::parse(&call.body).into_owned().map(text));
            }
            "multipart/form-data" => {
                let parts = multipart::parts(call.header("content-type").unwrap_or_default(), &call.body)?;
                all.extend(parts.into_iter().map(|it| (it.name, Param::Bytes(it.bytes))));
            }
            other => return Err(format!("content type `{other}` is none that is taken here")),
        }
        for (at, (name, _)) in all.iter().enumerate() {
            if all[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(format!("parameter `{name}` was sent twice"));
            }
        }
        Ok(Self(all))
    }

    fn get(&self, name: &str) -> Option<&Param> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    pub(in crate::sandbox) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The value as text; a number or truth value in its JSON spelling.
    pub(in crate::sandbox) fn text(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            Param::Json(Value::String(text)) => Some(text.clone()),
            Param::Json(value) => Some(value.to_string()),
            Param::Bytes(bytes) => String::from_utf8(bytes.to_vec()).ok(),
        }
    }

    /// A nested value: native in a JSON body, JSON text elsewhere.
    pub(in crate::sandbox) fn nested(&self, name: &str) -> Option<Value> {
        match self.get(name)? {
            Param::Json(Value::String(text)) => serde_json::from_str(text).ok(),
            Param::Json(value) => Some(value.clone()),
            Param::Bytes(bytes) => serde_json::from_slice(bytes).ok(),
        }
    }

    pub(in crate::sandbox) fn bytes(&self, name: &str) -> Option<Bytes> {
        match self.get(name)? {
            Param::Bytes(bytes) => Some(bytes.clone()),
            Param::Json(_) => None,
        }
    }

    pub(in crate::sandbox) fn truth(&self, name: &str) -> Option<bool> {
        match self.text(name)?.as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    /// The names of `fields`, those within braces left out.
    pub(in crate::sandbox) fn fields(&self) -> Option<Vec<String>> {
        let text = self.text("fields")?;
        let (mut found, mut name, mut depth) = (Vec::new(), String::new(), 0_u32);
        for c in text.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                ',' if depth == 0 => found.push(std::mem::take(&mut name)),
                c if depth == 0 => name.push(c),
                _ => {}
            }
        }
        found.push(name);
        Some(found)
    }
}
