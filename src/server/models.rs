//! `GET /v1/models`: routes and models that can be asked for now.

use http::StatusCode;
use serde_json::{Value, json};

use super::admitted::Admitted;
use super::dialect::Surface;
use super::reply::{self, Reply};
use crate::adapter::Dialect;
use crate::api::{Capabilities, Capability, Code, Failure};
use crate::rotation::Selection;

/// `GET /healthz` and `/readyz`: whoever can ask has reached a daemon that serves.
pub(super) async fn alive(_: Admitted) -> Reply {
    reply::json(StatusCode::OK, &json!({ "status": "ok" }))
}

/// `GET /v1/models`, in the shape of the dialect that asks.
pub(super) async fn list(admitted: Admitted) -> Reply {
    let snapshot = admitted.context.engine().snapshot.load();
    let dialect = dialect_of(&admitted);
    let data: Vec<_> = all(&snapshot.selection).map(|one| one.object(dialect)).collect();
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
    match all(&snapshot.selection).find(|one| one.id == admitted.rest) {
        Some(found) => reply::json(StatusCode::OK, &found.object(dialect)),
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

/// What can be asked for.
struct Listed {
    id: String,
    owner: String,
    /// What it can do; none: unknown, and nothing is refused for it.
    can: Option<Capabilities>,
}

/// Routes first, then `provider/model` for every known model of every provider that can be used.
fn all(selection: &Selection) -> impl Iterator<Item = Listed> {
    let routes = selection.routes().map(|name| Listed { id: name.to_string(), owner: "bursar".into(), can: None });
    let usable = selection.providers().filter(|provider| selection.is_provider_available(&provider.slug));
    let models = usable.flat_map(|provider| {
        provider.known().map(move |id| Listed {
            id: format!("{}/{id}", provider.slug),
            owner: provider.slug.to_string(),
            can: provider.model(id).and_then(|facts| facts.capabilities),
        })
    });
    routes.chain(models)
}

/// Gemini's methods, and what a model has to be able to do for them.
const METHODS: [(&str, Capability); 4] = [
    ("generateContent", Capability::Chat),
    ("streamGenerateContent", Capability::Stream),
    ("embedContent", Capability::Embeddings),
    ("batchEmbedContents", Capability::Embeddings),
];

impl Listed {
    /// A model in a dialect's shape. Anthropic's and Google's have no owner; theirs is the name to show.
    fn object(&self, dialect: Dialect) -> Value {
        let Self { id, owner, can } = self;
        let methods = || METHODS.iter().filter(|(_, needed)| can.is_none_or(|can| can.has(*needed)));
        match dialect {
            Dialect::OpenAi => json!({ "id": id, "object": "model", "created": 0, "owned_by": owner }),
            Dialect::Anthropic => {
                json!({ "id": id, "type": "model", "display_name": id, "created_at": "1970-01-01T00:00:00Z" })
            }
            Dialect::Gemini => json!({
                "name": format!("models/{id}"),
                "displayName": id,
                "supportedGenerationMethods": methods().map(|(method, _)| method).collect::<Vec<_>>(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gemini_is_told_what_a_model_can_do() {
        let methods = |can| {
            let listed = Listed { id: "p/m".into(), owner: "p".into(), can };
            listed.object(Dialect::Gemini)["supportedGenerationMethods"].as_array().unwrap().len()
        };
        let only = |capability| Some(Capabilities::NONE.with(capability));
        assert_eq!((methods(None), methods(only(Capability::Chat)), methods(only(Capability::Embeddings))), (4, 1, 2));
    }
}
