//! Why requests went where they went: to operators for all of them, to an app for its own.

use super::{answer, named, object, off};
use crate::admin;
use crate::api::admin::{DryRun, ExplainRequest, ExplainedRequest};
use crate::api::error::Problem;
use crate::api::{Code, Failure, RequestId};
use crate::server::admitted::Admitted;
use crate::server::dialect::Surface;
use crate::server::reply::{self, Reply};

/// `GET /admin/v1/requests/{id}`: the way of a request through its candidates.
#[utoipa::path(
    get, path = "/admin/v1/requests/{id}", tag = "requests",
    params(("id" = RequestId, Path)),
    responses((status = 200, body = ExplainedRequest), (status = "4XX", body = Problem))
)]
pub(in crate::server) async fn show(admitted: Admitted) -> Reply {
    let shown = async {
        let id = request_id(&admitted.rest)?;
        off(&admitted, move |admin| admin.request(id)).await
    };
    answer(shown.await)
}

/// `POST /admin/v1/explain`: where a request would go now. Nothing is sent, and no turn is taken.
#[utoipa::path(
    post, path = "/admin/v1/explain", tag = "requests",
    request_body = ExplainRequest,
    responses((status = 200, body = DryRun), (status = "4XX", body = Problem))
)]
pub(in crate::server) async fn dry_run(admitted: Admitted) -> Reply {
    let explained = async {
        let Admitted { context, request, .. } = admitted;
        let asked: ExplainRequest = object(request).await?;
        admin::off_the_worker(move || context.admin.dry_run(asked)).await
    };
    answer(explained.await)
}

/// `GET /v1/bursar/requests/{id}`: an app's own request. Those of others are unknown to it.
pub(in crate::server) async fn own(admitted: Admitted) -> Reply {
    let surface = Surface::of(&admitted.request);
    let shown = async {
        let (id, app) = (request_id(&admitted.rest)?, admitted.identity.app.clone());
        off(&admitted, move |admin| admin.request_of(id, &app)).await
    };
    match shown.await {
        Ok(explained) => reply::json(http::StatusCode::OK, &explained),
        Err(failure) => surface.failure(&failure),
    }
}

fn request_id(rest: &str) -> Result<RequestId, Failure> {
    let help = "write a request's id as the header x-bursar-request-id has it: req_ and 32 hexadecimal digits";
    named(rest).map_err(|_| Failure::new(Code::NotFound, help))
}
