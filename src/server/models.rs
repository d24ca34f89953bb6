//! `GET /v1/models`: routes and models that can be asked for now.

use http::StatusCode;
use serde_json::json;

use super::dialect::Surface;
use super::reply::{self, Reply};
use super::routes::Admitted;
use crate::api::{Code, Failure};
use crate::rotation::Selection;

/// `GET /healthz` and `/readyz`: whoever can ask has reached a daemon that serves.
pub(super) async fn alive(_: Admitted) -> Reply {
    reply::json(StatusCode::OK, &json!({ "status": "ok" }))
}

/// `GET /v1/models`.
pub(super) async fn list(admitted: Admitted) -> Reply {
    let snapshot = admitted.context.engine().snapshot.load();
    let data: Vec<_> = all(&snapshot.selection).map(|(id, owner)| object(&id, &owner)).collect();
    reply::json(StatusCode::OK, &json!({ "object": "list", "data": data }))
}

/// `GET /v1/models/{id}`.
pub(super) async fn one(admitted: Admitted) -> Reply {
    let snapshot = admitted.context.engine().snapshot.load();
    match all(&snapshot.selection).find(|(id, _)| *id == admitted.rest) {
        Some((id, owner)) => reply::json(StatusCode::OK, &object(&id, &owner)),
        None => {
            let asked = crate::adapter::text::sanitise(&admitted.rest);
            let message = format!("there is no model {asked:?} here now: GET /v1/models lists what there is");
            Surface::OpenAi.failure(&Failure::new(Code::UnknownModel, message).at("model"))
        }
    }
}

/// Routes first, then `provider/model` for every known model of every provider that can be used.
fn all(selection: &Selection) -> impl Iterator<Item = (String, String)> {
    let routes = selection.routes().map(|name| (name.to_string(), String::from("bursar")));
    let usable = selection.providers().filter(|provider| selection.is_provider_available(&provider.slug));
    let models = usable.flat_map(|provider| {
        provider.known().map(move |id| (format!("{}/{id}", provider.slug), provider.slug.to_string()))
    });
    routes.chain(models)
}

fn object(id: &str, owner: &str) -> serde_json::Value {
    json!({ "id": id, "object": "model", "created": 0, "owned_by": owner })
}
