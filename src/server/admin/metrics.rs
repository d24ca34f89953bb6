//! `GET /metrics`, for scrapers.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, VARY};
use http::{HeaderValue, Response};
use http_body_util::{Either, Full};

use super::off;
use crate::admin::MetricsForm;
use crate::server::admitted::Admitted;
use crate::server::reply::{self, Reply};

/// All metrics, as OpenMetrics unless the scraper reads nothing but Prometheus' older format.
pub(in crate::server) async fn scrape(admitted: Admitted) -> Reply {
    let accept = admitted.request.headers().get_all(ACCEPT).iter();
    let accept: Vec<_> = accept.filter_map(|value| value.to_str().ok()).collect();
    let form = MetricsForm::accepted(&accept.join(","));
    let (process, clients) = (admitted.context.process, admitted.context.clients.open());
    match off(&admitted, move |admin| Ok(admin.metrics(process, clients, form))).await {
        Ok(text) => {
            let mut reply = Response::new(Either::Left(Full::new(Bytes::from(text))));
            reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
            reply.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
            reply
        }
        Err(failure) => reply::problem(&failure),
    }
}
