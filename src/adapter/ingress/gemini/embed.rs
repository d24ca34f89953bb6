//! Embeddings, both ways: `embedContent` for one text, `batchEmbedContents` for many.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::object::Object;
use super::{answer, parts};
use crate::adapter::hub::Used;
use crate::adapter::{Asked, Invalid, Refusal};
use crate::api::Tokens;

/// The embeddings request that says the same.
pub(super) fn request(asked: &Asked, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut request = Object::body(body)?;
    let mut said = Map::new();
    said.insert("model".into(), asked.model.clone().into());
    let dimensions = if asked.single {
        let (text, dimensions) = one(request)?;
        said.insert("input".into(), text.into());
        dimensions
    } else {
        let all = request.list("requests")?.into_iter().map(one).collect::<Result<Vec<_>, _>>()?;
        request.forget(&["model"]);
        request.refuse_rest()?;
        let Some(dimensions) = all.first().map(|(_, dimensions)| *dimensions) else {
            return Err(request.wrong("requests", "is empty: it must hold at least one text"));
        };
        if all.iter().any(|(_, other)| *other != dimensions) {
            let message = "must have one outputDimensionality: elsewhere all vectors of a request are of one length";
            return Err(request.cannot("requests", message));
        }
        let texts: Vec<Value> = all.into_iter().map(|(text, _)| text.into()).collect();
        said.insert("input".into(), texts.into());
        dimensions
    };
    if let Some(dimensions) = dimensions {
        said.insert("dimensions".into(), dimensions.into());
    }
    Ok(Value::Object(said).to_string().into_bytes())
}

/// The text of one request, and the length its vector shall have. What a vector is for (`taskType`, `title`) makes it
/// another one: elsewhere that cannot be said, and is refused.
fn one(mut request: Object<'_>) -> Result<(String, Option<i64>), Refusal> {
    let mut content = request
        .object("content")?
        .ok_or_else(|| request.wrong("content", "is missing: it must be an object with parts"))?;
    let texts = content.list("parts")?.into_iter().map(parts::text).collect::<Result<Vec<_>, _>>()?;
    content.forget(&["role"]);
    content.refuse_rest()?;
    let dimensions = request.whole("outputDimensionality")?;
    let at_rest = |kind: &str| matches!(kind, "" | "TASK_TYPE_UNSPECIFIED");
    if request.text("taskType")?.is_some_and(|kind| !at_rest(&kind)) {
        return Err(
            request.cannot("taskType", "is something that only Gemini can be asked for: leave it out, or ask Gemini")
        );
    }
    request.forget(&["model"]);
    request.refuse_rest()?;
    Ok((texts.concat(), dimensions))
}

/// OpenAI's vectors as Google writes them. They are not read: what stands there is what goes out.
pub(super) fn reply(asked: &Asked, body: &[u8]) -> Result<Vec<u8>, Invalid> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        data: Vec<Vector<'a>>,
        #[serde(default, borrow)]
        usage: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Vector<'a> {
        #[serde(default)]
        index: usize,
        #[serde(borrow)]
        embedding: &'a RawValue,
    }
    let Body { mut data, usage } = serde_json::from_slice(body)?;
    data.sort_by_key(|vector| vector.index);
    if !data.iter().all(|vector| vector.embedding.get().starts_with('[')) {
        return Err(Invalid("a vector in it is no list of numbers".into()));
    }
    let mut vectors = data.iter().map(|vector| format!("{{\"values\":{}}}", vector.embedding.get()));
    let vectors = if asked.single {
        let only = vectors.next().ok_or_else(|| Invalid("it has no vector".into()))?;
        format!("\"embedding\":{only}")
    } else {
        format!("\"embeddings\":[{}]", vectors.collect::<Vec<_>>().join(","))
    };
    let input = usage.and_then(Used::read).and_then(|used| used.tokens.input);
    let usage = answer::usage(Tokens { input, ..Tokens::default() });
    let usage = usage.map(|usage| format!(",\"usageMetadata\":{usage}")).unwrap_or_default();
    Ok(format!("{{{vectors}{usage}}}").into_bytes())
}
