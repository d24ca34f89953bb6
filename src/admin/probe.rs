//! Tests of connections: the provider is asked for its list of models, which costs nothing.
//!
//! These run on a worker, because its way upstream is there; what blocks is sent to threads that may wait.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::{StreamExt, stream};

use super::connections::{plain, unknown};
use super::control::Admin;
use super::providers::declared;
use super::{failure, models};
use crate::api::admin::{CheckReport, Connection, PutSecret, TestResult};
use crate::api::{Code, ConnectionId, Failure, Outcome, ProviderSlug};
use crate::bounds;
use crate::connection::{self, HealthState, ManagedBy};
use crate::execute::{self, Worker};
use crate::rotation::Candidate;

/// Why a connection is to be asked whether it is there again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Its account was out of money or quota.
    Parked,
    /// Its credential was refused.
    Rejected,
}

impl Admin {
    /// The connections that could be used but for this. One for each parked account is enough.
    pub fn doubtful(&self) -> Vec<(ConnectionId, Doubt)> {
        let snapshot = self.engine.snapshot.load();
        let mut groups = BTreeSet::new();
        let mut doubt = |one: &connection::Connection| {
            let provider = snapshot.selection.provider(one.id.provider.as_str())?;
            if !provider.enabled || !one.enabled || one.lacks_secret(provider) {
                return None;
            }
            if one.health.state() == HealthState::Rejected {
                return Some(Doubt::Rejected);
            }
            let parked = one.account().is_parked();
            let first = parked && one.limit_group.as_ref().is_none_or(|group| groups.insert(group.clone()));
            first.then_some(Doubt::Parked)
        };
        snapshot.connections.values().filter_map(|one| Some((one.id.clone(), doubt(one)?))).collect()
    }
}

impl Admin {
    /// The connections whose secret a file refers to, and is refused or cannot be had.
    pub fn secrets_in_doubt(&self) -> Vec<ConnectionId> {
        let snapshot = self.engine.snapshot.load();
        let declared = snapshot.connections.values().filter(|one| one.managed_by == ManagedBy::Toml);
        let doubtful = |one: &&Arc<connection::Connection>| {
            one.secret_problem.is_some() || one.health.state() == HealthState::Rejected
        };
        declared.filter(doubtful).map(|one| one.id.clone()).collect()
    }
}

/// Tests one connection.
///
/// # Errors
/// When there is none, or its provider is no longer declared.
pub async fn test(admin: &Arc<Admin>, worker: &Worker, id: &ConnectionId) -> Result<TestResult, Failure> {
    let result = ask(worker, candidate(worker, id)?).await;
    note(admin, std::slice::from_ref(&result)).await;
    Ok(result)
}

/// Keeps how tests went. What they found counts, whether or not the store takes it.
async fn note(admin: &Arc<Admin>, results: &[TestResult]) {
    let (keeper, results) = (Arc::clone(admin), results.to_vec());
    if let Err(failure) = super::off_the_worker(move || keeper.note_checks(&results)).await {
        tracing::warn!(error = %failure.message, "how checks went could not be kept");
    }
}

/// Tests the connection of a provider that checks use: the one that a call would go to first, else any that is enabled.
/// The list of models that it brings is kept.
///
/// # Errors
/// When there is no such provider, or it has no connection that is enabled.
pub async fn check_provider(admin: &Arc<Admin>, worker: &Worker, slug: &ProviderSlug) -> Result<CheckReport, Failure> {
    let snapshot = worker.engine.snapshot.load_full();
    let provider = declared(&snapshot, slug)?;
    let mut all = snapshot.connections.values().filter(|one| one.id.provider == *slug && one.enabled);
    let chosen = snapshot.selection.active_connection(slug).or_else(|| all.next()).ok_or_else(|| {
        let message = format!("{slug} has no connection that is enabled: `bursar credentials set {slug}` adds one");
        Failure::new(Code::Unavailable, message)
    })?;
    let result = ask(worker, Candidate::trial(provider, chosen)).await;
    note(admin, std::slice::from_ref(&result)).await;
    if result.outcome == Outcome::Ok {
        // The check is about the connection: what the store says of the list does not change what it found.
        if let Err(failure) = models::keep(admin, provider, &result).await {
            tracing::warn!(provider = %slug, error = %failure.message, "the list of models could not be kept");
        }
    }
    Ok(CheckReport { results: vec![result] })
}

/// Fetches a provider's list and keeps it.
///
/// # Errors
/// When the provider does not give it, or the store does not take it: the reason.
pub async fn fetch_models(admin: &Arc<Admin>, worker: &Worker, listing: &models::Listing) -> Result<(), String> {
    let result = ask(worker, listing.candidate.clone()).await;
    note(admin, std::slice::from_ref(&result)).await;
    if result.outcome != Outcome::Ok {
        return Err(result.error.unwrap_or_else(|| result.outcome.to_string()));
    }
    models::keep(admin, &listing.candidate.provider, &result).await.map_err(|failure| failure.message)
}

/// Tests every enabled connection of every enabled provider, a few at a time.
pub async fn check_all(admin: &Arc<Admin>, worker: &Worker) -> CheckReport {
    let snapshot = worker.engine.snapshot.load_full();
    let candidates: Vec<_> = snapshot
        .connections
        .values()
        .filter(|one| one.enabled)
        .filter_map(|one| Some((snapshot.selection.provider(one.id.provider.as_str())?, one)))
        .filter(|(provider, _)| provider.enabled)
        .map(|(provider, one)| Candidate::trial(provider, one))
        .collect();
    let tests = stream::iter(candidates).map(|candidate| ask(worker, candidate));
    let results: Vec<TestResult> = tests.buffered(bounds::PROBES_AT_ONCE_MAX).collect().await;
    note(admin, &results).await;
    CheckReport { results }
}

/// Puts a new secret in place of the old one. If a test is asked for and fails, the old one stays.
///
/// # Errors
/// When the secret is none, the connection is not there or a file manages it, the test fails, or the store does not take
/// the change.
pub async fn put_secret(
    admin: &Arc<Admin>,
    worker: &Worker,
    id: &ConnectionId,
    put: PutSecret,
) -> Result<Connection, Failure> {
    admin.managed_here(id)?;
    let before = candidate(worker, id)?;
    let sealed = admin.engine.vault.seal(id, &before.provider.origin, &plain(&put.secret)?)?;
    if put.test {
        let (secret, secret_problem) = (Some(sealed.clone()), None);
        let trial = connection::Connection { secret, secret_problem, ..(*before.connection).clone() };
        // It does not count: what becomes of a secret that is not taken says nothing of the one that is in force.
        let probe = execute::probe(worker, &Candidate { connection: Arc::new(trial), ..before }).await;
        if probe.outcome != Outcome::Ok {
            let why = probe.error.unwrap_or_else(|| probe.outcome.to_string());
            let message = format!("the new secret did not pass its test, and {id} keeps the old one: {why}");
            return Err(failure::untested(probe.outcome, message));
        }
    }
    let (admin, id) = (Arc::clone(admin), id.clone());
    super::off_the_worker(move || admin.replace_secret(&id, sealed)).await
}

fn candidate(worker: &Worker, id: &ConnectionId) -> Result<Candidate, Failure> {
    let snapshot = worker.engine.snapshot.load();
    let one = snapshot.connections.get(id).ok_or_else(|| unknown(id))?;
    Ok(Candidate::trial(declared(&snapshot, &id.provider)?, one))
}

/// Asks for the list of models with a connection, unless it has no secret to ask with. What is found counts.
async fn ask(worker: &Worker, candidate: Candidate) -> TestResult {
    let connection = candidate.connection.id.clone();
    if candidate.connection.lacks_secret(&candidate.provider) {
        // Nothing was refused: there is nothing to hold against the connection.
        let problem = candidate.connection.secret_problem.clone();
        let error = problem.unwrap_or_else(|| format!("no secret is set: `bursar credentials set {connection}`"));
        let (outcome, error) = (Outcome::Credential, Some(error));
        return TestResult { connection, outcome, status: None, ms: 0, error, models: Vec::new() };
    }
    let probe = execute::probe(worker, &candidate).await;
    probe.count(&worker.engine, &candidate.connection);
    TestResult {
        connection,
        outcome: probe.outcome,
        status: probe.status,
        ms: u64::try_from(probe.took.as_millis()).unwrap_or(u64::MAX),
        error: probe.error,
        models: probe.models,
    }
}
