//! The configuration on the admin plane.

use super::{answer, object, off};
use crate::admin;
use crate::api::admin::{Plan, Reload, Sync};
use crate::api::error::Problem;
use crate::api::{Code, Failure, ProviderSlug};
use crate::server::admitted::Admitted;
use crate::server::reply::Reply;

/// `POST /admin/v1/reload`: reads the configuration again. A file that has errors is told of in the reply, and leaves all
/// as it was.
#[utoipa::path(
    post, path = "/admin/v1/reload", tag = "configuration",
    responses((status = 200, body = Reload), (status = "4XX", body = Problem))
)]
pub(in crate::server) async fn reload(admitted: Admitted) -> Reply {
    answer(off(&admitted, |admin| admin.sync_now(&Sync::default())).await)
}

/// `GET /admin/v1/config/plan`: what a reload, or a sync that prunes and maps, would do now.
#[utoipa::path(
    get, path = "/admin/v1/config/plan", tag = "configuration",
    params(
        ("prune" = Option<bool>, Query, description = "as if what is no longer declared were removed from the store"),
        ("map" = Option<String>, Query, description = "`old=new`, as if a provider had been renamed; more than once for more"),
    ),
    responses((status = 200, body = Plan), (status = "4XX", body = Problem))
)]
pub(in crate::server) async fn plan(admitted: Admitted) -> Reply {
    let wanted = wanted(admitted.request.uri().query().unwrap_or_default());
    answer(match wanted {
        Ok(wanted) => off(&admitted, move |admin| admin.plan(&wanted)).await,
        Err(failure) => Err(failure),
    })
}

fn wanted(query: &str) -> Result<Sync, Failure> {
    let mut sync = Sync::default();
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let wrong = |known: &str| Failure::new(Code::InvalidRequest, format!("{key}: write {known}")).at(key.as_ref());
        match key.as_ref() {
            "prune" => sync.prune = value.parse().map_err(|_| wrong("true or false"))?,
            "map" => {
                let slug = |text: &str| text.parse::<ProviderSlug>().ok();
                let pair = value.split_once('=').and_then(|(old, new)| Some((slug(old)?, slug(new)?)));
                let (old, new) = pair.ok_or_else(|| wrong("old=new, both of them slugs of providers"))?;
                sync.map.insert(old, new);
            }
            _ => return Err(wrong("nothing but prune and map into the query")),
        }
    }
    Ok(sync)
}

/// `POST /admin/v1/config/sync`: reads the configuration again; what the store keeps of providers that were renamed moves
/// along, and of what is no longer declared it is removed, as asked. All of it happens in one step, or nothing does.
#[utoipa::path(
    post, path = "/admin/v1/config/sync", tag = "configuration",
    request_body = Sync,
    responses(
        (status = 200, body = Reload), (status = "4XX", body = Problem),
        (status = 409, description = "a map does not fit what is declared and stored", body = Problem),
        (status = 507, body = Problem)
    )
)]
pub(in crate::server) async fn sync(admitted: Admitted) -> Reply {
    answer(synced(admitted).await)
}

async fn synced(admitted: Admitted) -> Result<Reload, Failure> {
    let Admitted { context, request, .. } = admitted;
    let wanted: Sync = object(request).await?;
    admin::off_the_worker(move || context.admin.sync_now(&wanted)).await
}
