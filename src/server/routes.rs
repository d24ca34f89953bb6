//! Every path, its method and its role, in one table; and the one door through which each request goes.
//!
//! A route without a role cannot be written. The role is checked on the route that was matched, never on a path that is
//! read a second time.

use std::panic::AssertUnwindSafe;
use std::sync::LazyLock;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Request};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;

use super::admin::{self, config, connections, events, explain, metrics, openapi, providers, store, usage};
use super::admitted::{Admitted, Caller};
use super::dialect::Surface;
use super::listen::Plane;
use super::reply::{self, Reply};
use super::{Context, ask, execute, models};
use crate::access::{Identity, Question, Role};
use crate::api::{Code, Failure};

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone who can connect.
    Anyone,
    /// Callers with this role, on the sockets for apps.
    App(Role),
    /// Callers with this role, on the admin plane.
    Operator(Role),
}

type Handler = fn(Admitted) -> BoxFuture<'static, Reply>;

/// One path and method.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path; `{name}` stands for one segment, `{*name}` for the rest.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    handler: Handler,
}

macro_rules! routes {
    ($($method:ident $path:literal $access:expr => $handler:path;)*) => {
        &[$(Route { method: Method::$method, path: $path, access: $access, handler: |admitted| Box::pin($handler(admitted)) }),*]
    };
}

/// Every route.
pub static ROUTES: &[Route] = routes! {
    GET "/healthz" Access::Anyone => models::alive;
    GET "/readyz" Access::Anyone => models::alive;
    POST "/v1/execute" Access::App(Role::Client) => execute::execute;
    POST "/v1/chat/completions" Access::App(Role::Client) => ask::chat;
    POST "/v1/embeddings" Access::App(Role::Client) => ask::embeddings;
    POST "/v1/responses" Access::App(Role::Client) => ask::responses;
    POST "/v1/moderations" Access::App(Role::Client) => ask::moderations;
    POST "/v1/images/generations" Access::App(Role::Client) => ask::images;
    POST "/v1/images/edits" Access::App(Role::Client) => ask::images;
    POST "/v1/images/variations" Access::App(Role::Client) => ask::images;
    POST "/v1/audio/speech" Access::App(Role::Client) => ask::speech;
    POST "/v1/audio/transcriptions" Access::App(Role::Client) => ask::transcriptions;
    POST "/v1/audio/translations" Access::App(Role::Client) => ask::transcriptions;
    POST "/v1/messages" Access::App(Role::Client) => ask::messages;
    POST "/v1beta/models/{*id}" Access::App(Role::Client) => ask::google;
    POST "/v1/models/{*id}" Access::App(Role::Client) => ask::google;
    GET "/v1/models" Access::App(Role::Client) => models::list;
    GET "/v1/models/{*id}" Access::App(Role::Client) => models::one;
    GET "/v1beta/models" Access::App(Role::Client) => models::list;
    GET "/v1beta/models/{*id}" Access::App(Role::Client) => models::one;
    GET "/v1/bursar/requests/{id}" Access::App(Role::Client) => explain::own;
    GET "/v1/bursar/usage" Access::App(Role::Client) => usage::own;
    GET "/admin/v1/status" Access::Operator(Role::Viewer) => admin::status;
    POST "/admin/v1/reload" Access::Operator(Role::Admin) => config::reload;
    GET "/admin/v1/config/plan" Access::Operator(Role::Viewer) => config::plan;
    POST "/admin/v1/config/sync" Access::Operator(Role::Admin) => config::sync;
    GET "/admin/v1/providers" Access::Operator(Role::Viewer) => providers::list;
    GET "/admin/v1/providers/{slug}" Access::Operator(Role::Viewer) => providers::show;
    PATCH "/admin/v1/providers/{slug}" Access::Operator(Role::Admin) => providers::change;
    DELETE "/admin/v1/providers/{slug}" Access::Operator(Role::Admin) => providers::remove;
    GET "/admin/v1/providers/{slug}/ui_preferences" Access::Operator(Role::Viewer) => providers::preferences;
    PUT "/admin/v1/providers/{slug}/ui_preferences" Access::Operator(Role::Admin) => providers::put_preferences;
    PATCH "/admin/v1/providers/{slug}/ui_preferences" Access::Operator(Role::Admin) => providers::patch_preferences;
    POST "/admin/v1/providers/{slug}/check" Access::Operator(Role::Admin) => providers::check;
    GET "/admin/v1/connections" Access::Operator(Role::Viewer) => connections::list;
    POST "/admin/v1/connections" Access::Operator(Role::Admin) => connections::add;
    GET "/admin/v1/connections/{id}" Access::Operator(Role::Viewer) => connections::show;
    PATCH "/admin/v1/connections/{id}" Access::Operator(Role::Admin) => connections::change;
    DELETE "/admin/v1/connections/{id}" Access::Operator(Role::Admin) => connections::remove;
    PUT "/admin/v1/connections/{id}/secret" Access::Operator(Role::Admin) => connections::put_secret;
    GET "/admin/v1/connections/{id}/ui_metadata" Access::Operator(Role::Viewer) => connections::metadata;
    PUT "/admin/v1/connections/{id}/ui_metadata" Access::Operator(Role::Admin) => connections::put_metadata;
    PATCH "/admin/v1/connections/{id}/ui_metadata" Access::Operator(Role::Admin) => connections::patch_metadata;
    POST "/admin/v1/connections/{id}/confirm" Access::Operator(Role::Admin) => connections::confirm;
    POST "/admin/v1/connections/{id}/test" Access::Operator(Role::Admin) => connections::test;
    GET "/admin/v1/health" Access::Operator(Role::Viewer) => admin::health;
    POST "/admin/v1/health/check" Access::Operator(Role::Admin) => admin::check;
    GET "/admin/v1/budgets" Access::Operator(Role::Viewer) => admin::budgets;
    GET "/admin/v1/usage" Access::Operator(Role::Viewer) => usage::report;
    POST "/admin/v1/usage/reprice" Access::Operator(Role::Admin) => usage::reprice;
    GET "/admin/v1/usage/records" Access::Operator(Role::Viewer) => usage::records;
    GET "/admin/v1/requests/{id}" Access::Operator(Role::Viewer) => explain::show;
    POST "/admin/v1/explain" Access::Operator(Role::Admin) => explain::dry_run;
    GET "/admin/v1/events" Access::Operator(Role::Viewer) => events::watch;
    GET "/admin/v1/store" Access::Operator(Role::Viewer) => store::show;
    POST "/admin/v1/store/verify" Access::Operator(Role::Admin) => store::verify;
    POST "/admin/v1/store/backup" Access::Operator(Role::Admin) => store::backup;
    GET "/admin/v1/keys" Access::Operator(Role::Viewer) => store::keys;
    POST "/admin/v1/keys/rotate" Access::Operator(Role::Admin) => store::rotate;
    GET "/metrics" Access::Operator(Role::Viewer) => metrics::scrape;
    GET "/admin/v1/openapi.json" Access::Operator(Role::Viewer) => openapi::document;
};

/// The routes of each path, found by the path.
static PATHS: LazyLock<matchit::Router<Vec<&'static Route>>> = LazyLock::new(|| {
    let mut by_path: Vec<(&'static str, Vec<&'static Route>)> = Vec::new();
    for route in ROUTES {
        match by_path.iter_mut().find(|(path, _)| *path == route.path) {
            Some((_, routes)) => routes.push(route),
            None => by_path.push((route.path, vec![route])),
        }
    }
    let mut router = matchit::Router::new();
    for (path, routes) in by_path {
        // Two paths that cannot be told apart are found by the test below.
        let _ = router.insert(path, routes);
    }
    router
});

/// Takes one request through the door: the route, the caller, the role, the handler. A handler that panics fails its own
/// request and no other.
pub(super) async fn dispatch(context: Context, caller: Caller, plane: Plane, request: Request<Incoming>) -> Reply {
    let (surface, only_head) = (Surface::of(&request), request.method() == Method::HEAD);
    let reply = match admit(context, caller, plane, request).await {
        Ok((handler, admitted)) => match AssertUnwindSafe(handler(admitted)).catch_unwind().await {
            Ok(reply) => reply,
            Err(_) => {
                surface.failure(&Failure::new(Code::Internal, "this request met a fault in Bursar: please report it"))
            }
        },
        Err(refused) => *refused,
    };
    // HTTP/1 leaves the body out by itself, HTTP/2 does not.
    if only_head { reply.map(|_| reply::nothing()) } else { reply }
}

async fn admit(
    context: Context,
    caller: Caller,
    plane: Plane,
    request: Request<Incoming>,
) -> Result<(Handler, Admitted), Box<Reply>> {
    let surface = Surface::of(&request);
    let refuse = |failure: &Failure| Box::new(surface.failure(failure));
    let (route, rest) = find(request.method(), request.uri().path(), surface)?;
    // Judged by what was in force when it came, however long the name service takes.
    let snapshot = context.engine().snapshot.load_full();
    let groups = snapshot.access.asks_for_groups();
    let person = context.names.who(Question { uid: caller.uid, gid: caller.gid, groups }).await;
    let identity = snapshot.access.identify(&person);
    allow(route.access, plane, &identity).map_err(|failure| refuse(&failure))?;
    meant(route, request.headers()).map_err(|failure| refuse(&failure))?;
    Ok((route.handler, Admitted { context, identity, request, rest }))
}

fn find(method: &Method, path: &str, surface: Surface) -> Result<(&'static Route, String), Box<Reply>> {
    let Ok(found) = PATHS.at(path) else {
        let failure =
            Failure::new(Code::NotFound, format!("there is no {method} {}", crate::adapter::text::sanitise(path)));
        return Err(Box::new(surface.failure(&failure)));
    };
    // Clients encode what is one segment to them: an id with its slash or colon. What is no text names nothing.
    let decoded = |value: &str| percent_decode_str(value).decode_utf8_lossy().into_owned();
    let rest = found.params.iter().next().map_or_else(String::new, |(_, value)| decoded(value));
    if let Some(route) = found.value.iter().find(|route| route.method == *method) {
        return Ok((route, rest));
    }
    let methods: Vec<&str> = found.value.iter().map(|route| route.method.as_str()).collect();
    let failure =
        Failure::new(Code::MethodNotAllowed, format!("this path takes {}, not {method}", methods.join(" and ")));
    let mut reply = surface.failure(&failure);
    reply::with_allow(&mut reply, &methods.join(", "));
    Err(Box::new(reply))
}

fn allow(access: Access, plane: Plane, identity: &Identity) -> Result<(), Failure> {
    let role = match access {
        Access::Anyone => return Ok(()),
        Access::App(role) => role,
        Access::Operator(_) if plane == Plane::App => {
            let message = "operators' paths are on the admin socket ([server] admin_socket), not on this one";
            return Err(Failure::new(Code::NotPermitted, message));
        }
        Access::Operator(role) => role,
    };
    if identity.roles.has(role) {
        return Ok(());
    }
    let who = identity.user.as_deref().map_or_else(String::new, |name| format!(" ({name})"));
    let (code, uid, role) =
        (if identity.roles.any() { Code::NotPermitted } else { Code::UnknownApp }, identity.uid, role.name());
    let message = if identity.is_unknown() {
        format!(
            "uid {uid}{who} stands for every user that the kernel cannot show here, and can have no role: call as another"
        )
    } else {
        format!("uid {uid}{who} does not have the role {role}: name it, or one of its groups, under [access] {role}")
    };
    Err(Failure::new(code, message))
}

/// No page of a browser can send this header to another origin unasked: whoever changes something says it.
const CHANGES: &str = "x-bursar-request";

/// Whether a change on the admin plane is meant.
fn meant(route: &Route, headers: &HeaderMap) -> Result<(), Failure> {
    let changes = matches!(route.access, Access::Operator(_)) && route.method != Method::GET;
    if !changes || headers.get(CHANGES).is_some_and(|value| value == "1") {
        return Ok(());
    }
    Err(Failure::new(Code::InvalidRequest, "send the header X-Bursar-Request: 1 with every change").at(CHANGES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_found_by_its_own_path() {
        for route in ROUTES {
            let path = route.path.replace("{*id}", "a/b").replace("{id}", "a").replace("{slug}", "a");
            let found = PATHS.at(&path).unwrap();
            assert!(found.value.iter().any(|one| std::ptr::eq(*one, route)), "{} {}", route.method, route.path);
        }
        let mut all: Vec<_> = ROUTES.iter().map(|route| (route.path, route.method.as_str())).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), ROUTES.len(), "a path takes each method once");
    }
}
