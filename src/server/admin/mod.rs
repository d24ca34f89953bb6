//! The admin plane: thin handlers over [`crate::admin`].
//!
//! What blocks runs off the worker. Errors are problem details; a change is in force when its reply goes out.

pub(super) mod config;
pub(super) mod connections;
pub(super) mod events;
pub(super) mod explain;
pub(super) mod metrics;
pub(super) mod openapi;
pub(super) mod providers;
pub(super) mod store;
pub(super) mod usage;

use std::sync::Arc;

use http::{Request, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::admitted::Admitted;
use super::body;
use super::reply::{self, Reply};
use crate::adapter::text::sanitise;
use crate::admin::{self, Admin};
use crate::api::admin::{BudgetList, CheckReport, HealthList, Status};
use crate::api::error::Problem;
use crate::api::{Code, Failure, IdError};
use crate::bounds;

/// `GET /admin/v1/status`.
#[utoipa::path(
    get, path = "/admin/v1/status", tag = "daemon",
    responses((status = 200, body = Status), (status = "4XX", body = Problem))
)]
pub(super) async fn status(admitted: Admitted) -> Reply {
    let (process, clients) = (admitted.context.process, admitted.context.clients.open());
    answer(off(&admitted, move |admin| Ok(admin.status(process, clients))).await)
}

/// `GET /admin/v1/health`.
#[utoipa::path(
    get, path = "/admin/v1/health", tag = "health",
    responses((status = 200, body = HealthList), (status = "4XX", body = Problem))
)]
pub(super) async fn health(admitted: Admitted) -> Reply {
    answer_off(&admitted, |admin| Ok(admin.health())).await
}

/// `POST /admin/v1/health/check`: tests every enabled connection of every enabled provider.
#[utoipa::path(
    post, path = "/admin/v1/health/check", tag = "health",
    responses((status = 200, body = CheckReport), (status = "4XX", body = Problem))
)]
pub(super) async fn check(admitted: Admitted) -> Reply {
    answer(Ok(admin::check_all(&admitted.context.admin, &admitted.context.worker).await))
}

/// `GET /admin/v1/budgets`: what may be spent, and what is left of it.
#[utoipa::path(
    get, path = "/admin/v1/budgets", tag = "usage",
    responses((status = 200, body = BudgetList), (status = "4XX", body = Problem))
)]
pub(super) async fn budgets(admitted: Admitted) -> Reply {
    answer_off(&admitted, |admin| Ok(admin.budgets())).await
}

/// What a handler found, as a reply.
fn answer(found: Result<impl Serialize, Failure>) -> Reply {
    match found {
        Ok(object) => reply::json(StatusCode::OK, &object),
        Err(failure) => reply::problem(&failure),
    }
}

/// The reply to what was done and has nothing to show.
fn done(done: Result<(), Failure>) -> Reply {
    match done {
        Ok(()) => {
            let mut reply = Response::new(Either::Left(Full::default()));
            *reply.status_mut() = StatusCode::NO_CONTENT;
            reply
        }
        Err(failure) => reply::problem(&failure),
    }
}

/// Runs what blocks off the worker.
async fn off<T: Send + 'static>(
    admitted: &Admitted,
    work: impl FnOnce(&Admin) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let admin = Arc::clone(&admitted.context.admin);
    admin::off_the_worker(move || work(&admin)).await
}

/// As [`answer`] to what is found off the worker. The reply is written there too: that of many things takes long.
async fn answer_off<T: Serialize>(
    admitted: &Admitted,
    work: impl FnOnce(&Admin) -> Result<T, Failure> + Send + 'static,
) -> Reply {
    off(admitted, |admin| Ok(answer(work(admin)))).await.unwrap_or_else(|failure| reply::problem(&failure))
}

/// Reads a request's body as an object.
async fn object<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Failure> {
    let (head, body) = request.into_parts();
    let bytes = body::read(&head.headers, body, bounds::ADMIN_BODY_BYTES_MAX).await?;
    let mut json = serde_json::Deserializer::from_slice(&bytes);
    let untaken = |field: &str, error: &serde_json::Error| {
        let error = without_value(&error.to_string());
        Failure::new(Code::InvalidRequest, sanitise(&format!("the body cannot be taken: {field}{error}")))
    };
    let object = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (path, error) = (error.path().to_string(), error.into_inner());
        let field = if matches!(path.as_str(), "." | "?") { String::new() } else { format!("{path}: ") };
        untaken(&field, &error)
    })?;
    // What follows the object was meant to say something too.
    json.end().map_err(|error| untaken("", &error))?;
    Ok(object)
}

/// What is wrong with a body, without what stood in the wrong place: it may be a secret.
fn without_value(error: &str) -> String {
    // Names and times begin with what was given, quoted.
    if let Some(quoted) = error.strip_prefix('"') {
        let said = quoted.rsplit_once("\" is not ").map_or("taken here", |(_, said)| said);
        return format!("what stands here is not {said}");
    }
    let ways = ["invalid type", "invalid value", "unknown variant"];
    match (ways.into_iter().find(|way| error.starts_with(way)), error.rfind(", expected ")) {
        (Some(way), Some(expected)) => format!("{way}{}", error.get(expected..).unwrap_or_default()),
        (Some(way), None) => way.to_owned(),
        (None, _) => error.to_owned(),
    }
}

/// Whether a query says that something is meant: `name=true`.
fn flag(query: Option<&str>, name: &str) -> Result<bool, Failure> {
    let mut flag = false;
    for (key, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let wrong = |message: String| Failure::new(Code::InvalidRequest, message).at(key.as_ref());
        if key != name {
            return Err(wrong(format!("the query takes {name}")));
        }
        flag = value.parse().map_err(|_| wrong(format!("{name}: write true or false")))?;
    }
    Ok(flag)
}

/// A name out of the path.
fn named<T: std::str::FromStr<Err = IdError>>(rest: &str) -> Result<T, Failure> {
    rest.parse().map_err(|error: IdError| Failure::new(Code::NotFound, sanitise(&error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ProviderSlug;
    use crate::api::admin::{ConnectionStatus, PutSecret};
    use crate::api::moment::Moment;

    #[test]
    fn an_error_of_a_body_does_not_repeat_what_stood_there() {
        let key = "mySuperSecret999";
        let texts = [key.to_owned(), format!("{key}\", \" is {key}, expected {key}"), format!("\u{e9}{key}\\")];
        for text in texts {
            let json = serde_json::to_string(&text).unwrap();
            for error in [
                serde_json::from_str::<PutSecret>(&json).unwrap_err(),
                serde_json::from_str::<ProviderSlug>(&json).unwrap_err(),
                serde_json::from_str::<Moment>(&json).unwrap_err(),
                serde_json::from_str::<ConnectionStatus>(&json).unwrap_err(),
                serde_json::from_str::<u32>(&json).unwrap_err(),
                serde_json::from_str::<bool>(&format!("[{json}]")).unwrap_err(),
            ] {
                let said = without_value(&error.to_string());
                assert!(!said.is_empty() && !said.contains(key), "{said}");
            }
        }
    }
}
