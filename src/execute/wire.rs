//! The upstream request of one attempt, built from scratch: nothing of the app's goes out but what a list names.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use zeroize::Zeroizing;

use super::trace_context::TraceContext;
use super::{Call, Said};
use crate::adapter::body::{self, BodyError, Scan};
use crate::adapter::{Asked, Dialect, ProviderError, Refusal, hub, ingress};
use crate::api::Operation;
use crate::bounds;
use crate::config::StreamUsage;
use crate::credential::{Secret, Vault, VaultError};
use crate::rotation::Candidate;
use crate::upstream::Request;

const UPSTREAM_REQUEST_ID: HeaderName = HeaderName::from_static("x-bursar-upstream-request-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Headers that every request has: content type, accept, credential, and a few of the app's. Room for them is made once.
const USUAL_HEADERS: usize = 6;

/// Headers that an answer has beside the provider's, which the server puts in: room for them is made once too.
const HEADERS_BESIDE: usize = 10;

/// So much of a credential tells it from any other text.
const CREDENTIAL_BEGINNING_BYTES: usize = 16;

/// A shorter one, such as `none`, stands in many texts, and guards nothing.
const CREDENTIAL_BYTES_LEAST: usize = 8;

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
    let (said, provider) = (&call.said, candidate.provider.adapter.facts().dialect);
    let by_openai = said.dialect == Dialect::OpenAi;
    Asked {
        operation: call.operation,
        endpoint: said.manner.endpoint,
        model: candidate.model.to_string(),
        stream: said.scan.stream,
        // Whoever says a stream in another dialect says its usage too.
        include_usage: said.scan.include_usage || !by_openai,
        usage_added: by_openai && provider == Some(Dialect::OpenAi) && asks_usage(candidate, &said.scan),
        pass: !by_openai && Some(said.dialect) == provider,
        single: said.single(),
        max_output_tokens: candidate.facts.as_ref().and_then(|facts| facts.max_output_tokens),
        vectors_base64: call.operation == Operation::Embeddings
            && by_openai
            && provider != Some(Dialect::OpenAi)
            && hub::wants_base64(&said.body),
        // Bytes that pass bring their own ids.
        seed: if by_openai && provider == Some(Dialect::OpenAi) { String::new() } else { call.id.seed() },
        created_s,
    }
}

/// Whether usage has to be asked for in a stream that does not say it otherwise.
fn asks_usage(candidate: &Candidate, scan: &Scan) -> bool {
    scan.may_ask_usage() && candidate.provider.stream_usage == StreamUsage::Ask
}

/// Builds the request of one attempt.
pub(super) fn request(
    call: &Call,
    candidate: &Candidate,
    asked: &Asked,
    (trace, vault): (Option<&TraceContext>, &Vault),
) -> Result<Request, WireError> {
    let provider = &candidate.provider;
    let facts = provider.adapter.facts();
    let mut headers = own_headers(candidate);
    for name in facts.forward {
        if let Some(value) = call.headers.get(*name) {
            headers.insert(*name, value.clone());
        }
    }
    if let Some(trace) = trace {
        trace.put_on(&mut headers);
    }
    headers.insert(CONTENT_TYPE, call.said.form.clone().unwrap_or(JSON));
    headers.insert(ACCEPT, HeaderValue::from_static(accepted(asked)));
    authorise(&mut headers, candidate, vault)?;
    let body = body_of(call, candidate, asked)?;
    let url = provider.url(asked, &candidate.connection.words).ok_or(WireError::Url)?;
    Ok(Request { method: Method::POST, url, headers, body })
}

/// What the provider and the connection put on every call, with room for the rest.
fn own_headers(candidate: &Candidate) -> HeaderMap {
    let all = [&candidate.provider.headers, &candidate.connection.headers];
    let mut headers = HeaderMap::with_capacity(USUAL_HEADERS + all.iter().map(|some| some.len()).sum::<usize>());
    for (name, value) in all.into_iter().flatten() {
        headers.insert(name, value.clone());
    }
    headers
}

/// What a reply may be.
fn accepted(asked: &Asked) -> &'static str {
    match asked.operation {
        _ if asked.stream => "text/event-stream",
        // Sound, and subtitles.
        Operation::Speech | Operation::Transcription => "*/*",
        _ => "application/json",
    }
}

/// The request for a provider's list of models: what tests a connection, at no cost.
pub(super) fn models_request(candidate: &Candidate, vault: &Vault) -> Result<(Request, Asked), WireError> {
    let provider = &candidate.provider;
    let asked = Asked::for_model("");
    let mut headers = own_headers(candidate);
    headers.insert(ACCEPT, JSON);
    authorise(&mut headers, candidate, vault)?;
    let url = provider.url(&asked, &candidate.connection.words).ok_or(WireError::Url)?;
    Ok((Request { method: Method::GET, url, headers, body: Vec::new() }, asked))
}

/// The body in the candidate's dialect: the app's own bytes where it speaks the same, else by way of OpenAI's.
fn body_of(call: &Call, candidate: &Candidate, asked: &Asked) -> Result<Vec<Bytes>, WireError> {
    let adapter = candidate.provider.adapter;
    let dialect = adapter.facts().dialect;
    let own = &call.said;
    let said = if Some(own.dialect) == dialect { own } else { own.in_openai(asked).map_err(WireError::Refused)? };
    if Some(said.dialect) == dialect {
        return pass(said, candidate, asked);
    }
    // What the operator drops is gone before the adapter could refuse it.
    let body = rewritten(&said.body, candidate)?.unwrap_or_else(|| said.body.clone());
    adapter.encode(asked, &body).map(|body| vec![Bytes::from(body)]).map_err(WireError::Refused)
}

/// A body that stays as it is, with the model changed, what the operator drops and renames, and what must be said in
/// addition.
fn pass(said: &Said, candidate: &Candidate, asked: &Asked) -> Result<Vec<Bytes>, WireError> {
    let ask_usage = said.dialect == Dialect::OpenAi && asks_usage(candidate, &said.scan);
    let Some(body) = changed(said, candidate)? else {
        return Ok(said.scan.splice(&said.body, &asked.model, ask_usage).parts);
    };
    let scan = body::scan(said.dialect, asked.operation, said.manner.path.as_ref(), &body);
    let scan = scan.map_err(|error| unsaid(candidate, error))?;
    Ok(scan.splice(&body, &asked.model, ask_usage).parts)
}

/// The body where more of it changes than the model. Only JSON ever does.
fn changed(said: &Said, candidate: &Candidate) -> Result<Option<Bytes>, WireError> {
    if said.form.is_some() {
        return Ok(None);
    }
    let shown = ingress::of(said.dialect).and_then(|ingress| ingress.without_hidden(&said.body)).map(Bytes::from);
    Ok(rewritten(shown.as_ref().unwrap_or(&said.body), candidate)?.or(shown))
}

/// The body with the parameters that the operator drops and renames for this provider, where there are any.
fn rewritten(body: &Bytes, candidate: &Candidate) -> Result<Option<Bytes>, WireError> {
    let provider = &candidate.provider;
    if provider.drop.is_empty() && provider.rename.is_empty() {
        return Ok(None);
    }
    let body = body::rewrite(body, &provider.drop, &provider.rename).map_err(|error| unsaid(candidate, error))?;
    Ok(Some(Bytes::from(body)))
}

fn unsaid(candidate: &Candidate, error: BodyError) -> WireError {
    let message = format!("with the parameters that provider {} renames: {error}", candidate.provider.slug);
    WireError::Refused(Refusal { message, ..Refusal::from(error) })
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
    if beginning.len() < CREDENTIAL_BYTES_LEAST {
        return false;
    }
    let repeats = |text: &[u8]| text.windows(beginning.len()).any(|part| part == beginning);
    let texts = [Some(&error.message), error.kind.as_ref(), error.code.as_ref(), error.param.as_ref()];
    repeats(body) || texts.into_iter().flatten().any(|text| repeats(text.as_bytes()))
}

/// The provider's headers that the adapter's list lets through to the app.
pub(super) fn given_back(candidate: &Candidate, headers: &HeaderMap) -> HeaderMap {
    let facts = candidate.provider.adapter.facts();
    let mut back = HeaderMap::with_capacity(facts.give_back.len() + HEADERS_BESIDE);
    for name in facts.give_back {
        if let Some(value) = headers.get(*name) {
            back.insert(*name, value.clone());
        }
    }
    if let Some(id) = headers.get(facts.request_id).filter(|id| id.len() <= bounds::ERROR_TEXT_BYTES_MAX) {
        back.insert(UPSTREAM_REQUEST_ID, HeaderValue::clone(id));
    }
    back
}
