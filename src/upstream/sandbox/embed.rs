//! Embeddings without meaning: unit vectors that depend on the text alone, so that equal texts are equally near.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::error::Problem;
use super::{EMBEDDING_MODEL, hash, tokens};
use crate::bounds;

/// Numbers of a vector where the request names no `dimensions`.
const DIMENSIONS: usize = 256;
/// Inputs of one request, as OpenAI bounds them.
const INPUTS_MAX: usize = 2_048;
/// Vectors are rounded to so many parts of one: short in JSON, and exact as 32-bit floats too.
const PRECISION: f64 = 1e6;

/// The reply to a request for embeddings.
pub(super) fn answer(body: &Value) -> Result<Value, Problem> {
    let model = body.get("model").and_then(Value::as_str).unwrap_or_default();
    if model != EMBEDDING_MODEL {
        return Err(Problem::unknown_model(model));
    }
    let inputs = inputs(body.get("input"))?;
    let dimensions = dimensions(body.get("dimensions"), inputs.len())?;
    let encode = encoding(body.get("encoding_format"))?;
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let vector = vector(hash(input.text.as_bytes()), dimensions);
            json!({"object": "embedding", "index": index, "embedding": encode(&vector)})
        })
        .collect();
    let counted: usize = inputs.iter().map(|input| input.tokens).sum();
    let usage = json!({"prompt_tokens": counted, "total_tokens": counted});
    Ok(json!({"object": "list", "data": data, "model": EMBEDDING_MODEL, "usage": usage}))
}

struct Input {
    /// The text, or the list of tokens as it is written in JSON.
    text: String,
    tokens: usize,
}

/// OpenAI takes a text, a list of texts, a list of tokens, or a list of lists of tokens.
fn inputs(input: Option<&Value>) -> Result<Vec<Input>, Problem> {
    let all: Option<Vec<Input>> = match input {
        Some(Value::Array(list)) if list.len() <= INPUTS_MAX && !list.iter().all(Value::is_u64) => {
            list.iter().map(one).collect()
        }
        Some(single) => one(single).map(|one| vec![one]),
        None => None,
    };
    all.ok_or_else(|| {
        let known = format!("`input` is a text or a list of at most {INPUTS_MAX} texts, none of them empty");
        Problem::field("input", known)
    })
}

fn one(input: &Value) -> Option<Input> {
    match input {
        Value::String(text) if !text.is_empty() => Some(Input { text: text.clone(), tokens: tokens(text) }),
        Value::Array(list) if !list.is_empty() && list.iter().all(Value::is_u64) => {
            Some(Input { text: input.to_string(), tokens: list.len() })
        }
        _ => None,
    }
}

fn dimensions(asked: Option<&Value>, inputs: usize) -> Result<usize, Problem> {
    let dimensions = match asked {
        None | Some(Value::Null) => DIMENSIONS,
        Some(asked) => asked.as_u64().and_then(|asked| usize::try_from(asked).ok()).unwrap_or(0),
    };
    let max = bounds::SANDBOX_EMBEDDING_NUMBERS_MAX / inputs.max(1);
    if (1..=max).contains(&dimensions) {
        return Ok(dimensions);
    }
    Err(Problem::field("dimensions", format!("`dimensions` goes from 1 to {max} for {inputs} inputs")))
}

fn encoding(asked: Option<&Value>) -> Result<fn(&[f64]) -> Value, Problem> {
    match asked.and_then(Value::as_str) {
        None | Some("float") => Ok(|vector| json!(vector)),
        Some("base64") => Ok(|vector| {
            // The format is OpenAI's: 32-bit floats, little-endian.
            let bytes: Vec<u8> = vector.iter().flat_map(|&number| (number as f32).to_le_bytes()).collect();
            Value::String(BASE64_STANDARD.encode(bytes))
        }),
        Some(_) => Err(Problem::field("encoding_format", "`encoding_format` is `float` or `base64`")),
    }
}

/// A vector of length 1, within rounding.
fn vector(seed: u64, dimensions: usize) -> Vec<f64> {
    let mut state = seed;
    let raw: Vec<f64> = (0..dimensions).map(|_| f64::from(next(&mut state)) / f64::from(i32::MAX)).collect();
    let length = raw.iter().map(|number| number * number).sum::<f64>().sqrt();
    raw.iter().map(|number| (number / length * PRECISION).round() / PRECISION).collect()
}

/// The generator SplitMix64, of which the upper half is taken; never 0, so that every vector has a length.
fn next(state: &mut u64) -> i32 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let [a, b, c, d, ..] = (mixed ^ (mixed >> 31)).to_be_bytes();
    i32::from_be_bytes([a, b, c, d]) | 1
}
