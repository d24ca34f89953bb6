//! `GET /v1/models`: routes and models that can be asked for now.

use http::StatusCode;
use serde_json::{Value, json};

use super::admitted::Admitted;
use super::dialect::Surface;
use super::reply::{self, Reply};
use crate::adapter::Dialect;
use crate::api::{Code, Failure};
use crate::rotation::Selection;

/// `GET /healthz` and `/readyz`: whoever can ask has reached a daemon that serves.
pub(super) async fn alive(_: Admitted) -> Reply {
    reply::json(StatusCode::OK, &json!({ "status": "ok" }))
}

/// `GET /v1/models`, in the shape of the dialect that asks.
pub(super) async fn list(admitted: Admitted) -> Reply {
    let snapshot = admitted.context.engine().snapshot.load();
    let dialect = dialect_of(&admitted);
    let data: Vec<_> = all(&snapshot.selection).map(|(id, owner)| object(dialect, &id, &owner)).collect();
    let ends = |at: Option<&Value>| at.map_or(Value::Null, |object| object["id"].clone());
    let list = match dialect {
        Dialect::OpenAi => json!({ "object": "list", "data": data }),
        Dialect::Anthropic => {
            let (first, last) = (ends(data.first()), ends(data.last()));
            json!({ "data": data, "has_more": false, "first_id": first, "last_id": last })
        }
        Dialect::Gemini => json!({ "models": data }),
    };
    reply::json(StatusCode::OK, &list)
}

/// `GET /v1/models/{id}`.
pub(super) async fn one(admitted: Admitted) -> Reply {
    let snapshot = admitted.context.engine().snapshot.load();
    let dialect = dialect_of(&admitted);
    match all(&snapshot.selection).find(|(id, _)| *id == admitted.rest) {
        Some((id, owner)) => reply::json(StatusCode::OK, &object(dialect, &id, &owner)),
        None => {
            let asked = crate::adapter::text::sanitise(&admitted.rest);
            let message = format!("there is no model {asked:?} here now: GET /v1/models lists what there is");
            Surface::App(dialect).failure(&Failure::new(Code::UnknownModel, message).at("model"))
        }
    }
}

fn dialect_of(admitted: &Admitted) -> Dialect {
    match Surface::of(&admitted.request) {
        Surface::App(dialect) => dialect,
        Surface::Admin => Dialect::OpenAi,
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

/// A model in a dialect's shape. Anthropic's and Google's have no owner; theirs is the name to show.
fn object(dialect: Dialect, id: &str, owner: &str) -> Value {
    match dialect {
        Dialect::OpenAi => json!({ "id": id, "object": "model", "created": 0, "owned_by": owner }),
        Dialect::Anthropic => {
            json!({ "id": id, "type": "model", "display_name": id, "created_at": "1970-01-01T00:00:00Z" })
        }
        Dialect::Gemini => json!({
            "name": format!("models/{id}"),
            "displayName": id,
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "embedContent", "batchEmbedContents"],
        }),
    }
}
