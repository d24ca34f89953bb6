//! The admin plane's own description, generated from the handlers.

use std::sync::LazyLock;

use http::StatusCode;
use utoipa::OpenApi;

use super::{config, connections, events, explain, providers, store, usage};
use crate::server::admitted::Admitted;
use crate::server::reply::{self, Reply};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Bursar's admin plane",
        description = "HTTP over a Unix socket; the caller is whoever the kernel says it is. Reading asks for the role \
            viewer, changing for the role admin and the header X-Bursar-Request: 1. Errors are problem details (RFC 9457) \
            with a stable code."
    ),
    paths(
        super::status,
        config::reload,
        config::plan,
        config::sync,
        super::health,
        super::check,
        super::budgets,
        usage::report,
        usage::records,
        usage::reprice,
        providers::list,
        providers::show,
        providers::change,
        providers::remove,
        providers::preferences,
        providers::put_preferences,
        providers::patch_preferences,
        providers::check,
        connections::list,
        connections::add,
        connections::show,
        connections::change,
        connections::remove,
        connections::put_secret,
        connections::metadata,
        connections::put_metadata,
        connections::patch_metadata,
        connections::confirm,
        connections::test,
        explain::show,
        explain::dry_run,
        events::watch,
        store::show,
        store::verify,
        store::backup,
        store::keys,
        store::rotate,
        document,
    )
)]
struct Document;

static JSON: LazyLock<String> = LazyLock::new(|| Document::openapi().to_json().unwrap_or_default());

/// `GET /admin/v1/openapi.json`.
#[utoipa::path(
    get, path = "/admin/v1/openapi.json", tag = "daemon",
    responses((status = 200, description = "this document", content_type = "application/json"))
)]
pub(in crate::server) async fn document(_: Admitted) -> Reply {
    reply::json_bytes(StatusCode::OK, JSON.as_str())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::access::Role;
    use crate::server::routes::{Access, ROUTES};

    fn document() -> serde_json::Value {
        serde_json::from_str(&JSON).unwrap()
    }

    #[test]
    fn the_description_and_the_table_name_the_same_routes() {
        let document = document();
        let paths = document["paths"].as_object().unwrap();
        let described: BTreeSet<_> = paths
            .iter()
            .flat_map(|(path, methods)| {
                methods.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
            })
            .collect();
        let table: BTreeSet<_> = ROUTES
            .iter()
            .filter(|route| route.path.starts_with("/admin/"))
            .map(|route| (route.method.to_string(), route.path.to_owned()))
            .collect();
        assert_eq!(described, table);
    }

    #[test]
    fn every_admin_route_asks_for_an_operators_role() {
        for route in ROUTES.iter().filter(|route| route.path.starts_with("/admin/")) {
            let role = if route.method == http::Method::GET { Role::Viewer } else { Role::Admin };
            assert_eq!(route.access, Access::Operator(role), "{} {}", route.method, route.path);
        }
    }

    #[test]
    fn every_object_that_is_named_is_described_and_no_reply_shows_a_secret() {
        let document = document();
        let text = JSON.as_str();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{name} is named, and not described");
        }
        assert_eq!(schemas["SecretText"]["writeOnly"], true);
        let holders = schemas.iter().filter(|(_, schema)| schema.to_string().contains("SecretText"));
        assert_eq!(
            holders.map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["BackupRequest", "CreateConnection", "PutSecret"]
        );
    }
}
