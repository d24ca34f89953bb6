//! Providers on the admin plane.

use super::{answer, named, object, off};
use crate::admin;
use crate::api::admin::{CheckReport, PatchProvider, Provider, ProviderList};
use crate::api::error::Problem;
use crate::api::{Failure, ProviderSlug};
use crate::server::admitted::Admitted;
use crate::server::reply::Reply;

/// `GET /admin/v1/providers`.
#[utoipa::path(
    get, path = "/admin/v1/providers", tag = "providers",
    responses((status = 200, body = ProviderList), (status = "4XX", body = Problem))
)]
pub(in crate::server) async fn list(admitted: Admitted) -> Reply {
    answer(off(&admitted, |admin| admin.providers()).await)
}

/// `GET /admin/v1/providers/{slug}`.
#[utoipa::path(
    get, path = "/admin/v1/providers/{slug}", tag = "providers",
    params(("slug" = ProviderSlug, Path)),
    responses((status = 200, body = Provider), (status = "4XX", body = Problem))
)]
pub(in crate::server) async fn show(admitted: Admitted) -> Reply {
    let shown = async {
        let slug: ProviderSlug = named(&admitted.rest)?;
        off(&admitted, move |admin| admin.provider(&slug)).await
    };
    answer(shown.await)
}

/// `PATCH /admin/v1/providers/{slug}`: what operators switch.
#[utoipa::path(
    patch, path = "/admin/v1/providers/{slug}", tag = "providers",
    params(("slug" = ProviderSlug, Path)),
    request_body = PatchProvider,
    responses((status = 200, body = Provider), (status = "4XX", body = Problem), (status = 507, body = Problem))
)]
pub(in crate::server) async fn change(admitted: Admitted) -> Reply {
    answer(changed(admitted).await)
}

async fn changed(admitted: Admitted) -> Result<Provider, Failure> {
    let Admitted { context, request, rest, .. } = admitted;
    let slug: ProviderSlug = named(&rest)?;
    let patch: PatchProvider = object(request).await?;
    admin::off_the_worker(move || context.admin.change_provider(&slug, patch)).await
}

/// `POST /admin/v1/providers/{slug}/check`: asks for its models, with the connection that a call would go to first.
#[utoipa::path(
    post, path = "/admin/v1/providers/{slug}/check", tag = "providers",
    params(("slug" = ProviderSlug, Path)),
    responses((status = 200, body = CheckReport), (status = "4XX", body = Problem), (status = 503, body = Problem))
)]
pub(in crate::server) async fn check(admitted: Admitted) -> Reply {
    let checked = async {
        let slug: ProviderSlug = named(&admitted.rest)?;
        admin::check_provider(&admitted.context.admin, &admitted.context.worker, &slug).await
    };
    answer(checked.await)
}
