//! The upstream request of one attempt, built from scratch: nothing of the app's goes out but what a list names.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use zeroize::Zeroizing;

use super::Call;
use crate::adapter::{Asked, Dialect, ProviderError, Refusal, body, hub};
use crate::api::Operation;
use crate::bounds;
use crate::config::StreamUsage;
use crate::credential::{Secret, Vault, VaultError};
use crate::rotation::Candidate;
use crate::upstream::Request;

/// So much of a credential tells it from any other text.
const CREDENTIAL_BEGINNING_BYTES: usize = 16;

/// A request that cannot be built for this candidate.
pub(super) enum WireError {
    /// The candidate's format cannot say it.
    Refused(Refusal),
    /// The credential does not open, or is not one.
    Credential(String),
    /// The provider's address and path make no URL.
    Url,
}

/// What the adapter needs to know of a call to this candidate.
pub(super) fn asked(call: &Call, candidate: &Candidate, created_s: i64) -> Asked {
    let same_dialect = candidate.provider.adapter.facts().dialect == Dialect::OpenAi;
    let usage_added = call.scan.stream
        && !call.scan.include_usage
        && candidate.provider.stream_usage == StreamUsage::Ask
        && same_dialect;
    Asked {
        operation: call.operation,
        model: candidate.model.to_string(),
        stream: call.scan.stream,
        include_usage: call.scan.include_usage,
        usage_added,
        pass: false,
        single: false,
        vectors_base64: call.operation == Operation::Embeddings && !same_dialect && hub::wants_base64(&call.body),
        seed: format!("{:x}", call.id.as_u128()),
        created_s,
    }
}

/// Builds the request of one attempt.
pub(super) fn request(call: &Call, candidate: &Candidate, asked: &Asked, vault: &Vault) -> Result<Request, WireError> {
    let provider = &candidate.provider;
    let facts = provider.adapter.facts();
    let mut headers = provider.headers.clone();
    headers.extend(candidate.connection.headers.clone());
    for name in facts.forward {
        if let Some(value) = call.headers.get(*name) {
            headers.insert(HeaderName::from_static(name), value.clone());
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let accept = if asked.stream { "text/event-stream" } else { "application/json" };
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    authorise(&mut headers, candidate, vault)?;
    let body = match facts.dialect {
        Dialect::OpenAi => pass(call, candidate, asked)?,
        Dialect::Anthropic | Dialect::Gemini => vec![translate(call, candidate, asked)?],
    };
    let url = provider.url(asked, &candidate.connection.words).ok_or(WireError::Url)?;
    Ok(Request { method: Method::POST, url, headers, body })
}

/// The request for a provider's list of models: what tests a connection, at no cost.
pub(super) fn models_request(candidate: &Candidate, vault: &Vault) -> Result<(Request, Asked), WireError> {
    let provider = &candidate.provider;
    let asked = Asked::for_model("");
    let mut headers = provider.headers.clone();
    headers.extend(candidate.connection.headers.clone());
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    authorise(&mut headers, candidate, vault)?;
    let url = provider.url(&asked, &candidate.connection.words).ok_or(WireError::Url)?;
    Ok((Request { method: Method::GET, url, headers, body: Vec::new() }, asked))
}

/// The app's own bytes, with the model changed and what must be said in addition.
fn pass(call: &Call, candidate: &Candidate, asked: &Asked) -> Result<Vec<Bytes>, WireError> {
    let provider = &candidate.provider;
    if provider.drop.is_empty() && provider.rename.is_empty() {
        return Ok(call.scan.splice(&call.body, &asked.model, asked.usage_added).parts);
    }
    let rewritten = rewritten(call, candidate)?;
    let scan = body::scan(call.operation, &rewritten).map_err(|error| unsaid(candidate, error))?;
    Ok(scan.splice(&rewritten, &asked.model, asked.usage_added).parts)
}

/// The call in the candidate's own dialect. What the operator drops is gone before the adapter could refuse it.
fn translate(call: &Call, candidate: &Candidate, asked: &Asked) -> Result<Bytes, WireError> {
    let body = rewritten(call, candidate)?;
    candidate.provider.adapter.encode(asked, &body).map(Bytes::from).map_err(WireError::Refused)
}

/// The app's body with the parameters that the operator drops and renames for this provider.
fn rewritten(call: &Call, candidate: &Candidate) -> Result<Bytes, WireError> {
    let provider = &candidate.provider;
    if provider.drop.is_empty() && provider.rename.is_empty() {
        return Ok(call.body.clone());
    }
    let body = body::rewrite(&call.body, &provider.drop, &provider.rename).map_err(|error| unsaid(candidate, error))?;
    Ok(Bytes::from(body))
}

fn unsaid(candidate: &Candidate, error: body::BodyError) -> WireError {
    let message = format!("with the parameters that provider {} renames: {error}", candidate.provider.slug);
    WireError::Refused(Refusal { code: crate::api::Code::InvalidRequest, message, param: error.param })
}

/// Opens the credential and puts it where the provider wants it. The plain bytes live until the header is built; the
/// header is marked sensitive, and lives until the request was sent.
fn authorise(headers: &mut HeaderMap, candidate: &Candidate, vault: &Vault) -> Result<(), WireError> {
    let Some((name, prefix)) = candidate.provider.credential_header.clone() else { return Ok(()) };
    let Some(secret) = credential(candidate, vault).transpose() else { return Ok(()) };
    let secret = secret.map_err(|error| WireError::Credential(error.to_string()))?;
    let mut plain = Zeroizing::new(Vec::with_capacity(prefix.len() + secret.expose().len()));
    plain.extend_from_slice(prefix.as_bytes());
    plain.extend_from_slice(secret.expose());
    let mut value = HeaderValue::from_bytes(&plain)
        .map_err(|_| WireError::Credential("the credential holds bytes that no header can carry".into()))?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// The candidate's credential, opened; none where it has none.
fn credential(candidate: &Candidate, vault: &Vault) -> Result<Option<Secret>, VaultError> {
    let open = |sealed| vault.open(&candidate.connection.id, &candidate.provider.origin, sealed);
    candidate.connection.secret.as_ref().map(open).transpose()
}

/// Whether a provider's error, or its body, repeats the credential that it was sent. Some do, and no pattern knows the
/// keys of every provider. A text may have been cut, so the beginning counts.
pub(super) fn repeats_credential(error: &ProviderError, body: &[u8], candidate: &Candidate, vault: &Vault) -> bool {
    let Ok(Some(secret)) = credential(candidate, vault) else { return false };
    let beginning = secret.expose().get(..CREDENTIAL_BEGINNING_BYTES).unwrap_or(secret.expose());
    let repeats = |text: &[u8]| text.windows(beginning.len()).any(|part| part == beginning);
    let texts = [Some(&error.message), error.kind.as_ref(), error.code.as_ref(), error.param.as_ref()];
    repeats(body) || texts.into_iter().flatten().any(|text| repeats(text.as_bytes()))
}

/// The provider's headers that the adapter's list lets through to the app.
pub(super) fn given_back(candidate: &Candidate, headers: &HeaderMap) -> HeaderMap {
    let facts = candidate.provider.adapter.facts();
    let mut back = HeaderMap::new();
    for name in facts.give_back {
        if let Some(value) = headers.get(*name) {
            back.insert(HeaderName::from_static(name), value.clone());
        }
    }
    if let Some(id) = headers.get(facts.request_id).filter(|id| id.len() <= bounds::ERROR_TEXT_BYTES_MAX) {
        back.insert(HeaderName::from_static("x-bursar-upstream-request-id"), HeaderValue::clone(id));
    }
    back
}
