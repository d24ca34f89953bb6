//! Connections on the admin plane.

use http::StatusCode;

use super::{answer, answer_off, done, named, object, off};
use crate::admin::{self, ConnectionFilter, NotesChange};
use crate::api::admin::{
    Connection, ConnectionList, ConnectionStatus, CreateConnection, HealthState, Object, PatchConnection, PutSecret,
    TestResult,
};
use crate::api::error::Problem;
use crate::api::{Code, ConnectionId, Failure, ProviderSlug};
use crate::server::admitted::Admitted;
use crate::server::reply::{self, Reply};

/// `GET /admin/v1/connections`.
#[utoipa::path(
    get, path = "/admin/v1/connections", tag = "connections",
    params(
        ("provider" = Option<ProviderSlug>, Query),
        ("status" = Option<ConnectionStatus>, Query),
        ("health" = Option<HealthState>, Query),
        ("sort" = Option<String>, Query, description = "`priority`: in the order in which they are tried; else by id"),
    ),
    responses((status = 200, body = ConnectionList), (status = "4XX", body = Problem))
)]
pub(in crate::server) async fn list(admitted: Admitted) -> Reply {
    match filter(admitted.request.uri().query().unwrap_or_default()) {
        Ok(filter) => answer_off(&admitted, move |admin| Ok(admin.connections(&filter))).await,
        Err(failure) => reply::problem(&failure),
    }
}

fn filter(query: &str) -> Result<ConnectionFilter, Failure> {
    let mut filter = ConnectionFilter::default();
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let wrong = |known: &str| Failure::new(Code::InvalidRequest, format!("{key}: write {known}")).at(key.as_ref());
        match key.as_ref() {
            "provider" => filter.provider = Some(value.parse().map_err(|_| wrong("a provider's slug"))?),
            "status" => {
                let known = [ConnectionStatus::Enabled, ConnectionStatus::Disabled];
                let found = known.into_iter().find(|one| one.name() == value);
                filter.status = Some(found.ok_or_else(|| wrong("enabled or disabled"))?);
            }
            "health" => {
                let names: Vec<_> = HealthState::ALL.iter().map(|one| one.name()).collect();
                let found = HealthState::ALL.iter().copied().find(|one| one.name() == value);
                filter.health = Some(found.ok_or_else(|| wrong(&format!("one of {}", names.join(", "))))?);
            }
            "sort" => match value.as_ref() {
                "priority" => filter.by_priority = true,
                "id" => filter.by_priority = false,
                _ => return Err(wrong("priority or id")),
            },
            _ => {
                let message = "the query takes provider, status, health and sort";
                return Err(Failure::new(Code::InvalidRequest, message).at(key.as_ref()));
            }
        }
    }
    Ok(filter)
}

/// `POST /admin/v1/connections`.
#[utoipa::path(
    post, path = "/admin/v1/connections", tag = "connections",
    request_body = CreateConnection,
    responses(
        (status = 201, body = Connection), (status = "4XX", body = Problem),
        (status = 409, description = "there is one of this name", body = Problem), (status = 507, body = Problem)
    )
)]
pub(in crate::server) async fn add(admitted: Admitted) -> Reply {
    match added(admitted).await {
        Ok(connection) => reply::json(StatusCode::CREATED, &connection),
        Err(failure) => reply::problem(&failure),
    }
}

async fn added(admitted: Admitted) -> Result<Connection, Failure> {
    let Admitted { context, request, .. } = admitted;
    let create: CreateConnection = object(request).await?;
    admin::off_the_worker(move || context.admin.add_connection(create)).await
}

/// `GET /admin/v1/connections/{id}`.
#[utoipa::path(
    get, path = "/admin/v1/connections/{id}", tag = "connections",
    params(("id" = ConnectionId, Path)),
    responses((status = 200, body = Connection), (status = "4XX", body = Problem))
)]
pub(in crate::server) async fn show(admitted: Admitted) -> Reply {
    answer(named(&admitted.rest).and_then(|id| admitted.context.admin.connection(&id)))
}

/// `PATCH /admin/v1/connections/{id}`.
#[utoipa::path(
    patch, path = "/admin/v1/connections/{id}", tag = "connections",
    params(("id" = ConnectionId, Path)),
    request_body = PatchConnection,
    responses(
        (status = 200, body = Connection), (status = "4XX", body = Problem),
        (status = 409, description = "a file declares it", body = Problem), (status = 507, body = Problem)
    )
)]
pub(in crate::server) async fn change(admitted: Admitted) -> Reply {
    answer(changed(admitted).await)
}

async fn changed(admitted: Admitted) -> Result<Connection, Failure> {
    let Admitted { context, request, rest, .. } = admitted;
    let id: ConnectionId = named(&rest)?;
    let patch: PatchConnection = object(request).await?;
    admin::off_the_worker(move || context.admin.change_connection(&id, patch)).await
}

/// `DELETE /admin/v1/connections/{id}`: the connection and its secret.
#[utoipa::path(
    delete, path = "/admin/v1/connections/{id}", tag = "connections",
    params(("id" = ConnectionId, Path)),
    responses(
        (status = 204, description = "it is gone"), (status = "4XX", body = Problem),
        (status = 409, description = "a file declares it", body = Problem), (status = 507, body = Problem)
    )
)]
pub(in crate::server) async fn remove(admitted: Admitted) -> Reply {
    let removed = async {
        let id: ConnectionId = named(&admitted.rest)?;
        off(&admitted, move |admin| admin.remove_connection(&id)).await
    };
    done(removed.await)
}

/// `PUT /admin/v1/connections/{id}/secret`: a new secret in place of the old one. With `test`, one that the provider does
/// not take is refused, and the old one stays.
#[utoipa::path(
    put, path = "/admin/v1/connections/{id}/secret", tag = "connections",
    params(("id" = ConnectionId, Path)),
    request_body = PutSecret,
    responses(
        (status = 200, body = Connection), (status = "4XX", body = Problem),
        (status = 409, description = "a file declares it", body = Problem),
        (status = 502, description = "the test failed", body = Problem), (status = 507, body = Problem)
    )
)]
pub(in crate::server) async fn put_secret(admitted: Admitted) -> Reply {
    answer(secret_put(admitted).await)
}

async fn secret_put(admitted: Admitted) -> Result<Connection, Failure> {
    let Admitted { context, request, rest, .. } = admitted;
    let id: ConnectionId = named(&rest)?;
    let put: PutSecret = object(request).await?;
    admin::put_secret(&context.admin, &context.worker, &id, put).await
}

/// `GET /admin/v1/connections/{id}/ui_metadata`: what a user interface keeps with it.
#[utoipa::path(
    get, path = "/admin/v1/connections/{id}/ui_metadata", tag = "connections",
    params(("id" = ConnectionId, Path)),
    responses((status = 200, body = Object), (status = "4XX", body = Problem))
)]
pub(in crate::server) async fn metadata(admitted: Admitted) -> Reply {
    answer(named(&admitted.rest).and_then(|id| admitted.context.admin.ui_metadata(&id)))
}

/// `PUT /admin/v1/connections/{id}/ui_metadata`: the whole of it, in place of what was there.
#[utoipa::path(
    put, path = "/admin/v1/connections/{id}/ui_metadata", tag = "connections",
    params(("id" = ConnectionId, Path)),
    request_body = Object,
    responses(
        (status = 200, body = Object), (status = "4XX", body = Problem),
        (status = 409, description = "a file declares it", body = Problem), (status = 507, body = Problem)
    )
)]
pub(in crate::server) async fn put_metadata(admitted: Admitted) -> Reply {
    answer(metadata_changed(admitted, NotesChange::Replace).await)
}

/// `PATCH /admin/v1/connections/{id}/ui_metadata`: a merge patch (RFC 7396).
#[utoipa::path(
    patch, path = "/admin/v1/connections/{id}/ui_metadata", tag = "connections",
    params(("id" = ConnectionId, Path)),
    request_body(content = Object, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, body = Object), (status = "4XX", body = Problem),
        (status = 409, description = "a file declares it", body = Problem), (status = 507, body = Problem)
    )
)]
pub(in crate::server) async fn patch_metadata(admitted: Admitted) -> Reply {
    answer(metadata_changed(admitted, NotesChange::Merge).await)
}

async fn metadata_changed(admitted: Admitted, change: fn(Object) -> NotesChange) -> Result<Object, Failure> {
    let Admitted { context, request, rest, .. } = admitted;
    let id: ConnectionId = named(&rest)?;
    let given: Object = object(request).await?;
    admin::off_the_worker(move || context.admin.change_ui_metadata(&id, change(given))).await
}

/// `POST /admin/v1/connections/{id}/confirm`: lets the secret that a file refers to go to where the provider is now.
#[utoipa::path(
    post, path = "/admin/v1/connections/{id}/confirm", tag = "connections",
    params(("id" = ConnectionId, Path)),
    responses(
        (status = 200, body = Connection), (status = "4XX", body = Problem),
        (status = 409, description = "the store keeps its secret, or the secret cannot be had", body = Problem),
        (status = 507, body = Problem)
    )
)]
pub(in crate::server) async fn confirm(admitted: Admitted) -> Reply {
    let confirmed = async {
        let id: ConnectionId = named(&admitted.rest)?;
        off(&admitted, move |admin| admin.confirm_secret(&id)).await
    };
    answer(confirmed.await)
}

/// `POST /admin/v1/connections/{id}/test`: asks the provider for its models, which costs nothing. A failed test is a
/// result, not an error.
#[utoipa::path(
    post, path = "/admin/v1/connections/{id}/test", tag = "connections",
    params(("id" = ConnectionId, Path)),
    responses((status = 200, body = TestResult), (status = "4XX", body = Problem))
)]
pub(in crate::server) async fn test(admitted: Admitted) -> Reply {
    let tested = async {
        let id: ConnectionId = named(&admitted.rest)?;
        admin::test(&admitted.context.admin, &admitted.context.worker, &id).await
    };
    answer(tested.await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_or_refused() {
        let read = filter("provider=openai&status=disabled&health=needs_secret&sort=priority").unwrap();
        assert_eq!(read.provider.unwrap().as_str(), "openai");
        assert_eq!((read.status, read.health), (Some(ConnectionStatus::Disabled), Some(HealthState::NeedsSecret)));
        assert!(read.by_priority);
        for bad in ["provider=A", "status=on", "health=fine", "sort=colour", "colour=red"] {
            assert_eq!(filter(bad).unwrap_err().param.as_deref(), bad.split('=').next(), "{bad}");
        }
    }
}
