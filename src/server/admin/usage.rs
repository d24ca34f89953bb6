//! Usage: to operators all of it, to an app its own.

use http::StatusCode;

use super::{answer, object, off};
use crate::admin;
use crate::api::admin::{RepriceRequest, Repriced};
use crate::api::error::Problem;
use crate::api::usage::UsageReport;
use crate::api::{Failure, RecordPage, UsageRecord};
use crate::server::admitted::Admitted;
use crate::server::dialect::Surface;
use crate::server::reply::{self, Reply};

/// `GET /admin/v1/usage`: what was used over a time, by groups.
#[utoipa::path(
    get, path = "/admin/v1/usage", tag = "usage",
    params(
        ("from" = Option<String>, Query, description = "RFC 3339, a date, or so long ago: `-24h`, which is the default"),
        ("to" = Option<String>, Query, description = "likewise; now if absent"),
        ("by" = Option<String>, Query, description = "what to group by, with commas between: connection, provider, model, feature, app, outcome"),
        ("step" = Option<String>, Query, description = "none, minute, hour or day"),
        ("connection" = Option<String>, Query, description = "only this one; as with the other filters, more than once for any of several"),
        ("provider" = Option<String>, Query),
        ("model" = Option<String>, Query),
        ("feature" = Option<String>, Query),
        ("app" = Option<String>, Query),
        ("outcome" = Option<String>, Query),
    ),
    responses((status = 200, body = UsageReport), (status = "4XX", body = Problem))
)]
pub(in crate::server) async fn report(admitted: Admitted) -> Reply {
    let pairs = pairs(&admitted);
    answer(off(&admitted, move |admin| admin.usage(borrowed(&pairs))).await)
}

/// `GET /admin/v1/usage/records`: the records themselves, page by page.
#[utoipa::path(
    get, path = "/admin/v1/usage/records", tag = "usage",
    params(
        ("from" = Option<String>, Query, description = "RFC 3339, a date, or so long ago: `-24h`; the first record if absent"),
        ("to" = Option<String>, Query, description = "likewise; now if absent"),
        ("order" = Option<String>, Query, description = "newest (the default) or oldest first"),
        ("after" = Option<String>, Query, description = "what the page before named as `next`; in the order `newest` it leads to older records"),
        ("limit" = Option<u32>, Query, description = "the most records of the page, up to 1000; 100 if absent"),
        ("connection" = Option<String>, Query, description = "only this one; as with the other filters, more than once for any of several"),
        ("provider" = Option<String>, Query),
        ("model" = Option<String>, Query),
        ("feature" = Option<String>, Query),
        ("app" = Option<String>, Query),
        ("outcome" = Option<String>, Query),
    ),
    responses((status = 200, body = RecordPage<UsageRecord>), (status = "4XX", body = Problem))
)]
pub(in crate::server) async fn records(admitted: Admitted) -> Reply {
    let pairs = pairs(&admitted);
    answer(off(&admitted, move |admin| admin.usage_records(borrowed(&pairs))).await)
}

/// `POST /admin/v1/usage/reprice`: computes costs anew from the prices in force, and tells what changes.
#[utoipa::path(
    post, path = "/admin/v1/usage/reprice", tag = "usage", request_body = RepriceRequest,
    responses((status = 200, body = Repriced), (status = "4XX", body = Problem))
)]
pub(in crate::server) async fn reprice(admitted: Admitted) -> Reply {
    let repriced = async {
        let Admitted { context, request, .. } = admitted;
        let asked: RepriceRequest = object(request).await?;
        admin::off_the_worker(move || context.admin.reprice(&asked)).await
    };
    answer(repriced.await)
}

/// `GET /v1/bursar/usage`: an app's own usage, asked and told as operators' is. Of others it learns nothing.
pub(in crate::server) async fn own(admitted: Admitted) -> Reply {
    let (surface, pairs, app) = (Surface::of(&admitted.request), pairs(&admitted), admitted.identity.app.clone());
    let asked: Result<UsageReport, Failure> = off(&admitted, move |admin| admin.usage_of(&app, borrowed(&pairs))).await;
    match asked {
        Ok(report) => reply::json(StatusCode::OK, &report),
        Err(failure) => surface.failure(&failure),
    }
}

/// The query of a URL, decoded.
type Pairs = Vec<(String, String)>;

fn pairs(admitted: &Admitted) -> Pairs {
    let query = admitted.request.uri().query().unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn borrowed(pairs: &Pairs) -> impl Iterator<Item = (&str, &str)> {
    pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()))
}
