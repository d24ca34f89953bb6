//! Providers on the admin plane.

use super::{answer, flag, named, object, off};
use crate::admin::{self, NotesChange};
use crate::api::admin::{CheckReport, Object, PatchProvider, Provider, ProviderList, RemovedProvider};
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

/// `DELETE /admin/v1/providers/{slug}`: everything that the store keeps of a provider. What a file declares goes there.
#[utoipa::path(
    delete, path = "/admin/v1/providers/{slug}", tag = "providers",
    params(
        ("slug" = ProviderSlug, Path),
        ("cascade" = Option<bool>, Query, description = "whether its connections and their secrets may go too"),
    ),
    responses(
        (status = 200, body = RemovedProvider), (status = "4XX", body = Problem),
        (status = 409, description = "names what would go", body = Problem), (status = 507, body = Problem)
    )
)]
pub(in crate::server) async fn remove(admitted: Admitted) -> Reply {
    let removed = async {
        let slug: ProviderSlug = named(&admitted.rest)?;
        let cascade = flag(admitted.request.uri().query(), "cascade")?;
        off(&admitted, move |admin| admin.remove_provider(&slug, cascade)).await
    };
    answer(removed.await)
}

/// `GET /admin/v1/providers/{slug}/ui_preferences`: what a user interface keeps with it.
#[utoipa::path(
    get, path = "/admin/v1/providers/{slug}/ui_preferences", tag = "providers",
    params(("slug" = ProviderSlug, Path)),
    responses((status = 200, body = Object), (status = "4XX", body = Problem))
)]
pub(in crate::server) async fn preferences(admitted: Admitted) -> Reply {
    let shown = async {
        let slug: ProviderSlug = named(&admitted.rest)?;
        off(&admitted, move |admin| admin.ui_preferences(&slug)).await
    };
    answer(shown.await)
}

/// `PUT /admin/v1/providers/{slug}/ui_preferences`: the whole of it, in place of what was there.
#[utoipa::path(
    put, path = "/admin/v1/providers/{slug}/ui_preferences", tag = "providers",
    params(("slug" = ProviderSlug, Path)),
    request_body = Object,
    responses((status = 200, body = Object), (status = "4XX", body = Problem), (status = 507, body = Problem))
)]
pub(in crate::server) async fn put_preferences(admitted: Admitted) -> Reply {
    answer(preferences_changed(admitted, NotesChange::Replace).await)
}

/// `PATCH /admin/v1/providers/{slug}/ui_preferences`: a merge patch (RFC 7396).
#[utoipa::path(
    patch, path = "/admin/v1/providers/{slug}/ui_preferences", tag = "providers",
    params(("slug" = ProviderSlug, Path)),
    request_body(content = Object, content_type = "application/merge-patch+json"),
    responses((status = 200, body = Object), (status = "4XX", body = Problem), (status = 507, body = Problem))
)]
pub(in crate::server) async fn patch_preferences(admitted: Admitted) -> Reply {
    answer(preferences_changed(admitted, NotesChange::Merge).await)
}

async fn preferences_changed(admitted: Admitted, change: fn(Object) -> NotesChange) -> Result<Object, Failure> {
    let Admitted { context, request, rest, .. } = admitted;
    let slug: ProviderSlug = named(&rest)?;
    let given: Object = object(request).await?;
    admin::off_the_worker(move || context.admin.change_ui_preferences(&slug, change(given))).await
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
